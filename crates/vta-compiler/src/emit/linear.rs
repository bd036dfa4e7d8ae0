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
    /// `e` over `loops`, whose variables come with their extents; all others `eval` knows; `None` if it is not linear in one. A minimum or maximum is, where one side wins throughout.
    pub(super) fn of(
        e: &Expr,
        loops: &[(&Name, u64)],
        eval: &dyn Fn(&Expr) -> Result<i64, EvalError>,
    ) -> Result<Option<Linear>, EvalError> {
        let affine = Affine::of(e);
        let mut total = Linear::constant(affine.offset(), loops.len());
        for (atom, coefficient) in affine.terms() {
            let term = match &atom {
                Expr::Var(v) if loops.iter().any(|(l, _)| *l == v) => {
                    let mut term = Linear::constant(0, loops.len());
                    let i = loops.iter().position(|(l, _)| *l == v).expect("just found");
                    term.steps[i] = 1;
                    term
                }
                atom if !loops.iter().any(|(l, _)| atom.mentions(l)) => {
                    Linear::constant(eval(atom)?, loops.len())
                }
                Expr::Bin(op @ (ExprOp::Min | ExprOp::Max), a, b) => {
                    let (Some(a), Some(b)) =
                        (Linear::of(a, loops, eval)?, Linear::of(b, loops, eval)?)
                    else {
                        return Ok(None);
                    };
                    let mut ahead = a.clone();
                    ahead.add(&b, -1);
                    let (low, high) = ahead.range(loops);
                    match (op, low >= 0, high <= 0) {
                        (ExprOp::Max, true, _) | (ExprOp::Min, _, true) => a,
                        (ExprOp::Max, _, true) | (ExprOp::Min, true, _) => b,
                        _ => return Ok(None),
                    }
                }
                _ => return Ok(None),
            };
            total.add(&term, coefficient);
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
