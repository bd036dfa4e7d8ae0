//! Random networks of exact integers, as they come out of quantization, for operands of any width.

use super::Dice;
use crate::quant::QuantTarget;
use crate::{
    AddEpilogue, ConvAttrs, DType, Graph, MulEpilogue, Op, Piece, Pieces, Piecewise, PoolAttrs,
    Requant, Tensor, TensorType, ValueId, Window,
};

/// What a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A convolution, of several groups where the channels allow it.
    Conv,
    /// A convolution that keeps the shape, and adds an activation of that shape to its sums.
    Residual,
    /// A convolution of which only the maxima of windows are read.
    Pooled,
    /// The sum of two activations.
    Add,
    /// The product of two activations, or of one with itself, or with one of one row and column.
    Mul,
    /// A function of straight pieces.
    Piecewise,
    /// The maximum of windows.
    MaxPool,
    /// The sum of windows.
    SumPool,
    /// A dense layer of the flattened activation.
    Dense,
    /// Activations side by side.
    Concat,
    /// A rescaling alone.
    Rescale,
    /// Rows and columns around it.
    Pad,
    /// A part of it.
    Slice,
    /// Values cut to a range.
    Clip,
    /// Each row and column several times.
    Resize,
    /// Channels side by side as rows and columns.
    DepthToSpace,
}

impl Kind {
    /// Each, the commonest several times.
    const DRAWN: [Kind; 21] = [
        Kind::Conv,
        Kind::Conv,
        Kind::Conv,
        Kind::Residual,
        Kind::Pooled,
        Kind::Conv,
        Kind::Add,
        Kind::Mul,
        Kind::Mul,
        Kind::Piecewise,
        Kind::Add,
        Kind::MaxPool,
        Kind::SumPool,
        Kind::Dense,
        Kind::Concat,
        Kind::Rescale,
        Kind::Pad,
        Kind::Slice,
        Kind::Clip,
        Kind::Resize,
        Kind::DepthToSpace,
    ];
}

/// Choices of a layer, which the network takes as far as they are possible where it comes to stand.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it is.
    pub kind: Kind,
    /// Channels that it makes, if it can choose.
    pub channels: usize,
    /// Groups of a convolution.
    pub groups: usize,
    /// Height and width of its window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Vertical and horizontal dilation.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pads: [usize; 4],
    /// The zero point with which others read its result.
    pub zero_point: i32,
    /// Right shift of its rescaling.
    pub shift: u32,
    /// Least and greatest result.
    pub clip: (i32, i32),
    /// Of weights, and of which activation it reads.
    pub seed: u64,
}

impl Layer {
    /// A layer of any kind.
    pub fn draw(dice: &mut Dice) -> Layer {
        let low = dice.int(-128, 126) as i32;
        Layer {
            kind: dice.pick(&Kind::DRAWN),
            channels: match dice.range(0, 6) {
                6 => dice.pick(&[8, 16, 32]),
                _ => dice.range(1, 39),
            },
            groups: dice.pick(&[1, 1, 2, 3, usize::MAX]),
            kernel: [dice.range(1, 3), dice.range(1, 3)],
            stride: [dice.range(1, 2), dice.range(1, 2)],
            dilation: [dice.range(1, 2), dice.range(1, 2)],
            pads: [(); 4].map(|()| dice.range(0, 2)),
            zero_point: dice.int(-8, 7) as i32,
            shift: dice.range(0, 23) as u32,
            clip: (low, (low + dice.range(0, 255) as i32).min(127)),
            seed: dice.roll().into(),
        }
    }

    fn window(&self) -> Window {
        Window {
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            pads: self.pads,
        }
    }

    /// The layer's window as one of pooling, a part of whose padding only rounds the output up.
    fn pool(&self) -> PoolAttrs {
        let [top, left, bottom, right] = self.pads;
        let extra = [bottom / 2, right / 2];
        PoolAttrs {
            window: Window {
                pads: [top, left, bottom - extra[0], right - extra[1]],
                ..self.window()
            },
            extra,
            count_include_pad: false,
        }
    }
}

/// Small deterministic numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, low: i64, high: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        low + ((self.0 >> 33) % (high - low + 1) as u64) as i64
    }

    /// `count` numbers between `low` and `high`.
    fn many(&mut self, count: usize, low: i64, high: i64) -> Vec<i64> {
        (0..count).map(|_| self.next(low, high)).collect()
    }
}

/// Whether an activation of shape `b` goes with each element of one of shape `a`.
fn beside(a: &[usize], b: &[usize]) -> bool {
    a == b || matches!((a, b), ([n, c, _, _], [m, d, 1, 1]) if (n, c) == (m, d))
}

/// Enlarged activations have at most so many elements.
const ENLARGED: usize = 20_000;

/// Flattened activations of a dense layer are at most so many.
const DENSE: usize = 600;

struct Builder<'a> {
    graph: Graph,
    target: &'a QuantTarget,
    /// Activations so far, with the zero point that each is read with.
    values: Vec<(ValueId, i32)>,
}

impl Builder<'_> {
    fn narrow(&self) -> DType {
        self.target.activation().expect("a width")
    }

    fn input(&mut self, shape: [usize; 4]) {
        let ty = TensorType::new(self.narrow(), shape);
        let x = self.graph.add_value("x", ty);
        self.graph.inputs.push(x);
        self.values.push((x, 0));
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> Option<ValueId> {
        let name = format!("{}{}", op.name(), self.graph.nodes.len() + 1);
        self.graph.add_node(&name, op, inputs, &name).ok()
    }

    fn shape(&self, v: ValueId) -> &[usize] {
        &self.graph.value(v).ty.shape
    }

    /// Another activation, if there is one that fits.
    fn partner(&self, x: ValueId, fits: impl Fn(&[usize]) -> bool) -> Option<ValueId> {
        let mut others = self.values.iter().map(|(v, _)| *v).filter(|v| *v != x);
        others.find(|&v| fits(self.shape(v)))
    }

    /// A number between the least and the greatest activation.
    fn fitting(&self, n: i64) -> i32 {
        let (low, high) = self.narrow().range().expect("integers");
        n.clamp(low, high) as i32
    }

    fn clip(&self, l: &Layer) -> (i32, i32) {
        (self.fitting(l.clip.0.into()), self.fitting(l.clip.1.into()))
    }

    fn weights<const N: usize>(&mut self, shape: [usize; N], n: &mut Numbers) -> ValueId {
        let dtype = self.target.weight().expect("a width");
        let (low, high) = dtype.range().expect("integers");
        let mut values = n.many(shape.iter().product(), low, high);
        values.iter_mut().for_each(|v| {
            if !dtype.holds(*v) {
                *v = high;
            }
        });
        let tensor = Tensor::from_ints(dtype, shape, &values);
        self.graph.add_constant("w", tensor)
    }

    fn requantized(
        &mut self,
        sums: ValueId,
        l: &Layer,
        channels: usize,
        n: &mut Numbers,
    ) -> Option<ValueId> {
        let (lo, hi) = self.clip(l);
        let most = 1i64 << l.shift.min(15);
        let mult = n.many(channels, 0, most);
        let requant = Requant {
            mult: mult.into_iter().map(|m| m as i32).collect(),
            add: n.many(channels, -(1 << l.shift), 1 << l.shift),
            shift: l.shift,
            lo,
            hi,
        };
        self.node(Op::Requantize(requant, self.narrow()), &[sums])
    }

    /// Appends a layer, or nothing where it does not fit.
    fn push(&mut self, l: &Layer) -> Option<()> {
        let mut n = Numbers(l.seed);
        let (x, zero_point) = self.values[n.next(0, self.values.len() as i64 - 1) as usize];
        let shape = self.shape(x).to_vec();
        let new = self.fitting(l.zero_point.into());
        let (y, zero_point) = match l.kind {
            Kind::Conv => (self.conv(x, zero_point, l, &mut n)?, new),
            Kind::Residual => {
                let channels = *shape.get(1)?;
                let like = Layer {
                    channels,
                    // Twice the channels would be another shape.
                    seed: l.seed & !1,
                    kernel: [3, 3],
                    stride: [1, 1],
                    dilation: [1, 1],
                    pads: [1; 4],
                    ..l.clone()
                };
                (self.conv(x, zero_point, &like, &mut n)?, new)
            }
            Kind::Pooled => {
                let sums = self.conv(x, zero_point, l, &mut n)?;
                let window = Window {
                    kernel: [1 + l.stride[0], 1 + l.stride[1]],
                    dilation: [1, 1],
                    ..l.pool().window
                };
                let pool = PoolAttrs { window, ..l.pool() };
                (self.node(Op::MaxPool(pool), &[sums])?, new)
            }
            Kind::SumPool => (self.sum_pool(x, zero_point, l, &mut n)?, new),
            Kind::Dense => (self.dense(x, zero_point, l, &mut n)?, new),
            Kind::Add => {
                let other = self.partner(x, |s| beside(&shape, s)).unwrap_or(x);
                (self.add(x, other, l, &mut n)?, new)
            }
            Kind::Mul => {
                let other = self.partner(x, |s| beside(&shape, s));
                let other = other.filter(|_| l.seed % 4 > 0).unwrap_or(x);
                (self.mul(x, other, l, &mut n)?, new)
            }
            Kind::Piecewise => {
                let (lo, hi) = self.clip(l);
                let shift = l.shift.min(15);
                let map = Piecewise {
                    function: self.pieces(shift, 3, &mut n),
                    shift,
                    lo,
                    hi,
                };
                (self.node(Op::QPiecewise(map, self.narrow()), &[x])?, new)
            }
            Kind::MaxPool => (self.node(Op::MaxPool(l.pool()), &[x])?, zero_point),
            Kind::Concat => {
                let &[batch, _, h, w] = &shape[..] else {
                    return None;
                };
                // With itself, another, or both.
                let beside = |v: &ValueId| matches!(self.shape(*v)[..], [n, _, y, x] if (n, y, x) == (batch, h, w));
                let all = self.values.iter().map(|(v, _)| *v).filter(beside);
                let others = all.skip(l.seed as usize % 2).take(2);
                let parts: Vec<ValueId> = others.chain([x]).collect();
                (self.node(Op::Concat { axis: 1 }, &parts)?, zero_point)
            }
            Kind::Rescale => {
                let &[_, c, _, _] = &shape[..] else {
                    return None;
                };
                (self.requantized(x, l, c, &mut n)?, new)
            }
            Kind::Pad => {
                let [top, left, bottom, right] = l.pads;
                let op = Op::Pad {
                    before: vec![0, 0, top, left],
                    after: vec![0, 0, bottom, right],
                    value: self.narrow().settled(new.into()) as f32,
                };
                (self.node(op, &[x])?, zero_point)
            }
            Kind::Slice => {
                let start: Vec<usize> = shape
                    .iter()
                    .map(|&d| n.next(0, d as i64 / 2) as usize)
                    .collect();
                let start = [&[0], start.get(1..)?].concat();
                let op = Op::Slice {
                    end: shape.clone(),
                    step: (shape.iter().enumerate())
                        .map(|(axis, _)| if axis < 2 { 1 } else { l.stride[axis - 2] })
                        .collect(),
                    start,
                };
                (self.node(op, &[x])?, zero_point)
            }
            Kind::Resize => {
                let factors = [l.kernel[0], l.stride[1]];
                (self.enlarged(Op::Resize { factors }, x)?, zero_point)
            }
            Kind::DepthToSpace => (self.depth_to_space(x, zero_point, l, &mut n)?, new),
            Kind::Clip => {
                let (lo, hi) = self.clip(l);
                let (lo, hi) = (lo as f32, hi as f32);
                (self.node(Op::Clip { lo, hi }, &[x])?, zero_point)
            }
        };
        self.values.push((y, zero_point));
        Some(())
    }

    /// Appends a resizing, unless it makes too much of its operand.
    fn enlarged(&mut self, op: Op, x: ValueId) -> Option<ValueId> {
        let ty = op.infer(&[&self.graph.value(x).ty]).ok()?;
        (ty.len() <= ENLARGED).then(|| self.node(op, &[x]))?
    }

    /// The phases of a convolution, or of what is there, side by side.
    fn depth_to_space(
        &mut self,
        x: ValueId,
        zero: i32,
        l: &Layer,
        n: &mut Numbers,
    ) -> Option<ValueId> {
        let block = [l.stride[0], l.kernel[1]];
        let positions = block[0] * block[1];
        let &[_, c, _, _] = self.shape(x) else {
            return None;
        };
        let (phases, channels) = if c % positions == 0 {
            (x, c)
        } else {
            let channels = l.channels * positions;
            let conv = Layer {
                channels,
                groups: 1,
                ..l.clone()
            };
            (self.conv(x, zero, &conv, n)?, channels)
        };
        let each = channels / positions;
        let op = match l.seed % 3 {
            0 => Op::DepthToSpace {
                block,
                groups: each,
                channels: each,
            },
            cut => Op::DepthToSpace {
                block,
                groups: 1,
                channels: each.div_ceil(cut as usize),
            },
        };
        self.enlarged(op, phases)
    }

    fn conv(&mut self, x: ValueId, zero: i32, l: &Layer, n: &mut Numbers) -> Option<ValueId> {
        let &[_, c, _, _] = self.shape(x) else {
            return None;
        };
        let groups = match l.groups {
            usize::MAX => c,
            groups if c % groups == 0 => groups,
            _ => 1,
        };
        let out = match l.groups {
            usize::MAX => c * (1 + l.seed as usize % 2),
            _ => l.channels.next_multiple_of(groups),
        };
        let w = self.weights([out, c / groups, l.kernel[0], l.kernel[1]], n);
        let bias = Tensor::from_ints(DType::I32, [out], &n.many(out, -500, 500));
        let b = self.graph.add_constant("b", bias);
        let window = l.window();
        let attrs = ConvAttrs { window, groups };
        let sums = self.node(Op::QConv(attrs, zero), &[x, w, b])?;
        let sums = match l.kind {
            Kind::Residual => self.accumulate(sums, n)?,
            _ => sums,
        };
        self.requantized(sums, l, out, n)
    }

    /// The sums with the last activation that has their shape, if one has.
    fn accumulate(&mut self, sums: ValueId, n: &mut Numbers) -> Option<ValueId> {
        let shape = self.shape(sums).to_vec();
        let fits = |(v, _): &&(ValueId, i32)| self.shape(*v) == shape;
        let Some(&(addend, zero_point)) = self.values.iter().rev().find(fits) else {
            return Some(sums);
        };
        // The narrowest accumulator has to hold the sum.
        let most = match self.target.acc_bits {
            16 => 20,
            _ => 400,
        };
        let mult = n.many(shape[1], 0, most).into_iter();
        let op = Op::QAccumulate {
            mult: mult.map(|m| m as i32).collect(),
            zero_point,
        };
        self.node(op, &[sums, addend])
    }

    fn dense(&mut self, x: ValueId, zero: i32, l: &Layer, n: &mut Numbers) -> Option<ValueId> {
        let batch = self.shape(x)[0];
        let rest = self.shape(x)[1..].iter().product::<usize>();
        if rest > DENSE {
            return None;
        }
        let shape = vec![batch, rest];
        let flat = self.node(Op::Reshape { shape }, &[x])?;
        let w = self.weights([l.channels, rest], n);
        let sums = self.node(Op::QDense(zero), &[flat, w])?;
        self.requantized(sums, l, l.channels, n)
    }

    fn sum_pool(&mut self, x: ValueId, zero: i32, l: &Layer, n: &mut Numbers) -> Option<ValueId> {
        let &[_, c, h, w] = self.shape(x) else {
            return None;
        };
        let mut pool = l.pool();
        if l.seed % 3 == 0 {
            // Global.
            (pool.window.kernel, pool.window.dilation) = ([h, w], [1, 1]);
        }
        let sums = self.node(Op::QSumPool(pool, zero), &[x])?;
        let channels = if l.seed % 2 == 0 { 1 } else { c };
        self.requantized(sums, l, channels, n)
    }

    fn add(&mut self, a: ValueId, b: ValueId, l: &Layer, n: &mut Numbers) -> Option<ValueId> {
        let (lo, hi) = self.clip(l);
        // The narrowest accumulator has to hold the sum.
        let (mult, add) = match self.target.acc_bits {
            16 => (100, 4_000),
            _ => (300, 100_000),
        };
        let add = AddEpilogue {
            mult_a: n.next(1, mult) as i32,
            mult_b: n.next(1, mult) as i32,
            add: n.next(-add, add),
            shift: l.shift.min(15),
            lo,
            hi,
        };
        self.node(Op::QAdd(add, self.narrow()), &[a, b])
    }

    /// Up to so many pieces, of which one has a slope of about `2^shift` at most.
    fn pieces(&self, shift: u32, most: i64, n: &mut Numbers) -> Pieces {
        let (low, high) = self.narrow().range().expect("integers");
        let steep = (1i64 << shift).min(if self.target.acc_bits == 16 {
            60
        } else {
            8_000
        });
        let pieces = (0..n.next(1, most)).map(|_| {
            // Some bounds lie beyond all values.
            let lo = n.next(2 * low, high);
            Piece {
                mult: n.next(-steep, steep) as i32,
                lo: lo as i32,
                hi: n.next(lo, 2 * high + 1) as i32,
            }
        });
        let pieces = pieces.collect();
        let add = n.next(-20 * steep, 20 * steep);
        Pieces { pieces, add }
    }

    fn mul(&mut self, a: ValueId, b: ValueId, l: &Layer, n: &mut Numbers) -> Option<ValueId> {
        let (lo, hi) = self.clip(l);
        let shift = l.shift.min(20);
        let mul = MulEpilogue {
            zero_point: self.fitting(n.next(-8, 7)),
            gate: self.pieces(shift / 2, 2, n),
            add: n.next(-(1 << shift), 1 << shift),
            shift,
            lo,
            hi,
        };
        self.node(Op::QMul(mul, self.narrow()), &[a, b])
    }

    /// The network, whose outputs are what nothing reads and the last two results.
    fn finish(mut self) -> Graph {
        let results: Vec<ValueId> = self.graph.nodes.iter().map(|node| node.output).collect();
        let activations = self.values.iter().rev().map(|(v, _)| *v);
        let last: Vec<ValueId> = activations
            .filter(|v| results.contains(v))
            .take(2)
            .collect();
        let consumers = self.graph.consumers();
        let unread = |v: &ValueId| consumers[v.0 as usize].is_empty() && !last.contains(v);
        let outputs = last
            .iter()
            .copied()
            .chain(results.into_iter().filter(unread));
        self.graph.outputs = outputs.collect();
        self.graph
    }
}

/// The network of those layers that fit, one after the other. It has no output if none of them does.
pub fn network(target: &QuantTarget, input: [usize; 4], layers: &[Layer]) -> Graph {
    let mut builder = Builder {
        graph: Graph::new("random"),
        target,
        values: Vec::new(),
    };
    builder.input(input);
    for layer in layers {
        // What does not fit is left out.
        let _ = builder.push(layer);
    }
    builder.finish()
}

/// A random network with an output at least; some have two inputs.
pub fn draw(dice: &mut Dice, target: &QuantTarget) -> Graph {
    let mut builder = Builder {
        graph: Graph::new("random"),
        target,
        values: Vec::new(),
    };
    let inputs = dice.pick(&[1, 1, 2]);
    let [n, c, h, w] = [
        dice.pick(&[1, 1, 2, 3]),
        dice.range(1, 39),
        dice.range(1, 13),
        dice.range(1, 13),
    ];
    (0..inputs).for_each(|_| builder.input([n, c, h, w]));
    for _ in 0..dice.range(1, 7) {
        let _ = builder.push(&Layer::draw(dice));
    }
    let x = builder.graph.inputs.clone();
    let read: Vec<ValueId> = builder
        .graph
        .nodes
        .iter()
        .flat_map(|n| n.inputs.clone())
        .collect();
    for v in x.into_iter().filter(|v| !read.contains(v)) {
        let layer = Layer::draw(dice);
        let other = builder.partner(v, |s| s == [n, c, h, w]).unwrap_or(v);
        let sum = builder.add(v, other, &layer, &mut Numbers(layer.seed));
        builder.values.extend(sum.map(|y| (y, 0)));
    }
    builder.finish()
}
