//! Computes nodes whose inputs are all constant.
//!
//! `dequantize` of a constant stays: it is how a quantized weight says its scale.

use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Node, Op, Tensor, ValueId, interp};

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
        Ok(Rewrite::Constant(evaluate(rw.graph, node)?))
    })?;
    Ok(())
}

/// The result of a node whose inputs are constants.
fn evaluate(graph: &Graph, node: &Node) -> Result<Tensor, GraphError> {
    let mut alone = Graph::default();
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for &v in &node.inputs {
        let value = graph.value(v);
        let tensor = graph.constant(v).expect("checked to be constant");
        inputs.push(alone.add_constant(&value.name, Tensor::clone(tensor)));
    }
    let output = alone.add_node(&node.name, node.op.clone(), &inputs, "result")?;
    alone.outputs.push(output);
    let mut results = interp::run_graph(&alone, &[])?;
    Ok(results.remove(0))
}
