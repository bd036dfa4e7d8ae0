//! Operators over blocked tensors do what the plain ones do, in what they store and beside it.

mod support;

use proptest::prelude::*;
use support::definition::{Nd, check, position, rescale};
use support::{Dice, dice};
use vta_graph::interp::{Interpreter, eval};
use vta_graph::{BlockedLayout, DType, Graph, Op, PackedConv, PackedPool, Tensor};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

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
