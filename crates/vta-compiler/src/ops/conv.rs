//! Convolution with requantization: reset, sums of products, the epilogue's steps, store.

use vta_graph::{BlockedLayout, PackedConv, PackedPool, Window};
use vta_isa::Design;
use vta_tir::{Access, Buffer, DType, Direction, Expr, Program, Scope, Stmt, Value, var};

use super::pooled::{Pooling, SUMS};
use super::stages;
use crate::epilogue::Epilogue;

/// Name of the parameter that holds the weights.
pub const WEIGHTS: &str = "w";

/// Extents of a convolution over blocked tensors, in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Input: batch blocks, channel blocks, rows and columns with the border.
    pub input: [usize; 4],
    /// Sums: batch blocks, channel blocks, rows, columns.
    pub output: [usize; 4],
    /// Where the output's row 0 and column 0 lie in its bordered tensor, and that tensor's rows
    /// and columns.
    pub out_border: [usize; 4],
    /// Input and output channel blocks of a group: output block `o` reads the input blocks from
    /// `o / group[1] * group[0]` on.
    pub group: [usize; 2],
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Dilation.
    pub dilation: [usize; 2],
    /// Rows and columns by which the first window starts before the bordered input; negative
    /// where it starts inside.
    pub before: [i64; 2],
    /// What it reads beyond the bordered input.
    pub pad: i32,
    /// A residual that diagonal weights add to the sums, if there is one.
    pub residual: Option<Residual>,
    /// A maximum over windows of the sums, if it is taken; there is no residual then.
    pub pool: Option<Pooling>,
}

/// An activation of the output's extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residual {
    /// Where its row 0 and column 0 lie in its bordered tensor, and that tensor's rows and columns.
    pub border: [usize; 4],
    /// Weights a channel block, of which each multiplies every register once.
    pub passes: usize,
}

impl ConvShape {
    /// The extents of a packed convolution, whose residual has `passes` weights a channel block.
    ///
    /// # Panics
    /// If its pooling has no form that [`Pooling::new`] knows.
    pub fn conv(c: &PackedConv, passes: usize) -> Self {
        let residual = c.residual.as_ref().map(|layout| (layout, passes));
        let mut shape = ConvShape {
            group: c.group_blocks(),
            pad: c.pad,
            ..ConvShape::new(
                (c.in_shape, &c.in_layout),
                (c.out_shape, &c.out_layout),
                &c.window,
                residual,
            )
        };
        if let Some(window) = &c.pool {
            let sums = c.conv_hw().expect("a checked window");
            let [n, channels, h, w] = shape.output;
            let pool = Pooling::new(window, sums, [h, w]);
            shape.output = [n, channels, sums[0], sums[1]];
            shape.pool = Some(pool.expect("a form that was found to run"));
        }
        shape
    }

    /// The extents of a pooling: those of a convolution whose channels stay apart.
    pub fn pool(p: &PackedPool) -> Self {
        ConvShape {
            pad: p.pad,
            ..ConvShape::new(
                (p.in_shape, &p.in_layout),
                (p.out_shape, &p.out_layout),
                &p.window,
                None,
            )
        }
    }

    fn new(
        (input, in_layout): ([usize; 4], &BlockedLayout),
        (output, out_layout): ([usize; 4], &BlockedLayout),
        window: &Window,
        residual: Option<(&BlockedLayout, usize)>,
    ) -> Self {
        let [n, ci, h, w] = input;
        let [_, co, oh, ow] = output;
        let batches = n.div_ceil(in_layout.batch);
        let [it, il, ib, ir] = in_layout.border;
        let within = |layout: &BlockedLayout| {
            let [top, left, bottom, right] = layout.border;
            [top, left, top + oh + bottom, left + ow + right]
        };
        ConvShape {
            input: [
                batches,
                ci.div_ceil(in_layout.lanes),
                it + h + ib,
                il + w + ir,
            ],
            output: [batches, co.div_ceil(out_layout.lanes), oh, ow],
            out_border: within(out_layout),
            group: [1, 1],
            kernel: window.kernel,
            stride: window.stride,
            dilation: window.dilation,
            before: [
                window.pads[0] as i64 - it as i64,
                window.pads[1] as i64 - il as i64,
            ],
            pad: 0,
            residual: residual.map(|(layout, passes)| Residual {
                border: within(layout),
                passes,
            }),
            pool: None,
        }
    }

    /// Batch blocks, channel blocks, rows and columns of the result.
    pub fn result(&self) -> [usize; 4] {
        let [n, c, h, w] = self.output;
        let [h, w] = self.pool.as_ref().map_or([h, w], |pool| pool.output);
        [n, c, h, w]
    }

    /// Stages before the epilogue: the reset, the sums, and those of the residual or the pooling.
    pub fn sum_stages(&self) -> usize {
        let pool = self.pool.as_ref().map_or(0, Pooling::stages);
        2 + usize::from(self.residual.is_some()) + pool
    }

    /// The number of the stage behind the reset that sets accumulators to a vector, if there is one: behind those of all
    /// other stages.
    pub fn preset_stage(&self, epilogue: &Epilogue) -> usize {
        self.sum_stages() + epilogue.steps.len() + 1
    }

    /// Whether every output reads every input.
    pub fn is_dense(&self) -> bool {
        self.group[1] >= self.output[1]
    }

    /// The most output channel blocks that a tile can have: what several blocks of one group among others read
    /// is no box of a fixed size.
    pub fn most_channels(&self) -> usize {
        if self.is_dense() || self.group[1] == 1 {
            self.output[1]
        } else {
            1
        }
    }

    /// Input channel blocks from the first to the last that `out` output channel blocks read in a round of `ci`
    /// of each group.
    pub fn channels(&self, out: usize, ci: usize) -> usize {
        if self.is_dense() {
            ci
        } else {
            (out - 1) * self.group[0] + ci
        }
    }

    /// Rows (`axis` 0) or columns (1) of the input that `out` rows or columns of the output read.
    pub fn reach(&self, out: usize, axis: usize) -> usize {
        (out - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }
}

/// Names of the parameters of a residual: the activation and its weights.
pub const RESIDUAL: [&str; 2] = ["r", "d"];

/// The naive program: parameters `x`, `w`, `r` and `d` for a residual, what the epilogue reads, and `y`.
pub fn naive(name: &str, shape: &ConvShape, epilogue: &Epilogue, design: &Design) -> Program {
    let (b, bi, bo) = (design.batch(), design.block_in(), design.block_out());
    let [batches, blocks, ih, iw] = shape.input;
    let [_, co, oh, ow] = shape.output;
    let [ci, group_out] = shape.group;
    let [kh, kw] = shape.kernel;
    let [top, left, rows, cols] = shape.out_border;
    let dims = |d: &[usize]| d.iter().map(|&e| Expr::from(e as i64)).collect::<Vec<_>>();
    let dtype = |bits| DType::of_bits(bits).expect("a design's width");
    let mut program = Program::new(name)
        .param(
            Direction::In,
            "x",
            stages::activation(design),
            dims(&[batches, blocks, ih, iw, b, bi]),
        )
        .param(
            Direction::In,
            WEIGHTS,
            stages::weight(design),
            dims(&[co, ci, kh, kw, bo, bi]),
        );
    if let Some(Residual { border, passes }) = &shape.residual {
        let [activation, weight] = RESIDUAL;
        let [_, _, rows, cols] = *border;
        let inp = stages::activation(design);
        let wgt = stages::weight(design);
        program = program
            .param(
                Direction::In,
                activation,
                inp,
                dims(&[batches, co, rows, cols, b, bo]),
            )
            .param(Direction::In, weight, wgt, dims(&[co, *passes, bo, bo]));
    }
    program = stages::params(program, epilogue, co, design);
    let out = dims(&[batches, co, rows, cols, b, bo]);
    program = program.param(Direction::Out, "y", stages::activation(design), out);

    let extents = [batches, co, oh, ow, b, bo];
    let buffer = if shape.pool.is_some() { SUMS } else { "acc" };
    let acc = |stage| Access::new(buffer, stages::index(stage));
    let reset = Stmt::Assign {
        dst: acc(0),
        value: Value::Const(0),
    };
    program.body.extend(stages::nest(0, &extents, reset));
    stages::append_preset(
        &mut program,
        shape.preset_stage(epilogue),
        &extents,
        epilogue,
    );

    let [n, c, y, x, row, lane] = stages::DIMS.map(|d| var(stages::name(d, 1)));
    let at = |out: Expr, k: &str, i: usize| {
        out * shape.stride[i] as i64 + var(k) * shape.dilation[i] as i64 - shape.before[i]
    };
    let channel = if shape.is_dense() {
        var("ci")
    } else {
        c.clone() / group_out as i64 * ci as i64 + var("ci")
    };
    let input = [n, channel, at(y, "ky", 0), at(x, "kx", 1), row, var("k")];
    let weight = [c, var("ci"), var("ky"), var("kx"), lane, var("k")];
    let product = Access::new("x", input)
        .read_padded(shape.pad)
        .bin(vta_tir::ValueOp::Mul, Access::new(WEIGHTS, weight).read());
    let sum = Stmt::Accumulate {
        dst: acc(1),
        value: product,
    };
    let reduction = [("ci", ci), ("ky", kh), ("kx", kw)].map(|(k, e)| (k, e as i64));
    // The reduction loops stand outside of the lanes, which are the intrinsic's.
    let mut loops: Vec<(String, i64)> = stages::DIMS
        .iter()
        .zip(extents)
        .map(|(d, e)| (stages::name(d, 1), e as i64))
        .collect();
    loops.splice(4..4, reduction.map(|(k, e)| (k.to_string(), e)));
    loops.push(("k".to_string(), bi as i64));
    program.body.extend(Stmt::nest(loops, vec![sum]));

    if let Some(residual) = &shape.residual {
        program.body.extend(residual_sums(residual, &extents, bo));
    }
    let [_, _, rows, columns] = shape.result();
    let results = [batches, co, rows, columns, b, bo];
    if let Some(pool) = &shape.pool {
        pool.append(&mut program, 2, [batches, co, b, bo]);
    }
    let first = shape.sum_stages();
    stages::append_epilogue(&mut program, first, &results, epilogue, [top, left], design);

    let sums = shape.pool.as_ref().map(|_| (SUMS, extents));
    for (name, extents) in sums.into_iter().chain([("acc", results)]) {
        let buffer = Buffer::new(name, Scope::Dram, dtype(design.acc_bits()), dims(&extents));
        program.body = vec![Stmt::Alloc {
            buffer,
            body: program.body,
        }];
    }
    program
}

/// Stage 2: `acc += r * d` for each weight of a channel block.
fn residual_sums(residual: &Residual, extents: &[usize; 6], bo: usize) -> Vec<Stmt> {
    let [activation, weight] = RESIDUAL;
    let mut from = stages::index(2);
    from[2] = from[2].clone() + residual.border[0] as i64;
    from[3] = from[3].clone() + residual.border[1] as i64;
    let lane = std::mem::replace(&mut from[5], var("k2"));
    let diagonal = [var(stages::name("c", 2)), var("pass"), lane, var("k2")];
    let product = Access::new(activation, from)
        .read()
        .bin(vta_tir::ValueOp::Mul, Access::new(weight, diagonal).read());
    let sum = Stmt::Accumulate {
        dst: Access::new("acc", stages::index(2)),
        value: product,
    };
    let mut loops: Vec<(String, i64)> = (stages::DIMS.iter().zip(extents))
        .map(|(d, &e)| (stages::name(d, 2), e as i64))
        .collect();
    loops.insert(4, ("pass".to_string(), residual.passes as i64));
    loops.push(("k2".to_string(), bo as i64));
    Stmt::nest(loops, vec![sum])
}
