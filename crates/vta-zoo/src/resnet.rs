//! Residual networks (He and others, 2015), the stride of a bottleneck in its 3x3.

use vta_graph::{Graph, Op, PoolAttrs, ValueId, Window};

use crate::builder::{BRANCH_END, Builder, Conv, Input, USUAL};

/// The residual branch of a block.
#[derive(Clone, Copy)]
pub(crate) enum Block {
    /// 3x3, 3x3.
    Basic,
    /// 1x1, 3x3, 1x1 with four times the channels.
    Bottleneck,
}

/// A network with `depths[i]` blocks of `64 << i` channels.
pub(crate) fn build(mut b: Builder, block: Block, depths: [usize; 4]) -> Graph {
    let x = b.input(224);
    let stem = Conv {
        out: 64,
        kernel: 7,
        stride: 2,
        groups: 1,
    };
    let x = b.conv_bn(("conv1", "bn1"), x, Input::Linear, stem, USUAL);
    let x = b.apply("relu", Op::Relu, &[x]);
    let window = Window {
        kernel: [3; 2],
        stride: [2; 2],
        dilation: [1; 2],
        pads: [1; 4],
    };
    let pool = PoolAttrs {
        window,
        extra: [0; 2],
        count_include_pad: false,
    };
    let mut x = b.apply("maxpool", Op::MaxPool(pool), &[x]);
    for (stage, depth) in depths.into_iter().enumerate() {
        x = blocks(&mut b, block, stage, depth, 64, x);
    }
    let logits = b.classifier("fc", x, 1000);
    b.finish(logits)
}

/// The network of MLPerf Tiny for images of 32 by 32: three blocks of 16, 32 and 64 channels.
pub(crate) fn tiny(mut b: Builder) -> Graph {
    let x = b.input(32);
    let stem = Conv {
        out: 16,
        kernel: 3,
        stride: 1,
        groups: 1,
    };
    let x = b.conv_bn(("conv1", "bn1"), x, Input::Linear, stem, USUAL);
    let mut x = b.apply("relu", Op::Relu, &[x]);
    for stage in 0..3 {
        x = blocks(&mut b, Block::Basic, stage, 1, 16, x);
    }
    let logits = b.classifier("fc", x, 10);
    b.finish(logits)
}

/// `depth` blocks of `width << stage` channels, the first of which halves rows and columns unless it is in stage 0.
fn blocks(
    b: &mut Builder,
    block: Block,
    stage: usize,
    depth: usize,
    width: usize,
    mut x: ValueId,
) -> ValueId {
    for i in 0..depth {
        let stride = if stage > 0 && i == 0 { 2 } else { 1 };
        let name = format!("layer{}.{i}", stage + 1);
        x = residual(b, block, &name, x, width << stage, stride);
    }
    x
}

fn residual(
    b: &mut Builder,
    block: Block,
    name: &str,
    x: ValueId,
    planes: usize,
    stride: usize,
) -> ValueId {
    // Kernel, stride and channels of each convolution.
    let branch = match block {
        Block::Basic => vec![(3, stride, planes), (3, 1, planes)],
        Block::Bottleneck => vec![(1, 1, planes), (3, stride, planes), (1, 1, 4 * planes)],
    };
    let mut y = x;
    for (i, &(kernel, stride, out)) in branch.iter().enumerate() {
        let last = i + 1 == branch.len();
        let names = (
            format!("{name}.conv{}", i + 1),
            format!("{name}.bn{}", i + 1),
        );
        let conv = Conv {
            out,
            kernel,
            stride,
            groups: 1,
        };
        let factors = if last { BRANCH_END } else { USUAL };
        y = b.conv_bn((&names.0, &names.1), y, Input::Rectified, conv, factors);
        if !last {
            y = b.apply(&format!("{name}.relu{}", i + 1), Op::Relu, &[y]);
        }
    }
    let out = b.channels(y);
    let shortcut = if stride == 1 && b.channels(x) == out {
        x
    } else {
        let names = (
            format!("{name}.downsample.0"),
            format!("{name}.downsample.1"),
        );
        let conv = Conv {
            out,
            kernel: 1,
            stride,
            groups: 1,
        };
        b.conv_bn((&names.0, &names.1), x, Input::Rectified, conv, USUAL)
    };
    let sum = b.apply(&format!("{name}.add"), Op::Add, &[y, shortcut]);
    b.apply(&format!("{name}.relu"), Op::Relu, &[sum])
}
