//! Programs and buffers.

use crate::expr::{Expr, Name};
use crate::stmt::Stmt;
use crate::value::Access;

/// How many of a packed buffer's last dimensions form the element that a scratchpad holds and an address counts.
pub const ELEM_RANK: usize = 2;

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Main memory.
    Dram,
    /// Input scratchpad; element `[batch, block_in]`.
    Inp,
    /// Weight scratchpad; element `[block_out, block_in]`.
    Wgt,
    /// Register file; element `[batch, block_out]`.
    Acc,
    /// Output buffer, the narrow shadow of the register file; element `[batch, block_out]`.
    Out,
    /// Micro-op cache.
    Uop,
    /// Table of what a store rescales by; element `[block_out, 4]`, the words of one record a channel.
    Rqt,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 7] = [
        Scope::Dram,
        Scope::Inp,
        Scope::Wgt,
        Scope::Acc,
        Scope::Out,
        Scope::Uop,
        Scope::Rqt,
    ];

    /// The word for it in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Dram => "dram",
            Scope::Inp => "inp",
            Scope::Wgt => "wgt",
            Scope::Acc => "acc",
            Scope::Out => "out",
            Scope::Uop => "uop",
            Scope::Rqt => "rqt",
        }
    }

    /// Whether this is a scratchpad.
    pub fn on_chip(self) -> bool {
        self != Scope::Dram
    }
}

/// The type of a buffer's values: two's complement integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// 1 bit: 0 or -1.
    I1,
    /// A sign, 1 bit: -1 or +1. Writing a number makes -1 of what is below 0, and else +1.
    S1,
    /// 2 bits.
    I2,
    /// 4 bits.
    I4,
    /// 8 bits.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
}

impl DType {
    /// Every type, narrowest first.
    pub const ALL: [DType; 7] = [
        DType::I1,
        DType::S1,
        DType::I2,
        DType::I4,
        DType::I8,
        DType::I16,
        DType::I32,
    ];

    /// The type of numbers of `bits` bits.
    pub fn of_bits(bits: u32) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.bits() == bits)
    }

    /// Width in bits.
    pub fn bits(self) -> u32 {
        match self {
            DType::I1 | DType::S1 => 1,
            DType::I2 => 2,
            DType::I4 => 4,
            DType::I8 => 8,
            DType::I16 => 16,
            DType::I32 => 32,
        }
    }

    /// The word for it in the text form.
    pub fn name(self) -> &'static str {
        match self {
            DType::I1 => "i1",
            DType::S1 => "s1",
            DType::I2 => "i2",
            DType::I4 => "i4",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
        }
    }

    /// The low bits of `value`, sign-extended; of a sign whether it is below 0.
    pub fn wrap(self, value: i64) -> i32 {
        if self == DType::S1 {
            return if value < 0 { -1 } else { 1 };
        }
        let unused = 64 - self.bits();
        ((value << unused) >> unused) as i32
    }
}

/// A typed array in one memory scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Unique within the program.
    pub name: Name,
    /// Where it lives.
    pub scope: Scope,
    /// The type of its values.
    pub dtype: DType,
    /// Extents, outermost first, row-major and compact. Those of an allocation may depend on the loop variables
    /// around it; parameters have constant shapes.
    pub shape: Vec<Expr>,
    /// Whether an allocation has two places, which the times it is entered take in turns: what comes next
    /// can begin while the one before is still in use.
    pub double: bool,
}

impl Buffer {
    /// A buffer of the given shape.
    pub fn new<E: Into<Expr>>(
        name: impl Into<Name>,
        scope: Scope,
        dtype: DType,
        shape: impl IntoIterator<Item = E>,
    ) -> Buffer {
        Buffer {
            name: name.into(),
            scope,
            dtype,
            shape: shape.into_iter().map(Into::into).collect(),
            double: false,
        }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The dimensions that count elements.
    pub fn leading(&self) -> &[Expr] {
        &self.shape[..self.rank().saturating_sub(ELEM_RANK)]
    }

    /// The dimensions of one element.
    pub fn elem(&self) -> &[Expr] {
        &self.shape[self.rank().saturating_sub(ELEM_RANK)..]
    }

    /// An access to this buffer.
    pub fn at<E: Into<Expr>>(&self, idx: impl IntoIterator<Item = E>) -> Access {
        Access::new(&self.name, idx)
    }
}

/// Whether a parameter is read or also written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Read only.
    In,
    /// Written, and readable; starts with what the caller left in it.
    Out,
}

/// A parameter: a buffer in DRAM that the caller provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// How it is used.
    pub direction: Direction,
    /// The buffer, in scope [`Scope::Dram`], of constant shape.
    pub buffer: Buffer,
}

/// A loop-nest program. `Display` prints the text form, [`parse`](crate::parse) reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Parameters, in the caller's order.
    pub params: Vec<Param>,
    /// Statements, run in order.
    pub body: Vec<Stmt>,
}

impl Program {
    /// A program without parameters or statements.
    pub fn new(name: impl Into<String>) -> Program {
        Program {
            name: name.into(),
            params: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a parameter in DRAM.
    pub fn param<E: Into<Expr>>(
        mut self,
        direction: Direction,
        name: impl Into<Name>,
        dtype: DType,
        shape: impl IntoIterator<Item = E>,
    ) -> Program {
        self.params.push(Param {
            direction,
            buffer: Buffer::new(name, Scope::Dram, dtype, shape),
        });
        self
    }

    /// Calls `f` on every statement, outermost first.
    pub fn walk<'a>(&'a self, f: &mut impl FnMut(&'a Stmt)) {
        self.body.iter().for_each(|stmt| stmt.walk(f));
    }

    /// As [`Program::walk`], open to change.
    pub fn walk_mut(&mut self, f: &mut impl FnMut(&mut Stmt)) {
        self.body.iter_mut().for_each(|stmt| stmt.walk_mut(f));
    }

    /// The parameter or allocation called `name`.
    pub fn buffer(&self, name: &str) -> Option<&Buffer> {
        let mut found = self
            .params
            .iter()
            .map(|param| &param.buffer)
            .find(|buffer| &buffer.name == name);
        self.walk(&mut |stmt| {
            if let Stmt::Alloc { buffer, .. } = stmt {
                if &buffer.name == name {
                    found = Some(buffer);
                }
            }
        });
        found
    }
}
