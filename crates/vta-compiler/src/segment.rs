//! The order of execution: nodes grouped into host segments and accelerator segments.

use vta_graph::{Graph, NodeId, Op};

/// A run of nodes on one side, in a valid order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whether the accelerator runs it, as one stream.
    pub accelerated: bool,
    /// The nodes.
    pub nodes: Vec<NodeId>,
}

/// True for operators that exist only on the accelerator.
pub fn is_accelerated(op: &Op) -> bool {
    matches!(
        op,
        Op::VtaConv(_)
            | Op::VtaAdd(..)
            | Op::VtaMul(..)
            | Op::VtaPiecewise { .. }
            | Op::VtaMaxPool(_)
            | Op::VtaSumPool(..)
            | Op::VtaSpread(_)
            | Op::VtaConcat
    )
}

/// Splits a packed graph into segments, taking everything that is ready on one side before
/// changing to the other, so that there are few hand-overs.
pub fn segments(graph: &Graph) -> Vec<Segment> {
    let producers = graph.producers();
    let mut waiting: Vec<usize> = graph
        .nodes
        .iter()
        .map(|n| {
            let mut from: Vec<_> = n
                .inputs
                .iter()
                .filter_map(|v| producers[v.0 as usize])
                .collect();
            from.sort_unstable();
            from.dedup();
            from.len()
        })
        .collect();
    let consumers = graph.consumers();
    let mut done = vec![false; graph.nodes.len()];
    let mut left = graph.nodes.len();
    let mut out: Vec<Segment> = Vec::new();
    let mut accelerated = false;
    while left > 0 {
        let mut nodes = Vec::new();
        // Nodes stand in topological order, so one sweep finds all that this side can do.
        for (i, node) in graph.nodes.iter().enumerate() {
            if done[i] || waiting[i] > 0 || is_accelerated(&node.op) != accelerated {
                continue;
            }
            done[i] = true;
            left -= 1;
            nodes.push(NodeId(i as u32));
            let mut readers = consumers[node.output.0 as usize].clone();
            readers.dedup();
            for reader in readers {
                waiting[reader.0 as usize] -= 1;
            }
        }
        if !nodes.is_empty() {
            out.push(Segment { accelerated, nodes });
        }
        accelerated = !accelerated;
    }
    out
}
