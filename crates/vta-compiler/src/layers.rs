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
            Layer {
                shape: shape(graph, node),
                macs: graph.macs(node),
                schedule: schedule.to_owned(),
                insns: emitted.get(id).copied().filter(|range| range.count > 0),
            }
        })
        .collect()
}

/// Logical extents of what a node reads first and of what it makes, and its window.
fn shape(graph: &Graph, node: &Node) -> String {
    let packed = |value| graph.value(value).ty.shape.as_slice();
    let first = node.inputs.first().map(|&value| packed(value));
    match &node.op {
        Op::VtaConv(conv) => {
            let mut text = windowed(&conv.in_shape, &conv.out_shape, &conv.window);
            if conv.groups != 1 {
                text += &format!(" groups {}", conv.groups);
            }
            if let Some(pool) = &conv.pool {
                text += &format!(", max {}", slid(pool));
            }
            text
        }
        Op::VtaMaxPool(pool) | Op::VtaSumPool(pool, _) => {
            windowed(&pool.in_shape, &pool.out_shape, &pool.window)
        }
        Op::VtaAdd { shape, .. } => extents(shape),
        Op::Pack(_) => first.map(extents).unwrap_or_default(),
        Op::Unpack { shape, .. } => extents(shape),
        _ => change(first, packed(node.output)),
    }
}

fn windowed(from: &[usize], to: &[usize], window: &Window) -> String {
    format!("{}, {}", change(Some(from), to), slid(window))
}

fn slid(window: &Window) -> String {
    let mut text = extents(&window.kernel);
    for (name, factors) in [("stride", window.stride), ("dilation", window.dilation)] {
        if factors != [1, 1] {
            text += &format!(" {name} {}", extents(&factors));
        }
    }
    text
}

fn change(from: Option<&[usize]>, to: &[usize]) -> String {
    match from {
        Some(from) if from != to => format!("{} to {}", extents(from), extents(to)),
        _ => extents(to),
    }
}

fn extents(shape: &[usize]) -> String {
    let extents: Vec<_> = shape.iter().map(usize::to_string).collect();
    extents.join("x")
}
