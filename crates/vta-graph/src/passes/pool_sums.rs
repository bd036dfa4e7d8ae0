//! `pool_sums`: a maximum over windows comes before the requantization of the sums that it is of.
//!
//! A requantization is monotone, so that the two change places exactly. What is left of an image after pooling
//! is a fraction of it, and so is then the arithmetic of the requantization.

use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Node, Op, PoolAttrs};

/// Rewrites each `max_pool` that alone reads the requantized sums of a convolution and for which `wanted` holds, given
/// the convolution and the pooling.
///
/// # Errors
/// None of its own.
pub fn run(
    graph: &mut Graph,
    wanted: impl Fn(&Graph, &Node, &PoolAttrs) -> bool,
) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Op::MaxPool(pool) = &node.op else {
            return Ok(Rewrite::Keep);
        };
        let Some(requantize) = rw.only_producer(node.inputs[0]).cloned() else {
            return Ok(Rewrite::Keep);
        };
        let Op::Requantize(..) = requantize.op else {
            return Ok(Rewrite::Keep);
        };
        let sums = requantize.inputs[0];
        let conv = rw.only_producer(sums);
        let is_wanted =
            |conv: &Node| matches!(conv.op, Op::QConv(..)) && wanted(rw.graph, conv, pool);
        if !conv.is_some_and(is_wanted) {
            return Ok(Rewrite::Keep);
        }
        let pooled = rw.emit(&node.name, node.op.clone(), &[sums])?;
        Ok(Rewrite::As(requantize.op, vec![pooled]))
    })?;
    Ok(())
}
