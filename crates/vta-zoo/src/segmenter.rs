//! A small network for segmentation: an encoder, and a decoder that ends with a label for each pixel.
//!
//! The decoder enlarges by nearest resizing and by a transposed convolution of stride 2, imported as the convolution of its
//! phases and what puts them side by side, and takes the encoder's activations in by concatenation, as a U-Net does.

use vta_graph::{Graph, Op, ValueId};

use crate::builder::{Builder, Conv, Input, USUAL};

/// Labels.
const CLASSES: usize = 6;

pub(crate) fn build(mut b: Builder) -> Graph {
    let x = b.input(64);
    let half = rectified(&mut b, "encoder.0", x, Input::Linear, 16, 2);
    let quarter = rectified(&mut b, "encoder.1", half, Input::Rectified, 32, 2);
    let eighth = rectified(&mut b, "encoder.2", quarter, Input::Rectified, 64, 2);
    let x = b.apply("decoder.0.up", Op::Resize { factors: [2, 2] }, &[eighth]);
    let x = b.apply("decoder.0.join", Op::Concat { axis: 1 }, &[x, quarter]);
    let x = rectified(&mut b, "decoder.0", x, Input::Rectified, 32, 1);
    let x = transposed(&mut b, "decoder.1.up", x, 16);
    let x = b.apply("decoder.1.relu", Op::Relu, &[x]);
    let x = b.apply("decoder.1.join", Op::Concat { axis: 1 }, &[x, half]);
    let x = rectified(&mut b, "decoder.1", x, Input::Rectified, 16, 1);
    let labels = transposed(&mut b, "head", x, CLASSES);
    b.finish(labels)
}

/// Convolution of 3x3, batch normalization and ReLU.
fn rectified(
    b: &mut Builder,
    name: &str,
    x: ValueId,
    input: Input,
    out: usize,
    stride: usize,
) -> ValueId {
    let conv = Conv {
        out,
        kernel: 3,
        stride,
        groups: 1,
    };
    let names = (format!("{name}.0"), format!("{name}.1"));
    let y = b.conv_bn((&names.0, &names.1), x, input, conv, USUAL);
    b.apply(&format!("{name}.2"), Op::Relu, &[y])
}

/// A transposed convolution with a window of 2x2 by steps of 2, and batch normalization: each phase is a convolution
/// of one position.
fn transposed(b: &mut Builder, name: &str, x: ValueId, channels: usize) -> ValueId {
    let phases = b.pointwise(&format!("{name}.phases"), x, 4 * channels);
    let together = Op::DepthToSpace {
        block: [2, 2],
        groups: channels,
        channels,
    };
    let y = b.apply(name, together, &[phases]);
    b.batch_norm(&format!("{name}.bn"), y, USUAL)
}
