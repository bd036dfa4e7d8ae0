//! `quantize` and `dequantize` around what integers can stand for.

use super::integers::Weights;
use super::quantization::QuantizedLayer;
use crate::{DType, Graph, GraphError, Node, Op, Quant, Tensor, ValueId};

/// Makes the weight of a layer integers of these scales: one, or one for each output channel.
pub(super) fn weight(
    graph: &mut Graph,
    index: usize,
    layer: &QuantizedLayer,
    dtype: DType,
) -> Result<(), GraphError> {
    let value = graph.nodes[index].inputs[1];
    let tensor = graph.constant(value).expect("a constant weight");
    let (integers, quant) = Weights::new(tensor, &layer.weight, dtype).integers(layer);
    let name = graph.value(value).name.clone();
    let integers = graph.add_constant(&format!("{name}.int"), integers);
    let real = graph.add_node(&name, Op::Dequantize(quant), &[integers], &name)?;
    graph.nodes[index].inputs[1] = real;
    Ok(())
}

/// Adds to the bias of a layer, channel by channel.
pub(super) fn bias(graph: &mut Graph, index: usize, more: &[f32]) {
    let node = &graph.nodes[index];
    let old = node
        .inputs
        .get(2)
        .and_then(|&b| graph.constant(b)?.as_f32());
    let bias: Vec<f32> = match old {
        Some(old) => old.iter().zip(more).map(|(b, m)| b + m).collect(),
        None => more.to_vec(),
    };
    let name = format!("{}.bias", graph.value(node.output).name);
    let bias = graph.add_constant(&name, Tensor::f32([bias.len()], bias));
    let inputs = &mut graph.nodes[index].inputs;
    inputs.truncate(2);
    inputs.push(bias);
}

/// Puts the pairs in: a stored value keeps its name and its readers as the dequantized one;
/// what computes it gets a new output. The first `weights` nodes are those of weights.
pub(super) fn pairs(
    graph: &mut Graph,
    weights: usize,
    scales: &[Option<Quant>],
    dtype: DType,
) -> Result<(), GraphError> {
    let layers = graph.nodes.split_off(weights);
    let scale = |v: ValueId| scales.get(v.0 as usize).and_then(Option::as_ref);

    let mut renamed: Vec<ValueId> = (0..graph.values.len() as u32).map(ValueId).collect();
    for input in graph.inputs.clone() {
        if let Some(q) = scale(input) {
            let name = graph.value(input).name.clone();
            let integers = graph.add_node(
                &name,
                Op::Quantize(q.clone(), dtype),
                &[input],
                &format!("{name}.int"),
            )?;
            let real = graph.add_node(
                &name,
                Op::Dequantize(q.clone()),
                &[integers],
                &format!("{name}.real"),
            )?;
            renamed[input.0 as usize] = real;
        }
    }
    for mut node in layers {
        for v in &mut node.inputs {
            *v = renamed[v.0 as usize];
        }
        let stored = node.output;
        let Some(q) = scale(stored) else {
            graph.nodes.push(node);
            continue;
        };
        let value = graph.value(stored).clone();
        node.output = graph.add_value(&format!("{}.exact", value.name), value.ty);
        let exact = node.output;
        let name = node.name.clone();
        graph.nodes.push(node);
        let integers = graph.add_node(
            &name,
            Op::Quantize(q.clone(), dtype),
            &[exact],
            &format!("{}.int", value.name),
        )?;
        graph.nodes.push(Node {
            name,
            op: Op::Dequantize(q.clone()),
            inputs: vec![integers],
            output: stored,
        });
    }
    Ok(())
}
