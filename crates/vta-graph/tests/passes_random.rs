//! Passes and quantization on random networks: what they compute stays the same.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use support::{Dice, dice};
use vta_graph::interp::{eval, run_graph, run_with};
use vta_graph::passes::{self, prepare, to_integers};
use vta_graph::quant::bounds::{accumulator_bounds, value_bounds};
use vta_graph::quant::{
    QuantOptions, QuantTarget, Quantization, QuantizedLayer, RangeMethod, RequantMode, Scheme,
    StoredValue, post_training,
};
use vta_graph::random::float::{self, Size};
use vta_graph::random::inputs;
use vta_graph::text::{RangesFile, parse_ranges, print_ranges};
use vta_graph::{
    ConvAttrs, DType, Data, Graph, Node, NodeId, Op, Quant, Requant, Tensor, TensorType, ValueId,
    Window,
};

fn network(dice: &mut Dice) -> Graph {
    let graph = float::network(dice, Size::SMALL);
    graph.verify().unwrap();
    graph
}

fn floats(graph: &Graph, input: &[Tensor]) -> Vec<f32> {
    run_graph(graph, input).unwrap()[0]
        .as_f32()
        .unwrap()
        .to_vec()
}

/// Largest difference, in units of the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let largest = |v: &mut dyn Iterator<Item = f32>| v.fold(0.0, |m: f32, x| m.max(x.abs()));
    let off = largest(&mut a.iter().zip(b).map(|(a, b)| a - b));
    off / largest(&mut a.iter().copied()).max(1e-3)
}

fn options(dice: &mut Dice) -> QuantOptions {
    QuantOptions {
        target: QuantTarget::default(),
        method: dice.pick(&[
            RangeMethod::Max,
            RangeMethod::Mse,
            RangeMethod::Percentile(0.99),
        ]),
        scheme: dice.pick(&[Scheme::Symmetric, Scheme::Asymmetric]),
        mode: Some(dice.pick(&[
            RequantMode::Multiply,
            RequantMode::ChannelShift,
            RequantMode::Shift,
        ])),
        per_channel: dice.flag(),
        equalize: dice.flag(),
        balance: dice.flag(),
        correct_bias: dice.flag(),
    }
}

/// Names of the values that differ by more than one between a quantized graph and its integer
/// form, each computed from what the quantized graph has for the values before it: a step of
/// difference in one layer may be many in the next.
fn off_by_more_than_a_step(quantized: &Graph, integer: &Graph, x: &[Tensor]) -> Vec<String> {
    let mut stored = BTreeMap::new();
    run_with(quantized, x, &mut |v, tensor| {
        if tensor.dtype() != DType::F32 {
            stored.insert(quantized.value(v).name.clone(), tensor.clone());
        }
    })
    .unwrap();
    let mut values: BTreeMap<ValueId, Tensor> = BTreeMap::new();
    values.insert(integer.inputs[0], x[0].clone());
    let mut off = Vec::new();
    let mut compared = 0;
    for node in &integer.nodes {
        let operand = |v: &ValueId| values.get(v).or(integer.constant(*v).map(|t| t.as_ref()));
        let operands: Vec<&Tensor> = node.inputs.iter().map(|v| operand(v).unwrap()).collect();
        let mut result = eval(&node.op, &operands).unwrap();
        let name = &integer.value(node.output).name;
        if let Some(expected) = stored.get(name) {
            let (a, b) = (result.to_ints().unwrap(), expected.to_ints().unwrap());
            compared += 1;
            // Multipliers have 16 bits and are 1 at least: rounding one moves the result by up to 255 times a
            // unit before the shift, or 255 times that where it multiplies a product.
            let slack = match &node.op {
                Op::QAdd(e, _) => 510 >> e.shift,
                Op::QPiecewise(p, _) => (255 * p.function.pieces.len()) >> p.shift,
                Op::QMul(e, _) => (255 * 255 * e.gate.pieces.len()) >> e.shift,
                _ => 0,
            };
            let slack = slack as i64 + function_error(quantized, name);
            if a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1 + slack) {
                off.push(format!("{name}: {a:?} for {b:?}"));
            }
            result = expected.clone();
        }
        values.insert(node.output, result);
    }
    let layers = |n: &&Node| matches!(n.op, Op::Requantize(..) | Op::QAdd(..));
    assert!(compared > 0 || !integer.nodes.iter().any(|n| layers(&n)));
    off
}

/// How many steps the value of that name may be off because it is a function made of straight pieces.
fn function_error(quantized: &Graph, name: &str) -> i64 {
    let producers = quantized.producers();
    let producer = |v: ValueId| producers[v.0 as usize].map(|id| quantized.node(id));
    let named = quantized
        .nodes
        .iter()
        .find(|n| quantized.value(n.output).name == *name);
    let Some((Op::Quantize(unit, _), mut function)) = named.map(|n| (&n.op, producer(n.inputs[0])))
    else {
        return 0;
    };
    while let Some(bound) = function.filter(|n| matches!(n.op, Op::Relu | Op::Clip { .. })) {
        function = producer(bound.inputs[0]);
    }
    let Some((function, Some(x))) = function.map(|f| (f, producer(f.inputs[0]))) else {
        return 0;
    };
    let Op::Dequantize(step) = &x.op else {
        return 0;
    };
    let (unit, step) = (f64::from(unit.scale[0]), f64::from(step.scale[0]));
    let sigmoid = vta_graph::quant::SIGMOID_ERROR + step / 40.0;
    let off = match function.op {
        Op::Sigmoid => sigmoid,
        Op::Silu => 255.0 * step * sigmoid,
        Op::HardSwish => step / 4.0,
        _ => 0.0,
    };
    (off / unit).ceil() as i64
}

/// What follows the sums of convolutions and dense layers.
fn layer_requants(graph: &Graph) -> Vec<&Requant> {
    let producers = graph.producers();
    let requants = graph.nodes.iter().filter_map(|n| match &n.op {
        Op::Requantize(r, _) => {
            let sums = graph.node(producers[n.inputs[0].0 as usize]?);
            matches!(sums.op, Op::QConv(..) | Op::QDense(_)).then_some(r)
        }
        _ => None,
    });
    requants.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_pass_keeps_the_result(mut dice in dice()) {
        let before = network(&mut dice);
        let x = inputs(&mut dice, &before);
        let expected = floats(&before, &x);
        for pass in passes::ALL {
            let mut after = before.clone();
            (pass.run)(&mut after).unwrap();
            after.verify().unwrap();
            let off = difference(&expected, &floats(&after, &x));
            prop_assert!(off < 1e-4, "{}: off by {off}", pass.name);
        }
        let mut after = before.clone();
        prepare(&mut after).unwrap();
        after.verify().unwrap();
        prop_assert!(difference(&expected, &floats(&after, &x)) < 1e-4);
        let options = QuantOptions::default();
        let quantization = post_training(&after, std::slice::from_ref(&x), &options).unwrap();
        quantization.equalize(&mut after).unwrap();
        after.verify().unwrap();
        prop_assert!(difference(&expected, &floats(&after, &x)) < 1e-4, "equalized");
    }

    /// Each layer of the integer graph differs from the quantized graph in floats by a step at
    /// most, and every value lies in the interval proven for it.
    #[test]
    fn integers_follow_the_quantized_graph(mut dice in dice()) {
        let mut quantized = network(&mut dice);
        prepare(&mut quantized).unwrap();
        let x = inputs(&mut dice, &quantized);
        let options = options(&mut dice);
        let quantization = post_training(&quantized, std::slice::from_ref(&x), &options).unwrap();
        quantization.apply(&mut quantized).unwrap();
        quantized.verify().unwrap();
        let mut integer = quantized.clone();
        to_integers(&mut integer, &options.target).unwrap();
        integer.verify().unwrap();

        if options.mode() == RequantMode::Shift {
            for requant in layer_requants(&integer) {
                let shift_alone = requant.mult == [1] || requant.shift == 0;
                prop_assert!(shift_alone, "{requant:?}");
            }
        }

        let off = off_by_more_than_a_step(&quantized, &integer, &x);
        prop_assert!(off.is_empty(), "{off:?}");

        let bounds = value_bounds(&integer);
        let other = inputs(&mut dice, &integer);
        let mut outside = Vec::new();
        run_with(&integer, &other, &mut |v, tensor| {
            if let (Some((lo, hi)), Some(values)) = (bounds[v.0 as usize], tensor.to_ints()) {
                outside.extend(values.into_iter().filter(|q| !(lo..=hi).contains(q)));
            }
        }).unwrap();
        prop_assert!(outside.is_empty(), "{outside:?}");
    }

    /// A quantization written and read again gives the same graph, and none fits another network
    /// or survives a cut.
    #[test]
    fn quantizations_are_written_and_read(mut dice in dice()) {
        let mut graph = network(&mut dice);
        prepare(&mut graph).unwrap();
        let runs = [inputs(&mut dice, &graph), inputs(&mut dice, &graph)];
        let quantization = post_training(&graph, &runs, &options(&mut dice)).unwrap();
        let file = RangesFile { model: "a \"b\"".into(), note: "c".into(), quantization };
        let text = print_ranges(&file);
        let read = parse_ranges(&text).unwrap();
        prop_assert_eq!(&file, &read);
        let applied = |quantization: &Quantization| {
            let mut graph = graph.clone();
            quantization.apply(&mut graph).map(|()| graph)
        };
        prop_assert_eq!(applied(&file.quantization).unwrap(), applied(&read.quantization).unwrap());

        let cut = text.trim_end().char_indices().nth(dice.range(0, text.trim_end().chars().count() - 1));
        prop_assert!(parse_ranges(&text[..cut.unwrap().0]).is_err());
        let mut other = file.quantization;
        let Some(value) = other.values.pop() else { return Ok(()) };
        match dice.range(0, 3) {
            0 => {}
            1 => other.values.push(StoredValue { name: value.name + "'", ..value }),
            2 => other.values.extend([value.clone(), value]),
            _ => match other.layers.pop() {
                Some(layer) if dice.flag() => {
                    other.layers.push(match dice.range(0, 1) {
                        0 => QuantizedLayer { weight: vec![1.0; 1000], ..layer },
                        _ => QuantizedLayer { rounding: vec![1; 100_001], ..layer },
                    });
                }
                Some(_) => {}
                None => return Ok(()),
            },
        }
        prop_assert!(applied(&other).is_err());
    }

    /// With an accumulator of 16 bits no sum can wrap, whatever the input.
    #[test]
    fn sums_fit_a_narrow_accumulator(mut dice in dice()) {
        let mut graph = network(&mut dice);
        prepare(&mut graph).unwrap();
        let x = inputs(&mut dice, &graph);
        let target = QuantTarget { inp_bits: 4, wgt_bits: 4, acc_bits: 16, ..QuantTarget::default() };
        let options = QuantOptions { target, mode: Some(RequantMode::Multiply), ..options(&mut dice) };
        post_training(&graph, &[x], &options).unwrap().apply(&mut graph).unwrap();
        to_integers(&mut graph, &target).unwrap();
        graph.verify().unwrap();
        for (i, node) in graph.nodes.iter().enumerate() {
            if matches!(node.op, Op::QConv(..) | Op::QDense(_)) {
                for (lo, hi) in accumulator_bounds(&graph, NodeId(i as u32)).unwrap() {
                    prop_assert!(-target.acc_max() <= lo && hi <= target.acc_max());
                }
            }
        }
    }

    /// Moving bytes by 128 together with their zero points changes nothing at all.
    #[test]
    fn signed_bytes_mean_the_same(mut dice in dice()) {
        let mut graph = Graph::default();
        let shape = dice.nchw();
        let mut at = graph.add_value("x", TensorType::new(DType::U8, shape));
        graph.inputs.push(at);
        for _ in 0..dice.range(1, 4) {
            let zero_point = dice.range(0, 255) as i32;
            let q = Quant::per_tensor(dice.range(1, 8) as f32 / 8.0, zero_point);
            let shape = graph.value(at).ty.shape.clone();
            let chain = match dice.range(0, 3) {
                0 => vec![Op::Dequantize(q.clone()), Op::Sigmoid, Op::Quantize(q, DType::U8)],
                1 => vec![Op::Pad {
                    before: vec![0, 0, 1, 0],
                    after: vec![0, 0, 0, 1],
                    value: zero_point as f32,
                }],
                2 => vec![Op::Clip { lo: 3.0, hi: 200.0 }],
                _ => vec![Op::Reshape { shape: vec![shape[0], shape[1], shape[3], shape[2]] }],
            };
            for op in chain {
                at = graph.add_node(op.name(), op.clone(), &[at], op.name()).unwrap();
            }
        }
        graph.outputs.push(at);
        graph.verify().unwrap();
        let x = [dice.tensor(DType::U8, shape)];
        let expected = run_graph(&graph, &x).unwrap();
        passes::unsigned_to_signed::run(&mut graph).unwrap();
        graph.verify().unwrap();
        prop_assert_eq!(run_graph(&graph, &x).unwrap(), expected);
        let inner = graph.nodes.iter().map(|n| n.output).filter(|v| !graph.outputs.contains(v));
        for v in inner {
            prop_assert_ne!(graph.value(v).ty.dtype, DType::U8);
        }
    }
}

/// One convolution, all zero points and every activation: at most one step from the exact
/// quotient, at every position, borders included.
#[test]
fn a_layer_is_exact_to_one_step() {
    let mut graph = Graph::default();
    let x = graph.add_value("x", TensorType::new(DType::I8, [1, 1, 3, 3]));
    graph.inputs.push(x);
    let real = graph
        .add_node("d", Op::Dequantize(Quant::per_tensor(0.25, -77)), &[x], "d")
        .unwrap();
    let weight = Tensor::i8([1, 1, 2, 2], vec![127, -128, 64, 3]);
    let weight = graph.add_constant("w", weight);
    let weight = graph
        .add_node(
            "wf",
            Op::Dequantize(Quant::per_tensor(0.01, 0)),
            &[weight],
            "wf",
        )
        .unwrap();
    let window = Window {
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [1, 1, 1, 1],
    };
    let conv = Op::Conv(ConvAttrs { window, groups: 1 });
    let sums = graph.add_node("c", conv, &[real, weight], "c").unwrap();
    let q = Op::Quantize(Quant::per_tensor(0.5, 11), DType::I8);
    let y = graph.add_node("q", q, &[sums], "q").unwrap();
    graph.outputs.push(y);
    let mut integer = graph.clone();
    assert_eq!(
        to_integers(&mut integer, &QuantTarget::default()).unwrap(),
        []
    );
    let input = [Tensor::i8(
        [1, 1, 3, 3],
        vec![-128, 127, 0, -77, 5, 99, -100, 30, -31],
    )];
    let (a, b) = (
        run_graph(&graph, &input).unwrap(),
        run_graph(&integer, &input).unwrap(),
    );
    let (Data::I8(a), Data::I8(b)) = (a[0].data(), b[0].data()) else {
        panic!("bytes");
    };
    for (a, b) in a.iter().zip(b) {
        assert!((i32::from(*a) - i32::from(*b)).abs() <= 1, "{a} and {b}");
    }
}
