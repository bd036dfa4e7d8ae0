//! The interpreter against definitions written as plainly as possible: one output element at
//! a time, by index, in `f64` (exact for the small numbers drawn here).

mod support;

use proptest::prelude::*;
use support::definition::{Nd, check, position, rescale};
use support::dice;
use vta_graph::interp::{Interpreter, eval};
use vta_graph::{
    ConvAttrs, DType, Data, Graph, GraphError, Op, Pieces, PoolAttrs, Quant, Tensor, TensorType,
    Window,
};

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
