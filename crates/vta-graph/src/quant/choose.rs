//! From the statistics of a float graph to the scales of its quantization.

use super::calibrate::Ranges;
use super::options::{QuantOptions, RequantMode};
use super::plan::{Plan, is_layer};
use super::quantization::{QuantizedLayer, StoredValue};
use super::range::{RangeMethod, choose, params, up_to_power_of_two};
use super::threads;
use super::weight::{self, Limits, Multiples};
use crate::{DType, Graph, GraphError, Quant, Tensor, ValueId};

/// Cycles a vector that adding a residual to sums may take: in each, one weight of the diagonal multiplies.
const RESIDUAL_CYCLES: i64 = 2;
/// More may be taken behind a pointwise convolution where the weights would lose much, since the factor of a residual
/// bounds their scale from below: one for so many weights of an output channel, which take three in tiles of 16. Sums over
/// larger windows lose less, and would cost more.
const WEIGHTS_A_CYCLE: i64 = 48;
/// Much is this factor in squared error.
const BEARABLE: f64 = 4.0;

/// Scale and zero point of each stored value, in the order of the values. Values that share
/// a scale have the hull of their intervals.
pub(super) fn stored_values(
    graph: &Graph,
    plan: &Plan,
    ranges: &Ranges,
    options: &QuantOptions,
    dtype: DType,
) -> Result<Vec<StoredValue>, GraphError> {
    let stored: Vec<ValueId> = (0..graph.values.len() as u32)
        .map(ValueId)
        .filter(|&v| plan.is_stored(v))
        .collect();
    let intervals = threads::map(threads::available(), stored.len(), |i| {
        let seen = ranges.of(stored[i]).ok_or_else(|| {
            let name = &graph.value(stored[i]).name;
            GraphError::Invalid(format!(
                "calibration did not see value `{name}`: calibrate the graph that is quantized"
            ))
        })?;
        // The largest are what a result is about.
        let method = match options.method {
            RangeMethod::Mse if graph.outputs.contains(&stored[i]) => RangeMethod::Max,
            method => method,
        };
        Ok(choose(&seen.histogram, method, options.scheme, dtype))
    })?;
    let mut groups: Vec<Option<(f32, f32)>> = vec![None; graph.values.len()];
    for (&v, (lo, hi)) in stored.iter().zip(intervals) {
        let group = &mut groups[plan.group(v).0 as usize];
        let (min, max) = group.unwrap_or((lo, hi));
        *group = Some((min.min(lo), max.max(hi)));
    }
    let value = |&v: &ValueId| {
        let interval = groups[plan.group(v).0 as usize].unwrap_or((0.0, 0.0));
        let mut quant = params(interval.0, interval.1, options.scheme, dtype);
        if options.mode() == RequantMode::Shift {
            let scale = up_to_power_of_two(quant.scale[0]);
            let stretched = quant.zero_point[0] as f32 * quant.scale[0] / scale;
            quant = Quant::per_tensor(scale, stretched.round_ties_even() as i32);
        }
        StoredValue {
            name: graph.value(v).name.clone(),
            scale: quant.scale[0],
            zero_point: quant.zero_point[0],
        }
    };
    Ok(stored.iter().map(value).collect())
}

/// A layer, and whether its sums go to the addition of a residual as they are, not stored.
pub(super) struct Chosen {
    pub(super) layer: QuantizedLayer,
    pub(super) takes_residual: bool,
}

/// Scales of the weights of each layer, in the order of the nodes; `scales` are those of the
/// stored values, by value id.
pub(super) fn layers(
    graph: &Graph,
    plan: &Plan,
    scales: &[Option<Quant>],
    options: &QuantOptions,
    [activation, weight]: [DType; 2],
) -> Vec<Chosen> {
    let layers: Vec<usize> = (0..graph.nodes.len())
        .filter(|&i| is_layer(graph, &graph.nodes[i]))
        .collect();
    let scale = |v: ValueId| scales[v.0 as usize].as_ref();
    let choose = |i: usize| {
        let node = &graph.nodes[layers[i]];
        let constant = |v: ValueId| graph.constant(v).expect("a constant operand");
        let tensor = constant(node.inputs[1]);
        let bias = match node.inputs.get(2).map(|&b| constant(b)) {
            Some(bias) => bias.as_f32().expect("a float bias").to_vec(),
            None => vec![0.0; tensor.shape()[0]],
        };
        let alone = Layer {
            options,
            weight,
            activation,
            x: scale(node.inputs[0]).expect("the input of a layer is stored"),
            y_scale: y_scale(graph, scale, layers[i]),
            residual: None,
        };
        let residual = plan.residual(layers[i]);
        let residual = residual.filter(|_| options.adds_residuals());
        // Its sums go to the addition as they are, if the residual has a good factor for them.
        let fused = residual.and_then(|residual| {
            let others = |v: ValueId| scale(v).filter(|_| v != node.output);
            let layer = Layer {
                y_scale: y_scale(graph, others, layers[i]),
                residual: scale(residual).map(|q| q.scale[0]),
                ..alone.clone()
            };
            layer.scales(tensor, &bias)
        });
        let takes_residual = fused.is_some();
        let weight = fused.or_else(|| alone.scales(tensor, &bias));
        let weight = weight.expect("scales, where no residual asks for more");
        let layer = QuantizedLayer {
            name: graph.value(node.output).name.clone(),
            divided: Vec::new(),
            weight: weight.into_iter().map(|s| s as f32).collect(),
            rounding: Vec::new(),
            bias: Vec::new(),
        };
        Ok::<_, std::convert::Infallible>(Chosen {
            layer,
            takes_residual,
        })
    };
    match threads::map(threads::available(), layers.len(), choose) {
        Ok(layers) => layers,
        Err(never) => match never {},
    }
}

/// The scale of the value that a layer stores: behind the activations that it takes in.
fn y_scale<'a>(graph: &Graph, scale: impl Fn(ValueId) -> Option<&'a Quant>, layer: usize) -> f32 {
    let mut result = graph.nodes[layer].output;
    for node in &graph.nodes[layer + 1..] {
        if scale(result).is_some() {
            break;
        }
        if node.inputs.contains(&result) {
            result = node.output;
        }
    }
    scale(result).map_or(1.0, |q| q.scale[0])
}

/// A convolution or dense layer about to be quantized.
#[derive(Clone)]
struct Layer<'a> {
    options: &'a QuantOptions,
    weight: DType,
    activation: DType,
    x: &'a Quant,
    y_scale: f32,
    /// The scale of what is added to its sums.
    residual: Option<f32>,
}

impl Layer<'_> {
    /// None where the residual has no good factor.
    fn scales(&self, weight: &Tensor, bias: &[f32]) -> Option<Vec<f64>> {
        let target = &self.options.target;
        let (sx, sy) = (f64::from(self.x.scale[0]), f64::from(self.y_scale));
        if self.options.mode() == RequantMode::Shift {
            let shift = f64::from(target.max_shift(self.activation));
            // sx * sw / sy = 2^-k for the largest k with which all weights are covered.
            let covering = weight::covering_scale(weight, self.weight);
            let k = (sy / (sx * covering)).log2().floor().clamp(-shift, shift);
            return Some(vec![sy / sx * (-k).exp2()]);
        }
        let (lo, hi) = self.activation.range().expect("an integer type");
        let zero_point = i64::from(self.x.zero_point[0]);
        let (_, heaviest) = self.weight.range().expect("an integer type");
        let weights = (weight.ty().len() / bias.len()) as i64;
        let pointwise = weight.shape()[1] as i64 == weights;
        let cycles = match pointwise {
            true => RESIDUAL_CYCLES.max(weights / WEIGHTS_A_CYCLE),
            false => RESIDUAL_CYCLES,
        };
        let residual = self.residual.map(f64::from);
        let reserved = residual.map_or(0, |_| cycles * heaviest * (hi - lo));
        let limits = Limits {
            multiples: match self.options.mode() {
                RequantMode::Multiply => Multiples::Whole,
                _ => Multiples::PowersOfTwo,
            },
            step: sy / sx / f64::from(target.single_shift(self.activation)).exp2(),
            input: (hi - zero_point).max(zero_point - lo) as f64,
            input_scale: sx,
            acc_max: (target.acc_max() - reserved) as f64,
        };
        let mut scales = weight::channel_scales(weight, bias, self.weight, &limits);
        if !self.options.per_channel {
            scales = vec![scales.into_iter().fold(0.0, f64::max)];
        }
        let Some(residual) = residual else {
            return Some(scales);
        };
        let loss = |scales: &[f64]| weight::squared_errors(weight, scales, self.weight);
        let bearable = BEARABLE * loss(&scales);
        let mut suited = None;
        let doubled =
            std::iter::successors(Some(RESIDUAL_CYCLES), |&n| (n < cycles).then_some(2 * n));
        for cycles in doubled.map(|n| n.min(cycles)) {
            let mut scales = scales.clone();
            let most = (cycles * heaviest) as f64;
            if weight::suit_residual(&mut scales, residual / sx, &limits, most) {
                let enough = loss(&scales) <= bearable;
                suited = Some(scales);
                if enough {
                    break;
                }
            }
        }
        suited
    }
}
