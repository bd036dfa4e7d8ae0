//! The interpreter against definitions written as plainly as possible: one output element at
//! a time, by index, in `f64` (exact for the small numbers drawn here).

mod support;

use proptest::prelude::*;
use support::{Dice, dice};
use vta_graph::interp::{Interpreter, eval};
use vta_graph::{
    BlockedLayout, ConvAttrs, DType, Data, Graph, GraphError, Op, PackedConv, PackedPool, Pieces,
    PoolAttrs, Quant, Tensor, TensorType, Window,
};

/// A tensor read by index; `None` outside.
struct Nd {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Nd {
    fn new(t: &Tensor) -> Self {
        let data = match t.data() {
            Data::F32(v) => v.iter().map(|&v| v.into()).collect(),
            _ => t.to_ints().unwrap().iter().map(|&v| v as f64).collect(),
        };
        Nd {
            shape: t.shape().to_vec(),
            data,
        }
    }

    fn get(&self, index: &[i64]) -> Option<f64> {
        let mut at = 0;
        for (&i, &extent) in index.iter().zip(&self.shape) {
            at = at * extent + usize::try_from(i).ok().filter(|i| *i < extent)?;
        }
        Some(self.data[at])
    }

    fn at(&self, index: &[usize]) -> f64 {
        let index: Vec<i64> = index.iter().map(|&i| i as i64).collect();
        self.get(&index).expect("an index inside")
    }

    /// The element that broadcasting puts at `index`.
    fn broadcast_at(&self, index: &[usize]) -> f64 {
        let index = &index[index.len() - self.shape.len()..];
        let clipped = index
            .iter()
            .zip(&self.shape)
            .map(|(&i, &d)| if d == 1 { 0 } else { i });
        self.at(&clipped.collect::<Vec<_>>())
    }
}

/// Compares a result with a definition of each of its elements.
fn check(op: &Op, operands: &[Tensor], tolerance: f64, define: impl Fn(&[usize]) -> f64) {
    let y = eval(op, &operands.iter().collect::<Vec<_>>()).unwrap();
    let got = Nd::new(&y);
    let mut index = vec![0; y.shape().len()];
    for (i, &got) in got.data.iter().enumerate() {
        let mut rest = i;
        for (index, &extent) in index.iter_mut().zip(y.shape()).rev() {
            *index = rest % extent;
            rest /= extent;
        }
        let want = define(&index);
        let close = got == want || (got - want).abs() <= tolerance * want.abs().max(1.0);
        assert!(close, "{op:?} at {index:?}: {got}, defined as {want}");
    }
}

/// The position under kernel element `k` of output element `o` along one axis.
fn position(w: &Window, axis: usize, o: usize, k: usize) -> i64 {
    (o * w.stride[axis] + k * w.dilation[axis]) as i64 - w.pads[axis] as i64
}

fn check_conv(op: &Op, a: &ConvAttrs, zero_point: i32, operands: &[Tensor]) {
    let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
    let (out, of_group) = (nd[1].shape[0] / a.groups, nd[1].shape[1]);
    let [kh, kw] = a.window.kernel;
    check(op, operands, 0.0, |i| {
        let (n, o, oy, ox) = (i[0], i[1], i[2], i[3]);
        let mut sum = nd.get(2).map_or(0.0, |bias| bias.at(&[o]));
        for c in 0..of_group {
            for ky in 0..kh {
                for kx in 0..kw {
                    let (y, x) = (
                        position(&a.window, 0, oy, ky),
                        position(&a.window, 1, ox, kx),
                    );
                    let channel = o / out * of_group + c;
                    let x = nd[0].get(&[n as i64, channel as i64, y, x]);
                    let x = x.map_or(0.0, |x| x - f64::from(zero_point));
                    sum += x * nd[1].at(&[o, c, ky, kx]);
                }
            }
        }
        if *op == Op::Conv(a.clone()) {
            sum
        } else {
            f64::from(sum as i64 as i32)
        }
    });
}

fn check_pool(op: &Op, p: &PoolAttrs, x: Tensor, f: impl Fn(&[f64], f64) -> f64) {
    let nd = Nd::new(&x);
    let inside = |v: i64, axis: usize| {
        let (from, to) = (
            p.window.pads[axis],
            nd.shape[axis + 2] + p.window.pads[axis + 2],
        );
        v >= -(from as i64) && v < to as i64
    };
    check(op, &[x], 1e-6, |i| {
        let (mut taps, mut padded) = (Vec::new(), 0.0);
        for ky in 0..p.window.kernel[0] {
            for kx in 0..p.window.kernel[1] {
                let (y, x) = (
                    position(&p.window, 0, i[2], ky),
                    position(&p.window, 1, i[3], kx),
                );
                taps.extend(nd.get(&[i[0] as i64, i[1] as i64, y, x]));
                padded += f64::from(inside(y, 0) && inside(x, 1));
            }
        }
        f(&taps, padded)
    });
}

/// `clamp(floor(sum / 2^shift), lo, hi)`.
fn rescale(sum: i128, shift: u32, lo: i32, hi: i32) -> f64 {
    sum.div_euclid(1 << shift).clamp(lo.into(), hi.into()) as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn convolutions(mut dice in dice()) {
        let (a, operands) = dice.conv(DType::F32, DType::F32, DType::F32);
        check_conv(&Op::Conv(a.clone()), &a, 0, &operands);
        let (x, w) = (dice.narrow(), dice.narrow());
        let (a, operands) = dice.conv(x, w, DType::I32);
        let zero_point = dice.in_range(x);
        check_conv(&Op::QConv(a.clone(), zero_point), &a, zero_point, &operands);
    }

    /// Rows longer than the tile that the sums are taken in.
    #[test]
    fn wide_convolutions(width in 500usize..1100, kernel in 1usize..4, stride in 1usize..4) {
        let window = Window {
            kernel: [1, kernel], stride: [1, stride], dilation: [1, 1], pads: [0, 1, 0, 0],
        };
        let a = ConvAttrs { window, groups: 1 };
        let ramp = |n: usize| (0..n as i64).map(|i| i % 251 - 125).collect::<Vec<_>>();
        let x = Tensor::from_ints(DType::I8, [1, 1, 1, width], &ramp(width));
        let w = Tensor::from_ints(DType::I8, [2, 1, 1, kernel], &ramp(2 * kernel));
        check_conv(&Op::QConv(a.clone(), 3), &a, 3, &[x, w]);
    }

    #[test]
    fn dense_layers_and_products(mut dice in dice()) {
        for kind in ["dense", "qdense"] {
            let (op, operands) = dice.op(kind);
            let zero_point = if let Op::QDense(z) = op { z } else { 0 };
            let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
            check(&op, &operands, 0.0, |i| {
                let (&n, leading) = i.split_last().unwrap();
                let x = |k| nd[0].at(&[leading, &[k]].concat()) - f64::from(zero_point);
                let sum: f64 = (0..nd[1].shape[1]).map(|k| x(k) * nd[1].at(&[n, k])).sum();
                let sum = sum + nd.get(2).map_or(0.0, |bias| bias.at(&[n]));
                if op == Op::Dense { sum } else { f64::from(sum as i64 as i32) }
            });
        }
        let (op, operands) = dice.op("matmul");
        let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
        check(&op, &operands, 0.0, |i| {
            let (leading, mn) = i.split_at(i.len() - 2);
            let k = nd[0].shape[nd[0].shape.len() - 1];
            let a = |k| nd[0].broadcast_at(&[leading, &[mn[0], k]].concat());
            let b = |k| nd[1].broadcast_at(&[leading, &[k, mn[1]]].concat());
            (0..k).map(|k| a(k) * b(k)).sum()
        });
    }

    #[test]
    fn pools(mut dice in dice()) {
        let [n, c, h, w] = dice.nchw();
        let p = dice.pool([h, w]);
        let x = dice.tensor(DType::F32, [n, c, h, w]);
        check_pool(&Op::AvgPool(p.clone()), &p, x, |taps, padded| {
            let count = if p.count_include_pad { padded } else { taps.len() as f64 };
            taps.iter().sum::<f64>() / count
        });
        for dtype in [DType::F32, DType::I64, DType::I32, DType::I4, DType::U8] {
            let x = dice.tensor(dtype, [n, c, h, w]);
            check_pool(&Op::MaxPool(p.clone()), &p, x, |taps, _| {
                taps.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            });
        }
        let x = dice.tensor(DType::I8, [n, c, h, w]);
        check_pool(&Op::QSumPool(p.clone(), -7), &p, x, |taps, _| {
            taps.iter().map(|x| x + 7.0).sum()
        });
    }

    #[test]
    fn elementwise(mut dice in dice()) {
        for kind in ["add", "sub", "mul", "div"] {
            let (op, operands) = dice.op(kind);
            let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
            let wrap = |v: i128| match operands[0].dtype() {
                DType::I32 => f64::from(v as i32),
                _ => v as i64 as f64,
            };
            let float = operands[0].dtype() == DType::F32;
            check(&op, &operands, if float { 1e-7 } else { 0.0 }, |i| {
                let (a, b) = (nd[0].broadcast_at(i), nd[1].broadcast_at(i));
                let (p, q) = (a as i128, b as i128);
                match kind {
                    _ if kind == "div" && float => a / b,
                    "add" => wrap(p + q),
                    "sub" => wrap(p - q),
                    "mul" => wrap(p * q),
                    _ => wrap(p / q),
                }
            });
        }
        for kind in ["relu", "leaky_relu", "sigmoid", "hard_swish", "silu", "clip"] {
            let (op, operands) = dice.op(kind);
            let nd = Nd::new(&operands[0]);
            check(&op, &operands, 1e-6, |i| {
                let x = nd.at(i);
                match &op {
                    Op::Relu => x.max(0.0),
                    Op::LeakyRelu { alpha } => x.max(0.0) + x.min(0.0) * f64::from(*alpha),
                    Op::Clip { lo, hi } => x.max((*lo).into()).min((*hi).into()),
                    Op::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
                    Op::Silu => x / (1.0 + (-x).exp()),
                    _ => 1.0 / (1.0 + (-x).exp()),
                }
            });
        }
        let (op, operands) = dice.op("batch_norm");
        let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
        check(&op, &operands, 1e-5, |i| {
            let [scale, bias, mean, var] = [1, 2, 3, 4].map(|p| nd[p].at(&i[1..2]));
            (nd[0].at(i) - mean) / (var + 1e-5).sqrt() * scale + bias
        });
    }

    #[test]
    fn reductions(mut dice in dice()) {
        let (op, operands) = dice.op("reduce_mean");
        let nd = Nd::new(&operands[0]);
        let Op::ReduceMean { axes, keep_dims } = &op else { unreachable!() };
        let all = |shape: &[usize]| -> Vec<Vec<usize>> {
            shape.iter().fold(vec![vec![]], |all, &extent| {
                let grow = |i: &Vec<usize>| (0..extent).map(|e| [&i[..], &[e]].concat()).collect::<Vec<_>>();
                all.iter().flat_map(grow).collect()
            })
        };
        check(&op, &operands, 1e-6, |i| {
            let result_of = |full: &Vec<usize>| -> Vec<usize> {
                let kept = |d: &usize| *keep_dims || !axes.contains(d);
                let part = |d| if axes.contains(&d) { 0 } else { full[d] };
                (0..full.len()).filter(kept).map(part).collect()
            };
            let values: Vec<f64> = all(&nd.shape).iter()
                .filter(|full| result_of(full) == i).map(|full| nd.at(full)).collect();
            values.iter().sum::<f64>() / values.len() as f64
        });
        let (op, operands) = dice.op("softmax");
        let nd = Nd::new(&operands[0]);
        let Op::Softmax { axis } = op else { unreachable!() };
        check(&op, &operands, 1e-6, |i| {
            let exp = |j: usize| {
                let mut i = i.to_vec();
                i[axis] = j;
                nd.at(&i).exp()
            };
            exp(i[axis]) / (0..nd.shape[axis]).map(exp).sum::<f64>()
        });
        let (op, operands) = dice.op("global_avg_pool");
        let nd = Nd::new(&operands[0]);
        check(&op, &operands, 1e-6, |i| {
            let plane = all(&nd.shape[2..]);
            plane.iter().map(|p| nd.at(&[&i[..2], p].concat())).sum::<f64>() / plane.len() as f64
        });
    }

    #[test]
    fn arrangements(mut dice in dice()) {
        for kind in ["reshape", "transpose", "concat", "vta.concat", "pad", "im2col", "slice", "depth_to_space", "resize"] {
            let (op, operands) = dice.op(kind);
            let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
            check(&op, &operands, 0.0, |i| match &op {
                Op::Reshape { .. } => nd[0].data[i.first().copied().unwrap_or(0)],
                Op::Transpose { perm } => {
                    let mut from = vec![0; i.len()];
                    perm.iter().zip(i).for_each(|(&p, &i)| from[p] = i);
                    nd[0].at(&from)
                }
                Op::Concat { .. } | Op::VtaConcat => {
                    let axis = if let Op::Concat { axis } = &op { *axis } else { 1 };
                    let mut i = i.to_vec();
                    let part = nd.iter().find(|part| {
                        let here = i[axis] < part.shape[axis];
                        if !here {
                            i[axis] -= part.shape[axis];
                        }
                        here
                    });
                    part.unwrap().at(&i)
                }
                Op::Pad { before, value, .. } => {
                    let from = i.iter().zip(before).map(|(&i, &b)| i as i64 - b as i64);
                    nd[0].get(&from.collect::<Vec<_>>()).unwrap_or((*value).into())
                }
                Op::Im2col { kernel: [kh, kw], stride, dilation } => {
                    let (c, ky, kx) = (i[1] / (kh * kw), i[1] / kw % kh, i[1] % kw);
                    let [y, x] = [(2, ky), (3, kx)].map(|(d, k)| i[d] * stride[d - 2] + k * dilation[d - 2]);
                    nd[0].at(&[i[0], c, y, x])
                }
                Op::Slice { start, step, .. } => {
                    nd[0].at(&(0..i.len()).map(|d| start[d] + i[d] * step[d]).collect::<Vec<_>>())
                }
                Op::DepthToSpace { block: [rows, columns], groups, .. } => {
                    let each = nd[0].shape[1] / (groups * rows * columns);
                    let position = i[2] % rows * columns + i[3] % columns;
                    let channel = (i[1] / each * rows * columns + position) * each + i[1] % each;
                    nd[0].at(&[i[0], channel, i[2] / rows, i[3] / columns])
                }
                Op::Resize { factors: [rows, columns] } => {
                    nd[0].at(&[i[0], i[1], i[2] / rows, i[3] / columns])
                }
                _ => unreachable!(),
            });
        }
    }

    #[test]
    fn quantization(mut dice in dice()) {
        let part = |q: &Quant, i: &[usize]| {
            let c = i.get(q.axis).copied().unwrap_or(0);
            let pick = |n: usize| if n == 1 { 0 } else { c };
            (f64::from(q.scale[pick(q.scale.len())]), f64::from(q.zero_point[pick(q.zero_point.len())]))
        };
        let (op, operands) = dice.op("quantize");
        let nd = Nd::new(&operands[0]);
        let Op::Quantize(q, dtype) = &op else { unreachable!() };
        let (lo, hi) = dtype.range().unwrap();
        check(&op, &operands, 0.0, |i| {
            let (scale, zero_point) = part(q, i);
            let real = f64::from((nd.at(i) / scale) as f32);
            (real.round_ties_even() + zero_point).clamp(lo as f64, hi as f64)
        });
        let (op, operands) = dice.op("dequantize");
        let nd = Nd::new(&operands[0]);
        let Op::Dequantize(q) = &op else { unreachable!() };
        check(&op, &operands, 1e-6, |i| {
            let (scale, zero_point) = part(q, i);
            (nd.at(i) - zero_point) * scale
        });
    }

    #[test]
    fn epilogues(mut dice in dice()) {
        let (op, operands) = dice.op("requantize");
        let nd = Nd::new(&operands[0]);
        let Op::Requantize(r, _) = &op else { unreachable!() };
        check(&op, &operands, 0.0, |i| {
            let pick = |n: usize| if n == 1 { 0 } else { i[1] };
            let mult = i128::from(r.mult[pick(r.mult.len())]);
            let add = i128::from(r.add[pick(r.add.len())]);
            rescale(nd.at(i) as i128 * mult + add, r.shift, r.lo, r.hi)
        });
        let (op, operands) = dice.op("qaccumulate");
        let Op::QAccumulate { mult, zero_point } = &op else { unreachable!() };
        let [sums, x] = [0, 1].map(|i| operands[i].to_ints().unwrap());
        let plane: usize = operands[0].shape()[2..].iter().product();
        let expected: Vec<i64> = (0..sums.len())
            .map(|i| {
                let c = i / plane % operands[0].shape()[1];
                let factor = i64::from(mult[if mult.len() == 1 { 0 } else { c }]);
                i64::from((sums[i] + (x[i] - i64::from(*zero_point)) * factor) as i32)
            })
            .collect();
        prop_assert_eq!(eval(&op, &[&operands[0], &operands[1]]).unwrap().to_ints().unwrap(), expected);

        let (op, operands) = dice.op("qadd");
        let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
        let Op::QAdd(e, _) = &op else { unreachable!() };
        check(&op, &operands, 0.0, |i| {
            let (a, b) = (nd[0].at(i) as i128, nd[1].at(&spread(&operands[1], i)) as i128);
            let sum = a * i128::from(e.mult_a) + b * i128::from(e.mult_b) + i128::from(e.add);
            rescale(sum, e.shift, e.lo, e.hi)
        });

        let (op, operands) = dice.op("qmul");
        let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
        let Op::QMul(e, _) = &op else { unreachable!() };
        check(&op, &operands, 0.0, |i| {
            let (a, b) = (nd[0].at(i) as i128, nd[1].at(&spread(&operands[1], i)));
            let product = (a - i128::from(e.zero_point)) * piecewise(&e.gate, b);
            rescale(product + i128::from(e.add), e.shift, e.lo, e.hi)
        });

        let (op, operands) = dice.op("qpiecewise");
        let nd = Nd::new(&operands[0]);
        let Op::QPiecewise(p, _) = &op else { unreachable!() };
        check(&op, &operands, 0.0, |i| {
            rescale(piecewise(&p.function, nd.at(i)), p.shift, p.lo, p.hi)
        });
    }

    /// What a blocked tensor holds, and that unpacking undoes packing.
    #[test]
    fn packing(mut dice in dice()) {
        let (op, operands) = dice.op("pack");
        let nd = Nd::new(&operands[0]);
        let Op::Pack(layout) = &op else { unreachable!() };
        let [top, left, ..] = layout.border.map(|b| b as i64);
        check(&op, &operands, 0.0, |i| {
            let (n, c) = (i[0] * layout.batch + i[4], i[1] * layout.lanes + i[5]);
            let (y, x) = (i[2] as i64 - top, i[3] as i64 - left);
            if nd.get(&[0, 0, y, x]).is_none() {
                return layout.fill.into();
            }
            nd.get(&[n as i64, c as i64, y, x]).unwrap_or(0.0)
        });
        let x = &operands[0];
        let packed = eval(&op, &[x]).unwrap();
        let unpack = Op::Unpack {
            layout: layout.clone(),
            shape: x.shape().try_into().unwrap(),
        };
        prop_assert_eq!(&eval(&unpack, &[&packed]).unwrap(), x);
    }

    #[test]
    fn packed_convolution_is_the_integer_one(mut dice in dice()) {
        let (graph, inputs) = packed_and_plain_conv(&mut dice);
        let outputs = Interpreter::new(&graph).unwrap().run(&inputs).unwrap();
        prop_assert_eq!(&outputs[0], &outputs[1]);
    }

    /// A packed convolution reads its padding beyond the border, whatever that is filled with.
    #[test]
    fn beyond_the_border_is_padding(mut dice in dice()) {
        let (op, operands) = dice.packed_conv();
        let Op::VtaConv(c) = &op else { unreachable!() };
        let nd: Vec<Nd> = operands.iter().map(Nd::new).collect();
        let (batch, bi, bo) = (c.in_layout.batch, c.in_layout.lanes, c.out_layout.lanes);
        prop_assert_eq!(batch, c.out_layout.batch);
        let [out_top, out_left, ..] = c.out_layout.border;
        let [_, _, oh, ow] = c.out_shape;
        check(&op, &operands, 0.0, |i| {
            let inside = i[2] >= out_top && i[2] < out_top + oh && i[3] >= out_left && i[3] < out_left + ow;
            if !inside {
                return c.out_layout.fill.into();
            }
            let [group_in, group_out] = c.group_blocks();
            let sum_at = |oy: usize, ox: usize| {
                let mut sum = 0.0;
                let first = i[1] / group_out * group_in;
                for block in first..(first + group_in).min(nd[0].shape[1]) {
                    for ky in 0..c.window.kernel[0] {
                        for kx in 0..c.window.kernel[1] {
                            let y = position(&c.window, 0, oy, ky) + c.in_layout.border[0] as i64;
                            let x = position(&c.window, 1, ox, kx) + c.in_layout.border[1] as i64;
                            for lane in 0..bi {
                                let at = [i[0] as i64, block as i64, y, x, i[4] as i64, lane as i64];
                                let weight = nd[1].at(&[i[1], block - first, ky, kx, i[5], lane]);
                                sum += nd[0].get(&at).unwrap_or(c.pad.into()) * weight;
                            }
                        }
                    }
                }
                sum
            };
            let (oy, ox) = (i[2] - out_top, i[3] - out_left);
            let mut sum = match &c.pool {
                None => sum_at(oy, ox),
                Some(pool) => {
                    let hw = c.conv_hw().unwrap();
                    let inside = |axis: usize, o, k| {
                        usize::try_from(position(pool, axis, o, k)).ok().filter(|&at| at < hw[axis])
                    };
                    let rows = (0..pool.kernel[0]).filter_map(|k| inside(0, oy, k));
                    let columns: Vec<usize> = (0..pool.kernel[1]).filter_map(|k| inside(1, ox, k)).collect();
                    let sums = rows.flat_map(|y| columns.iter().map(move |&x| (y, x)));
                    sums.map(|(y, x)| sum_at(y, x)).fold(i32::MIN.into(), f64::max)
                }
            };
            if let Some(layout) = &c.residual {
                let (y, x) = (oy + layout.border[0], ox + layout.border[1]);
                for pass in 0..nd[3].shape[1] {
                    for lane in 0..bo {
                        let weight = nd[3].at(&[i[1], pass, i[5], lane]);
                        sum += nd[2].at(&[i[0], i[1], y, x, i[4], lane]) * weight;
                    }
                }
            }
            let o = i[1] * bo + i[5];
            let r = &c.requant;
            let mult = r.mult[if r.mult.len() == 1 { 0 } else { o }];
            let add = r.add[if r.add.len() == 1 { 0 } else { o }];
            rescale(sum as i128 * i128::from(mult) + i128::from(add), r.shift, r.lo, r.hi)
        });
    }

    #[test]
    fn packed_pooling_is_the_integer_one(mut dice in dice()) {
        let (graph, x) = packed_and_plain_pools(&mut dice);
        let outputs = Interpreter::new(&graph).unwrap().run(&[x]).unwrap();
        prop_assert_eq!(&outputs[0], &outputs[1]);
        prop_assert_eq!(&outputs[2], &outputs[3]);
    }

    #[test]
    fn a_spread_is_a_resizing_of_whole_blocks(mut dice in dice()) {
        let (op, _) = dice.op("vta.spread");
        let Op::VtaSpread(p) = op.clone() else { unreachable!() };
        let (c, oc) = (p.in_shape[1], p.out_shape[1]);
        let plain = match c == oc {
            true => Op::Resize { factors: p.block },
            false => Op::DepthToSpace { block: p.block, groups: 1, channels: oc },
        };
        let x = dice.tensor(DType::I8, p.in_shape);
        let packed = eval(&Op::Pack(p.in_layout.clone()), &[&x]).unwrap();
        let y = eval(&op, &[&packed]).unwrap();
        let unpack = Op::Unpack { layout: p.out_layout.clone(), shape: p.out_shape };
        prop_assert_eq!(eval(&unpack, &[&y]).unwrap(), eval(&plain, &[&x]).unwrap());
    }

    #[test]
    fn packed_pairs_are_the_integer_ones(mut dice in dice()) {
        for kind in ["vta.add", "vta.mul"] {
            let (op, _) = dice.op(kind);
            let (pair, plain) = match op.clone() {
                Op::VtaAdd(pair, add) => (pair, Op::QAdd(add, DType::I8)),
                Op::VtaMul(pair, mul) => (pair, Op::QMul(mul, DType::I8)),
                _ => unreachable!(),
            };
            let inputs = pair.in_shapes.map(|shape| dice.tensor(DType::I8, shape));
            same_packed(op, plain, &pair.in_layouts, (&pair.out_layout, pair.in_shapes[0]), &inputs)?;
        }
        let (op, _) = dice.op("vta.piecewise");
        let Op::VtaPiecewise { shape, in_layout, out_layout, map } = op.clone() else { unreachable!() };
        let inputs = [dice.tensor(DType::I8, shape)];
        let plain = Op::QPiecewise(map, DType::I8);
        same_packed(op, plain, &[in_layout], (&out_layout, shape), &inputs)?;
    }
}

/// Whether an operator over blocked tensors does what the plain one does.
fn same_packed(
    op: Op,
    plain: Op,
    layouts: &[vta_graph::BlockedLayout],
    (layout, shape): (&vta_graph::BlockedLayout, [usize; 4]),
    inputs: &[Tensor],
) -> Result<(), TestCaseError> {
    let mut g = Graph::new("pair");
    g.inputs = inputs
        .iter()
        .map(|t| g.add_value("x", t.ty().clone()))
        .collect();
    let (plain_inputs, layouts) = (g.inputs.clone(), layouts.iter());
    let packed: Vec<_> = (plain_inputs.iter().zip(layouts))
        .map(|(&v, layout)| g.add_node("", Op::Pack(layout.clone()), &[v], "").unwrap())
        .collect();
    let y = g.add_node("", op, &packed, "").unwrap();
    let layout = layout.clone();
    let packed = g
        .add_node("", Op::Unpack { layout, shape }, &[y], "")
        .unwrap();
    let plain = g.add_node("", plain, &plain_inputs, "").unwrap();
    g.outputs = vec![packed, plain];
    let outputs = Interpreter::new(g).unwrap().run(inputs).unwrap();
    prop_assert_eq!(&outputs[0], &outputs[1]);
    Ok(())
}

/// The index of an operand that may have one row and column for all.
fn spread(operand: &Tensor, i: &[usize]) -> Vec<usize> {
    let extents = operand.shape().iter();
    i.iter()
        .zip(extents)
        .map(|(&i, &extent)| i.min(extent - 1))
        .collect()
}

fn piecewise(function: &Pieces, x: f64) -> i128 {
    let pieces = function.pieces.iter();
    let each = pieces.map(|p| i128::from(p.mult) * x.clamp(p.lo.into(), p.hi.into()) as i128);
    i128::from(function.add) + each.sum::<i128>()
}

/// The same poolings twice, maximum and sum: packed, with what adds nothing in the border and
/// the zero point's share in the addend; and plain.
fn packed_and_plain_pools(dice: &mut Dice) -> (Graph, Tensor) {
    let shape = dice.nchw();
    let [_, c, h, w] = shape;
    let plain = dice.pool([h, w]);
    let x = dice.tensor(DType::I8, shape);
    let zero_point = dice.in_range(DType::I8);
    let (batch, lanes) = (dice.range(1, 2), dice.range(1, 4));
    let mut requant = dice.requant(1, DType::I8);
    requant.add[0] >>= 2;
    let window = plain.whole_window();
    let positions = window.kernel[0] * window.kernel[1];
    let mut folded = requant.clone();
    folded.add[0] -= i64::from(requant.mult[0]) * i64::from(zero_point) * positions as i64;

    let mut g = Graph::new("pool");
    let id = g.add_value("x", x.ty().clone());
    g.inputs = vec![id];
    let [oh, ow] = window.out_hw(h, w).unwrap();
    let out_shape = [shape[0], c, oh, ow];
    for (fill, requant) in [(-128, None), (zero_point, Some(requant))] {
        let in_layout = BlockedLayout {
            batch,
            lanes,
            border: window.pads.map(|p| p - dice.range(0, p)),
            fill,
        };
        let out_layout = dice.layout(batch, lanes, DType::I8);
        let pack = Op::Pack(in_layout.clone());
        let packed = g.add_node("", pack, &[id], "").unwrap();
        let pool = PackedPool {
            in_shape: shape,
            out_shape,
            window: window.clone(),
            pad: fill,
            in_layout,
            out_layout: out_layout.clone(),
        };
        let (op, plain) = match requant {
            None => {
                let max = Op::MaxPool(plain.clone());
                (
                    Op::VtaMaxPool(pool),
                    g.add_node("", max, &[id], "").unwrap(),
                )
            }
            Some(requant) => {
                let sum = Op::QSumPool(plain.clone(), zero_point);
                let sum = g.add_node("", sum, &[id], "").unwrap();
                let scale = Op::Requantize(requant, DType::I8);
                let plain = g.add_node("", scale, &[sum], "").unwrap();
                (Op::VtaSumPool(pool, folded.clone()), plain)
            }
        };
        let y = g.add_node("", op, &[packed], "").unwrap();
        let unpack = Op::Unpack {
            layout: out_layout,
            shape: out_shape,
        };
        let unpacked = g.add_node("", unpack, &[y], "").unwrap();
        g.outputs.extend([unpacked, plain]);
    }
    (g, x)
}

/// The same quantized convolution twice: packed, with zero point and bias folded into the
/// epilogue and the padding stored in the border; and plain.
fn packed_and_plain_conv(dice: &mut Dice) -> (Graph, Vec<Tensor>) {
    let (a, mut operands) = dice.conv(DType::I8, DType::I8, DType::I32);
    let shape: [usize; 4] = operands[0].shape().try_into().unwrap();
    let o = operands[1].shape()[0];
    let [kh, kw] = a.window.kernel;
    let (n, c) = (shape[0], shape[1]);
    let zero_point = dice.in_range(DType::I8);
    let (batch, bi, bo) = (dice.range(1, 2), dice.range(1, 4), dice.range(1, 4));
    // Nothing wraps: the plain sum holds the bias, the packed one does not.
    if let Some(bias) = operands.get_mut(2) {
        let small: Vec<i64> = bias.to_ints().unwrap().iter().map(|b| b >> 8).collect();
        *bias = Tensor::from_ints(DType::I32, [o], &small);
    }
    let mut requant = dice.requant(o, DType::I8);
    requant.add.iter_mut().for_each(|a| *a >>= 2);

    let mut g = Graph::new("conv");
    let ids: Vec<_> = operands
        .iter()
        .map(|t| g.add_value("x", t.ty().clone()))
        .collect();
    g.inputs = ids.clone();
    let sums = g
        .add_node("", Op::QConv(a.clone(), zero_point), &ids, "")
        .unwrap();
    let plain = Op::Requantize(requant.clone(), DType::I8);
    let plain = g.add_node("", plain, &[sums], "").unwrap();

    let blocks = o.div_ceil(bo);
    let channel = |v: &[i64], o: usize| v[if v.len() == 1 { 0 } else { o }];
    let mults: Vec<i64> = requant.mult.iter().map(|&m| m.into()).collect();
    let weight = operands[1].to_ints().unwrap();
    let bias = operands.get(2).map(|b| b.to_ints().unwrap());
    let (mut mult, mut add) = (vec![0; blocks * bo], vec![0; blocks * bo]);
    let [oh, ow] = a.window.out_hw(shape[2], shape[3]).unwrap();
    let layout = |lanes, border, fill| BlockedLayout {
        batch,
        lanes,
        border,
        fill,
    };
    let border = a
        .window
        .pads
        .map(|p| (p + dice.range(0, 2)).saturating_sub(1));
    let mut conv = PackedConv {
        in_shape: shape,
        out_shape: [n, o, oh, ow],
        window: a.window.clone(),
        pad: zero_point,
        groups: a.groups,
        in_layout: layout(bi, border, zero_point),
        out_layout: layout(bo, [0, 1, 2, 0], 5),
        requant,
        residual: None,
        pool: None,
    };
    let requant = &conv.requant;
    let [group_in, group_out] = conv.group_blocks();
    let each = c / a.groups;
    let mut packed = vec![0; blocks * group_in * kh * kw * bo * bi];
    for oc in 0..o {
        let weight = &weight[oc * each * kh * kw..][..each * kh * kw];
        let first = (oc / (o / a.groups) * each) - oc / bo / group_out * group_in * bi;
        let folded =
            bias.as_ref().map_or(0, |b| b[oc]) - i64::from(zero_point) * weight.iter().sum::<i64>();
        mult[oc] = channel(&mults, oc) as i32;
        add[oc] = channel(&requant.add, oc) + folded * channel(&mults, oc);
        for (i, &w) in weight.iter().enumerate() {
            let (ic, k) = (first + i / (kh * kw), i % (kh * kw));
            let block = (oc / bo * group_in + ic / bi) * kh * kw + k;
            packed[(block * bo + oc % bo) * bi + ic % bi] = w;
        }
    }
    (conv.requant.mult, conv.requant.add) = (mult, add);
    let x = g
        .add_node("", Op::Pack(conv.in_layout.clone()), &ids[..1], "")
        .unwrap();
    let weight = Tensor::from_ints(DType::I8, [blocks, group_in, kh, kw, bo, bi], &packed);
    let weight = g.add_constant("weight", weight);
    let unpack = Op::Unpack {
        layout: conv.out_layout.clone(),
        shape: conv.out_shape,
    };
    let y = g.add_node("", Op::VtaConv(conv), &[x, weight], "").unwrap();
    let y = g.add_node("", unpack, &[y], "").unwrap();
    g.outputs = vec![y, plain];
    (g, operands)
}

fn relu_graph() -> Graph {
    let mut g = Graph::new("g");
    let x = g.add_value("x", TensorType::new(DType::I4, [2]));
    g.inputs = vec![x];
    let y = g.add_node("first", Op::Relu, &[x], "y").unwrap();
    let z = g.add_node("second", Op::Relu, &[y], "y").unwrap();
    g.outputs = vec![z, x];
    g
}

#[test]
fn values_are_observed_as_they_appear() {
    let g = relu_graph();
    let x = Tensor::from_ints(DType::I4, [2], &[-8, 7]);
    let mut seen = Vec::new();
    let run = Interpreter::new(&g).unwrap();
    let outputs = run.run_with(std::slice::from_ref(&x), &mut |v, t| {
        seen.push(format!("{} {:?}", g.value(v).name, t.to_ints().unwrap()));
    });
    assert_eq!(seen, ["x [-8, 7]", "y [0, 7]", "y.1 [0, 7]"]);
    assert_eq!(outputs.unwrap()[1], x);
}

#[test]
fn wrong_inputs_are_errors() {
    let run = Interpreter::new(relu_graph()).unwrap();
    let message = |inputs: &[Tensor]| run.run(inputs).unwrap_err().to_string();
    assert_eq!(message(&[]), "0 inputs given, the graph takes 1");
    assert_eq!(
        message(&[Tensor::i8([2], vec![0, 0])]),
        "input `x`: the tensor given is i8[2], the graph takes i4[2]"
    );
    let wide = Tensor::new(TensorType::new(DType::I4, [2]), Data::I8(vec![0, 8]));
    assert_eq!(message(&[wide]), "input `x`: element 8 does not fit i4");
}

#[test]
fn integers_have_no_quotient_by_zero() {
    let mut g = Graph::new("g");
    let x = g.add_constant("x", Tensor::i32([1], vec![0]));
    let y = g.add_node("ratio", Op::Div, &[x, x], "y").unwrap();
    g.outputs = vec![y];
    let error = Interpreter::new(&g).unwrap().run(&[]).unwrap_err();
    assert!(matches!(error, GraphError::Node { node, .. } if node == "ratio"));
}
