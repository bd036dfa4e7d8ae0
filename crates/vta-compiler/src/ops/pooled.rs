//! A maximum over windows of a convolution's sums, between the sums and the epilogue.
//!
//! The maximum is taken over the rows of a window first, in place: one row of each window is in no other, and takes
//! the maximum with the others. Then the columns come together in a register tile of their own, which is as
//! dense as STORE wants it. A position in the window's padding is read as the nearest one within: that one is in the
//! window too, and counting it twice changes no maximum.

use vta_graph::Window;
use vta_isa::AluOp;
use vta_tir::{Access, Expr, Program, Stmt, Value, var};

use super::stages;

/// The buffer of a convolution's sums before pooling, over all of its positions.
pub const SUMS: &str = "sums";

/// Extents of a pooling of sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Window rows and columns.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Rows above and columns left that are padding.
    pub before: [usize; 2],
    /// Rows and columns of the sums.
    pub input: [usize; 2],
    /// Rows and columns of the result.
    pub output: [usize; 2],
    /// The window's row that takes the maximum of all, and the column that is taken first.
    centre: [usize; 2],
}

impl Pooling {
    /// The extents of a pooling from `input` to `output`; `None` if its windows share all of their rows with others, or
    /// lie on padding in the row or column that would be first.
    pub fn new(window: &Window, input: [usize; 2], output: [usize; 2]) -> Option<Self> {
        if window.dilation != [1, 1] {
            return None;
        }
        let (kernel, stride) = (window.kernel, window.stride);
        let before = [window.pads[0], window.pads[1]];
        let inside = |axis: usize, k: usize| {
            let last = stride[axis] * (output[axis] - 1) + k;
            k >= before[axis] && last < input[axis] + before[axis]
        };
        let alone = |k: &usize| *k + stride[0] >= kernel[0] && *k < stride[0];
        let row = (0..kernel[0]).filter(alone).find(|&k| inside(0, k))?;
        let column = (0..kernel[1]).find(|&k| inside(1, k))?;
        Some(Pooling {
            kernel,
            stride,
            before,
            input,
            output,
            centre: [row, column],
        })
    }

    /// Rows of sums under `out` rows of the result.
    pub fn rows(&self, out: usize) -> usize {
        ((out - 1) * self.stride[0] + self.kernel[0]).min(self.input[0])
    }

    /// Stages over rows, each the maximum with another row of the window.
    pub fn row_stages(&self) -> usize {
        self.kernel[0] - 1
    }

    /// All stages: over rows, the reset, and one for each column of the window.
    pub fn stages(&self) -> usize {
        self.row_stages() + 1 + self.kernel[1]
    }

    /// Operations on the registers of `out` rows of the result, in all of its columns.
    pub fn operations(&self, out: usize) -> usize {
        let [_, columns] = self.output;
        out * (self.row_stages() * self.input[1] + (1 + self.kernel[1]) * columns)
    }

    /// Appends the stages, numbered from `first`, from [`SUMS`] to `acc`; `blocks` are the extents of batch block,
    /// channel block, batch lane and lane.
    pub fn append(&self, program: &mut Program, first: usize, blocks: [usize; 4]) {
        let [n, c, b, l] = blocks;
        let [rows, columns] = self.output;
        let mut stage = first;
        let mut push = |columns: usize, body: &dyn Fn(usize) -> Stmt| {
            let extents = [n, c, rows, columns, b, l];
            program
                .body
                .extend(stages::nest(stage, &extents, body(stage)));
            stage += 1;
        };
        for k in (0..self.kernel[0]).filter(|&k| k != self.centre[0]) {
            push(self.input[1], &|stage| {
                let at = |k| {
                    let mut at = stages::index(stage);
                    at[2] = self.position(0, stage, k);
                    Access::new(SUMS, at)
                };
                let to = at(self.centre[0]);
                combine(to, AluOp::Max, at(k).read())
            });
        }
        let result = |stage| Access::new("acc", stages::index(stage));
        let from = |stage, k| {
            let mut at = stages::index(stage);
            at[2] = self.position(0, stage, self.centre[0]);
            at[3] = self.position(1, stage, k);
            Access::new(SUMS, at).read()
        };
        push(columns, &|stage| Stmt::Assign {
            dst: result(stage),
            value: Value::Const(0),
        });
        push(columns, &|stage| {
            combine(result(stage), AluOp::Add, from(stage, self.centre[1]))
        });
        for k in (0..self.kernel[1]).filter(|&k| k != self.centre[1]) {
            push(columns, &|stage| {
                combine(result(stage), AluOp::Max, from(stage, k))
            });
        }
    }

    /// The row (axis 0) or column of the sums at position `k` of the window, or the nearest one.
    fn position(&self, axis: usize, stage: usize, k: usize) -> Expr {
        let out = var(stages::name(["y", "x"][axis], stage));
        let (stride, before) = (self.stride[axis], self.before[axis]);
        let mut at = out * stride as i64 + (k as i64 - before as i64);
        if k < before {
            at = at.max(0);
        }
        let last = self.input[axis] - 1;
        if stride * (self.output[axis] - 1) + k > last + before {
            at = at.min(last as i64);
        }
        at
    }
}

fn combine(dst: Access, op: AluOp, value: Value) -> Stmt {
    let value = dst.clone().read().bin(stages::tir_op(op).value_op(), value);
    Stmt::Assign { dst, value }
}
