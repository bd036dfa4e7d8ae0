//! Random graphs that are valid by construction: single operators, and networks of three kinds.
//!
//! For tests, and for whoever looks for differences between two ways to run a network. All choices come
//! from [`Dice`]: the same dice give the same graph, and [`shrink`] makes a network that shows a
//! difference small by taking choices away.

mod attributes;
mod dice;
pub mod float;
pub mod integer;
mod operator;
mod qdq;
mod shrink;

pub use dice::Dice;
pub use operator::KINDS;
pub use qdq::quantized;
pub use shrink::shrink;

use crate::{Graph, Tensor};

/// Random inputs of a graph: all integers of their types, eighths between -1 and 1.
pub fn inputs(dice: &mut Dice, graph: &Graph) -> Vec<Tensor> {
    let types = graph.inputs.iter().map(|&v| graph.value(v).ty.clone());
    types.map(|ty| tensor(dice, ty)).collect()
}

fn tensor(dice: &mut Dice, ty: crate::TensorType) -> Tensor {
    match ty.dtype {
        crate::DType::F32 => dice.eighths(ty.shape),
        dtype => dice.tensor(dtype, ty.shape),
    }
}
