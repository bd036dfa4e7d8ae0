//! Pooling: a maximum or a sum over windows, channel by channel.

use vta_graph::Requant;
use vta_isa::{AluOp, Design};
use vta_tir::{Access, Buffer, DType, Direction, Expr, Program, Scope, Stmt, Value, ValueOp, var};

use super::conv::ConvShape;
use super::entry::{Entry, IDENTITY};
use super::stages;
use crate::epilogue::{Epilogue, Operand, Step};

/// How the values under a window are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taps {
    /// An ALU operation with every value, from a tile that a widening LOAD brought in.
    Alu(AluOp),
    /// A GEMM with identity weights for every value, which also adds it.
    Gemm,
    /// A GEMM with identity weights for every value, into a register of its own, then the maximum.
    GemmMax,
}

/// The arithmetic of a pooling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSteps {
    /// How values come in and together.
    pub taps: Taps,
    /// Steps between the reset and the first value.
    pub first: Vec<Step>,
    /// What follows the result.
    pub epilogue: Epilogue,
}

impl PoolSteps {
    /// A maximum of values between `low` and `high`, in `channels` channels.
    ///
    /// # Errors
    /// A design that cannot bring activations into accumulators.
    pub fn max((low, high): (i64, i64), channels: usize, design: &Design) -> Result<Self, String> {
        // A register starts at zero, which must not win.
        let first = (low < 0).then_some(Step {
            op: AluOp::Add,
            operand: Operand::Imm(low as i32),
        });
        let taps = match Entry::required(design)? {
            Entry::Acc8 => Taps::Alu(AluOp::Max),
            Entry::Identity => Taps::GemmMax,
        };
        // A sign is stored of -1 or 0.
        let epilogue = match stages::activation(design) {
            DType::S1 => {
                let sign = Requant {
                    mult: vec![1],
                    add: vec![0],
                    shift: 0,
                    lo: -1,
                    hi: 1,
                };
                let bounds = (low.min(0), high);
                Epilogue::new(&sign, &vec![bounds; channels], design).map_err(|e| e.to_string())?
            }
            _ => Epilogue::default(),
        };
        Ok(PoolSteps {
            taps,
            first: first.into_iter().collect(),
            epilogue,
        })
    }

    /// Sums within `bounds`, one a channel, and `requant` of them. The GEMM sums where it can,
    /// because what it reads is loaded beside it.
    ///
    /// # Errors
    /// A design that cannot bring activations into accumulators, and sums that could leave them.
    pub fn sum(requant: &Requant, bounds: &[(i64, i64)], design: &Design) -> Result<Self, String> {
        let taps = if Entry::has_identity(design) {
            Taps::Gemm
        } else {
            Entry::required(design)?;
            Taps::Alu(AluOp::Add)
        };
        let epilogue = Epilogue::new(requant, bounds, design).map_err(|e| e.to_string())?;
        Ok(PoolSteps {
            taps,
            first: Vec::new(),
            epilogue,
        })
    }

    /// How values enter the register file.
    pub fn entry(&self) -> Entry {
        match self.taps {
            Taps::Alu(_) => Entry::Acc8,
            Taps::Gemm | Taps::GemmMax => Entry::Identity,
        }
    }

    /// The stage that reads the input: after the reset and the first steps.
    pub fn tap_stage(&self) -> usize {
        1 + self.first.len() + usize::from(self.taps == Taps::GemmMax)
    }

    /// The stage that stores the result.
    pub fn last_stage(&self) -> usize {
        self.tap_stage() + 1 + usize::from(self.taps == Taps::GemmMax) + self.epilogue.steps.len()
    }

    /// The ALU operations that it takes.
    pub fn operations(&self) -> impl Iterator<Item = AluOp> + '_ {
        let taps = match self.taps {
            Taps::Alu(op) => Some(op),
            Taps::GemmMax => Some(AluOp::Max),
            Taps::Gemm => None,
        };
        let steps = self
            .first
            .iter()
            .chain(&self.epilogue.steps)
            .map(|step| step.op);
        steps.chain(taps)
    }
}

/// The naive program: parameters `x`, identity weights `e` where values enter by them, the
/// epilogue's vectors `p` if it has any, and `y`.
pub fn naive(name: &str, shape: &ConvShape, steps: &PoolSteps, design: &Design) -> Program {
    let (b, bi, bo) = (design.batch(), design.block_in(), design.block_out());
    let [n, c, ih, iw] = shape.input;
    let [_, _, oh, ow] = shape.output;
    let [kh, kw] = shape.kernel;
    let [top, left, rows, cols] = shape.out_border;
    let dims = |d: &[usize]| d.iter().map(|&e| Expr::from(e as i64)).collect::<Vec<_>>();
    let dtype = |bits| DType::of_bits(bits).expect("a design's width");
    let (narrow, wide) = (stages::activation(design), dtype(design.acc_bits()));
    let mut program =
        Program::new(name).param(Direction::In, "x", narrow, dims(&[n, c, ih, iw, b, bo]));
    if steps.entry() == Entry::Identity {
        let weights = stages::weight(design);
        program = program.param(Direction::In, IDENTITY, weights, dims(&[1, bo, bi]));
    }
    program = stages::params(program, &steps.epilogue, c, design);
    program = program.param(
        Direction::Out,
        "y",
        narrow,
        dims(&[n, c, rows, cols, b, bo]),
    );

    let extents = [n, c, oh, ow, b, bo];
    let acc = |stage| Access::new("acc", stages::index(stage));
    let reset = |dst| Stmt::Assign {
        dst,
        value: Value::Const(0),
    };
    program
        .body
        .extend(stages::nest(0, &extents, reset(acc(0))));
    stages::append_steps(&mut program, 1, &extents, &steps.first, 0);

    let window = Window { shape, extents };
    let tap = steps.tap_stage();
    let identity = |dst: Access| {
        let k = stages::name("k", tap);
        let mut from = window.input(tap);
        let lane = std::mem::replace(&mut from[5], var(k.as_str()));
        let weight = [Expr::from(0), lane, var(k.as_str())];
        let product = Access::new("x", from)
            .read_padded(shape.pad)
            .bin(ValueOp::Mul, Access::new(IDENTITY, weight).read());
        let sum = Stmt::Accumulate {
            dst,
            value: product,
        };
        Stmt::for_(k, bi as i64, vec![sum])
    };
    let combine = |stage, op, value: Value| Stmt::Assign {
        dst: acc(stage),
        value: acc(stage).read().bin(stages::tir_op(op).value_op(), value),
    };
    let taps = match steps.taps {
        Taps::Alu(op) => {
            let value = Access::new("x", window.input(tap)).read_padded(shape.pad);
            window.nest(tap, combine(tap, op, value))
        }
        Taps::Gemm => window.nest(tap, identity(acc(tap))),
        Taps::GemmMax => {
            let at = |stage| Access::new("tap", window.place(stage));
            let max = combine(tap + 1, AluOp::Max, at(tap + 1).read());
            let stages = [
                (tap - 1, reset(at(tap - 1))),
                (tap, identity(at(tap))),
                (tap + 1, max),
            ];
            stages
                .into_iter()
                .flat_map(|(stage, body)| window.nest(stage, body))
                .collect()
        }
    };
    program.body.extend(taps);

    let last = steps.last_stage();
    let first_step = last - steps.epilogue.steps.len();
    stages::append_epilogue(
        &mut program,
        first_step,
        &extents,
        &steps.epilogue,
        [top, left],
        design,
    );

    let mut temporaries = vec![Buffer::new("acc", Scope::Dram, wide, dims(&extents))];
    if steps.taps == Taps::GemmMax {
        let extents = dims(&[n, c, oh, ow, kh, kw, b, bo]);
        temporaries.push(Buffer::new("tap", Scope::Dram, wide, extents));
    }
    for buffer in temporaries {
        program.body = vec![Stmt::Alloc {
            buffer,
            body: program.body,
        }];
    }
    program
}

/// Nests over the output and, inside of its columns, the window's positions `ky` and `kx`.
struct Window<'a> {
    shape: &'a ConvShape,
    extents: [usize; 6],
}

impl Window<'_> {
    fn nest(&self, stage: usize, body: Stmt) -> Vec<Stmt> {
        let mut loops: Vec<(String, i64)> = stages::DIMS
            .iter()
            .zip(self.extents)
            .map(|(d, e)| (stages::name(d, stage), e as i64))
            .collect();
        let window = ["ky", "kx"].into_iter().zip(self.shape.kernel);
        loops.splice(
            4..4,
            window.map(|(k, e)| (stages::name(k, stage), e as i64)),
        );
        Stmt::nest(loops, vec![body])
    }

    /// An index for each loop.
    fn place(&self, stage: usize) -> Vec<Expr> {
        let mut at = stages::index(stage);
        at.splice(4..4, ["ky", "kx"].map(|k| var(stages::name(k, stage))));
        at
    }

    /// The element of the input under a position.
    fn input(&self, stage: usize) -> Vec<Expr> {
        let mut at = stages::index(stage);
        for (axis, k) in ["ky", "kx"].into_iter().enumerate() {
            let out = at[2 + axis].clone() * self.shape.stride[axis] as i64;
            let position = var(stages::name(k, stage)) * self.shape.dilation[axis] as i64;
            at[2 + axis] = out + position - self.shape.before[axis];
        }
        at
    }
}
