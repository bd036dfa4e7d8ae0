//! Drops nodes whose results nobody reads, and values that nothing mentions.

use crate::{Graph, GraphError, ValueId};

/// Runs the pass. Inputs stay, read or not. Value ids change.
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

    let mut renumbered = vec![ValueId(0); live.len()];
    let mut kept = Vec::with_capacity(live.len());
    for (i, value) in std::mem::take(&mut graph.values).into_iter().enumerate() {
        if live[i] {
            renumbered[i] = ValueId(kept.len() as u32);
            kept.push(value);
        }
    }
    let renumber = |v: &mut ValueId| *v = renumbered[v.0 as usize];
    for node in &mut nodes {
        node.inputs.iter_mut().for_each(renumber);
        renumber(&mut node.output);
    }
    graph.inputs.iter_mut().for_each(renumber);
    graph.outputs.iter_mut().for_each(renumber);
    graph.values = kept;
    graph.nodes = nodes;
    Ok(())
}
