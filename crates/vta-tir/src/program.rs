//! Programs, buffers, values and statements.

use crate::expr::{Expr, Name};

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
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 6] = [
        Scope::Dram,
        Scope::Inp,
        Scope::Wgt,
        Scope::Acc,
        Scope::Out,
        Scope::Uop,
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
    pub const ALL: [DType; 6] = [
        DType::I1,
        DType::I2,
        DType::I4,
        DType::I8,
        DType::I16,
        DType::I32,
    ];

    /// The type of `bits` bits.
    pub fn of_bits(bits: u32) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.bits() == bits)
    }

    /// Width in bits.
    pub fn bits(self) -> u32 {
        match self {
            DType::I1 => 1,
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
            DType::I2 => "i2",
            DType::I4 => "i4",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
        }
    }

    /// The low bits of `value`, sign-extended.
    pub fn wrap(self, value: i64) -> i32 {
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
            padded: false,
        }
    }

    /// The value read here, 0 outside the buffer.
    pub fn read_padded(self) -> Value {
        Value::Read {
            access: self,
            padded: true,
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
    /// One value of a buffer. Outside the buffer, `padded` gives 0; otherwise that is an error.
    Read {
        /// Full-rank place.
        access: Access,
        /// Whether to read 0 outside.
        padded: bool,
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
    pub fn for_each_read<'a>(&'a self, f: &mut impl FnMut(&'a Access, bool)) {
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
    pub fn for_each_read_mut(&mut self, f: &mut impl FnMut(&mut Access, &mut bool)) {
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

/// An operation of the register-file ALU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AluOp {
    /// `min(dst, src)`
    Min,
    /// `max(dst, src)`
    Max,
    /// `dst + src`
    Add,
    /// `dst >> src`
    Shr,
    /// `dst * src`
    Mul,
}

impl AluOp {
    /// Every operation.
    pub const ALL: [AluOp; 5] = [AluOp::Min, AluOp::Max, AluOp::Add, AluOp::Shr, AluOp::Mul];

    /// The word for it in the text form.
    pub fn name(self) -> &'static str {
        match self {
            AluOp::Min => "min",
            AluOp::Max => "max",
            AluOp::Add => "add",
            AluOp::Shr => "shr",
            AluOp::Mul => "mul",
        }
    }

    /// The operation on values that it performs in every lane.
    pub fn value_op(self) -> ValueOp {
        match self {
            AluOp::Min => ValueOp::Min,
            AluOp::Max => ValueOp::Max,
            AluOp::Add => ValueOp::Add,
            AluOp::Shr => ValueOp::Shr,
            AluOp::Mul => ValueOp::Mul,
        }
    }
}

/// The second operand of an ALU operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The same value in every lane.
    Imm(i32),
    /// An element, lane by lane; indices over its leading dimensions.
    Elem(Access),
}

/// A statement. The intrinsics, from `Load` down, act on whole elements: their indices, origins and extents run over
/// leading dimensions only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stmt {
    /// `for var in 0..extent { body }`
    For {
        /// The loop variable.
        var: Name,
        /// Trip count; may depend on outer variables.
        extent: Expr,
        /// What it repeats.
        body: Vec<Stmt>,
    },
    /// A buffer that lives while `body` runs; it starts out zero, but a program should not rely on it.
    Alloc {
        /// The buffer, with concrete extents and compact strides once the statement is reached.
        buffer: Buffer,
        /// Where it lives.
        body: Vec<Stmt>,
    },
    /// `dst = value`
    Assign {
        /// Full-rank place.
        dst: Access,
        /// What it gets.
        value: Value,
    },
    /// `dst += value`
    Accumulate {
        /// Full-rank place.
        dst: Access,
        /// What is added.
        value: Value,
    },
    /// A box of elements from DRAM to a scratchpad: `dst[dst.idx + e] = src[src.idx + e]` for every `e` below `extents`.
    Load {
        /// Scratchpad and origin in it.
        dst: Access,
        /// DRAM and origin in it.
        src: Access,
        /// Whether elements outside `src` are 0; otherwise they are an error.
        padded: bool,
        /// One per leading dimension; both buffers have equally many.
        extents: Vec<Expr>,
    },
    /// A box of elements from the register file to DRAM, each value truncated to the type in DRAM.
    Store {
        /// DRAM and origin in it.
        dst: Access,
        /// Scratchpad and origin in it.
        src: Access,
        /// One per leading dimension; both buffers have equally many.
        extents: Vec<Expr>,
    },
    /// `acc[b, o] += Σ_k inp[b, k] * wgt[o, k]` on one element of each.
    Gemm {
        /// Accumulator element.
        acc: Access,
        /// Input element.
        inp: Access,
        /// Weight element.
        wgt: Access,
    },
    /// Zeroes one accumulator element.
    Reset {
        /// Accumulator element.
        acc: Access,
    },
    /// `dst = op(dst, src)` in every lane of one accumulator element.
    Alu {
        /// What to do.
        op: AluOp,
        /// First operand and result.
        dst: Access,
        /// Second operand.
        src: Operand,
    },
}

impl Stmt {
    /// A loop.
    pub fn for_(var: impl Into<Name>, extent: impl Into<Expr>, body: Vec<Stmt>) -> Stmt {
        Stmt::For {
            var: var.into(),
            extent: extent.into(),
            body,
        }
    }

    /// A perfect nest of loops, outermost first, around `body`.
    pub fn nest<N: Into<Name>, E: Into<Expr>>(
        loops: impl IntoIterator<Item = (N, E), IntoIter: DoubleEndedIterator>,
        body: Vec<Stmt>,
    ) -> Vec<Stmt> {
        loops.into_iter().rev().fold(body, |body, (var, extent)| {
            vec![Stmt::for_(var, extent, body)]
        })
    }

    /// The statements inside a loop or an allocation.
    pub fn children(&self) -> &[Stmt] {
        match self {
            Stmt::For { body, .. } | Stmt::Alloc { body, .. } => body,
            _ => &[],
        }
    }

    /// The statements inside a loop or an allocation, open to change.
    pub fn children_mut(&mut self) -> Option<&mut Vec<Stmt>> {
        match self {
            Stmt::For { body, .. } | Stmt::Alloc { body, .. } => Some(body),
            _ => None,
        }
    }

    /// Calls `f` on this statement and all within, outermost first.
    pub fn walk<'a>(&'a self, f: &mut impl FnMut(&'a Stmt)) {
        f(self);
        self.children().iter().for_each(|child| child.walk(f));
    }

    /// As [`Stmt::walk`], open to change.
    pub fn walk_mut(&mut self, f: &mut impl FnMut(&mut Stmt)) {
        f(self);
        for child in self.children_mut().into_iter().flatten() {
            child.walk_mut(f);
        }
    }

    /// Calls `f` on every place this statement itself names (not those inside a body), reads first.
    pub fn for_each_access_mut(&mut self, f: &mut impl FnMut(&mut Access)) {
        match self {
            Stmt::For { .. } | Stmt::Alloc { .. } => {}
            Stmt::Assign { dst, value } | Stmt::Accumulate { dst, value } => {
                value.for_each_read_mut(&mut |access, _| f(access));
                f(dst);
            }
            Stmt::Load { dst, src, .. } | Stmt::Store { dst, src, .. } => {
                f(src);
                f(dst);
            }
            Stmt::Gemm { acc, inp, wgt } => {
                f(inp);
                f(wgt);
                f(acc);
            }
            Stmt::Reset { acc } => f(acc),
            Stmt::Alu { dst, src, .. } => {
                if let Operand::Elem(src) = src {
                    f(src);
                }
                f(dst);
            }
        }
    }

    /// Replaces every index expression of this statement and all within.
    pub fn map_exprs(&mut self, f: &mut impl FnMut(&Expr) -> Expr) {
        self.walk_mut(&mut |stmt| {
            match stmt {
                Stmt::For { extent, .. } => *extent = f(extent),
                Stmt::Alloc { buffer, .. } => buffer.shape.iter_mut().for_each(|e| *e = f(e)),
                Stmt::Load { extents, .. } | Stmt::Store { extents, .. } => {
                    extents.iter_mut().for_each(|e| *e = f(e));
                }
                _ => {}
            }
            stmt.for_each_access_mut(&mut |access| access.idx.iter_mut().for_each(|e| *e = f(e)));
        });
    }
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
