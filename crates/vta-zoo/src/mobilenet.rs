//! MobileNetV2 (Sandler and others, 2018), width 1.

use vta_graph::{Graph, Op, ValueId};

use crate::builder::{BRANCH_END, Builder, Conv, Input, USUAL};

/// Expansion, channels, blocks and first stride of each stage: table 2 of the paper.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

pub(crate) fn build(mut b: Builder) -> Graph {
    let x = b.input(224);
    let stem = Conv {
        out: 32,
        kernel: 3,
        stride: 2,
        groups: 1,
    };
    let mut x = rectified(&mut b, "features.0", x, Input::Linear, stem);
    let mut input = Input::Rectified;
    let mut index = 1;
    for (expansion, out, blocks, first_stride) in STAGES {
        for i in 0..blocks {
            let stride = if i == 0 { first_stride } else { 1 };
            let name = format!("features.{index}");
            x = inverted_residual(&mut b, &name, x, input, (expansion, out, stride));
            input = Input::Linear;
            index += 1;
        }
    }
    let last = Conv {
        out: 1280,
        kernel: 1,
        stride: 1,
        groups: 1,
    };
    let x = rectified(&mut b, &format!("features.{index}"), x, input, last);
    let logits = b.classifier("classifier", x, 1000);
    b.finish(logits)
}

/// Expand (unless by 1), filter each channel, project; added to the input where shapes agree.
fn inverted_residual(
    b: &mut Builder,
    name: &str,
    x: ValueId,
    input: Input,
    (expansion, out, stride): (usize, usize, usize),
) -> ValueId {
    let channels = b.channels(x);
    let hidden = channels * expansion;
    let mut y = x;
    let mut seen = input;
    if expansion != 1 {
        let expand = Conv {
            out: hidden,
            kernel: 1,
            stride: 1,
            groups: 1,
        };
        y = rectified(b, &format!("{name}.expand"), y, seen, expand);
        seen = Input::Rectified;
    }
    let depthwise = Conv {
        out: hidden,
        kernel: 3,
        stride,
        groups: hidden,
    };
    y = rectified(b, &format!("{name}.depthwise"), y, seen, depthwise);
    let project = Conv {
        out,
        kernel: 1,
        stride: 1,
        groups: 1,
    };
    let residual = stride == 1 && channels == out;
    let names = (format!("{name}.project.0"), format!("{name}.project.1"));
    let factors = if residual { BRANCH_END } else { USUAL };
    y = b.conv_bn((&names.0, &names.1), y, Input::Rectified, project, factors);
    if residual {
        y = b.apply(&format!("{name}.add"), Op::Add, &[x, y]);
    }
    y
}

/// Convolution, batch normalization and ReLU6.
fn rectified(b: &mut Builder, name: &str, x: ValueId, input: Input, conv: Conv) -> ValueId {
    let names = (format!("{name}.0"), format!("{name}.1"));
    let y = b.conv_bn((&names.0, &names.1), x, input, conv, USUAL);
    b.apply(&format!("{name}.2"), Op::Clip { lo: 0.0, hi: 6.0 }, &[y])
}
