//! Random networks of floats, with everything that passes and quantization look for.

use super::Dice;
use crate::{ConvAttrs, DType, Graph, Op, PoolAttrs, Tensor, TensorType, ValueId, Window};

/// How large a network may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Channels that a layer makes at most.
    pub channels: usize,
    /// Height and width of the input at most; 3 at least.
    pub extent: usize,
    /// Layers at most, beside activations and what ends the network.
    pub layers: usize,
}

impl Size {
    /// A few values, which a slow interpreter runs in no time.
    pub const SMALL: Size = Size {
        channels: 4,
        extent: 6,
        layers: 6,
    };
    /// Several blocks of channels and several tiles.
    pub const LARGE: Size = Size {
        channels: 40,
        extent: 15,
        layers: 9,
    };
}

/// A network under construction: every value that may still be read, by its NCHW shape.
struct Network<'a> {
    graph: Graph,
    dice: &'a mut Dice,
    size: Size,
    at: ValueId,
    seen: Vec<ValueId>,
}

impl Network<'_> {
    fn shape(&self) -> Vec<usize> {
        self.graph.value(self.at).ty.shape.clone()
    }

    fn push(&mut self, op: Op, more: &[ValueId]) {
        let inputs = [&[self.at], more].concat();
        let name = op.name();
        let added = self.graph.add_node(name, op, &inputs, name);
        self.at = added.expect("an operator that fits");
    }

    fn constant(&mut self, shape: impl Into<Vec<usize>>) -> ValueId {
        let tensor = self.dice.eighths(shape);
        self.graph.add_constant("c", tensor)
    }

    fn window(&mut self) -> Window {
        let shape = self.shape();
        self.dice.window([shape[2], shape[3]])
    }

    fn conv(&mut self) {
        let window = self.window();
        let channels = self.shape()[1];
        let divisors: Vec<usize> = (1..=channels).filter(|g| channels % g == 0).collect();
        // One group, some, or one for each channel.
        let groups = match self.dice.range(0, 3) {
            0 | 1 => 1,
            2 => self.dice.pick(&divisors),
            _ => channels,
        };
        let out = groups * self.dice.range(1, (self.size.channels / groups).max(1));
        let [kh, kw] = window.kernel;
        let mut more = vec![self.constant([out, channels / groups, kh, kw])];
        if self.dice.flag() {
            more.push(self.constant([out]));
        }
        self.push(Op::Conv(ConvAttrs { window, groups }), &more);
    }

    fn batch_norm(&mut self) {
        let channels = self.shape()[1];
        let [scale, bias, mean] = [(); 3].map(|()| self.constant([channels]));
        let var = (0..channels).map(|_| self.dice.range(1, 9) as f32 / 4.0);
        let var = Tensor::f32([channels], var.collect());
        let var = self.graph.add_constant("var", var);
        self.push(Op::BatchNorm { epsilon: 0.25 }, &[scale, bias, mean, var]);
    }

    fn by_channel(&mut self) {
        let channels = self.shape()[1];
        let op = self.dice.pick(&[0, 1, 2]);
        let c = self.constant([channels, 1, 1]);
        self.push([Op::Add, Op::Sub, Op::Mul][op].clone(), &[c]);
    }

    fn channels_last(&mut self) {
        self.push(
            Op::Transpose {
                perm: vec![0, 2, 3, 1],
            },
            &[],
        );
        match self.dice.range(0, 2) {
            0 => self.push(Op::Relu, &[]),
            1 => {
                let channels = self.shape()[3];
                let c = self.constant([channels]);
                self.push(Op::Add, &[c]);
            }
            _ => self.push(Op::Clip { lo: -0.5, hi: 0.75 }, &[]),
        }
        self.push(
            Op::Transpose {
                perm: vec![0, 3, 1, 2],
            },
            &[],
        );
    }

    fn pool(&mut self) {
        let shape = self.shape();
        let pool = PoolAttrs {
            window: Window {
                kernel: [shape[2].min(2), shape[3].min(2)],
                stride: [1, self.dice.range(1, 2)],
                dilation: [1, 1],
                pads: [0; 4],
            },
            extra: [0, 0],
            count_include_pad: self.dice.flag(),
        };
        let op = if self.dice.flag() {
            Op::MaxPool(pool)
        } else {
            Op::AvgPool(pool)
        };
        self.push(op, &[]);
    }

    fn pad(&mut self) {
        let mut side = || vec![0, 0, self.dice.range(0, 1), self.dice.range(0, 1)];
        let (before, after) = (side(), side());
        self.push(
            Op::Pad {
                before,
                after,
                value: 0.0,
            },
            &[],
        );
    }

    /// With an earlier value: their sum, or both side by side.
    fn join(&mut self) {
        let ty = &self.graph.value(self.at).ty;
        let joins = self.dice.flag();
        let fits = |v: &&ValueId| {
            let other = &self.graph.value(**v).ty;
            let beside = other.shape.len() == 4
                && other.shape[0] == ty.shape[0]
                && other.shape[2..] == ty.shape[2..]
                && other.shape[1] + ty.shape[1] <= 2 * self.size.channels;
            if joins { other == ty } else { beside }
        };
        let Some(&other) = self.seen.iter().find(fits) else {
            return;
        };
        let op = if joins { self.dice.pick(&[0, 1, 2]) } else { 3 };
        let op = [Op::Add, Op::Sub, Op::Mul, Op::Concat { axis: 1 }][op].clone();
        self.push(op, &[other]);
    }

    /// Scales each channel by a function of its mean, as squeeze-and-excite does.
    fn excite(&mut self) {
        let (x, shape) = (self.at, self.shape());
        self.push(Op::GlobalAvgPool, &[]);
        let weight = self.constant([shape[1], shape[1], 1, 1]);
        let window = Window {
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [0; 4],
        };
        self.push(Op::Conv(ConvAttrs { window, groups: 1 }), &[weight]);
        self.push(Op::Sigmoid, &[]);
        let gates = self.at;
        self.at = x;
        self.push(Op::Mul, &[gates]);
    }

    /// More rows and columns: each again, or of channels; a row or column less, as a transposed convolution may leave.
    fn enlarge(&mut self) {
        let shape = self.shape();
        let block = [self.dice.range(1, 2), self.dice.range(1, 2)];
        let positions = block[0] * block[1];
        if shape[2].max(shape[3]) > 2 * self.size.extent {
            return;
        }
        if self.dice.flag() {
            self.push(Op::Resize { factors: block }, &[]);
        } else if shape[1] % positions == 0 {
            let all = shape[1] / positions;
            // Of one group, also a part.
            let groups = self.dice.pick(&[1, all]);
            let channels = match groups {
                1 => self.dice.pick(&[all, all.div_ceil(2)]),
                _ => all,
            };
            let op = Op::DepthToSpace {
                block,
                groups,
                channels,
            };
            self.push(op, &[]);
        }
        if self.dice.flag() {
            let [n, c, h, w] = self.shape()[..] else {
                return;
            };
            let op = Op::Slice {
                start: vec![0; 4],
                end: vec![n, c, h.max(2) - 1, w],
                step: vec![1; 4],
            };
            self.push(op, &[]);
        }
    }

    /// A part of the rows, columns and channels.
    fn slice(&mut self) {
        let shape = self.shape();
        let mut start = vec![0];
        start.extend(shape[1..].iter().map(|&d| self.dice.range(0, d / 3)));
        let op = Op::Slice {
            step: vec![1; shape.len()],
            end: shape,
            start,
        };
        self.push(op, &[]);
    }

    /// Goes on from an earlier value, so that the network branches.
    fn branch(&mut self) {
        self.at = self.dice.pick(&self.seen);
    }

    /// A dense layer of the means of the channels, or nothing.
    fn head(&mut self) {
        let [batch, channels, ..] = self.shape()[..] else {
            return;
        };
        match self.dice.range(0, 2) {
            0 => self.push(Op::GlobalAvgPool, &[]),
            1 => self.push(
                Op::ReduceMean {
                    axes: vec![2, 3],
                    keep_dims: false,
                },
                &[],
            ),
            _ => return,
        }
        let shape = vec![batch, channels];
        self.push(Op::Reshape { shape }, &[]);
        let n = self.dice.range(1, self.size.channels);
        let weight = self.constant([channels, n]);
        self.push(Op::MatMul, &[weight]);
        let bias = self.constant([n]);
        self.push(Op::Add, &[bias]);
    }
}

/// A random network `f32[1, C, H, W] -> ..`, whose outputs are what nothing reads.
pub fn network(dice: &mut Dice, size: Size) -> Graph {
    let mut graph = Graph::new("random");
    let shape = [
        1,
        dice.range(1, size.channels),
        dice.range(3, size.extent),
        dice.range(3, size.extent),
    ];
    let at = graph.add_value("x", TensorType::new(DType::F32, shape));
    graph.inputs.push(at);
    let layers = dice.range(1, size.layers);
    let mut net = Network {
        graph,
        dice,
        size,
        at,
        seen: vec![at],
    };
    for _ in 0..layers {
        match net.dice.range(0, 13) {
            0..=2 => net.conv(),
            3 => net.batch_norm(),
            4 => net.by_channel(),
            5 => net.channels_last(),
            6 => net.pool(),
            7 => net.pad(),
            8 | 9 => net.join(),
            10 => net.slice(),
            11 => net.excite(),
            12 => net.enlarge(),
            _ => net.branch(),
        }
        match net.dice.range(0, 7) {
            0 => net.push(Op::Relu, &[]),
            1 => net.push(Op::Clip { lo: 0.0, hi: 1.5 }, &[]),
            2 => net.push(Op::LeakyRelu { alpha: 0.25 }, &[]),
            3 => net.push(Op::Sigmoid, &[]),
            4 => net.push(Op::HardSwish, &[]),
            5 => net.push(Op::Silu, &[]),
            _ => {}
        }
        net.seen.push(net.at);
    }
    net.head();
    if net.graph.nodes.is_empty() {
        net.push(Op::Relu, &[]);
    }
    let mut graph = net.graph;
    let consumers = graph.consumers();
    let results = graph.nodes.iter().rev().map(|node| node.output);
    graph.outputs = results
        .filter(|v| consumers[v.0 as usize].is_empty())
        .collect();
    graph
}
