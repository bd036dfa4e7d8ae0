//! Building blocks of the naive programs: elementwise stages over an accumulator tensor.
//!
//! Every stage is a perfect nest over the same six dimensions, its loop variables told apart by
//! the stage's number: `n0 c0 y0 x0 b0 l0`, `n1 c1 ...`.

use vta_isa::AluOp;
use vta_tir::{Access, AluOp as TirOp, Expr, Program, Stmt, Value, ValueOp, var};

use crate::epilogue::{Operand, Step};

/// Dimensions of a blocked activation: batch block, channel block, row, column, batch lane, lane.
pub const DIMS: [&str; 6] = ["n", "c", "y", "x", "b", "l"];

/// Name of the parameter that holds the per-channel vectors.
pub const VECTORS: &str = "p";

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

/// How many of `steps` need a vector of their own.
pub fn vectors(steps: &[Step]) -> usize {
    steps
        .iter()
        .filter(|s| matches!(s.operand, Operand::Vector(_)))
        .count()
}

/// Appends one stage a step, numbered from `first`: `acc = acc op operand`, vectors read from
/// [`VECTORS`], `[channel block, step, batch lane, lane]`.
pub fn append_steps(program: &mut Program, first: usize, extents: &[usize; 6], steps: &[Step]) {
    let mut vector = 0;
    for (i, step) in steps.iter().enumerate() {
        let stage = first + i;
        let at = || Access::new("acc", index(stage));
        let operand = match &step.operand {
            Operand::Imm(imm) => Value::Const((*imm).into()),
            Operand::Vector(_) => {
                let [_, c, _, _, b, l] = DIMS.map(|d| var(name(d, stage)));
                let read = Access::new(VECTORS, [c, Expr::Const(vector), b, l]).read();
                vector += 1;
                read
            }
        };
        let value = at().read().bin(value_op(step.op), operand);
        program
            .body
            .extend(nest(stage, extents, Stmt::Assign { dst: at(), value }));
    }
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
