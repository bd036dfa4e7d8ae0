//! Addition of two activations of different scales.

use vta_graph::{AddEpilogue, BlockedLayout};
use vta_isa::{AluOp, Design};
use vta_tir::{Access, Buffer, DType, Direction, Expr, Program, Scope, Stmt, Value, ValueOp, var};

use super::stages;
use crate::epilogue::{Epilogue, EpilogueError};

/// Extents of an addition over blocked tensors, in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddShape {
    /// Batch blocks, channel blocks, rows, columns.
    pub extents: [usize; 4],
    /// First row and column of the data in `a`, `b` and the result, and rows and columns of the
    /// bordered tensor.
    pub borders: [[usize; 4]; 3],
}

impl AddShape {
    /// The extents of a packed addition.
    pub fn new(shape: [usize; 4], inputs: &[BlockedLayout; 2], output: &BlockedLayout) -> Self {
        let [n, c, h, w] = shape;
        AddShape {
            extents: [n.div_ceil(output.batch), c.div_ceil(output.lanes), h, w],
            borders: [&inputs[0], &inputs[1], output].map(|layout| {
                let [top, left, bottom, right] = layout.border;
                [top, left, top + h + bottom, left + w + right]
            }),
        }
    }
}

/// Name of the parameter that holds identity weights.
pub const IDENTITY: &str = "e";

/// How an activation gets into the register file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By a LOAD that widens 8-bit values.
    Acc8,
    /// By a GEMM with identity weights: for any operand width, if blocks are square.
    Identity,
}

impl Entry {
    /// What `design` can do; `None` if nothing, since a 1-bit weight is never 1.
    pub fn of(design: &Design) -> Option<Entry> {
        if design.has_acc8() {
            return Some(Entry::Acc8);
        }
        Entry::has_identity(design).then_some(Entry::Identity)
    }

    /// As [`Entry::of`], or why there is none.
    pub fn required(design: &Design) -> Result<Entry, String> {
        Entry::of(design).ok_or_else(|| {
            "the design brings no activation into accumulators: it has neither ACC_8BIT loads nor \
             identity weights"
                .to_string()
        })
    }

    /// Whether a GEMM with identity weights can bring activations in.
    pub fn has_identity(design: &Design) -> bool {
        design.block_in() == design.block_out() && design.wgt_bits() > 1
    }

    /// Stages that bring both operands in: a load each, or a reset and a product each.
    pub fn stages(self) -> usize {
        match self {
            Entry::Acc8 => 2,
            Entry::Identity => 4,
        }
    }

    /// Elements of parameter [`IDENTITY`], `[block_out, block_in]`; none where it has no use.
    pub fn weights(self, design: &Design) -> Vec<i8> {
        let (rows, columns) = (design.block_out(), design.block_in());
        match self {
            Entry::Acc8 => Vec::new(),
            Entry::Identity => (0..rows * columns)
                .map(|i| i8::from(i / columns == i % columns))
                .collect(),
        }
    }
}

/// The ALU steps of an addition: the factors of both operands, then what follows their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddSteps {
    /// How the operands come in.
    pub entry: Entry,
    /// Immediate factors of `a` and `b`.
    pub factors: [i32; 2],
    /// What follows the sum.
    pub epilogue: Epilogue,
}

impl AddSteps {
    /// Stages of the naive program: the operands' entry, factors other than 1, the sum, the
    /// epilogue, the store.
    pub fn stages(&self) -> usize {
        let factors = self.factors.iter().filter(|&&f| f != 1).count();
        self.entry.stages() + factors + 1 + self.epilogue.steps.len() + 1
    }

    /// The ALU operations that it takes.
    pub fn operations(&self) -> impl Iterator<Item = AluOp> + '_ {
        let scaled = self.factors.iter().any(|&f| f != 1);
        let scale = scaled.then_some(AluOp::Mul);
        let epilogue = self.epilogue.steps.iter().map(|step| step.op);
        scale.into_iter().chain([AluOp::Add]).chain(epilogue)
    }
}

/// Selects the steps of `add` on operands whose values lie within `ranges`, for all of
/// `lanes` output channels alike.
///
/// # Errors
/// A design that cannot bring operands in, factors that are no immediates, and sums that could
/// leave the accumulator.
pub fn select(
    add: &AddEpilogue,
    ranges: [(i64, i64); 2],
    lanes: usize,
    design: &Design,
) -> Result<AddSteps, String> {
    let entry = Entry::required(design)?;
    let (low_imm, high_imm) = design.imm_range();
    let factors = [add.mult_a, add.mult_b];
    if let Some(m) = factors.iter().find(|m| !(low_imm..=high_imm).contains(m)) {
        return Err(format!("its factor {m} is wider than an immediate"));
    }
    let span = |m: i32, (low, high): (i64, i64)| {
        let ends = [low * i64::from(m), high * i64::from(m)];
        (ends[0].min(ends[1]), ends[0].max(ends[1]))
    };
    let terms = [span(add.mult_a, ranges[0]), span(add.mult_b, ranges[1])];
    let half = 1i64 << (design.acc_bits() - 1);
    if let Some(t) = terms.iter().find(|t| t.0 < -half || t.1 >= half) {
        return Err(format!(
            "a scaled operand can reach {}..{}, beyond {} bits",
            t.0,
            t.1,
            design.acc_bits()
        ));
    }
    let sum = (terms[0].0 + terms[1].0, terms[0].1 + terms[1].1);
    let requant = vta_graph::Requant {
        mult: vec![1],
        add: vec![add.add],
        shift: add.shift,
        lo: add.lo,
        hi: add.hi,
    };
    let epilogue = Epilogue::new(&requant, &vec![sum; lanes], design)
        .map_err(|e: EpilogueError| e.to_string())?;
    Ok(AddSteps {
        entry,
        factors,
        epilogue,
    })
}

/// The naive program: parameters `a`, `b`, identity weights `e` where operands enter by them,
/// the epilogue's vectors `p` if it has any, and `y`.
pub fn naive(name: &str, shape: &AddShape, steps: &AddSteps, design: &Design) -> Program {
    let (b, bo) = (design.batch(), design.block_out());
    let dims = |d: &[usize]| d.iter().map(|&e| Expr::from(e as i64)).collect::<Vec<_>>();
    let dtype = |bits| DType::of_bits(bits).expect("a design's width");
    let [n, c, h, w] = shape.extents;
    let bordered = |i: usize| dims(&[n, c, shape.borders[i][2], shape.borders[i][3], b, bo]);
    let narrow = dtype(design.out_bits());
    let mut program = Program::new(name)
        .param(Direction::In, "a", narrow, bordered(0))
        .param(Direction::In, "b", narrow, bordered(1));
    let bi = design.block_in();
    if steps.entry == Entry::Identity {
        let dtype = dtype(design.wgt_bits());
        program = program.param(Direction::In, IDENTITY, dtype, dims(&[1, bo, bi]));
    }
    program = stages::params(program, &steps.epilogue, c, design);
    program = program.param(Direction::Out, "y", narrow, bordered(2));

    let extents = [n, c, h, w, b, bo];
    let inside = |i: usize, stage: usize| {
        let mut at = stages::index(stage);
        at[2] = at[2].clone() + shape.borders[i][0] as i64;
        at[3] = at[3].clone() + shape.borders[i][1] as i64;
        at
    };
    let mut stage = 0;
    let mut push = |program: &mut Program, body: &dyn Fn(usize) -> Stmt| {
        program
            .body
            .extend(stages::nest(stage, &extents, body(stage)));
        stage += 1;
    };
    for (i, (operand, wide)) in [("a", "acc"), ("b", "addend")].into_iter().enumerate() {
        match steps.entry {
            Entry::Acc8 => push(&mut program, &|stage| Stmt::Assign {
                dst: Access::new(wide, stages::index(stage)),
                value: Access::new(operand, inside(i, stage)).read(),
            }),
            Entry::Identity => {
                push(&mut program, &|stage| Stmt::Assign {
                    dst: Access::new(wide, stages::index(stage)),
                    value: Value::Const(0),
                });
                push(&mut program, &|stage| {
                    let k = stages::name("k", stage);
                    let mut from = inside(i, stage);
                    let lane = std::mem::replace(&mut from[5], var(k.as_str()));
                    let weight = [Expr::from(0), lane, var(k.as_str())];
                    let product = Access::new(operand, from)
                        .read()
                        .bin(ValueOp::Mul, Access::new(IDENTITY, weight).read());
                    let dst = Access::new(wide, stages::index(stage));
                    let sum = Stmt::Accumulate {
                        dst,
                        value: product,
                    };
                    Stmt::for_(k, bi as i64, vec![sum])
                });
            }
        }
    }
    for (factor, wide) in steps.factors.into_iter().zip(["acc", "addend"]) {
        if factor != 1 {
            push(&mut program, &|stage| {
                let at = || Access::new(wide, stages::index(stage));
                let value = at().read().bin(ValueOp::Mul, i64::from(factor));
                Stmt::Assign { dst: at(), value }
            });
        }
    }
    push(&mut program, &|stage| {
        let at = |name| Access::new(name, stages::index(stage));
        let value = at("acc")
            .read()
            .bin(stages::tir_op(AluOp::Add).value_op(), at("addend").read());
        Stmt::Assign {
            dst: at("acc"),
            value,
        }
    });
    let [top, left, ..] = shape.borders[2];
    stages::append_epilogue(
        &mut program,
        stage,
        &extents,
        &steps.epilogue,
        [top, left],
        design,
    );

    for temporary in ["addend", "acc"] {
        let wide = dtype(design.acc_bits());
        let buffer = Buffer::new(temporary, Scope::Dram, wide, dims(&extents));
        program.body = vec![Stmt::Alloc {
            buffer,
            body: program.body,
        }];
    }
    program
}
