//! What an account of time needs to know of each operator: its shape, its work, its instructions.

use std::collections::BTreeMap;

use vta_graph::{Graph, Node, NodeId, Op, Window};
use vta_program::{InsnRange, Layer};

use crate::lower::Lowered;
use crate::segment::Segment;

/// A layer for each node of the packed graph, in the order of execution.
pub(crate) fn layers(
    graph: &Graph,
    segments: &[Segment],
    nests: &[(NodeId, Lowered)],
    emitted: &BTreeMap<NodeId, InsnRange>,
) -> Vec<Layer> {
    let schedules: BTreeMap<NodeId, &str> = nests
        .iter()
        .map(|(id, lowered)| (*id, lowered.schedule.as_str()))
        .collect();
    let nodes = segments.iter().flat_map(|segment| &segment.nodes);
    nodes
        .map(|id| {
            let node = graph.node(*id);
            let schedule = schedules.get(id).copied().unwrap_or_default();
            let (input, output, window) = shape(graph, node);
            Layer {
                input,
                output,
                window,
                macs: graph.macs(node),
                schedule: schedule.to_owned(),
                insns: emitted.get(id).copied().filter(|range| range.count > 0),
            }
        })
        .collect()
}

/// What a node is, for a person: its extents and its window.
pub(crate) fn described(graph: &Graph, node: &Node) -> String {
    let (input, output, window) = shape(graph, node);
    let extents = |shape: &[usize]| {
        let extents: Vec<_> = shape.iter().map(usize::to_string).collect();
        extents.join("x")
    };
    let mut text = extents(&output);
    if input != output {
        text = format!("{} to {text}", extents(&input));
    }
    if !window.is_empty() {
        text += &format!(", {window}");
    }
    text
}

/// Logical extents of what a node reads first and of what it makes, and its window.
fn shape(graph: &Graph, node: &Node) -> (Vec<usize>, Vec<usize>, String) {
    let packed = |value| graph.value(value).ty.shape.clone();
    let first = node.inputs.first().map(|&value| packed(value));
    let first = first.unwrap_or_default();
    let same = |shape: &[usize]| (shape.to_vec(), shape.to_vec(), String::new());
    match &node.op {
        Op::VtaConv(conv) => {
            let (from, to, mut text) = windowed(&conv.in_shape, &conv.out_shape, &conv.window);
            if conv.groups != 1 {
                text += &format!(" groups {}", conv.groups);
            }
            if let Some(pool) = &conv.pool {
                text += &format!(", max {}", slid(pool));
            }
            (from, to, text)
        }
        Op::VtaMaxPool(pool) | Op::VtaSumPool(pool, _) => {
            windowed(&pool.in_shape, &pool.out_shape, &pool.window)
        }
        Op::VtaSpread(p) => (p.in_shape.to_vec(), p.out_shape.to_vec(), String::new()),
        Op::VtaAdd(pair, _) | Op::VtaMul(pair, _) => same(&pair.in_shapes[0]),
        Op::VtaPiecewise { shape, .. } | Op::Unpack { shape, .. } => same(shape),
        Op::Pack(_) => same(&first),
        _ => (first, packed(node.output), String::new()),
    }
}

fn windowed(from: &[usize], to: &[usize], window: &Window) -> (Vec<usize>, Vec<usize>, String) {
    (from.to_vec(), to.to_vec(), slid(window))
}

fn slid(window: &Window) -> String {
    let factors = |[rows, columns]: [usize; 2]| format!("{rows}x{columns}");
    let mut text = factors(window.kernel);
    for (name, by) in [("stride", window.stride), ("dilation", window.dilation)] {
        if by != [1, 1] {
            text += &format!(" {name} {}", factors(by));
        }
    }
    text
}
