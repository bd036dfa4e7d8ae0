//! Random operators with operands that fit them, for every operator there is.

use super::Dice;
use crate::{DType, Data, Op, PackedSpread, Tensor};

/// Every operator's name in the text form.
pub const KINDS: [&str; 47] = [
    "conv",
    "dense",
    "matmul",
    "batch_norm",
    "relu",
    "leaky_relu",
    "sigmoid",
    "hard_swish",
    "silu",
    "clip",
    "add",
    "sub",
    "mul",
    "div",
    "max_pool",
    "avg_pool",
    "global_avg_pool",
    "reduce_mean",
    "softmax",
    "reshape",
    "transpose",
    "concat",
    "pad",
    "im2col",
    "slice",
    "depth_to_space",
    "resize",
    "quantize",
    "dequantize",
    "qconv",
    "qdense",
    "requantize",
    "qaccumulate",
    "qadd",
    "qmul",
    "qpiecewise",
    "qsum_pool",
    "pack",
    "unpack",
    "vta.conv",
    "vta.add",
    "vta.mul",
    "vta.piecewise",
    "vta.max_pool",
    "vta.sum_pool",
    "vta.spread",
    "vta.concat",
];

impl Dice {
    /// An operator of this name, and operands that it takes.
    pub fn op(&mut self, kind: &str) -> (Op, Vec<Tensor>) {
        let any = self.pick(&DType::ALL);
        let small = self.pick(&[DType::I32, DType::I8, DType::U8, DType::I4, DType::I1]);
        let narrow = self.narrow();
        let shape = self.shape();
        let nchw = self.nchw();
        let [n, c, h, w] = nchw;
        let axis = (!shape.is_empty()).then(|| self.range(0, shape.len() - 1));
        let float = |dice: &mut Self, shape: &[usize]| dice.tensor(DType::F32, shape);
        match kind {
            "conv" => {
                let (a, x) = self.conv(DType::F32, DType::F32, DType::F32);
                (Op::Conv(a), x)
            }
            "qconv" => {
                let x = self.narrow();
                let (a, operands) = self.conv(x, narrow, DType::I32);
                (Op::QConv(a, self.in_range(x)), operands)
            }
            "dense" | "qdense" => {
                let (k, n) = (self.range(1, 20), self.range(1, 5));
                let quantized = kind == "qdense";
                let (x, b) = if quantized {
                    (narrow, DType::I32)
                } else {
                    (DType::F32, DType::F32)
                };
                let mut operands = vec![
                    self.tensor(x, [shape, vec![k]].concat()),
                    self.tensor(x, [n, k]),
                ];
                if self.flag() {
                    operands.push(self.tensor(b, [n]));
                }
                let zero_point = if quantized { self.in_range(x) } else { 0 };
                let op = if quantized {
                    Op::QDense(zero_point)
                } else {
                    Op::Dense
                };
                (op, operands)
            }
            "matmul" => {
                let [m, k, n] = [0; 3].map(|_: i32| self.range(1, 5));
                let [a, b] = self.broadcasting();
                let a = float(self, &[a, vec![m, k]].concat());
                let b = float(self, &[b, vec![k, n]].concat());
                (Op::MatMul, vec![a, b])
            }
            "batch_norm" => {
                let rank = self.range(2, 4);
                let mut x = vec![float(self, &nchw[..rank])];
                x.extend((0..3).map(|_| float(self, &[c])));
                let var = (0..c).map(|_| self.range(0, 9) as f32).collect();
                x.push(Tensor::f32([c], var));
                (Op::BatchNorm { epsilon: 1e-5 }, x)
            }
            "relu" => {
                let dtype = self.pick(&DType::ALL[..8]);
                (Op::Relu, vec![self.tensor(dtype, shape)])
            }
            "leaky_relu" => (Op::LeakyRelu { alpha: 0.125 }, vec![float(self, &shape)]),
            "sigmoid" => (Op::Sigmoid, vec![float(self, &shape)]),
            "hard_swish" => (Op::HardSwish, vec![float(self, &shape)]),
            "silu" => (Op::Silu, vec![float(self, &shape)]),
            "clip" => {
                let dtype = self.pick(&DType::ALL[..8]);
                let lo = self.pick(&[f32::NEG_INFINITY, -3.0, -0.0]);
                let hi = self.pick(&[f32::INFINITY, 6.0, 0.0]);
                (Op::Clip { lo, hi }, vec![self.tensor(dtype, shape)])
            }
            "add" | "sub" | "mul" | "div" => {
                let dtype = self.pick(&[DType::F32, DType::I32, DType::I64]);
                let operands = self.broadcasting().map(|s| self.tensor(dtype, s));
                let op = match kind {
                    "add" => Op::Add,
                    "sub" => Op::Sub,
                    "mul" => Op::Mul,
                    _ => Op::Div,
                };
                (
                    op,
                    operands
                        .map(|t| if kind == "div" { odd(&t) } else { t })
                        .into(),
                )
            }
            "max_pool" => {
                let dtype = self.pick(&DType::ALL[..8]);
                (
                    Op::MaxPool(self.pool([h, w])),
                    vec![self.tensor(dtype, nchw)],
                )
            }
            "avg_pool" => (Op::AvgPool(self.pool([h, w])), vec![float(self, &nchw)]),
            "qsum_pool" => {
                let p = self.pool([h, w]);
                (
                    Op::QSumPool(p, self.in_range(narrow)),
                    vec![self.tensor(narrow, nchw)],
                )
            }
            "global_avg_pool" => (Op::GlobalAvgPool, vec![float(self, &nchw)]),
            "reduce_mean" => {
                let axes = (0..shape.len()).filter(|_| self.flag()).collect();
                let keep_dims = self.flag();
                (
                    Op::ReduceMean { axes, keep_dims },
                    vec![float(self, &shape)],
                )
            }
            "softmax" => match axis {
                Some(axis) => (Op::Softmax { axis }, vec![float(self, &shape)]),
                None => (Op::Softmax { axis: 0 }, vec![float(self, &[3])]),
            },
            "reshape" => {
                let x = self.tensor(any, shape);
                let mut to = vec![x.ty().len()];
                to.extend(std::iter::repeat_n(1, self.range(0, 2)));
                (Op::Reshape { shape: to }, vec![x])
            }
            "transpose" => {
                let mut perm: Vec<usize> = (0..shape.len()).collect();
                for i in (1..perm.len()).rev() {
                    perm.swap(i, self.range(0, i));
                }
                (Op::Transpose { perm }, vec![self.tensor(any, shape)])
            }
            "concat" => {
                let (shape, axis) = axis.map_or((vec![2], 0), |axis| (shape, axis));
                let parts = (0..self.range(1, 3))
                    .map(|_| {
                        let mut shape = shape.clone();
                        shape[axis] = self.range(1, 3);
                        self.tensor(any, shape)
                    })
                    .collect();
                (Op::Concat { axis }, parts)
            }
            "pad" => {
                let mut amounts = || shape.iter().map(|_| self.range(0, 2)).collect();
                let (before, after) = (amounts(), amounts());
                let value = match any {
                    DType::F32 => self.pick(&[-0.0, 2.5, f32::INFINITY]),
                    DType::Bool | DType::U8 => 1.0,
                    _ => -1.0,
                };
                let op = Op::Pad {
                    before,
                    after,
                    value,
                };
                (op, vec![self.tensor(any, shape)])
            }
            "im2col" => {
                let window = self.window([h, w]);
                let [top, left, bottom, right] = window.pads;
                let shape = [nchw[0], nchw[1], h + top + bottom, w + left + right];
                let op = Op::Im2col {
                    kernel: window.kernel,
                    stride: window.stride,
                    dilation: window.dilation,
                };
                (op, vec![self.tensor(any, shape)])
            }
            "slice" => {
                let start: Vec<usize> = shape.iter().map(|&d| self.range(0, d - 1)).collect();
                let end = (start.iter().zip(&shape))
                    .map(|(&s, &d)| self.range(s + 1, d))
                    .collect();
                let step = shape.iter().map(|_| self.range(1, 3)).collect();
                (
                    Op::Slice { start, end, step },
                    vec![self.tensor(any, shape)],
                )
            }
            "depth_to_space" => {
                let block = [self.range(1, 3), self.range(1, 2)];
                let (groups, each) = (self.range(1, 2), self.range(1, 3));
                let channels = if groups == 1 {
                    self.range(1, each)
                } else {
                    groups * each
                };
                let op = Op::DepthToSpace {
                    block,
                    groups,
                    channels,
                };
                let shape = [n, groups * block[0] * block[1] * each, h, w];
                (op, vec![self.tensor(any, shape)])
            }
            "resize" => {
                let factors = [self.range(1, 3), self.range(1, 3)];
                (Op::Resize { factors }, vec![self.tensor(any, nchw)])
            }
            "quantize" => {
                let q = self.quant(small, &shape);
                (Op::Quantize(q, small), vec![float(self, &shape)])
            }
            "dequantize" => {
                let q = self.quant(small, &shape);
                (Op::Dequantize(q), vec![self.tensor(small, shape)])
            }
            "requantize" => {
                let r = self.requant(c, small);
                let from = self.pick(&[DType::I32, DType::I8, DType::U8]);
                (Op::Requantize(r, small), vec![self.tensor(from, nchw)])
            }
            "qaccumulate" => {
                let mults = if self.flag() { c } else { 1 };
                let op = Op::QAccumulate {
                    mult: (0..mults).map(|_| self.roll() as i32 & i32::MAX).collect(),
                    zero_point: self.in_range(narrow),
                };
                let sums = self.tensor(DType::I32, nchw);
                (op, vec![sums, self.tensor(narrow, nchw)])
            }
            "qadd" => {
                let types = [0; 2].map(|_: i32| self.pick(&[DType::I8, DType::I32, DType::U8]));
                let e = self.epilogue(small);
                let [a, b] = types.map(|t| (t, self.spread(nchw)));
                let operands = vec![self.tensor(a.0, nchw), self.tensor(b.0, b.1)];
                (Op::QAdd(e, small), operands)
            }
            "qmul" => {
                let e = self.product(small);
                let other = self.spread(nchw);
                let operands = vec![self.tensor(narrow, nchw), self.tensor(narrow, other)];
                (Op::QMul(e, small), operands)
            }
            "qpiecewise" => {
                let p = self.piecewise(small);
                (Op::QPiecewise(p, small), vec![self.tensor(narrow, shape)])
            }
            "pack" => {
                let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
                let layout = self.layout(batch, lanes, narrow);
                (Op::Pack(layout), vec![self.tensor(narrow, nchw)])
            }
            "unpack" => {
                let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
                let layout = self.layout(batch, lanes, narrow);
                let packed = layout.packed_shape(nchw).expect("small");
                let op = Op::Unpack {
                    layout,
                    shape: nchw,
                };
                (op, vec![self.tensor(narrow, packed)])
            }
            "vta.conv" => self.packed_conv(),
            "vta.add" => {
                let (pair, operands) = self.packed_pair(narrow);
                (Op::VtaAdd(pair, self.epilogue(narrow)), operands)
            }
            "vta.mul" => {
                let (pair, operands) = self.packed_pair(narrow);
                (Op::VtaMul(pair, self.product(narrow)), operands)
            }
            "vta.piecewise" => {
                let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
                let [in_layout, out_layout] =
                    [0; 2].map(|_: i32| self.layout(batch, lanes, narrow));
                let packed = in_layout.packed_shape(nchw).expect("small");
                let op = Op::VtaPiecewise {
                    shape: nchw,
                    in_layout,
                    out_layout,
                    map: self.piecewise(narrow),
                };
                (op, vec![self.tensor(narrow, packed)])
            }
            "vta.max_pool" => {
                let (pool, x) = self.packed_pool(narrow);
                (Op::VtaMaxPool(pool), vec![x])
            }
            "vta.concat" => {
                let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
                let layout = self.layout(batch, lanes, narrow);
                let parts = (0..self.range(1, 3))
                    .map(|_| {
                        let shape = [n, self.range(1, 5), h, w];
                        self.tensor(narrow, layout.packed_shape(shape).expect("small"))
                    })
                    .collect();
                (Op::VtaConcat, parts)
            }
            "vta.sum_pool" => {
                let (pool, x) = self.packed_pool(narrow);
                let lanes = pool.out_layout.lanes;
                let channels = pool.out_shape[1].div_ceil(lanes) * lanes;
                (
                    Op::VtaSumPool(pool, self.requant(channels, narrow)),
                    vec![x],
                )
            }
            "vta.spread" => {
                let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
                let block = [self.range(1, 3), self.range(1, 3)];
                let [in_layout, mut out_layout] =
                    [0; 2].map(|_: i32| self.layout(batch, lanes, narrow));
                for (side, border) in out_layout.border.iter_mut().enumerate() {
                    *border *= block[side % 2];
                }
                let channels = if self.flag() {
                    c
                } else {
                    c.next_multiple_of(lanes) * block[0] * block[1]
                };
                let in_shape = [n, channels, h, w];
                let packed = in_layout.packed_shape(in_shape).expect("small");
                let op = Op::VtaSpread(PackedSpread {
                    in_shape,
                    out_shape: [n, c, h * block[0], w * block[1]],
                    block,
                    in_layout,
                    out_layout,
                });
                (op, vec![self.tensor(narrow, packed)])
            }
            _ => unreachable!("no operator `{kind}`"),
        }
    }
}

/// The same tensor with every element odd: none is zero.
fn odd(t: &Tensor) -> Tensor {
    let data = match t.data() {
        Data::F32(v) => Data::F32(v.iter().map(|v| v * 2.0 + 1.0).collect()),
        Data::I64(v) => Data::I64(v.iter().map(|v| v | 1).collect()),
        Data::I32(v) => Data::I32(v.iter().map(|v| v | 1).collect()),
        Data::I8(v) => Data::I8(v.iter().map(|v| v | 1).collect()),
        Data::U8(v) => Data::U8(v.iter().map(|v| v | 1).collect()),
    };
    Tensor::new(t.ty().clone(), data)
}
