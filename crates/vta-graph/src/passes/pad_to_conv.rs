//! `pad_to_conv`: rows and columns around integers are the padding of a convolution.
//!
//! The convolution is depthwise, with weights of 1, and its windows lie on padding in part. Convolutions that read the
//! result have taken it into their own padding before (`fold_padding`).

use super::fold_padding::padding;
use super::rewrite::{Rewrite, rewrite};
use crate::{ConvAttrs, DType, Graph, GraphError, Op, PoolAttrs, Requant, Tensor};

/// Rewrites every `pad` of rows and columns of a narrow tensor `[N, C, H, W]` that a node computes.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Some((x, pads, value)) = padding(node) else {
            return Ok(Rewrite::Keep);
        };
        let dtype = rw.graph.value(node.output).ty.dtype;
        if !dtype.is_narrow() || rw.producer(x).is_none() {
            return Ok(Rewrite::Keep);
        }
        let groups = rw.shape(node.output)[1];
        let mut window = PoolAttrs::unit().window;
        window.pads = pads;
        let name = rw.name(node).to_string();
        let weight = Tensor::from_ints(DType::I8, [groups, 1, 1, 1], &vec![1; groups]);
        let weight = rw.graph.add_constant(&format!("{name}.weight"), weight);
        let conv = Op::QConv(ConvAttrs { window, groups }, value);
        let sums = rw.emit(&format!("{name}.sums"), conv, &[x, weight])?;
        let back = Requant {
            add: vec![value.into()],
            ..Requant::identity(dtype)
        };
        Ok(Rewrite::As(Op::Requantize(back, dtype), vec![sums]))
    })?;
    Ok(())
}
