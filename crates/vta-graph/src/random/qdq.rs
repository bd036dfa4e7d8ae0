//! Networks that bring their own scales.

use std::collections::BTreeMap;

use super::Dice;
use crate::interp::run_with;
use crate::{DType, Data, Graph, GraphError, Op, Quant, Tensor, ValueId};

/// A float network with `quantize` and `dequantize` around its activations and `dequantize` behind its
/// weights, as exporters write them. Types, scales and zero points are drawn near what `input` needs, and
/// some activations stay in floats.
///
/// # Errors
/// None for a valid network and an input of its types.
pub fn quantized(dice: &mut Dice, float: &Graph, input: &[Tensor]) -> Result<Graph, GraphError> {
    let ranges = ranges(float, input)?;
    let mut graph = Graph::new(&float.name);
    let mut ids: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    let dtype = dice.pick(&[DType::I8, DType::I8, DType::U8]);
    for &v in &float.inputs {
        let value = float.value(v);
        let id = graph.add_value(&value.name, value.ty.clone());
        graph.inputs.push(id);
        ids.insert(v, pair(dice, &mut graph, id, ranges[&v], dtype)?);
    }
    for node in &float.nodes {
        let mut inputs = Vec::new();
        for &v in &node.inputs {
            if let Some(tensor) = float.constant(v) {
                let name = &float.value(v).name;
                let multiplies = matches!(node.op, Op::Conv(_) | Op::MatMul | Op::Dense);
                let id = match multiplies && tensor.shape().len() > 1 {
                    true => weight(dice, &mut graph, name, tensor)?,
                    false => graph.add_constant(name, tensor.as_ref().clone()),
                };
                ids.insert(v, id);
            }
            inputs.push(ids[&v]);
        }
        let name = &float.value(node.output).name;
        let id = graph.add_node(&node.name, node.op.clone(), &inputs, name)?;
        let id = match dice.range(0, 7) {
            7 => id,
            _ => pair(dice, &mut graph, id, ranges[&node.output], dtype)?,
        };
        ids.insert(node.output, id);
    }
    graph.outputs = float.outputs.iter().map(|v| ids[v]).collect();
    graph.verify()?;
    Ok(graph)
}

/// Least and greatest element of each value that an inference computes, and 0.
fn ranges(float: &Graph, input: &[Tensor]) -> Result<BTreeMap<ValueId, (f32, f32)>, GraphError> {
    let mut ranges = BTreeMap::new();
    run_with(float, input, &mut |v, tensor| {
        let elements = tensor.as_f32().unwrap_or_default().iter();
        let range = elements.fold((0f32, 0f32), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
        ranges.insert(v, range);
    })?;
    Ok(ranges)
}

/// `value` quantized to `dtype` and back, with a scale from half to twice the one that just covers its range.
fn pair(
    dice: &mut Dice,
    graph: &mut Graph,
    value: ValueId,
    (low, high): (f32, f32),
    dtype: DType,
) -> Result<ValueId, GraphError> {
    let scale = (high - low).max(1e-3) / 255.0 * dice.pick(&[0.5, 0.75, 1.0, 1.25, 2.0]);
    let (least, greatest) = dtype.range().expect("an integer type");
    let zero = match dice.flag() {
        true => least - (low / scale).round() as i64,
        false => (least + greatest + 1) / 2,
    };
    let quant = Quant::per_tensor(scale, zero.clamp(least, greatest) as i32);
    let name = graph.value(value).name.clone();
    let stored = graph.add_node(
        "quantize",
        Op::Quantize(quant.clone(), dtype),
        &[value],
        &name,
    )?;
    graph.add_node("dequantize", Op::Dequantize(quant), &[stored], &name)
}

/// A constant as integers with a scale, or with one for each of its channels, and `dequantize`.
fn weight(
    dice: &mut Dice,
    graph: &mut Graph,
    name: &str,
    tensor: &Tensor,
) -> Result<ValueId, GraphError> {
    let (shape, values) = (tensor.shape(), tensor.as_f32().unwrap_or_default());
    let channels = if dice.flag() && shape.len() == 4 {
        shape[0]
    } else {
        1
    };
    let run = (values.len() / channels).max(1);
    let scales: Vec<f32> = values
        .chunks(run)
        .map(|part| part.iter().fold(1e-3, |m: f32, x| m.max(x.abs())) / 127.0)
        .collect();
    let integers = values
        .iter()
        .enumerate()
        .map(|(i, x)| (x / scales[i / run]).round() as i8);
    let ty = crate::TensorType::new(DType::I8, shape);
    let constant = graph.add_constant(name, Tensor::new(ty, Data::I8(integers.collect())));
    let quant = Quant {
        zero_point: vec![0; scales.len()],
        scale: scales,
        axis: 0,
    };
    graph.add_node(name, Op::Dequantize(quant), &[constant], name)
}
