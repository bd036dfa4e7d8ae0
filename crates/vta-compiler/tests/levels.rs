//! Every operator of the accelerator means the same at every level: the packed operator in the
//! graph interpreter, its naive loop nest, and its scheduled nest in the loop-nest interpreter.

mod support;

use proptest::prelude::*;
use support::{designs, dice};
use vta_compiler::{Lowered, quant_target};
use vta_graph::random::{inputs, integer};
use vta_graph::{BlockedLayout, Node, Op, Tensor, interp};
use vta_isa::Design;
use vta_tir::Buffer;
use vta_tir::interp::{Array, Arrays};

/// The logical part of a blocked tensor: what lies in the border or in spare lanes is free.
fn logical(layout: &BlockedLayout, shape: [usize; 4], packed: &Tensor) -> Tensor {
    let unpack = Op::Unpack {
        layout: layout.clone(),
        shape,
    };
    interp::eval(&unpack, &[packed]).expect("a blocked tensor")
}

fn array(t: &Tensor) -> Array {
    let data = t
        .to_ints()
        .expect("integers")
        .into_iter()
        .map(|v| v as i32)
        .collect();
    Array {
        shape: t.shape().to_vec(),
        data,
    }
}

fn extents(param: &Buffer) -> Vec<usize> {
    let extents = param.shape.iter();
    extents
        .map(|e| e.as_const().expect("a parameter") as usize)
        .collect()
}

/// Names of an operator's parameters, and layout and logical shape of its result.
fn packed_result(op: &Op) -> ([&'static str; 4], &BlockedLayout, [usize; 4]) {
    let pair = ["a", "b", "", ""];
    match op {
        Op::VtaConv(c) => (["x", "w", "r", "d"], &c.out_layout, c.out_shape),
        Op::VtaAdd(p, _) | Op::VtaMul(p, _) => (pair, &p.out_layout, p.in_shapes[0]),
        Op::VtaPiecewise {
            shape, out_layout, ..
        } => (pair, out_layout, *shape),
        Op::VtaMaxPool(p) | Op::VtaSumPool(p, _) => (["x", "", "", ""], &p.out_layout, p.out_shape),
        Op::VtaSpread(p) => (["x", "", "", ""], &p.out_layout, p.out_shape),
        _ => unreachable!("an operator of the accelerator"),
    }
}

/// What the nests make of the operands of `node`, as logical tensors: naive, scheduled.
fn run_nests(
    node: &Node,
    lowered: &Lowered,
    operands: &[Tensor],
    result: &Tensor,
    design: &Design,
) -> [Tensor; 2] {
    let (names, layout, shape) = packed_result(&node.op);
    [&lowered.script.naive, &lowered.scheduled].map(|program| {
        let mut arrays = Arrays::new();
        for (name, t) in names.iter().zip(operands) {
            let mut operand = array(t);
            // Rows and columns may be dimensions of blocks and within a block.
            if let Some(param) = program.buffer(name) {
                operand.shape = extents(param);
            }
            arrays.insert((*name).into(), operand);
        }
        if let Some(p) = program.buffer("p") {
            let shape = extents(p);
            let bits = design.acc_bits();
            let wrap = |v: &i32| (v << (32 - bits)) >> (32 - bits);
            let data = lowered.vectors.iter().map(wrap).collect();
            arrays.insert("p".into(), Array { shape, data });
        }
        if program.buffer("q").is_some() {
            let words = |r: &vta_isa::ChannelRequant| {
                let bytes = r.to_bytes();
                let word =
                    |i: usize| i32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap());
                [0, 1, 2, 3].map(word)
            };
            let lanes = design.block_out();
            let shape = vec![lowered.records.len() / lanes, lanes, 4];
            let data = lowered.records.iter().flat_map(words).collect();
            arrays.insert("q".into(), Array { shape, data });
        }
        if program.buffer("e").is_some() {
            let shape = vec![1, design.block_out(), design.block_in()];
            let data = lowered.identity.iter().map(|&v| v.into()).collect();
            arrays.insert("e".into(), Array { shape, data });
        }
        vta_tir::interp::run(program, &mut arrays).expect("it runs");
        let data = arrays["y"].data.iter();
        // A border is written once, with the image.
        let data: Vec<i64> = data.map(|&v| result.dtype().settled(v.into())).collect();
        logical(
            layout,
            shape,
            &Tensor::from_ints(result.dtype(), result.shape(), &data),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_level_means_the_same(
        design in prop::sample::select(designs()),
        mut dice in dice(),
    ) {
        let design = &design;
        let graph = integer::draw(&mut dice, &quant_target(design));
        let compiled = vta_compiler::compile(&graph, design).expect("it compiles");
        let packed = &compiled.packed;
        let mut values: Vec<Option<Tensor>> =
            packed.values.iter().map(|v| v.constant.as_deref().cloned()).collect();
        interp::run_with(packed, &inputs(&mut dice, &graph), &mut |v, t| {
            values[v.0 as usize] = Some(t.clone());
        })
        .expect("the packed graph runs");
        let value = |v: vta_graph::ValueId| values[v.0 as usize].clone().expect("computed");
        for (id, lowered) in &compiled.nests {
            let node = packed.node(*id);
            let operands: Vec<Tensor> = node.inputs.iter().map(|&v| value(v)).collect();
            let result = value(node.output);
            let (_, layout, shape) = packed_result(&node.op);
            let expected = logical(layout, shape, &result);
            let [naive, scheduled] = run_nests(node, lowered, &operands, &result, design);
            prop_assert_eq!(&naive, &expected, "naive nest of {}", &node.name);
            prop_assert_eq!(&scheduled, &expected, "scheduled nest of {}", &node.name);
        }
    }
}
