//! Drops nodes whose results nobody reads, and values that nothing mentions.

use crate::{Graph, GraphError};

/// Runs the pass. Inputs stay, read or not. Values are numbered anew
/// ([`Graph::compact`]).
///
/// # Errors
/// None.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    let mut live = vec![false; graph.values.len()];
    for v in graph.inputs.iter().chain(&graph.outputs) {
        live[v.0 as usize] = true;
    }
    let mut nodes = std::mem::take(&mut graph.nodes);
    nodes.reverse();
    nodes.retain(|node| {
        let used = live[node.output.0 as usize];
        if used {
            for v in &node.inputs {
                live[v.0 as usize] = true;
            }
        }
        used
    });
    nodes.reverse();

    graph.nodes = nodes;
    graph.compact();
    Ok(())
}
