//! Building blocks of the naive programs: elementwise stages over an accumulator tensor.
//!
//! Every stage is a perfect nest over the same six dimensions, its loop variables told apart by
//! the stage's number: `n0 c0 y0 x0 b0 l0`, `n1 c1 ...`.

use vta_isa::{AluOp, Design, Feature, MemType};
use vta_tir::intrinsics::{RECORD_WORDS, requantized};
use vta_tir::{Access, AluOp as TirOp, DType, Direction, Expr, Program, Stmt, Value, ValueOp, var};

use crate::epilogue::{Epilogue, Operand, Step};

/// Dimensions of a blocked activation: batch block, channel block, row, column, batch lane, lane.
pub const DIMS: [&str; 6] = ["n", "c", "y", "x", "b", "l"];

/// Name of the parameter that holds the per-channel vectors.
pub const VECTORS: &str = "p";

/// Name of the parameter that holds what the store rescales channels by.
pub const RECORDS: &str = "q";

/// The type of a design's activations.
pub fn activation(design: &Design) -> DType {
    operand(design.inp_bits(), design.has(Feature::SignInp))
}

/// The type of a design's weights.
pub fn weight(design: &Design) -> DType {
    operand(design.wgt_bits(), design.has(Feature::SignWgt))
}

fn operand(bits: u32, sign: bool) -> DType {
    match sign {
        true => DType::S1,
        false => DType::of_bits(bits).expect("a design's width"),
    }
}

/// The loop variable of `dim` in stage `stage`.
pub fn name(dim: &str, stage: usize) -> String {
    format!("{dim}{stage}")
}

/// The six index expressions of stage `stage`.
pub fn index(stage: usize) -> Vec<Expr> {
    DIMS.iter().map(|d| var(name(d, stage))).collect()
}

/// A nest of stage `stage` over `extents` around `body`.
pub fn nest(stage: usize, extents: &[usize; 6], body: Stmt) -> Vec<Stmt> {
    let loops: Vec<(String, i64)> = DIMS
        .iter()
        .zip(extents)
        .map(|(d, &e)| (name(d, stage), e as i64))
        .collect();
    Stmt::nest(loops, vec![body])
}

/// Appends a stage, `acc = acc + vector 0`, if accumulators begin at a vector.
pub fn append_preset(
    program: &mut Program,
    stage: usize,
    extents: &[usize; 6],
    epilogue: &Epilogue,
) {
    if let Some(values) = &epilogue.preset {
        let add = Step {
            op: AluOp::Add,
            operand: Operand::Vector(values.clone()),
        };
        append_steps(program, stage, extents, &[add], 0);
    }
}

/// Appends one stage a step, numbered from `first`, with vectors from number `vector` on.
pub fn append_steps(
    program: &mut Program,
    first: usize,
    extents: &[usize; 6],
    steps: &[Step],
    mut vector: i64,
) {
    let acc = |stage| Access::new("acc", index(stage));
    for (stage, step) in (first..).zip(steps) {
        let body = self::step(step, stage, acc, &mut vector);
        program.body.extend(nest(stage, extents, body));
    }
}

/// The statement of a step in stage `stage`: `acc = acc op operand`. The next vector is read from [`VECTORS`],
/// `[channel block, vector, batch lane, lane]`.
pub fn step(step: &Step, stage: usize, acc: impl Fn(usize) -> Access, vector: &mut i64) -> Stmt {
    let operand = match &step.operand {
        Operand::Imm(imm) => Value::Const((*imm).into()),
        Operand::Vector(_) => {
            let [_, c, _, _, b, l] = DIMS.map(|d| var(name(d, stage)));
            let read = Access::new(VECTORS, [c, Expr::Const(*vector), b, l]).read();
            *vector += 1;
            read
        }
    };
    let dst = acc(stage);
    let value = dst.clone().read().bin(value_op(step.op), operand);
    Stmt::Assign { dst, value }
}

/// Accumulators that hold the vectors of a tile of `channels` of `blocks` channel blocks, without those of another
/// tile, and whether these are the vectors of all channels: one load for the operator, if they take an eighth of the
/// register file at most.
pub fn held(vectors: usize, channels: usize, blocks: usize, design: &Design) -> (usize, bool) {
    let all = vectors * blocks;
    if all <= design.depth(MemType::Acc) as usize / 8 {
        (all, true)
    } else {
        (vectors * channels, false)
    }
}

/// Declares the parameters that an epilogue over `blocks` channel blocks reads: [`VECTORS`] if it has any, and
/// [`RECORDS`], `[channel block, lane, word]`.
pub fn params(
    mut program: Program,
    epilogue: &Epilogue,
    blocks: usize,
    design: &Design,
) -> Program {
    let dims = |d: &[usize]| d.iter().map(|&e| Expr::from(e as i64)).collect::<Vec<_>>();
    let (batch, lanes) = (design.batch(), design.block_out());
    let vectors = epilogue.vectors();
    if vectors > 0 {
        let dtype = DType::of_bits(design.acc_bits()).expect("a design's width");
        let shape = dims(&[blocks, vectors, batch, lanes]);
        program = program.param(Direction::In, VECTORS, dtype, shape);
    }
    if !epilogue.records.is_empty() {
        let shape = dims(&[blocks, lanes, RECORD_WORDS as usize]);
        program = program.param(Direction::In, RECORDS, DType::I32, shape);
    }
    program
}

/// Appends the stages of an epilogue from stage `first` on: its steps, then the store of `acc`, rescaled where it has records, to
/// `y`, whose data begin in row and column `origin`.
pub fn append_epilogue(
    program: &mut Program,
    first: usize,
    extents: &[usize; 6],
    epilogue: &Epilogue,
    origin: [usize; 2],
    design: &Design,
) {
    let vector = i64::from(epilogue.preset.is_some());
    append_steps(program, first, extents, &epilogue.steps, vector);
    let last = first + epilogue.steps.len();
    let mut to = index(last);
    for (at, origin) in to[2..4].iter_mut().zip(origin) {
        *at = at.clone() + origin as i64;
    }
    let value = rescaled(Access::new("acc", index(last)).read(), epilogue, last);
    let store = Stmt::Assign {
        dst: Access::new("y", to),
        value: value.cast(activation(design)),
    };
    program.body.extend(nest(last, extents, store));
}

/// What stage `stage` stores of an accumulator: rescaled by the record of its channel, where there are records.
pub fn rescaled(value: Value, epilogue: &Epilogue, stage: usize) -> Value {
    if epilogue.records.is_empty() {
        return value;
    }
    let [_, c, _, _, _, lane] = DIMS.map(|d| var(name(d, stage)));
    requantized(value, |i: i64| {
        Access::new(RECORDS, [c.clone(), lane.clone(), i.into()]).read()
    })
}

/// The operation on values that an ALU operation performs in every lane.
fn value_op(op: AluOp) -> ValueOp {
    tir_op(op).value_op()
}

/// The tensor-level name of an ALU operation.
pub fn tir_op(op: AluOp) -> TirOp {
    match op {
        AluOp::Min => TirOp::Min,
        AluOp::Max => TirOp::Max,
        AluOp::Add => TirOp::Add,
        AluOp::Shr => TirOp::Shr,
        AluOp::Mul => TirOp::Mul,
    }
}
