//! What quantization decides about a float graph, apart from the graph and from the inputs that it
//! was decided on.

use std::collections::HashMap;

use super::calibrate::{Seen, look};
use super::integers::Weights;
use super::options::QuantOptions;
use super::plan::{Plan, input_channels, is_layer};
use super::target::QuantTarget;
use super::windows::{self, Moments};
use super::{choose, correct, equalize, insert, threads};
use crate::{DType, Graph, GraphError, Quant, Tensor, ValueId};

/// All decisions of a quantization, by the names that values have in the prepared float graph.
/// With it the graph is quantized again without a look at inputs ([`Quantization::apply`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// The widths that it is for.
    pub target: QuantTarget,
    /// What is stored as integers. Sums of convolutions that residuals are added to are not.
    pub values: Vec<StoredValue>,
    /// The convolutions and dense layers.
    pub layers: Vec<QuantizedLayer>,
}

/// Scale and zero point of an input or activation.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredValue {
    /// Name of the value.
    pub name: String,
    /// What one step stands for.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

/// What becomes of a convolution or dense layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedLayer {
    /// Name of its result.
    pub name: String,
    /// What its output channels are divided by, for the layer that reads them to multiply;
    /// empty: nothing.
    pub divided: Vec<f32>,
    /// Scales of its weights: one, or one for each output channel.
    pub weight: Vec<f32>,
    /// Steps, -1 to 1, by which each weight, in the weight's order, lies above the nearest integer; those behind the last
    /// are the nearest.
    pub rounding: Vec<i8>,
    /// Added to its bias, for each output channel, after the division; empty: nothing.
    pub bias: Vec<f32>,
}

/// Post-training quantization of a prepared float graph ([`crate::passes::prepare`]) from
/// calibration inputs, each the tensors of one run: equalize, calibrate, choose scales, correct
/// biases. The result is the same whatever the number of threads.
///
/// # Errors
/// If there is no input, or one is not what the graph declares, or the target has widths that no
/// type has.
pub fn post_training(
    graph: &Graph,
    inputs: &[Vec<Tensor>],
    options: &QuantOptions,
) -> Result<Quantization, GraphError> {
    let dtypes = types(&options.target)?;
    let threads = threads::available();
    let mut graph = graph.clone();
    let mut seen = look(&graph, inputs, threads)?;
    let groups = match options.equalize {
        true => equalize::groups(&graph),
        false => Vec::new(),
    };
    let plan = Plan::new(&graph);
    let mut divided: Vec<(usize, Vec<f32>)> = Vec::new();
    for group in &groups {
        if let Some(factor) = equalize::factors(&graph, &plan, group, &seen.ranges) {
            equalize::divide(&mut graph, group, &factor);
            divided.extend(group.writers.iter().map(|&layer| (layer, factor.clone())));
        }
    }
    if !divided.is_empty() {
        seen = look(&graph, inputs, threads)?;
    }
    let mut quantization = choose_scales(&graph, &seen, options, dtypes)?;
    if options.balance {
        let moments = windows::moments(&graph, inputs, threads)?;
        round(&graph, &mut quantization, &seen, &moments, dtypes[1])?;
    }
    if options.correct_bias {
        let runs = &inputs[..inputs.len().min(correct::MAX_RUNS)];
        let mut quantized = graph.clone();
        quantization.apply(&mut quantized)?;
        let missing = correct::missing(&quantized, &seen.means, runs, threads)?;
        // The quantized graph has the layers of the float graph in its order.
        let mut by_name: HashMap<&str, Vec<f32>> = (correct::layers(&graph).iter())
            .map(|&v| graph.value(v).name.as_str())
            .zip(missing)
            .collect();
        for layer in &mut quantization.layers {
            layer.bias = by_name.remove(layer.name.as_str()).unwrap_or_default();
        }
    }
    for (layer, factor) in divided {
        let name = &graph.value(graph.nodes[layer].output).name;
        let layer = quantization.layers.iter_mut().find(|l| l.name == *name);
        layer.expect("a layer is equalized").divided = factor;
    }
    Ok(quantization)
}

/// The scales of a graph as it is, which has been looked at.
fn choose_scales(
    graph: &Graph,
    seen: &Seen,
    options: &QuantOptions,
    dtypes: [DType; 2],
) -> Result<Quantization, GraphError> {
    let plan = Plan::new(graph);
    let values = choose::stored_values(graph, &plan, &seen.ranges, options, dtypes[0])?;
    let mut quantization = Quantization {
        target: options.target,
        values,
        layers: Vec::new(),
    };
    let scales = quantization.scales(graph, &plan)?;
    for chosen in choose::layers(graph, &plan, &scales, options, dtypes) {
        if chosen.takes_residual {
            quantization.values.retain(|v| v.name != chosen.layer.name);
        }
        quantization.layers.push(chosen.layer);
    }
    Ok(quantization)
}

/// Rounds the weights of each layer by the moments of what it reads, or where there are none by means and deviations of
/// its channels.
fn round(
    graph: &Graph,
    quantization: &mut Quantization,
    seen: &Seen,
    moments: &[Vec<Moments>],
    dtype: DType,
) -> Result<(), GraphError> {
    let nodes = graph.nodes.iter().filter(|node| is_layer(graph, node));
    let nodes: Vec<_> = nodes.collect();
    let layers = &mut quantization.layers;
    let roundings = threads::map(threads::available(), layers.len(), |i| {
        let node = nodes[i];
        let weight = graph.constant(node.inputs[1]).expect("a constant weight");
        let weights = Weights::new(weight, &layers[i].weight, dtype);
        let channels = (seen.ranges.of(node.inputs[0])).map_or(&[][..], |seen| &seen.channels);
        Ok::<_, GraphError>(match moments[i].as_slice() {
            [] if channels.len() == input_channels(graph, node) => weights.balanced(channels),
            [] => Vec::new(),
            moments => weights.rounded(moments),
        })
    })?;
    for (layer, rounding) in layers.iter_mut().zip(roundings) {
        layer.rounding = rounding;
    }
    Ok(())
}

/// The types of activations and weights.
fn types(target: &QuantTarget) -> Result<[DType; 2], GraphError> {
    match (target.activation(), target.weight()) {
        (Some(activation), Some(weight)) => Ok([activation, weight]),
        _ => Err(GraphError::Invalid(format!(
            "no type for inputs of {} bits and weights of {}: they may have 1, 2, 4 or 8",
            target.inp_bits, target.wgt_bits
        ))),
    }
}

impl Quantization {
    /// Puts `quantize` and `dequantize` around every value that integers can stand for, and makes
    /// weights integers.
    ///
    /// # Errors
    /// If the graph is not the one that was quantized: a value or layer is missing or has other
    /// channels, or there are others.
    pub fn apply(&self, graph: &mut Graph) -> Result<(), GraphError> {
        let [activation, weight] = types(&self.target)?;
        let layers = self.equalize(graph)?;
        let plan = Plan::new(graph);
        let scales = self.scales(graph, &plan)?;
        let float = graph.nodes.len();
        for (&index, layer) in layers.iter().zip(&self.layers) {
            insert::weight(graph, index, layer, weight)?;
            if !layer.bias.is_empty() {
                insert::bias(graph, index, &layer.bias);
            }
        }
        // The weights' nodes stand last now; their readers want them before.
        graph.nodes.rotate_left(float);
        insert::pairs(graph, layers.len(), &scales, activation)
    }

    /// Divides the channels of the layers, and has their readers multiply them: what is left
    /// computes what the graph computed, in floats, but for bounds that a channel made larger meets earlier.
    /// Returns the layers, by index of their nodes.
    ///
    /// # Errors
    /// If the graph is not the one that was quantized.
    pub fn equalize(&self, graph: &mut Graph) -> Result<Vec<usize>, GraphError> {
        let indices: Vec<usize> = (0..graph.nodes.len())
            .filter(|&i| is_layer(graph, &graph.nodes[i]))
            .collect();
        if indices.len() != self.layers.len() {
            return Err(GraphError::Invalid(format!(
                "scales for {} layers, the network has {}",
                self.layers.len(),
                indices.len()
            )));
        }
        for (&index, layer) in indices.iter().zip(&self.layers) {
            let node = &graph.nodes[index];
            let name = &graph.value(node.output).name;
            if *name != layer.name {
                return Err(GraphError::Invalid(format!(
                    "scales for the layer `{}`, the network has `{name}` there",
                    layer.name
                )));
            }
            let channels = graph.value(node.inputs[1]).ty.shape[0];
            let wrong = |what: &str, given: usize| {
                Err(GraphError::Invalid(format!(
                    "layer `{}`: {given} {what} for {channels} channels",
                    layer.name
                )))
            };
            if layer.weight.len() != channels && layer.weight.len() != 1 {
                return wrong("scales of weights", layer.weight.len());
            }
            if layer.bias.len() != channels && !layer.bias.is_empty() {
                return wrong("biases", layer.bias.len());
            }
            let weights = graph.value(node.inputs[1]).ty.len();
            if layer.rounding.len() > weights {
                return Err(GraphError::Invalid(format!(
                    "layer `{}`: {} roundings for {weights} weights",
                    layer.name,
                    layer.rounding.len()
                )));
            }
        }
        self.divide(graph, &indices)?;
        Ok(indices)
    }

    /// Divides the groups of layers, of which these are the indices.
    fn divide(&self, graph: &mut Graph, indices: &[usize]) -> Result<(), GraphError> {
        let mut left: Vec<&QuantizedLayer> = self.layers.iter().collect();
        left.retain(|layer| !layer.divided.is_empty());
        for group in equalize::groups(graph) {
            let at = |writer| indices.binary_search(writer).expect("writers are layers");
            let mut writers = group.writers.iter().map(|w| &self.layers[at(w)]);
            let first = writers.next().expect("a group has a writer");
            let odd = writers.find(|layer| layer.divided != first.divided);
            let divided = first.divided.is_empty()
                || odd.is_none() && equalize::divide(graph, &group, &first.divided);
            if let Some(layer) = odd.or((!divided).then_some(first)) {
                return Err(GraphError::Invalid(format!(
                    "layer `{}` is divided unlike what it is added to, or has other channels",
                    layer.name
                )));
            }
            left.retain(|layer| {
                group
                    .writers
                    .iter()
                    .all(|w| self.layers[at(w)].name != layer.name)
            });
        }
        match left.first() {
            Some(layer) => Err(GraphError::Invalid(format!(
                "layer `{}` is divided, and its readers cannot make up for it",
                layer.name
            ))),
            None => Ok(()),
        }
    }

    /// The scales by value id.
    fn scales(&self, graph: &Graph, plan: &Plan) -> Result<Vec<Option<Quant>>, GraphError> {
        let (qmin, qmax) = types(&self.target)?[0].range().expect("an integer type");
        let mut given: HashMap<&str, &StoredValue> = HashMap::new();
        for value in &self.values {
            if !(qmin..=qmax).contains(&value.zero_point.into()) {
                return Err(GraphError::Invalid(format!(
                    "value `{}`: the zero point {} is none of its {qmin} to {qmax}",
                    value.name, value.zero_point
                )));
            }
            if given.insert(&value.name, value).is_some() {
                return Err(GraphError::Invalid(format!(
                    "value `{}` has two scales",
                    value.name
                )));
            }
        }
        let mut scales = vec![None; graph.values.len()];
        let stored = (0..graph.values.len() as u32).map(ValueId);
        for v in stored.filter(|&v| plan.is_stored(v)) {
            let name = graph.value(v).name.as_str();
            match given.remove(name) {
                Some(value) => {
                    let quant = Quant::per_tensor(value.scale, value.zero_point);
                    scales[v.0 as usize] = Some(quant);
                }
                None if plan.may_be_sums(graph, v) => {}
                None => {
                    return Err(GraphError::Invalid(format!(
                        "there is no scale for the value `{name}`"
                    )));
                }
            }
        }
        match self
            .values
            .iter()
            .find(|v| given.contains_key(v.name.as_str()))
        {
            Some(extra) => Err(GraphError::Invalid(format!(
                "a scale for `{}`, which is no value that is stored as integers",
                extra.name
            ))),
            None => Ok(scales),
        }
    }
}
