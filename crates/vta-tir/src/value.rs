//! Places in buffers, and what is computed from them.

use crate::expr::{Expr, Name};
use crate::program::DType;

/// A place in a buffer: one index per dimension, or per leading dimension where a statement means whole elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which buffer.
    pub buffer: Name,
    /// Indices, outermost first.
    pub idx: Vec<Expr>,
}

impl Access {
    /// The place `idx` of `buffer`.
    pub fn new<E: Into<Expr>>(buffer: impl Into<Name>, idx: impl IntoIterator<Item = E>) -> Access {
        Access {
            buffer: buffer.into(),
            idx: idx.into_iter().map(Into::into).collect(),
        }
    }

    /// The value read here.
    pub fn read(self) -> Value {
        Value::Read {
            access: self,
            padded: None,
        }
    }

    /// The value read here, `with` outside the buffer.
    pub fn read_padded(self, with: i32) -> Value {
        Value::Read {
            access: self,
            padded: Some(with),
        }
    }
}

/// A binary operation on values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `min(a, b)`
    Min,
    /// `max(a, b)`
    Max,
    /// `a >> b`: arithmetic; a negative amount shifts left
    Shr,
}

impl ValueOp {
    /// The result in 64-bit two's complement, wrapped. Shifts by 64 or more leave only the sign, or 0 to the left.
    pub fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            ValueOp::Add => a.wrapping_add(b),
            ValueOp::Sub => a.wrapping_sub(b),
            ValueOp::Mul => a.wrapping_mul(b),
            ValueOp::Min => a.min(b),
            ValueOp::Max => a.max(b),
            ValueOp::Shr if b >= 0 => a >> b.min(63),
            ValueOp::Shr if b > -64 => a << -b,
            ValueOp::Shr => 0,
        }
    }
}

/// A computed value, in 64-bit two's complement; writing it to a buffer wraps it to the buffer's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A literal.
    Const(i64),
    /// One value of a buffer.
    Read {
        /// Full-rank place.
        access: Access,
        /// What is read outside the buffer; otherwise that is an error.
        padded: Option<i32>,
    },
    /// A binary operation.
    Bin(ValueOp, Box<Value>, Box<Value>),
    /// The low bits, sign-extended.
    Cast(DType, Box<Value>),
}

impl Value {
    /// `op(self, other)`
    pub fn bin(self, op: ValueOp, other: impl Into<Value>) -> Value {
        Value::Bin(op, Box::new(self), Box::new(other.into()))
    }

    /// `self` truncated to `dtype`
    pub fn cast(self, dtype: DType) -> Value {
        Value::Cast(dtype, Box::new(self))
    }

    /// Calls `f` on every read, left to right.
    pub fn for_each_read<'a>(&'a self, f: &mut impl FnMut(&'a Access, Option<i32>)) {
        match self {
            Value::Const(_) => {}
            Value::Read { access, padded } => f(access, *padded),
            Value::Bin(_, a, b) => {
                a.for_each_read(f);
                b.for_each_read(f);
            }
            Value::Cast(_, a) => a.for_each_read(f),
        }
    }

    /// As [`Value::for_each_read`], with both the place and its padding open to change.
    pub fn for_each_read_mut(&mut self, f: &mut impl FnMut(&mut Access, &mut Option<i32>)) {
        match self {
            Value::Const(_) => {}
            Value::Read { access, padded } => f(access, padded),
            Value::Bin(_, a, b) => {
                a.for_each_read_mut(f);
                b.for_each_read_mut(f);
            }
            Value::Cast(_, a) => a.for_each_read_mut(f),
        }
    }
}

impl From<i64> for Value {
    fn from(c: i64) -> Self {
        Value::Const(c)
    }
}
