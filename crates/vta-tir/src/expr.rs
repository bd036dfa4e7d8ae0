//! Integer index expressions.

use std::fmt;
use std::ops;
use std::sync::Arc;

use crate::affine::Affine;

/// The name of a loop variable or a buffer, unique within its program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name(text.into())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Name(text.into())
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A binary operation on index expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExprOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`, rounded towards minus infinity
    FloorDiv,
    /// `a % b`, with the sign of `b`: `a == b * (a / b) + a % b`
    Mod,
    /// `min(a, b)`
    Min,
    /// `max(a, b)`
    Max,
}

/// An integer index expression over loop variables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expr {
    /// A literal.
    Const(i64),
    /// A loop variable.
    Var(Name),
    /// A binary operation.
    Bin(ExprOp, Box<Expr>, Box<Expr>),
}

/// Why an index expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A variable without a value.
    #[error("variable `{0}` has no value here")]
    Unbound(Name),
    /// Division or remainder by zero.
    #[error("division by zero in `{0}`")]
    DivisionByZero(Expr),
    /// The result does not fit 64 bits.
    #[error("`{0}` overflows 64 bits")]
    Overflow(Expr),
}

/// The variable called `name`.
pub fn var(name: impl Into<Name>) -> Expr {
    Expr::Var(name.into())
}

impl Expr {
    pub(crate) fn bin(op: ExprOp, a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
        Expr::Bin(op, Box::new(a.into()), Box::new(b.into()))
    }

    /// `min(self, other)`
    pub fn min(self, other: impl Into<Expr>) -> Expr {
        Expr::bin(ExprOp::Min, self, other)
    }

    /// `max(self, other)`
    pub fn max(self, other: impl Into<Expr>) -> Expr {
        Expr::bin(ExprOp::Max, self, other)
    }

    /// The value under an assignment of the variables.
    ///
    /// # Errors
    /// An unbound variable, a division by zero, or a result beyond 64 bits.
    pub fn eval(&self, lookup: &impl Fn(&Name) -> Option<i64>) -> Result<i64, EvalError> {
        match self {
            Expr::Const(c) => Ok(*c),
            Expr::Var(v) => lookup(v).ok_or_else(|| EvalError::Unbound(v.clone())),
            Expr::Bin(op, a, b) => {
                let (a, b) = (a.eval(lookup)?, b.eval(lookup)?);
                match op.apply(a, b) {
                    Some(value) => Ok(value),
                    None if b == 0 => Err(EvalError::DivisionByZero(self.clone())),
                    None => Err(EvalError::Overflow(self.clone())),
                }
            }
        }
    }

    /// The normal form: a constant plus a sum of scaled terms.
    pub fn as_affine(&self) -> Affine {
        Affine::of(self)
    }

    /// The normal form written as an expression again.
    pub fn simplify(&self) -> Expr {
        self.as_affine().to_expr()
    }

    /// Whether both denote the same integer, by their normal forms.
    pub fn same_as(&self, other: &Expr) -> bool {
        self.as_affine() == other.as_affine()
    }

    /// The literal that this simplifies to, if it does.
    pub fn as_const(&self) -> Option<i64> {
        self.as_affine().as_const()
    }

    /// Whether `name` occurs.
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Expr::Const(_) => false,
            Expr::Var(v) => v == name,
            Expr::Bin(_, a, b) => a.mentions(name) || b.mentions(name),
        }
    }

    /// Calls `f` on every variable, left to right.
    pub fn for_each_var<'a>(&'a self, f: &mut impl FnMut(&'a Name)) {
        match self {
            Expr::Const(_) => {}
            Expr::Var(v) => f(v),
            Expr::Bin(_, a, b) => {
                a.for_each_var(f);
                b.for_each_var(f);
            }
        }
    }

    /// This expression with `value` in place of the variable `name`.
    pub fn substitute(&self, name: &str, value: &Expr) -> Expr {
        match self {
            Expr::Const(_) => self.clone(),
            Expr::Var(v) if v == name => value.clone(),
            Expr::Var(_) => self.clone(),
            Expr::Bin(op, a, b) => {
                Expr::bin(*op, a.substitute(name, value), b.substitute(name, value))
            }
        }
    }
}

impl ExprOp {
    /// The value of the operation; nothing on overflow or division by zero.
    pub(crate) fn apply(self, a: i64, b: i64) -> Option<i64> {
        match self {
            ExprOp::Add => a.checked_add(b),
            ExprOp::Sub => a.checked_sub(b),
            ExprOp::Mul => a.checked_mul(b),
            ExprOp::FloorDiv => {
                let quotient = a.checked_div(b)?;
                Some(if a % b != 0 && (a < 0) != (b < 0) {
                    quotient - 1
                } else {
                    quotient
                })
            }
            ExprOp::Mod => {
                let remainder = a.checked_rem(b)?;
                Some(if remainder != 0 && (remainder < 0) != (b < 0) {
                    remainder + b
                } else {
                    remainder
                })
            }
            ExprOp::Min => Some(a.min(b)),
            ExprOp::Max => Some(a.max(b)),
        }
    }
}

impl From<i64> for Expr {
    fn from(c: i64) -> Self {
        Expr::Const(c)
    }
}

impl From<i32> for Expr {
    fn from(c: i32) -> Self {
        Expr::Const(c.into())
    }
}

impl From<&str> for Expr {
    fn from(name: &str) -> Self {
        var(name)
    }
}

impl From<&Name> for Expr {
    fn from(name: &Name) -> Self {
        var(name)
    }
}

impl From<&Expr> for Expr {
    fn from(expr: &Expr) -> Self {
        expr.clone()
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:ident;)*) => {$(
        impl<T: Into<Expr>> ops::$trait<T> for Expr {
            type Output = Expr;
            fn $method(self, rhs: T) -> Expr {
                Expr::bin(ExprOp::$op, self, rhs)
            }
        }
    )*};
}

operators! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div FloorDiv;
    Rem rem Mod;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_rounds_down_and_the_remainder_follows_the_divisor() {
        for (a, b) in [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (-6, 3)] {
            let (q, r) = (
                ExprOp::FloorDiv.apply(a, b).unwrap(),
                ExprOp::Mod.apply(a, b).unwrap(),
            );
            assert_eq!(a, q * b + r);
            assert!(r == 0 || (r < 0) == (b < 0), "{a} % {b} = {r}");
        }
    }

    #[test]
    fn overflow_and_zero_divisors_are_errors() {
        let none = |_: &Name| None;
        assert!(matches!(
            (Expr::from(i64::MAX) + 1).eval(&none),
            Err(EvalError::Overflow(_))
        ));
        assert!(matches!(
            (Expr::from(1) / 0).eval(&none),
            Err(EvalError::DivisionByZero(_))
        ));
        assert!(matches!(
            (Expr::from(i64::MIN) / -1).eval(&none),
            Err(EvalError::Overflow(_))
        ));
        assert_eq!(var("x").eval(&none), Err(EvalError::Unbound("x".into())));
    }
}
