//! `binary_weights`: the weights of a layer that reads signs become signs with a scale, where they are no more than that.
//!
//! A binarized network multiplies signs by weights that are plus or minus one number for each output channel: what was
//! trained is their sign, and what scaling and batch normalization leave in them after folding.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{DType, Graph, GraphError, Op, Quant, Tensor, ValueId};

/// How much, relatively, the magnitudes of a channel may differ: what folding rounds.
const SLACK: f32 = 1e-5;

/// Makes such weights of convolutions and dense layers `dequantize` of signs.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        if !matches!(node.op, Op::Conv(_) | Op::Dense) || !reads_signs(rw, node.inputs[0]) {
            return Ok(Rewrite::Keep);
        }
        let value = node.inputs[1];
        let Some((signs, scale)) = rw.graph.constant(value).and_then(|w| split(w)) else {
            return Ok(Rewrite::Keep);
        };
        let name = rw.graph.value(value).name.clone();
        let signs = rw.graph.add_constant(&format!("{name}.signs"), signs);
        let quant = Quant {
            zero_point: vec![0],
            scale,
            axis: 0,
        };
        let mut inputs = node.inputs.clone();
        inputs[1] = rw.emit(&name, Op::Dequantize(quant), &[signs])?;
        Ok(Rewrite::As(node.op.clone(), inputs))
    })?;
    Ok(())
}

/// Whether a value is signs with a scale, at most arranged otherwise.
fn reads_signs(rw: &Rewriter, value: ValueId) -> bool {
    let mut arranged = vec![value];
    while let Some(value) = arranged.pop() {
        let Some(node) = rw.producer(value) else {
            return false;
        };
        match &node.op {
            Op::Dequantize(_) if rw.graph.value(node.inputs[0]).ty.dtype == DType::S1 => {}
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Pad { .. } => {
                arranged.push(node.inputs[0]);
            }
            Op::MaxPool(_) | Op::Slice { .. } | Op::Concat { .. } => arranged.extend(&node.inputs),
            Op::DepthToSpace { .. } | Op::Resize { .. } => arranged.push(node.inputs[0]),
            _ => return false,
        }
    }
    true
}

/// Signs, and the one magnitude of each channel.
fn split(weight: &Tensor) -> Option<(Tensor, Vec<f32>)> {
    let elements = weight.as_f32()?;
    let rows = elements.chunks((elements.len() / weight.shape().first()?.max(&1)).max(1));
    let scale = rows.map(|row| {
        let largest = row.iter().fold(0.0, |m: f32, w| m.max(w.abs()));
        let alike = |w: &f32| largest - w.abs() <= SLACK * largest;
        (largest.is_normal() && row.iter().all(alike)).then_some(largest)
    });
    let scale: Vec<f32> = scale.collect::<Option<_>>()?;
    let signs: Vec<i64> = elements
        .iter()
        .map(|w| if *w < 0.0 { -1 } else { 1 })
        .collect();
    let signs = Tensor::from_ints(DType::S1, weight.shape(), &signs);
    Some((signs, scale))
}
