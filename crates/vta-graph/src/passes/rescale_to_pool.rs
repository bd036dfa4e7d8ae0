//! `rescale_to_pool`: a requantization of values that are narrow already is a sum over windows of one
//! position.
//!
//! The accelerator brings activations into its accumulators for pooling; what follows the sums there is the
//! rescaling.

use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Op, PoolAttrs};

/// Rewrites every `requantize` of a narrow tensor `[N, C, H, W]` that is not constant.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let x = node.inputs[0];
        let ty = &rw.graph.value(x).ty;
        let is_image = ty.dtype.is_narrow() && ty.shape.len() == 4;
        if !matches!(node.op, Op::Requantize(..)) || !is_image || rw.graph.constant(x).is_some() {
            return Ok(Rewrite::Keep);
        }
        let name = format!("{}.sums", rw.name(node));
        let sums = rw.emit(&name, Op::QSumPool(PoolAttrs::unit(), 0), &[x])?;
        Ok(Rewrite::As(node.op.clone(), vec![sums]))
    })?;
    Ok(())
}
