//! Evens out the ranges of channels between layers and those that read them.
//!
//! Channel `c` of a layer's result divided by `s[c] > 0`, and the weights that read it multiplied by `s[c]`, compute
//! the same, through `relu`, through bounds that no value reaches, and through additions of values that are
//! divided alike, which makes a chain of residuals one group. One scale for a whole activation then loses less in
//! its small channels. The weights that write have a scale for each output channel, so that dividing them costs
//! nothing; those that read get wider when they are not depthwise, so that only half of the imbalance (on a
//! logarithmic scale) moves there, and a quarter where values are bounded, which are not far from one another as
//! it is. After Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019),
//! section 4.1, with activations for weights.

use std::collections::BTreeMap;

use super::calibrate::Ranges;
use super::plan::{Plan, is_layer};
use crate::{ConvAttrs, Graph, Node, Op, Tensor, ValueId};

/// Channels are made larger by this factor at most.
const LIMIT: f32 = 64.0;

/// The same where they are bounded: of a channel that calibration hardly saw little is known.
const BOUND_LIMIT: f32 = 4.0;

/// How far from what calibration saw of a channel its bound stays, where it was that far.
const BOUND_MARGIN: f32 = 2.0;

/// Values whose channels (axis 1) can be divided alike, and the layers, by index of their nodes, that
/// write and that read them.
#[derive(Default)]
pub(super) struct Group {
    values: Vec<ValueId>,
    pub(super) writers: Vec<usize>,
    readers: Vec<usize>,
}

/// The groups of a graph, in the order of their first values.
pub(super) fn groups(graph: &Graph) -> Vec<Group> {
    let mut of: Vec<u32> = (0..graph.values.len() as u32).collect();
    let root = |of: &[u32], ValueId(mut v): ValueId| {
        while of[v as usize] != v {
            v = of[v as usize];
        }
        v
    };
    for node in graph
        .nodes
        .iter()
        .filter(|node| divides_through(graph, node))
    {
        for &v in &node.inputs {
            let (a, b) = (root(&of, v), root(&of, node.output));
            of[a.max(b) as usize] = a.min(b);
        }
    }
    // `None`: something writes or reads a value of the group that cannot be divided.
    let mut groups: BTreeMap<u32, Option<Group>> = BTreeMap::new();
    let spoil = |groups: &mut BTreeMap<u32, Option<Group>>, v: ValueId| {
        groups.insert(root(&of, v), None);
    };
    for (i, node) in graph.nodes.iter().enumerate() {
        let inner = divides_through(graph, node);
        let layer = is_layer(graph, node);
        let group = |v: ValueId| root(&of, v);
        for (at, &v) in node.inputs.iter().enumerate() {
            let channels_on_axis_1 = matches!(node.op, Op::Conv(_)) || rank(graph, v) == 2;
            if layer && at == 0 && channels_on_axis_1 {
                let group = groups
                    .entry(group(v))
                    .or_insert_with(|| Some(Group::default()));
                group.iter_mut().for_each(|g| g.readers.push(i));
            } else if !inner {
                spoil(&mut groups, v);
            }
        }
        let v = node.output;
        let channels_on_axis_1 = matches!(node.op, Op::Conv(_)) || rank(graph, v) == 2;
        if inner || (layer && channels_on_axis_1) {
            let group = groups
                .entry(group(v))
                .or_insert_with(|| Some(Group::default()));
            if let Some(group) = group {
                group.values.push(v);
                group.writers.extend(layer.then_some(i));
            }
        } else {
            spoil(&mut groups, v);
        }
    }
    let constants = (0..graph.values.len() as u32).map(ValueId);
    let constants = constants.filter(|&v| graph.constant(v).is_some());
    for v in graph
        .inputs
        .iter()
        .chain(&graph.outputs)
        .copied()
        .chain(constants)
    {
        spoil(&mut groups, v);
    }
    let used = |g: &Group| !g.writers.is_empty() && !g.readers.is_empty();
    groups.into_values().flatten().filter(used).collect()
}

/// Whether dividing the channels of what the operator reads divides those of its result alike.
fn divides_through(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::Add => node.inputs.iter().all(|&v| {
            let ty = |v: ValueId| &graph.value(v).ty;
            ty(v) == ty(node.output)
        }),
        Op::Relu => true,
        // Channels are only made larger, so that bounds cut some of them off earlier: not within what calibration
        // saw ([`factors`]).
        Op::Clip { lo, hi } => *lo <= 0.0 && *hi >= 0.0,
        // Of poolings it would be true too; through them it was measured to lose more than it gains.
        _ => false,
    }
}

fn rank(graph: &Graph, v: ValueId) -> usize {
    graph.value(v).ty.shape.len()
}

/// What to divide each channel of a group by: its share of the largest channel, or a root of it where readers'
/// weights mix channels; `None` where calibration saw nothing.
pub(super) fn factors(
    graph: &Graph,
    plan: &Plan,
    group: &Group,
    ranges: &Ranges,
) -> Option<Vec<f32>> {
    let producers = graph.producers();
    let (mut seen, mut least): (Vec<f32>, Vec<f32>) = Default::default();
    let mut bounded = false;
    for &v in group.values.iter().filter(|&&v| plan.is_stored(v)) {
        let channels = &ranges.of(v)?.channels;
        seen.resize(channels.len(), 0.0);
        least.resize(channels.len(), 1.0 / LIMIT);
        for (all, channel) in seen.iter_mut().zip(channels) {
            *all = all.max(channel.max_abs);
        }
        if let Some(Op::Clip { lo, hi }) = producers[v.0 as usize].map(|n| &graph.node(n).op) {
            bounded = true;
            let bound = if *lo < 0.0 { hi.min(-lo) } else { *hi };
            for (least, channel) in least.iter_mut().zip(channels) {
                let closest = BOUND_MARGIN * channel.max_abs / bound;
                *least = least.max(closest.clamp(1.0 / BOUND_LIMIT, 1.0));
            }
        }
    }
    let largest = seen.iter().copied().fold(0.0, f32::max);
    let depthwise = group.readers.iter().all(|&reader| {
        let reader = &graph.nodes[reader];
        match &reader.op {
            Op::Conv(a) => a.groups == graph.value(reader.inputs[0]).ty.shape[1],
            _ => false,
        }
    });
    let exponent = match (depthwise, bounded) {
        (true, _) => 1.0,
        (false, false) => 0.5,
        (false, true) => 0.25,
    };
    let factor = |(&m, &least): (&f32, &f32)| {
        let share = if m > 0.0 { m / largest } else { 1.0 };
        share.powf(exponent).max(least)
    };
    Some(seen.iter().zip(&least).map(factor).collect())
}

/// Divides the channels of a group: what the graph computes stays the same up to rounding. False, and
/// nothing done, if the group has other channels.
pub(super) fn divide(graph: &mut Graph, group: &Group, factor: &[f32]) -> bool {
    let channels = |&v: &ValueId| graph.value(v).ty.shape[1] == factor.len();
    if !group.values.iter().all(channels) {
        return false;
    }
    for &writer in &group.writers {
        scale_outputs(graph, writer, factor);
    }
    for &reader in &group.readers {
        scale_inputs(graph, reader, factor);
    }
    true
}

fn scale_outputs(graph: &mut Graph, node: usize, factor: &[f32]) {
    let inputs = graph.nodes[node].inputs.clone();
    for (i, v) in inputs.into_iter().enumerate().skip(1) {
        let tensor = graph.constant(v).expect("a constant layer");
        let row = tensor.ty().len() / factor.len();
        let elements = tensor.as_f32().expect("a float layer");
        let mut scaled = Vec::with_capacity(elements.len());
        for (row, by) in elements.chunks(row).zip(factor) {
            scaled.extend(row.iter().map(|x| x / by));
        }
        let scaled = Tensor::f32(tensor.shape().to_vec(), scaled);
        replace(graph, node, i, scaled);
    }
}

fn scale_inputs(graph: &mut Graph, node: usize, factor: &[f32]) {
    let (op, v) = (graph.nodes[node].op.clone(), graph.nodes[node].inputs[1]);
    let tensor = graph.constant(v).expect("a constant layer");
    let outputs = tensor.shape()[0];
    let elements = tensor.as_f32().expect("a float layer");
    let (groups, taps) = match op {
        Op::Conv(ConvAttrs { groups, window }) => (groups, window.kernel.iter().product()),
        _ => (1, 1),
    };
    let mut scaled = Vec::with_capacity(elements.len());
    // Of each group of outputs the inputs that it reads.
    let of_group = elements.chunks(elements.len() / groups);
    for (rows, factor) in of_group.zip(factor.chunks(factor.len() / groups)) {
        for row in rows.chunks(rows.len() / (outputs / groups)) {
            for (taps, by) in row.chunks(taps).zip(factor) {
                scaled.extend(taps.iter().map(|w| w * by));
            }
        }
    }
    let scaled = Tensor::f32(tensor.shape().to_vec(), scaled);
    replace(graph, node, 1, scaled);
}

/// Gives a node a constant of its own: others may read the old one.
fn replace(graph: &mut Graph, node: usize, input: usize, tensor: Tensor) {
    let name = graph.value(graph.nodes[node].inputs[input]).name.clone();
    let v = graph.add_constant(&name, tensor);
    graph.nodes[node].inputs[input] = v;
}
