//! Computes nodes whose inputs are all constant.
//!
//! `dequantize` of a constant stays: it is how a quantized weight says its scale.

use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Op, Tensor, ValueId, interp};

/// Elements beyond which a result is only folded if it is no larger than what it replaces.
const LARGE: usize = 1 << 20;

/// Runs the pass.
///
/// # Errors
/// If a constant node cannot be computed.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let constant = |v: &ValueId| rw.graph.constant(*v).is_some();
        if matches!(node.op, Op::Dequantize(_)) || !node.inputs.iter().all(constant) {
            return Ok(Rewrite::Keep);
        }
        let len = |v: ValueId| rw.graph.value(v).ty.len();
        let before: usize = node.inputs.iter().map(|&v| len(v)).sum();
        if len(node.output) > LARGE.max(before) {
            return Ok(Rewrite::Keep);
        }
        let inputs: Vec<&Tensor> = (node.inputs.iter())
            .filter_map(|&v| rw.graph.constant(v).map(|t| t.as_ref()))
            .collect();
        let result = interp::eval(&node.op, &inputs)
            .map_err(|why| GraphError::node(&node.name, &node.op, why))?;
        Ok(Rewrite::Constant(result))
    })?;
    Ok(())
}
