//! `im2col`: where the network's input has few channels, the host arranges the windows of its first
//! convolution as channels.
//!
//! A tensor register holds as many channels as there are input lanes, three of an image or not. As
//! channels of a 1x1 convolution, the elements of a window fill the registers.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, Graph, GraphError, Node, Op, ValueId, Window};

/// Rewrites each `qconv` of the network's input, of one group and with a constant weight, that takes fewer
/// registers of `block_in` channels so.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph, block_in: usize) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Op::QConv(attrs, zero_point) = &node.op else {
            return Ok(Rewrite::Keep);
        };
        let image = node.inputs[0];
        let has_weight = rw.graph.constant(node.inputs[1]).is_some();
        let taps: usize = attrs.window.kernel.iter().product();
        let channels = rw.shape(image)[1];
        let registers = (
            taps * channels.div_ceil(block_in),
            (taps * channels).div_ceil(block_in),
        );
        if !enters(rw, image) || !has_weight || attrs.groups != 1 || registers.1 >= registers.0 {
            return Ok(Rewrite::Keep);
        }
        arranged(rw, node, &attrs.window, *zero_point)
    })?;
    Ok(())
}

/// Whether a value is the network's input, at most quantized and arranged by the host.
fn enters(rw: &Rewriter, mut value: ValueId) -> bool {
    while let Some(node) = rw.producer(value) {
        let arranges = matches!(
            node.op,
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Pad { .. }
        );
        if !arranges && !matches!(node.op, Op::Quantize(..)) {
            return false;
        }
        value = node.inputs[0];
    }
    true
}

fn arranged(
    rw: &mut Rewriter,
    node: &Node,
    window: &Window,
    zero_point: i32,
) -> Result<Rewrite, GraphError> {
    let [top, left, bottom, right] = window.pads;
    let name = rw.name(node).to_owned();
    let mut image = node.inputs[0];
    if window.pads != [0; 4] {
        let pad = Op::Pad {
            before: vec![0, 0, top, left],
            after: vec![0, 0, bottom, right],
            value: zero_point as f32,
        };
        image = rw.emit(&format!("{name}.pad"), pad, &[image])?;
    }
    let arrange = Op::Im2col {
        kernel: window.kernel,
        stride: window.stride,
        dilation: window.dilation,
    };
    let patches = rw.emit(&format!("{name}.patches"), arrange, &[image])?;
    let weight = rw.graph.constant(node.inputs[1]);
    let weight = weight.expect("a constant weight").as_ref().clone();
    let outputs = weight.shape()[0];
    let shape = [outputs, rw.shape(patches)[1], 1, 1];
    let kernel = format!("{}.kernel", rw.graph.value(node.inputs[1]).name);
    let kernel = rw.graph.add_constant(&kernel, weight.reshaped(shape));
    let mut inputs = vec![patches, kernel];
    inputs.extend(node.inputs.get(2));
    let window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
    };
    let conv = Op::QConv(ConvAttrs { window, groups: 1 }, zero_point);
    Ok(Rewrite::As(conv, inputs))
}
