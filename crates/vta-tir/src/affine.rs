//! The normal form of index expressions.

use crate::expr::{Expr, ExprOp, Name};

/// `constant + Σ coefficient * term`.
///
/// A term is a variable or, where an expression is not linear, an opaque `min`, `max`, quotient, remainder or
/// product whose operands are normal themselves. Coefficients are never zero, so equal forms denote equal integers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affine {
    constant: i64,
    /// In the order of the terms.
    terms: Vec<(Expr, i64)>,
}

impl Affine {
    /// The normal form of `expr`. What would overflow 64 bits stays an opaque term.
    pub fn of(expr: &Expr) -> Affine {
        match expr {
            Expr::Const(c) => Affine::constant(*c),
            Expr::Var(_) => Affine::term(expr.clone()),
            Expr::Bin(op, a, b) => {
                let (a, b) = (Affine::of(a), Affine::of(b));
                Affine::combine(*op, &a, &b)
                    .unwrap_or_else(|| Affine::term(Expr::bin(*op, a.to_expr(), b.to_expr())))
            }
        }
    }

    pub(crate) fn constant(constant: i64) -> Affine {
        Affine {
            constant,
            terms: Vec::new(),
        }
    }

    fn term(term: Expr) -> Affine {
        Affine {
            constant: 0,
            terms: vec![(term, 1)],
        }
    }

    pub(crate) fn combine(op: ExprOp, a: &Affine, b: &Affine) -> Option<Affine> {
        if let (Some(a), Some(b)) = (a.as_const(), b.as_const()) {
            return op.apply(a, b).map(Affine::constant);
        }
        match op {
            ExprOp::Add => a.add(b),
            ExprOp::Sub => a.sub(b),
            ExprOp::Mul => match (a.as_const(), b.as_const()) {
                (Some(c), _) => b.scale(c),
                (_, Some(c)) => a.scale(c),
                _ => None,
            },
            ExprOp::FloorDiv | ExprOp::Mod => divide(op, a, b.as_const().filter(|d| *d > 0)?),
            ExprOp::Min | ExprOp::Max => {
                // Two sides a constant apart are ordered everywhere.
                if let Some(difference) = a.sub(b)?.as_const() {
                    return Some(if (difference <= 0) == (op == ExprOp::Min) {
                        a.clone()
                    } else {
                        b.clone()
                    });
                }
                let (a, b) = (a.to_expr(), b.to_expr());
                let (a, b) = if a <= b { (a, b) } else { (b, a) };
                Some(Affine::term(Expr::bin(op, a, b)))
            }
        }
    }

    /// The constant part.
    pub fn offset(&self) -> i64 {
        self.constant
    }

    /// The terms with their coefficients, in a fixed order.
    pub fn terms(&self) -> impl Iterator<Item = (&Expr, i64)> {
        self.terms
            .iter()
            .map(|(term, coefficient)| (term, *coefficient))
    }

    /// The coefficient of variable `name` where it stands as a term by itself; 0 where it does not.
    pub fn coefficient(&self, name: &Name) -> i64 {
        let is_it = |term: &Expr| matches!(term, Expr::Var(v) if v == name);
        self.terms()
            .find(|(term, _)| is_it(term))
            .map_or(0, |(_, c)| c)
    }

    /// The value, if there are no terms.
    pub fn as_const(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// Whether every term is a plain variable.
    pub fn is_linear(&self) -> bool {
        self.terms().all(|(term, _)| matches!(term, Expr::Var(_)))
    }

    /// Whether variable `name` occurs, inside an opaque term included.
    pub fn mentions(&self, name: &str) -> bool {
        self.terms().any(|(term, _)| term.mentions(name))
    }

    pub(crate) fn add(&self, other: &Affine) -> Option<Affine> {
        let mut sum = Affine::constant(self.constant.checked_add(other.constant)?);
        let mut mine = self.terms.iter().peekable();
        for (term, coefficient) in other.terms() {
            while let Some(before) = mine.next_if(|(mine, _)| mine < term) {
                sum.terms.push(before.clone());
            }
            let like = mine.next_if(|(mine, _)| mine == term);
            let total = like.map_or(0, |(_, c)| *c).checked_add(coefficient)?;
            if total != 0 {
                sum.terms.push((term.clone(), total));
            }
        }
        sum.terms.extend(mine.cloned());
        Some(sum)
    }

    pub(crate) fn sub(&self, other: &Affine) -> Option<Affine> {
        self.add(&other.scale(-1)?)
    }

    pub(crate) fn scale(&self, factor: i64) -> Option<Affine> {
        if factor == 0 {
            return Some(Affine::default());
        }
        let mut scaled = Affine::constant(self.constant.checked_mul(factor)?);
        for (term, coefficient) in self.terms() {
            let coefficient = coefficient.checked_mul(factor)?;
            scaled.terms.push((term.clone(), coefficient));
        }
        Some(scaled)
    }

    /// Takes `term` out: what is left, and its coefficient.
    pub(crate) fn without(&self, term: &Expr) -> (Affine, i64) {
        let mut rest = self.clone();
        let at = rest.terms.iter().position(|(other, _)| other == term);
        let coefficient = at.map_or(0, |at| rest.terms.remove(at).1);
        (rest, coefficient)
    }

    /// Written as an expression: long steps first, negative terms after them, the constant last unless nothing else is
    /// positive.
    pub fn to_expr(&self) -> Expr {
        let mut terms: Vec<_> = self.terms().collect();
        terms.sort_by_key(|(_, coefficient)| std::cmp::Reverse(coefficient.unsigned_abs()));
        let (positive, negative): (Vec<_>, Vec<_>) = terms
            .into_iter()
            .partition(|(_, coefficient)| *coefficient > 0);
        let scaled = |term: &Expr, coefficient: i64| match coefficient {
            1 => term.clone(),
            c => Expr::from(c) * term,
        };
        let mut sum = positive
            .into_iter()
            .map(|(term, c)| scaled(term, c))
            .reduce(|a, b| a + b);
        let mut constant = self.constant;
        if sum.is_none() && (constant != 0 || negative.is_empty()) {
            sum = Some(Expr::Const(constant));
            constant = 0;
        }
        for (term, coefficient) in negative {
            sum = Some(match (sum, coefficient.checked_neg()) {
                (Some(sum), Some(magnitude)) => sum - scaled(term, magnitude),
                (Some(sum), None) => sum + scaled(term, coefficient),
                (None, _) => scaled(term, coefficient),
            });
        }
        let sum = sum.unwrap_or(Expr::Const(0));
        match constant {
            0 => sum,
            i64::MIN => sum + constant,
            c if c < 0 => sum - -c,
            c => sum + c,
        }
    }
}

/// `a / d` or `a % d` for a positive `d`: the multiples of `d` within `a` leave a floor quotient exactly.
fn divide(op: ExprOp, a: &Affine, d: i64) -> Option<Affine> {
    if d == 1 {
        return Some(if op == ExprOp::FloorDiv {
            a.clone()
        } else {
            Affine::default()
        });
    }
    let mut quotient = Affine::constant(a.constant.div_euclid(d));
    let mut rest = Affine::constant(a.constant.rem_euclid(d));
    for (term, coefficient) in a.terms() {
        let (q, r) = (coefficient.div_euclid(d), coefficient.rem_euclid(d));
        let part = if r == 0 {
            (&mut quotient, q)
        } else {
            (&mut rest, coefficient)
        };
        part.0.terms.push((term.clone(), part.1));
    }
    let small = match rest.as_const() {
        Some(c) if op == ExprOp::FloorDiv => Affine::constant(c.div_euclid(d)),
        Some(c) => Affine::constant(c.rem_euclid(d)),
        None => Affine::term(Expr::bin(op, rest.to_expr(), d)),
    };
    if op == ExprOp::FloorDiv {
        quotient.add(&small)
    } else {
        Some(small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::var;

    #[test]
    fn like_terms_meet_and_cancel() {
        let e = (var("a") + 3) * 2 - var("a") * 2 + var("b") - var("b");
        assert_eq!(e.as_const(), Some(6));
        assert!((var("a") * 4 + var("b")).same_as(&(var("b") + Expr::from(4) * "a")));
    }

    #[test]
    fn quotients_lose_their_multiples() {
        assert!(((var("a") * 8 + 3) / 8).same_as(&var("a")));
        assert_eq!(((var("a") * 8 + 11) % 8).as_const(), Some(3));
        assert!(((var("a") * 8 + var("b")) % 8).same_as(&(var("b") % 8)));
    }

    #[test]
    fn sides_a_constant_apart_need_no_min() {
        assert!((var("a") + 1).min(var("a")).same_as(&var("a")));
        assert!((var("a") + 1).max(var("a")).same_as(&(var("a") + 1)));
    }
}
