//! Biases that make up for the mean error of quantization.
//!
//! Rounded weights and clipped activations move the mean of a layer's result, channel by
//! channel, and depthwise networks carry that far. Each layer's bias takes the difference
//! between the mean seen in floats and the mean that the quantized graph gives, in the order
//! of the layers, so that each sees its inputs as corrected. After Nagel et al., "Data-Free
//! Quantization Through Weight Equalization and Bias Correction" (2019), section 4.2, with
//! calibration inputs.
//!
//! A difference that varies from input to input as much as its mean says little about the
//! next input: the mean counts by the share of it that its standard error leaves.

use super::calibrate::channel_means;
use crate::interp::{Interpreter, eval};
use crate::{Graph, GraphError, Op, Tensor, ValueId};

/// Runs at once: all of their live activations are held.
pub(super) const MAX_RUNS: usize = 64;

/// The mean of each output channel, run by run, of one layer.
pub(super) type LayerMeans = Vec<Vec<f32>>;

/// The means of every layer of a float graph, in the order of its nodes.
///
/// # Errors
/// If an input is not what the graph declares.
pub(super) fn layer_means(
    graph: &Graph,
    inputs: &[Vec<Tensor>],
) -> Result<Vec<LayerMeans>, GraphError> {
    let layers: Vec<ValueId> = (graph.nodes.iter())
        .filter(|n| is_layer(&n.op))
        .map(|n| n.output)
        .collect();
    let mut means = vec![LayerMeans::new(); layers.len()];
    let interpreter = Interpreter::new(graph)?;
    for input in inputs {
        interpreter.run_with(input, &mut |v, tensor| {
            if let Some(layer) = layers.iter().position(|&l| l == v) {
                means[layer].push(channel_means(tensor));
            }
        })?;
    }
    Ok(means)
}

/// Corrects the biases of a graph that [`super::quantize`] made of the float graph whose layers
/// have these means, on the inputs of which they are the means.
///
/// # Errors
/// If an operator has no result.
pub(super) fn correct_biases(
    graph: &mut Graph,
    means: &[LayerMeans],
    inputs: &[Vec<Tensor>],
) -> Result<(), GraphError> {
    let mut readers = vec![0usize; graph.values.len()];
    for &v in graph.nodes.iter().flat_map(|n| &n.inputs) {
        readers[v.0 as usize] += 1;
    }
    // By value, one tensor for each run, or one for all where nothing varies; gone once
    // everything that reads it has run.
    let mut live: Vec<Option<Vec<Tensor>>> = vec![None; graph.values.len()];
    for (i, &v) in graph.inputs.iter().enumerate() {
        live[v.0 as usize] = Some(inputs.iter().map(|run| run[i].clone()).collect());
    }
    let mut means = means.iter();
    for index in 0..graph.nodes.len() {
        let node = graph.nodes[index].clone();
        let operand = |run: usize, v: &ValueId| match &live[v.0 as usize] {
            Some(runs) => &runs[run.min(runs.len() - 1)],
            None => graph.constant(*v).expect("a constant or an earlier result"),
        };
        let runs = |v: &ValueId| live[v.0 as usize].as_ref().map_or(1, Vec::len);
        let runs = node.inputs.iter().map(runs).max().unwrap_or(1);
        let results: Result<Vec<Tensor>, String> = (0..runs)
            .map(|run| {
                let operands: Vec<&Tensor> = node.inputs.iter().map(|v| operand(run, v)).collect();
                eval(&node.op, &operands)
            })
            .collect();
        let mut results = results.map_err(|why| GraphError::node(&node.name, &node.op, why))?;
        if is_layer(&node.op) {
            let quantized = graph.constant(node.inputs[1]).is_none();
            // The channels of a dense layer are on axis 1 if it has two.
            let on_axis_1 = matches!(graph.value(node.output).ty.shape.len(), 2 | 4);
            if let Some(means) = means.next().filter(|_| quantized && on_axis_1) {
                let error = error(means, &results);
                for result in &mut results {
                    *result = shifted(result, &error);
                }
                add_to_bias(graph, index, &error);
            }
        }
        for v in &node.inputs {
            let left = &mut readers[v.0 as usize];
            *left -= 1;
            if *left == 0 {
                live[v.0 as usize] = None;
            }
        }
        live[node.output.0 as usize] = Some(results);
    }
    Ok(())
}

fn is_layer(op: &Op) -> bool {
    matches!(op, Op::Conv(_) | Op::Dense)
}

/// By how much the results miss the mean of each channel, as far as that is more than chance.
fn error(means: &LayerMeans, results: &[Tensor]) -> Vec<f32> {
    let seen: LayerMeans = results.iter().map(channel_means).collect();
    let runs = seen.len() as f64;
    let channels = seen.first().map_or(0, Vec::len);
    let of_channel = |c: usize| {
        let difference = |run: usize| f64::from(means[run][c]) - f64::from(seen[run][c]);
        let differences: Vec<f64> = (0..seen.len()).map(difference).collect();
        let mean = differences.iter().sum::<f64>() / runs;
        let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
        let squared_error = squares / (runs - 1.0).max(1.0) / runs;
        let share = (1.0 - squared_error / mean.powi(2)).max(0.0);
        // One run cannot tell chance from error.
        if runs > 1.0 && share.is_finite() {
            (mean * share) as f32
        } else {
            0.0
        }
    };
    (0..channels).map(of_channel).collect()
}

/// Channels are on axis 1.
fn shifted(tensor: &Tensor, by: &[f32]) -> Tensor {
    let inner: usize = tensor.shape()[2..].iter().product();
    let elements = tensor.as_f32().expect("a float result").iter().enumerate();
    let moved = elements.map(|(i, x)| x + by[i / inner % by.len()]);
    Tensor::f32(tensor.shape().to_vec(), moved.collect())
}

fn add_to_bias(graph: &mut Graph, index: usize, error: &[f32]) {
    let node = &graph.nodes[index];
    let old = node.inputs.get(2).and_then(|&b| graph.constant(b));
    let bias: Vec<f32> = match old.and_then(|b| b.as_f32()) {
        Some(old) => old.iter().zip(error).map(|(b, e)| b + e).collect(),
        None => error.to_vec(),
    };
    let name = format!("{}.bias", graph.value(node.output).name);
    let bias = graph.add_constant(&name, Tensor::f32([bias.len()], bias));
    let inputs = &mut graph.nodes[index].inputs;
    inputs.truncate(2);
    inputs.push(bias);
}
