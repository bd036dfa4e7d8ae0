//! Index expressions as linear functions of loops.

use vta_tir::{Affine, EvalError, Expr, ExprOp, Name};

/// An index as a base and a step for each loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Linear {
    /// The value with all loops at 0.
    pub(super) base: i64,
    /// How far it moves with an iteration of each.
    pub(super) steps: Vec<i64>,
}

impl Linear {
    /// `e` over `loops`, whose variables come with their extents; all others `eval` knows; `None` if it is not linear in
    /// one. A minimum or maximum is, where one side wins throughout.
    pub(super) fn of(
        e: &Expr,
        loops: &[(&Name, u64)],
        eval: &dyn Fn(&Expr) -> Result<i64, EvalError>,
    ) -> Result<Option<Linear>, EvalError> {
        let over = Over { loops, eval };
        let mut total = Linear::constant(0, loops.len());
        if over.add(&mut total, e, 1)? {
            return Ok(Some(total));
        }
        // What is not linear as it is written may be in its normal form.
        let affine = Affine::of(e);
        let mut total = Linear::constant(affine.offset(), loops.len());
        for (term, coefficient) in affine.terms() {
            if !over.add(&mut total, term, coefficient)? {
                return Ok(None);
            }
        }
        Ok(Some(total))
    }

    /// A number.
    pub(super) fn constant(base: i64, loops: usize) -> Linear {
        let steps = vec![0; loops];
        Linear { base, steps }
    }

    /// Adds `times` another.
    pub(super) fn add(&mut self, other: &Linear, times: i64) {
        self.base += times * other.base;
        for (step, other) in self.steps.iter_mut().zip(&other.steps) {
            *step += times * other;
        }
    }

    /// The least and the greatest value while the loops run.
    fn range(&self, loops: &[(&Name, u64)]) -> (i64, i64) {
        let ends = self
            .steps
            .iter()
            .zip(loops)
            .map(|(step, (_, extent))| step * (*extent as i64 - 1).max(0));
        ends.fold((self.base, self.base), |(low, high), end| {
            (low + end.min(0), high + end.max(0))
        })
    }
}

struct Over<'a> {
    loops: &'a [(&'a Name, u64)],
    eval: &'a dyn Fn(&Expr) -> Result<i64, EvalError>,
}

impl Over<'_> {
    /// Adds `times` an expression; false, and anything in `total`, if it is not linear as it is written.
    fn add(&self, total: &mut Linear, e: &Expr, times: i64) -> Result<bool, EvalError> {
        if !self.loops.iter().any(|(l, _)| e.mentions(l)) {
            let base = (self.eval)(e)?.checked_mul(times);
            let base = base.and_then(|base| total.base.checked_add(base));
            return Ok(base.map(|base| total.base = base).is_some());
        }
        let (op, a, b) = match e {
            Expr::Const(_) => unreachable!("a number mentions nothing"),
            Expr::Var(v) => {
                let own = self.loops.iter().rposition(|(l, _)| *l == v);
                let step = &mut total.steps[own.expect("it mentions a loop")];
                let sum = step.checked_add(times);
                return Ok(sum.map(|sum| *step = sum).is_some());
            }
            Expr::Bin(op, a, b) => (op, a, b),
        };
        let factor = |e: &Expr| match self.loops.iter().any(|(l, _)| e.mentions(l)) {
            true => Ok(None),
            false => (self.eval)(e).map(|factor| factor.checked_mul(times)),
        };
        match op {
            ExprOp::Add => Ok(self.add(total, a, times)? && self.add(total, b, times)?),
            ExprOp::Sub => match times.checked_neg() {
                Some(less) => Ok(self.add(total, a, times)? && self.add(total, b, less)?),
                None => Ok(false),
            },
            ExprOp::Mul => {
                if let Some(factor) = factor(a)? {
                    return self.add(total, b, factor);
                }
                match factor(b)? {
                    Some(factor) => self.add(total, a, factor),
                    None => Ok(false),
                }
            }
            ExprOp::FloorDiv | ExprOp::Mod => Ok(false),
            ExprOp::Min | ExprOp::Max => {
                // As they are written: sides in a normal form are in theirs.
                let of = |e| {
                    let mut side = Linear::constant(0, self.loops.len());
                    Ok::<_, EvalError>(self.add(&mut side, e, 1)?.then_some(side))
                };
                let (Some(a), Some(b)) = (of(a)?, of(b)?) else {
                    return Ok(false);
                };
                let mut ahead = a.clone();
                ahead.add(&b, -1);
                let (low, high) = ahead.range(self.loops);
                let side = match (op, low >= 0, high <= 0) {
                    (ExprOp::Max, true, _) | (ExprOp::Min, _, true) => a,
                    (ExprOp::Max, _, true) | (ExprOp::Min, true, _) => b,
                    _ => return Ok(false),
                };
                total.add(&side, times);
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each level of them is looked at once, not twice for either side.
    #[test]
    fn nested_minima_take_no_time() {
        let name = Name::from("i");
        let nested = (0..60).fold(Expr::from(&name) / 2, |e, _| e.min(Expr::from(&name)));
        let of = |e: &Expr| Linear::of(e, &[(&name, 16)], &|e| e.eval(&|_| None));
        assert_eq!(of(&nested).unwrap(), None);
    }

    #[test]
    fn steps_beyond_64_bits_are_not_linear() {
        let name = Name::from("i");
        let step = Expr::from(&name) * i64::MAX;
        let e = step.clone() + step;
        let of = Linear::of(&e, &[(&name, 1)], &|e| e.eval(&|_| None));
        assert_eq!(of.unwrap(), None);
    }
}
