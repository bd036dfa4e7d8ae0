//! Evens out the ranges of channels between a layer and the one that reads it.
//!
//! Channel `c` of the first layer divided by `s[c] > 0`, through `relu` or nothing, and the
//! second layer's weights for that channel multiplied by `s[c]`, compute the same. One scale
//! for the whole activation then loses less in its small channels. The first layer's weights
//! have a scale for each output channel, so that dividing them costs nothing; the second's
//! get wider when they are not depthwise, so that only half of the imbalance (on a
//! logarithmic scale) moves there. After Nagel et al., "Data-Free Quantization Through Weight
//! Equalization and Bias Correction" (2019), section 4.1, with activations for weights.

use super::calibrate::Ranges;
use crate::{ConvAttrs, Graph, GraphError, Node, NodeId, Op, Tensor, ValueId};

/// Scales are kept within this factor of 1.
const LIMIT: f32 = 64.0;

/// Runs on a graph and its calibration; true if it changed weights, after which the ranges
/// are out of date. The function of the graph stays the same up to rounding.
///
/// # Errors
/// None on a verified graph.
pub fn equalize(graph: &mut Graph, ranges: &Ranges) -> Result<bool, GraphError> {
    let consumers = graph.consumers();
    let mut changed = false;
    for first in 0..graph.nodes.len() {
        let Some(second) = pair(graph, &consumers, first) else {
            continue;
        };
        let x = graph.nodes[second].inputs[0];
        let Some(seen) = ranges.of(x).map(|s| s.max_abs.clone()) else {
            continue;
        };
        let factor = factors(graph, &graph.nodes[second], &seen);
        scale_outputs(graph, first, &factor);
        scale_inputs(graph, second, &factor);
        changed = true;
    }
    Ok(changed)
}

/// The layer that alone reads the result of layer `first`, through `relu` at most.
fn pair(graph: &Graph, consumers: &[Vec<NodeId>], first: usize) -> Option<usize> {
    let layer = |n: &Node| {
        let constant = |&v: &ValueId| graph.constant(v).is_some_and(|t| t.as_f32().is_some());
        matches!(n.op, Op::Conv(_) | Op::Dense) && n.inputs[1..].iter().all(constant)
    };
    let node = &graph.nodes[first];
    if !layer(node) {
        return None;
    }
    let mut value = node.output;
    loop {
        let &[reader] = consumers[value.0 as usize].as_slice() else {
            return None;
        };
        let reader_node = graph.node(reader);
        if graph.outputs.contains(&value) {
            return None;
        }
        match reader_node.op {
            Op::Relu => value = reader_node.output,
            // Channels are on axis 1 of both layers' tensors.
            Op::Conv(_) => break layer(reader_node).then_some(reader.0 as usize),
            Op::Dense if graph.value(value).ty.shape.len() == 2 => {
                break layer(reader_node).then_some(reader.0 as usize);
            }
            _ => return None,
        }
    }
}

/// What to divide each channel by: its share of the largest channel, or the square root of it
/// where the reader's weights mix channels.
fn factors(graph: &Graph, second: &Node, seen: &[f32]) -> Vec<f32> {
    let largest = seen.iter().copied().fold(0.0, f32::max);
    let depthwise = match &second.op {
        Op::Conv(a) => a.groups == graph.value(second.inputs[0]).ty.shape[1],
        _ => false,
    };
    let factor = |&m: &f32| {
        let share = if m > 0.0 && largest > 0.0 {
            m / largest
        } else {
            1.0
        };
        let share = if depthwise { share } else { share.sqrt() };
        share.clamp(1.0 / LIMIT, LIMIT)
    };
    seen.iter().map(factor).collect()
}

fn scale_outputs(graph: &mut Graph, node: usize, factor: &[f32]) {
    let inputs = graph.nodes[node].inputs.clone();
    for (i, v) in inputs.into_iter().enumerate().skip(1) {
        let tensor = graph.constant(v).expect("a constant layer");
        let row = tensor.ty().len() / factor.len();
        let elements = tensor.as_f32().expect("a float layer");
        let scaled = elements
            .iter()
            .enumerate()
            .map(|(i, x)| x / factor[i / row]);
        let scaled = Tensor::f32(tensor.shape().to_vec(), scaled.collect());
        replace(graph, node, i, scaled);
    }
}

fn scale_inputs(graph: &mut Graph, node: usize, factor: &[f32]) {
    let (op, v) = (graph.nodes[node].op.clone(), graph.nodes[node].inputs[1]);
    let tensor = graph.constant(v).expect("a constant layer");
    let channels = tensor.shape()[0];
    let row = tensor.ty().len() / channels;
    let (groups, taps) = match op {
        Op::Conv(ConvAttrs { groups, window }) => (groups, window.kernel.iter().product()),
        _ => (1, 1),
    };
    let inputs = row / taps;
    let elements = tensor.as_f32().expect("a float layer").iter().enumerate();
    let scaled = elements.map(|(i, w)| {
        let (o, i) = (i / row, i % row / taps);
        w * factor[o / (channels / groups) * inputs + i]
    });
    let scaled = Tensor::f32(tensor.shape().to_vec(), scaled.collect());
    replace(graph, node, 1, scaled);
}

/// Gives a node a constant of its own: others may read the old one.
fn replace(graph: &mut Graph, node: usize, input: usize, tensor: Tensor) {
    let name = graph.value(graph.nodes[node].inputs[input]).name.clone();
    let v = graph.add_constant(&name, tensor);
    graph.nodes[node].inputs[input] = v;
}
