//! The network for CIFAR-10 of "Binarized Neural Networks" (Hubara, Courbariaux and others, 2016), of half its width.
//!
//! Between the first layer, which reads an image, and the logits all activations and weights are signs. Padding is the sign +1,
//! as there is no 0. The maximum over windows is taken of signs: batch normalization before it or behind it is the same
//! for positive factors.

use vta_graph::{ConvAttrs, Graph, Op, PoolAttrs, ValueId, Window};

use crate::builder::{Builder, Conv, Input, USUAL};

/// Channels of the convolutions behind the first, and whether windows of 2x2 are pooled behind each.
const CONVOLUTIONS: [(usize, bool); 5] = [
    (64, true),
    (128, false),
    (128, true),
    (256, false),
    (256, true),
];
/// Outputs of the dense layers.
const DENSE: [usize; 3] = [512, 512, 10];

pub(crate) fn build(mut b: Builder) -> Graph {
    let x = b.input(32);
    let first = Conv {
        out: 64,
        kernel: 3,
        stride: 1,
        groups: 1,
    };
    let x = b.conv_bn(("conv1", "bn1"), x, Input::Linear, first, USUAL);
    let mut x = b.signs("sign1", x);
    for (i, (out, pooled)) in (2..).zip(CONVOLUTIONS) {
        x = convolution(&mut b, i, x, out);
        if pooled {
            x = b.apply(&format!("pool{i}"), Op::MaxPool(pool()), &[x]);
        }
    }
    let terms = b.elements(x);
    let shape = vec![1, terms];
    x = b.apply("flatten", Op::Reshape { shape }, &[x]);
    for (i, outputs) in (1..).zip(DENSE) {
        let terms = b.elements(x);
        let weight = b.binary(&format!("fc{i}"), &[outputs, terms]);
        x = b.apply(&format!("fc{i}"), Op::Dense, &[x, weight]);
        x = b.batch_norm(&format!("fc{i}.bn"), x, USUAL);
        if i < DENSE.len() {
            x = b.signs(&format!("fc{i}.sign"), x);
        }
    }
    b.finish(x)
}

fn convolution(b: &mut Builder, i: usize, x: ValueId, out: usize) -> ValueId {
    let pad = Op::Pad {
        before: vec![0, 0, 1, 1],
        after: vec![0, 0, 1, 1],
        value: 1.0,
    };
    let padded = b.apply(&format!("pad{i}"), pad, &[x]);
    let channels = b.channels(x);
    let weight = b.binary(&format!("conv{i}"), &[out, channels, 3, 3]);
    let conv = ConvAttrs {
        window: window(3, 1),
        groups: 1,
    };
    let y = b.apply(&format!("conv{i}"), Op::Conv(conv), &[padded, weight]);
    let y = b.batch_norm(&format!("bn{i}"), y, USUAL);
    b.signs(&format!("sign{i}"), y)
}

fn pool() -> PoolAttrs {
    PoolAttrs {
        window: window(2, 2),
        extra: [0; 2],
        count_include_pad: false,
    }
}

fn window(kernel: usize, stride: usize) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pads: [0; 4],
    }
}
