//! Statements.

use crate::expr::{Expr, Name};
use crate::program::Buffer;
use crate::value::{Access, Value, ValueOp};

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
        /// Each value of an element outside `src`; otherwise that is an error.
        padded: Option<i32>,
        /// One per leading dimension; both buffers have equally many.
        extents: Vec<Expr>,
    },
    /// A box of elements from the register file to DRAM, each value rescaled if there is something to rescale by, then
    /// truncated to the type in DRAM.
    Store {
        /// DRAM and origin in it.
        dst: Access,
        /// Scratchpad and origin in it.
        src: Access,
        /// One per leading dimension; both buffers have equally many.
        extents: Vec<Expr>,
        /// The element of the table whose records rescale the columns, as [`requantized`](crate::intrinsics::requantized)
        /// says.
        by: Option<Access>,
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
            Stmt::Load { dst, src, .. } => {
                f(src);
                f(dst);
            }
            Stmt::Store { dst, src, by, .. } => {
                f(src);
                by.iter_mut().for_each(&mut *f);
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
