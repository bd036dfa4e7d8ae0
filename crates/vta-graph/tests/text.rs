//! The text form: what prints, parses to an equal graph and runs alike.

mod support;

use proptest::prelude::*;
use support::{Dice, KINDS, dice};
use vta_graph::text::{PrintOptions, parse, print};
use vta_graph::{Data, Graph, GraphError, Tensor, ValueId, interp};

/// A graph with a node of each kind, whose operands are inputs, constants or, where the type
/// fits, results of earlier nodes; and tensors for its inputs.
fn graph(dice: &mut Dice, kinds: &[&str]) -> (Graph, Vec<Tensor>) {
    const NAMES: [&str; 6] = ["x", "layer1/conv:0", "a\\b\"c'\n\0", "é ü", "%", "->"];
    let mut g = Graph::new(dice.pick(&NAMES));
    let mut inputs = Vec::new();
    let mut results: Vec<ValueId> = Vec::new();
    for kind in kinds {
        let (op, tensors) = dice.op(kind);
        assert_eq!(op.name(), *kind);
        let mut operands = Vec::new();
        for t in tensors {
            let earlier = results.iter().find(|v| g.value(**v).ty == *t.ty());
            operands.push(match earlier {
                // A zero divisor has no quotient: those operands stay as made.
                Some(&v) if dice.flag() && *kind != "div" => v,
                _ if dice.flag() => g.add_constant(dice.pick(&NAMES), t),
                _ => {
                    let v = g.add_value(dice.pick(&NAMES), t.ty().clone());
                    g.inputs.push(v);
                    inputs.push(t);
                    v
                }
            });
        }
        let v = g.add_node(dice.pick(&NAMES), op, &operands, dice.pick(&NAMES));
        results.push(v.unwrap_or_else(|e| panic!("{e}")));
    }
    g.outputs = results;
    (g, inputs)
}

fn bits(tensors: &[Tensor]) -> Vec<Vec<u64>> {
    let bits = |t: &Tensor| match t.data() {
        Data::F32(v) => v.iter().map(|v| v.to_bits().into()).collect(),
        _ => t.to_ints().unwrap().iter().map(|v| *v as u64).collect(),
    };
    tensors.iter().map(bits).collect()
}

fn check_round_trip(mut g: Graph, inputs: &[Tensor]) {
    g.verify().unwrap();
    let text = print(&g, PrintOptions::default());
    let back = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(print(&back, PrintOptions::default()), text);
    let before = interp::run_graph(&g, inputs).unwrap();
    let after = interp::run_graph(&back, inputs).unwrap();
    assert_eq!(bits(&before), bits(&after), "{text}");
    g.compact();
    assert_eq!(back, g, "{text}");
}

#[test]
fn every_operator_round_trips() {
    let kinds = KINDS.map(|k| k.to_string());
    let strategy = (dice(), prop::sample::select(kinds.to_vec()));
    proptest!(ProptestConfig::with_cases(600), |((mut dice, kind) in strategy)| {
        let (g, inputs) = graph(&mut dice, &[&kind]);
        check_round_trip(g, &inputs);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn graphs_round_trip(
        mut dice in dice(),
        kinds in prop::collection::vec(prop::sample::select(KINDS.to_vec()), 1..12),
    ) {
        let (g, inputs) = graph(&mut dice, &kinds);
        check_round_trip(g, &inputs);
    }

    /// A damaged text gives an error or another graph, never a panic.
    #[test]
    fn damage_is_an_error(
        mut dice in dice(),
        kind in prop::sample::select(KINDS.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        const SIGNS: &[u8] = b"%\"\\{}[]()=,:@-/0x9. \nf";
        let (g, _) = graph(&mut dice, &[kind]);
        let mut text: Vec<char> = print(&g, PrintOptions::default()).chars().collect();
        for (at, with) in edits {
            let at = at.index(text.len().max(1));
            match with % 3 {
                _ if text.is_empty() => {}
                0 => { text.remove(at); }
                1 => text.truncate(at + 1),
                _ => text[at] = SIGNS[usize::from(with) % SIGNS.len()].into(),
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(g) = parse(&text) {
            g.verify().unwrap();
        }
    }
}

#[test]
fn every_float_keeps_its_bits() {
    let bits = [
        0,
        0x8000_0000,
        1,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0x7fa0_0001,
        0xffc0_0000,
    ];
    let values: Vec<f32> = bits
        .into_iter()
        .chain([0x3dcc_cccd])
        .map(f32::from_bits)
        .collect();
    for repeat in [1, 3] {
        let mut g = Graph::new("floats");
        let v = values.repeat(repeat);
        let c = g.add_constant("c", Tensor::f32([v.len()], v.clone()));
        g.outputs = vec![c];
        let back = parse(&print(&g, PrintOptions::default())).unwrap();
        let read = back.constant(back.outputs[0]).unwrap().as_f32().unwrap();
        assert!(
            read.iter()
                .map(|v| v.to_bits())
                .eq(v.iter().map(|v| v.to_bits()))
        );
    }
}

const DOCUMENTATION: &str = include_str!("../../../docs/graph.md");

#[test]
fn the_documented_example_prints_as_it_stands() {
    let example = DOCUMENTATION.split("```").nth(1).unwrap();
    let text = example.strip_prefix("text\n").unwrap();
    let g = parse(text).unwrap();
    assert_eq!(print(&g, PrintOptions::default()), text);
}

#[test]
fn every_operator_is_documented() {
    for kind in KINDS {
        assert!(DOCUMENTATION.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[test]
fn errors_name_the_line_and_the_remedy() {
    let body = |body: &str| format!("graph \"g\" (%x: f32[1,2]) -> (%y) {{\n{body}\n}}\n");
    let cases = [
        (
            body("%y: f32[1,3] = relu(%x)"),
            2,
            "`%y` is declared f32[1,3], the operator gives f32[1,2]",
        ),
        (
            body("%y: f32[1,2] = relu(%z)"),
            2,
            "`%z` is not defined above this line",
        ),
        (
            body("%y: f32[1,2] = rely(%x)"),
            2,
            "`rely` is no operator: see docs/graph.md for the list",
        ),
        (
            body("%y: f32[1,2] = softmax(%x)"),
            2,
            "the attributes of `softmax` are missing",
        ),
        (
            body("%y: f32[1,2] = softmax(%x) {axis=2}"),
            2,
            "node `` (softmax): axis 2 does not exist in operand `x`, f32[1,2]: use 0 to 1, counted from the front",
        ),
        (
            body("%y: f32[1,2] = softmax(%x) {axes=1}"),
            2,
            "`axes` found, the attribute `axis` was expected",
        ),
        (
            body("%c: i8[20] = const ..."),
            2,
            "the data was left out of this text: print it with data",
        ),
        (
            body("%c: i4[1] = const [9]"),
            2,
            "element 9 does not fit i4",
        ),
        (
            body("%c: i8[3] = const 0x0102"),
            2,
            "2 elements are given for i8[3], which has 3",
        ),
        (
            body("%c: f32[99999999999] = const 0x"),
            2,
            "f32[99999999999] has more than 2147483647 elements",
        ),
        (body(""), 1, "output `%y` is never computed"),
        ("graph \"g".into(), 1, "the line ends inside quotes"),
    ];
    for (text, line, why) in cases {
        let why = why.to_string();
        assert_eq!(parse(&text), Err(GraphError::Parse { line, why }), "{text}");
    }
}
