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

use super::threads;
use crate::interp::eval;
use crate::{Graph, GraphError, Op, Tensor, ValueId};

/// Runs at once: all of their live activations are held.
pub(super) const MAX_RUNS: usize = 64;

/// The mean of each output channel, run by run, of one layer.
pub(super) type LayerMeans = Vec<Vec<f32>>;

/// The results of the convolutions and dense layers of a graph, in the order of its nodes.
pub(super) fn layers(graph: &Graph) -> Vec<ValueId> {
    let layers = graph.nodes.iter().filter(|n| is_layer(&n.op));
    layers.map(|n| n.output).collect()
}

/// What the biases of a quantized graph lack, given the means of the float graph's layers on
/// these inputs: for each layer, in order, a value for each channel, or nothing at all.
///
/// # Errors
/// If an operator has no result.
pub(super) fn missing(
    graph: &Graph,
    means: &[LayerMeans],
    inputs: &[Vec<Tensor>],
    threads: usize,
) -> Result<Vec<Vec<f32>>, GraphError> {
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
    let mut missing = Vec::with_capacity(means.len());
    for node in &graph.nodes {
        let operand = |run: usize, v: &ValueId| match &live[v.0 as usize] {
            Some(runs) => &runs[run.min(runs.len() - 1)],
            None => graph.constant(*v).expect("a constant or an earlier result"),
        };
        let runs = |v: &ValueId| live[v.0 as usize].as_ref().map_or(1, Vec::len);
        let runs = node.inputs.iter().map(runs).max().unwrap_or(1);
        let mut results = threads::map(threads, runs, |run| {
            let operands: Vec<&Tensor> = node.inputs.iter().map(|v| operand(run, v)).collect();
            eval(&node.op, &operands).map_err(|why| GraphError::node(&node.name, &node.op, why))
        })?;
        if is_layer(&node.op) {
            let quantized = graph.constant(node.inputs[1]).is_none();
            // The channels of a dense layer are on axis 1 if it has two.
            let on_axis_1 = matches!(graph.value(node.output).ty.shape.len(), 2 | 4);
            let error = match means.get(missing.len()) {
                Some(means) if quantized && on_axis_1 => error(means, &results),
                _ => Vec::new(),
            };
            if !error.is_empty() {
                for result in &mut results {
                    *result = shifted(result, &error);
                }
            }
            missing.push(error);
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
    Ok(missing)
}

fn is_layer(op: &Op) -> bool {
    matches!(op, Op::Conv(_) | Op::Dense)
}

/// The mean of each channel (axis 1) of an `f32` tensor of rank 2 or more.
pub(super) fn channel_means(tensor: &Tensor) -> Vec<f32> {
    let (Some(elements), &[n, channels, ref inner @ ..]) = (tensor.as_f32(), tensor.shape()) else {
        return Vec::new();
    };
    let inner: usize = inner.iter().product();
    let mut sums = vec![0.0; channels];
    for (i, run) in elements.chunks(inner.max(1)).enumerate() {
        sums[i % channels] += run.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
    let count = (n * inner).max(1) as f64;
    sums.iter().map(|s| (s / count) as f32).collect()
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
