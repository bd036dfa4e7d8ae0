//! MobileNetV3-Small (Howard and others, 2019), width 1.
//!
//! Behind the mean of each channel the last layers are convolutions, as in the paper.

use vta_graph::{Graph, Op, ValueId};

use crate::builder::{BRANCH_END, Builder, Conv, Input, USUAL};

/// An activation of the table.
#[derive(Clone, Copy)]
enum Act {
    /// ReLU.
    Re,
    /// Hard-swish.
    Hs,
}

impl Act {
    /// What it makes of values of mean 0 and variance 1.
    fn leaves(self) -> Input {
        match self {
            Act::Re => Input::Rectified,
            Act::Hs => Input::Swished,
        }
    }
}

/// Kernel, expanded channels, channels, whether channels are excited, activation and stride of each block: table 2 of the
/// paper.
const BLOCKS: [(usize, usize, usize, bool, Act, usize); 11] = [
    (3, 16, 16, true, Act::Re, 2),
    (3, 72, 24, false, Act::Re, 2),
    (3, 88, 24, false, Act::Re, 1),
    (5, 96, 40, true, Act::Hs, 2),
    (5, 240, 40, true, Act::Hs, 1),
    (5, 240, 40, true, Act::Hs, 1),
    (5, 120, 48, true, Act::Hs, 1),
    (5, 144, 48, true, Act::Hs, 1),
    (5, 288, 96, true, Act::Hs, 2),
    (5, 576, 96, true, Act::Hs, 1),
    (5, 576, 96, true, Act::Hs, 1),
];

pub(crate) fn build(mut b: Builder) -> Graph {
    let x = b.input(224);
    let stem = conv(16, 3, 2, 1);
    let mut x = activated(&mut b, "features.0", x, Input::Linear, stem, Act::Hs);
    let mut input = Act::Hs.leaves();
    for (i, block) in (1..).zip(BLOCKS) {
        x = bottleneck(&mut b, &format!("features.{i}"), x, input, block);
        input = Input::Linear;
    }
    let last = conv(576, 1, 1, 1);
    let x = activated(&mut b, "features.12", x, input, last, Act::Hs);
    let x = b.apply("avgpool", Op::GlobalAvgPool, &[x]);
    let x = b.pointwise("classifier.0", x, 1024);
    let x = b.apply("classifier.1", Op::HardSwish, &[x]);
    let x = b.pointwise("classifier.3", x, 1000);
    let shape = vec![1, 1000];
    let logits = b.apply("flatten", Op::Reshape { shape }, &[x]);
    b.finish(logits)
}

fn conv(out: usize, kernel: usize, stride: usize, groups: usize) -> Conv {
    Conv {
        out,
        kernel,
        stride,
        groups,
    }
}

/// Expand (unless there are as many channels), filter each channel, excite, project; added to the input where shapes
/// agree.
fn bottleneck(
    b: &mut Builder,
    name: &str,
    x: ValueId,
    input: Input,
    (kernel, hidden, out, excites, act, stride): (usize, usize, usize, bool, Act, usize),
) -> ValueId {
    let channels = b.channels(x);
    let (mut y, mut seen) = (x, input);
    if hidden != channels {
        let expand = conv(hidden, 1, 1, 1);
        y = activated(b, &format!("{name}.expand"), y, seen, expand, act);
        seen = act.leaves();
    }
    let depthwise = conv(hidden, kernel, stride, hidden);
    y = activated(b, &format!("{name}.depthwise"), y, seen, depthwise, act);
    seen = act.leaves();
    if excites {
        seen = Input::Gated;
        y = excite(b, &format!("{name}.se"), y);
    }
    let residual = stride == 1 && channels == out;
    let names = (format!("{name}.project.0"), format!("{name}.project.1"));
    let factors = if residual { BRANCH_END } else { USUAL };
    let project = conv(out, 1, 1, 1);
    y = b.conv_bn((&names.0, &names.1), y, seen, project, factors);
    if residual {
        y = b.apply(&format!("{name}.add"), Op::Add, &[x, y]);
    }
    y
}

/// Scales each channel by a function of the means of all: squeeze and excite.
fn excite(b: &mut Builder, name: &str, x: ValueId) -> ValueId {
    let channels = b.channels(x);
    let quarter = channels / 4;
    // The nearest multiple of 8 that is not a tenth less.
    let nearest = ((quarter + 4) / 8 * 8).max(8);
    let squeezed = if nearest * 10 < quarter * 9 {
        nearest + 8
    } else {
        nearest
    };
    let y = b.apply(&format!("{name}.avgpool"), Op::GlobalAvgPool, &[x]);
    let y = b.pointwise(&format!("{name}.fc1"), y, squeezed);
    let y = b.apply(&format!("{name}.relu"), Op::Relu, &[y]);
    let y = b.pointwise(&format!("{name}.fc2"), y, channels);
    let y = b.hard_sigmoid(&format!("{name}.gate"), y);
    b.apply(&format!("{name}.mul"), Op::Mul, &[x, y])
}

/// Convolution, batch normalization and activation.
fn activated(
    b: &mut Builder,
    name: &str,
    x: ValueId,
    input: Input,
    conv: Conv,
    act: Act,
) -> ValueId {
    let names = (format!("{name}.0"), format!("{name}.1"));
    let y = b.conv_bn((&names.0, &names.1), x, input, conv, USUAL);
    let op = match act {
        Act::Re => Op::Relu,
        Act::Hs => Op::HardSwish,
    };
    b.apply(&format!("{name}.2"), op, &[y])
}
