//! Layers with drawn parameters.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use vta_graph::{ConvAttrs, DType, Graph, Op, Quant, Tensor, TensorType, ValueId, Window};

/// What the input of a convolution looks like, for weights that keep its output's variance at 1.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    /// Mean 0 and variance 1.
    Linear,
    /// The same after a rectifier: half of the mean square is gone.
    Rectified,
    /// The same after hard-swish: a third of the mean square is left.
    Swished,
    /// The same with each channel times a gate, which is about a half.
    Gated,
}

/// Shape of a convolution; the padding keeps the size at stride 1.
#[derive(Clone, Copy)]
pub(crate) struct Conv {
    pub(crate) out: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
}

/// The factors of batch normalization at the end of a residual branch. They are small, as in
/// trained networks, so that the sum of many branches stays in range.
pub(crate) const BRANCH_END: Range<f32> = 0.2..0.4;
/// The factors of batch normalization elsewhere.
pub(crate) const USUAL: Range<f32> = 0.8..1.2;

/// A graph in the making. A layer that does not fit is a bug of an architecture here, so the
/// layers panic on it.
pub(crate) struct Builder {
    graph: Graph,
    rng: ChaCha8Rng,
}

impl Builder {
    pub(crate) fn new(name: &str, seed: u64) -> Builder {
        Builder {
            graph: Graph::new(name),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// The image, of so many rows and columns.
    pub(crate) fn input(&mut self, size: usize) -> ValueId {
        let ty = TensorType::new(DType::F32, [1, 3, size, size]);
        let id = self.graph.add_value("input", ty);
        self.graph.inputs.push(id);
        id
    }

    /// The finished graph.
    pub(crate) fn finish(mut self, output: ValueId) -> Graph {
        self.graph.outputs.push(output);
        self.graph
    }

    /// Elements of a value.
    pub(crate) fn elements(&self, x: ValueId) -> usize {
        self.graph.value(x).ty.len()
    }

    /// Channels of a value.
    pub(crate) fn channels(&self, x: ValueId) -> usize {
        self.graph.value(x).ty.shape[1]
    }

    fn uniform(&mut self, n: usize, range: Range<f32>) -> Vec<f32> {
        (0..n)
            .map(|_| range.start + (range.end - range.start) * self.unit())
            .collect()
    }

    /// Uniform in `[0, 1)`, in steps of 2^-24.
    fn unit(&mut self) -> f32 {
        (self.rng.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Bell-shaped with mean 0: the sum of four uniform draws, scaled. Unlike a normal draw it
    /// needs no logarithm, whose last bit differs between machines.
    fn bell(&mut self, n: usize, variance: f32) -> Vec<f32> {
        // Four uniform draws have a variance of 4/12.
        let scale = (3.0 * variance).sqrt();
        (0..n)
            .map(|_| {
                let sum = self.unit() + self.unit() + self.unit() + self.unit();
                (sum - 2.0) * scale
            })
            .collect()
    }

    pub(crate) fn apply(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        self.graph
            .add_node(name, op, inputs, name)
            .unwrap_or_else(|e| panic!("{}: {e}", self.graph.name))
    }

    fn parameter(&mut self, name: &str, what: &str, shape: &[usize], v: Vec<f32>) -> ValueId {
        self.graph
            .add_constant(&format!("{name}.{what}"), Tensor::f32(shape, v))
    }

    /// A convolution without bias and the batch normalization behind it.
    pub(crate) fn conv_bn(
        &mut self,
        (conv_name, bn_name): (&str, &str),
        x: ValueId,
        input: Input,
        conv: Conv,
        factors: Range<f32>,
    ) -> ValueId {
        let Conv {
            out,
            kernel,
            stride,
            groups,
        } = conv;
        let in_group = self.channels(x) / groups;
        let gain = match input {
            Input::Linear => 1.0,
            Input::Rectified => 2.0,
            Input::Swished => 3.0,
            Input::Gated => 12.0,
        };
        // Kaiming initialization by the number of terms in each sum.
        let shape = [out, in_group, kernel, kernel];
        let terms = in_group * kernel * kernel;
        let weight = self.bell(shape.iter().product(), gain / terms as f32);
        let weight = self.parameter(conv_name, "weight", &shape, weight);
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pads: [kernel / 2; 4],
        };
        let y = self.apply(
            conv_name,
            Op::Conv(ConvAttrs { window, groups }),
            &[x, weight],
        );
        self.batch_norm(bn_name, y, factors)
    }

    /// A convolution of one position with a bias, of what a rectifier or the like made.
    pub(crate) fn pointwise(&mut self, name: &str, x: ValueId, out: usize) -> ValueId {
        let c = self.channels(x);
        let weight = self.bell(out * c, 2.0 / c as f32);
        let weight = self.parameter(name, "weight", &[out, c, 1, 1], weight);
        let bias = self.uniform(out, -0.1..0.1);
        let bias = self.parameter(name, "bias", &[out], bias);
        let window = Window {
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pads: [0; 4],
        };
        let conv = Op::Conv(ConvAttrs { window, groups: 1 });
        self.apply(name, conv, &[x, weight, bias])
    }

    /// `min(max(x / 6 + 0.5, 0), 1)`.
    pub(crate) fn hard_sigmoid(&mut self, name: &str, x: ValueId) -> ValueId {
        let mut number = |what: &str, v: f32| {
            let tensor = Tensor::f32([], vec![v]);
            self.graph.add_constant(&format!("{name}.{what}"), tensor)
        };
        let (sixth, half) = (number("sixth", 1.0 / 6.0), number("half", 0.5));
        let x = self.apply(&format!("{name}.scaled"), Op::Mul, &[x, sixth]);
        let x = self.apply(&format!("{name}.moved"), Op::Add, &[x, half]);
        self.apply(name, Op::Clip { lo: 0.0, hi: 1.0 }, &[x])
    }

    /// Signs of a value, as numbers.
    pub(crate) fn signs(&mut self, name: &str, x: ValueId) -> ValueId {
        let unit = Quant::per_tensor(1.0, 0);
        let signs = self.apply(name, Op::Quantize(unit.clone(), DType::S1), &[x]);
        self.apply(&format!("{name}.value"), Op::Dequantize(unit), &[signs])
    }

    /// Weights `[out, ..]` that are one number or its negative, which keeps the variance of signs.
    pub(crate) fn binary(&mut self, name: &str, shape: &[usize]) -> ValueId {
        let terms: usize = shape[1..].iter().product();
        let alpha = 1.0 / (terms as f32).sqrt();
        let drawn = self.uniform(shape.iter().product(), -1.0..1.0).into_iter();
        let signs = drawn.map(|v| if v < 0.0 { -alpha } else { alpha });
        self.parameter(name, "weight", shape, signs.collect())
    }

    pub(crate) fn batch_norm(&mut self, name: &str, x: ValueId, factors: Range<f32>) -> ValueId {
        let c = self.channels(x);
        let mut inputs = vec![x];
        let parts = [
            ("weight", factors),
            ("bias", -0.1..0.1),
            ("running_mean", -0.1..0.1),
            ("running_var", 0.8..1.25),
        ];
        for (what, range) in parts {
            let v = self.uniform(c, range);
            inputs.push(self.parameter(name, what, &[c], v));
        }
        self.apply(name, Op::BatchNorm { epsilon: 1e-5 }, &inputs)
    }

    /// Mean of each channel, then a dense layer with bias.
    pub(crate) fn classifier(&mut self, name: &str, x: ValueId, classes: usize) -> ValueId {
        let c = self.channels(x);
        let x = self.apply("avgpool", Op::GlobalAvgPool, &[x]);
        let x = self.apply("flatten", Op::Reshape { shape: vec![1, c] }, &[x]);
        let bound = 1.0 / (c as f32).sqrt();
        let weight = self.uniform(classes * c, -bound..bound);
        let weight = self.parameter(name, "weight", &[classes, c], weight);
        let bias = self.uniform(classes, -bound..bound);
        let bias = self.parameter(name, "bias", &[classes], bias);
        self.apply(name, Op::Dense, &[x, weight, bias])
    }
}
