//! Graphs that break a rule, and what is said about each.

use vta_graph::{DType, Data, Graph, Node, Op, Tensor, TensorType, ValueId};

/// `x -> relu -> y -> relu -> z`.
fn chain() -> Graph {
    let mut g = Graph::new("chain");
    let x = g.add_value("x", TensorType::new(DType::I4, [2]));
    g.inputs = vec![x];
    let y = g.add_node("first", Op::Relu, &[x], "y").unwrap();
    let z = g.add_node("second", Op::Relu, &[y], "z").unwrap();
    g.outputs = vec![z];
    g.verify().unwrap();
    g
}

#[test]
fn each_rule_is_checked() {
    type Break = fn(&mut Graph);
    let cases: [(Break, &str); 11] = [
        (
            |g| g.nodes.swap(0, 1),
            "node `second` (relu): it reads `y` before anything computes it",
        ),
        (
            |g| g.values[2].name = "x".into(),
            "two values are called `x`",
        ),
        (|g| g.values[2].name.clear(), "a value has no name"),
        (
            |g| g.values[2].ty.dtype = DType::I8,
            "node `second` (relu): its output `z` is declared i8[2], it gives i4[2]",
        ),
        (
            |g| g.nodes[1].output = ValueId(1),
            "node `second` (relu): its output `y` has a value already",
        ),
        (
            |g| g.inputs.push(ValueId(0)),
            "input `x` is listed twice or has constant data",
        ),
        (
            |g| g.outputs[0] = ValueId(9),
            "an output: index 9 is no value of this graph",
        ),
        (
            |g| g.nodes[1].inputs[0] = ValueId(9),
            "second: index 9 is no value of this graph",
        ),
        (|g| drop(g.nodes.pop()), "output `z` is never computed"),
        (
            |g| {
                let ty = TensorType::new(DType::I2, [1]);
                g.add_constant("c", Tensor::new(ty, Data::I8(vec![2])));
            },
            "constant `c`, i2[1]: element 2 does not fit i2",
        ),
        (
            |g| {
                let inputs = vec![ValueId(0); 2];
                let output = ValueId(2);
                g.nodes[1] = Node {
                    name: "third".into(),
                    op: Op::Relu,
                    inputs,
                    output,
                };
            },
            "node `third` (relu): 2 operands given where it takes 1 (x)",
        ),
    ];
    for (break_it, message) in cases {
        let mut g = chain();
        break_it(&mut g);
        assert_eq!(g.verify().unwrap_err().to_string(), message);
    }
}

#[test]
fn fresh_names_stay_unique() {
    let mut g = Graph::new("names");
    let ty = TensorType::new(DType::F32, [1]);
    for name in ["v", "v", "v.1", "", "w"] {
        g.add_value(name, ty.clone());
    }
    g.rename(ValueId(4), "v");
    g.values.remove(1);
    g.add_value("v.1", ty);
    let names: Vec<&str> = g.values.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["v", "v.1.1", "v.2", "v.3", "v.1"]);
    g.verify().unwrap();
}

#[test]
fn compaction_drops_what_nothing_mentions() {
    let mut g = chain();
    g.add_constant("unused", Tensor::f32([1], vec![0.0]));
    g.outputs = vec![ValueId(1)];
    g.nodes.pop();
    g.compact();
    assert_eq!(g.values.len(), 2);
    g.verify().unwrap();
}
