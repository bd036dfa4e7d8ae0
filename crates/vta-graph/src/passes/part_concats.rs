//! `part_concats`: no two concatenations of channels have an operand in common.
//!
//! A concatenation costs nothing where its operands are stored side by side in the first place, and a tensor
//! can be stored in one place only. A maximum over windows of one position is a copy.

use std::collections::BTreeSet;

use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Op, PoolAttrs};

/// Copies every narrow operand of a `concat` along axis 1 of `[N, C, H, W]` that another such `concat`, or this
/// one, has read before.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    let mut taken = BTreeSet::new();
    rewrite(graph, |rw, node| {
        let ty = &rw.graph.value(node.output).ty;
        let is_image = ty.dtype.is_narrow() && ty.shape.len() == 4;
        if !matches!(node.op, Op::Concat { axis: 1 }) || !is_image {
            return Ok(Rewrite::Keep);
        }
        let mut operands = node.inputs.clone();
        for (i, v) in operands.iter_mut().enumerate() {
            if rw.graph.constant(*v).is_none() && !taken.insert(*v) {
                let name = format!("{}.part{i}", rw.name(node));
                *v = rw.emit(&name, Op::MaxPool(PoolAttrs::unit()), &[*v])?;
            }
        }
        Ok(if operands == node.inputs {
            Rewrite::Keep
        } else {
            Rewrite::As(node.op.clone(), operands)
        })
    })?;
    Ok(())
}
