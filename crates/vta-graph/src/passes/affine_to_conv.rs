//! `affine_to_conv`: what scales and shifts the channels of an image, and no layer before it takes in, is a
//! depthwise convolution with a 1x1 kernel.
//!
//! Integers then stand for it like for any other layer: `x * f + c` has the weight `f` and the bias `c`.

use std::collections::BTreeSet;

use super::fold_batch_norm::{Affine, affine, fold};
use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, Graph, GraphError, Op, Tensor, ValueId, Window};

/// Rewrites every such `batch_norm`, `mul`, `add`, `sub` and `div` with constants of a tensor `[N, C, H, W]`
/// behind a layer. What comes before all layers prepares the input, which is the host's,
/// and what reads a `dequantize` has its own integers already.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    let mut behind = BTreeSet::new();
    rewrite(graph, |rw, node| {
        let is_layer = matches!(node.op, Op::Conv(_) | Op::Dense);
        if is_layer || node.inputs.iter().any(|v| behind.contains(v)) {
            behind.insert(node.output);
        }
        let is_image = |rw: &Rewriter, x: ValueId| {
            let read = rw.producer(x).map(|n| &n.op);
            let quantized = matches!(read, Some(Op::Dequantize(_)));
            (behind.contains(&x) && !quantized && rw.shape(x).len() == 4).then_some(1)
        };
        let Some((x, affine)) = affine(rw, node, is_image) else {
            return Ok(Rewrite::Keep);
        };
        if is_image(rw, x).is_none() {
            return Ok(Rewrite::Keep);
        }
        if let Some(folded) = fold(rw, x, &affine) {
            return Ok(folded);
        }
        let name = rw.name(node).to_string();
        Ok(depthwise(rw, &name, x, affine))
    })?;
    Ok(())
}

fn depthwise(rw: &mut Rewriter, name: &str, x: ValueId, affine: Affine) -> Rewrite {
    let groups = affine.factor.len();
    let weight = Tensor::f32([groups, 1, 1, 1], affine.factor);
    let mut inputs = vec![x, rw.graph.add_constant(&format!("{name}.weight"), weight)];
    if affine.offset.iter().any(|&c| c != 0.0) {
        let bias = Tensor::f32([groups], affine.offset);
        inputs.push(rw.graph.add_constant(&format!("{name}.bias"), bias));
    }
    let window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
    };
    Rewrite::As(Op::Conv(ConvAttrs { window, groups }), inputs)
}
