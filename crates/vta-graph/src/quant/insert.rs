//! Post-training quantization: a float graph becomes one with `quantize` and `dequantize`.

use super::calibrate::Ranges;
use super::plan::Plan;
use super::range::{RangeMethod, Scheme, choose, params, up_to_power_of_two};
use super::target::QuantTarget;
use super::weight::{self, Limits, Multiples};
use crate::{DType, Graph, GraphError, Node, Op, Quant, Tensor, ValueId};

/// How scales are realized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequantMode {
    /// A multiplier for each output channel, then a shift.
    Multiply,
    /// A shift for each output channel: the multipliers are powers of two, which saves an operation and costs a
    /// channel up to one bit of its weights.
    ChannelShift,
    /// A shift alone: all scales of activations are powers of two, and the weights of a layer
    /// have one scale, which makes the factor between sum and result one too.
    Shift,
}

/// Choices of the quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantOptions {
    /// The widths to quantize for.
    pub target: QuantTarget,
    /// How intervals are chosen.
    pub method: RangeMethod,
    /// Where zero lies.
    pub scheme: Scheme,
    /// How scales are realized.
    pub mode: RequantMode,
    /// Whether the ranges of channels are evened out between layers first.
    pub equalize: bool,
    /// Whether biases make up for the mean error of quantization.
    pub correct_bias: bool,
}

/// The choices that kept most accuracy over the networks measured (`accuracy`, an example of
/// `vta-onnx`).
impl Default for QuantOptions {
    fn default() -> Self {
        QuantOptions {
            target: QuantTarget::default(),
            method: RangeMethod::Mse,
            scheme: Scheme::Asymmetric,
            mode: RequantMode::ChannelShift,
            equalize: true,
            correct_bias: true,
        }
    }
}

impl QuantOptions {
    /// Whether residuals may be added to the sums of convolutions.
    fn adds_residuals(&self) -> bool {
        self.target.residuals && self.mode != RequantMode::Shift
    }
}

/// Cycles a vector that adding a residual to sums may take: of each, one weight of the diagonal multiplies.
const RESIDUAL_CYCLES: i64 = 2;

/// Puts `quantize` and `dequantize` around every value that integers can stand for, and makes
/// weights integers. `ranges` come from [`super::calibrate`] on this very graph.
///
/// # Errors
/// If the target has widths that no type has, or calibration did not see a value.
pub fn quantize(
    graph: &mut Graph,
    ranges: &Ranges,
    options: &QuantOptions,
) -> Result<(), GraphError> {
    let (Some(activation), Some(weight)) = (options.target.activation(), options.target.weight())
    else {
        let QuantTarget {
            inp_bits, wgt_bits, ..
        } = options.target;
        return Err(GraphError::Invalid(format!(
            "no type for inputs of {inp_bits} bits and weights of {wgt_bits}: \
             they may have 1, 2, 4 or 8"
        )));
    };
    let plan = Plan::new(graph);
    let mut scales = activation_scales(graph, &plan, ranges, options, activation)?;
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let (x, constant) = (node.inputs[0], |v: &ValueId| graph.constant(*v).is_some());
        let layer =
            matches!(node.op, Op::Conv(_) | Op::Dense) && node.inputs[1..].iter().all(constant);
        let Some(x_scale) = scales[x.0 as usize].clone().filter(|_| layer) else {
            continue;
        };
        let mut layer = Layer {
            options,
            weight,
            activation,
            x: &x_scale,
            y_scale: y_scale(graph, &scales, i),
            residual: None,
        };
        if let Some(residual) = plan.residual(i).filter(|_| options.adds_residuals()) {
            // Its sums go to the addition as they are, if the residual has a good factor for them.
            let sums = node.output.0 as usize;
            let stored = scales[sums].take();
            let fused = Layer {
                y_scale: y_scale(graph, &scales, i),
                residual: scales[residual.0 as usize].as_ref().map(|q| q.scale[0]),
                ..layer.clone()
            };
            if fused.quantize(graph, i)? {
                continue;
            }
            scales[sums] = stored;
        }
        layer.residual = None;
        layer.quantize(graph, i)?;
    }
    insert(graph, &scales, activation)
}

/// Scale and zero point of each stored value.
fn activation_scales(
    graph: &Graph,
    plan: &Plan,
    ranges: &Ranges,
    options: &QuantOptions,
    dtype: DType,
) -> Result<Vec<Option<Quant>>, GraphError> {
    let mut groups: Vec<Option<(f32, f32)>> = vec![None; graph.values.len()];
    let stored = || {
        (0..graph.values.len() as u32)
            .map(ValueId)
            .filter(|&v| plan.is_stored(v))
    };
    for v in stored() {
        let seen = ranges.of(v).ok_or_else(|| {
            let name = &graph.value(v).name;
            GraphError::Invalid(format!(
                "calibration did not see value `{name}`: calibrate the graph that is quantized"
            ))
        })?;
        let (lo, hi) = choose(&seen.histogram, options.method, options.scheme, dtype);
        let group = &mut groups[plan.group(v).0 as usize];
        let (min, max) = group.unwrap_or((lo, hi));
        *group = Some((min.min(lo), max.max(hi)));
    }
    let mut scales = vec![None; graph.values.len()];
    for v in stored() {
        let (lo, hi) = groups[plan.group(v).0 as usize].unwrap_or((0.0, 0.0));
        let mut quant = params(lo, hi, options.scheme, dtype);
        if options.mode == RequantMode::Shift {
            let scale = up_to_power_of_two(quant.scale[0]);
            let stretched = quant.zero_point[0] as f32 * quant.scale[0] / scale;
            quant = Quant::per_tensor(scale, stretched.round_ties_even() as i32);
        }
        scales[v.0 as usize] = Some(quant);
    }
    Ok(scales)
}

/// The scale of the value that a layer stores: behind the activations that it takes in.
fn y_scale(graph: &Graph, scales: &[Option<Quant>], layer: usize) -> f32 {
    let scale = |v: ValueId| scales.get(v.0 as usize).and_then(Option::as_ref);
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
    /// False, and nothing done, where the residual has no good factor.
    fn quantize(&self, graph: &mut Graph, index: usize) -> Result<bool, GraphError> {
        let node = graph.nodes[index].clone();
        let constant = |v: ValueId| graph.constant(v).map(|t| Tensor::clone(t));
        let weight = constant(node.inputs[1]).expect("a constant weight");
        let channels = weight.shape()[0];
        let bias = node.inputs.get(2).and_then(|&b| constant(b));
        let bias = match bias.as_ref().and_then(Tensor::as_f32) {
            Some(bias) => bias.to_vec(),
            None => vec![0.0; channels],
        };

        let Some(scales) = self.scales(&weight, &bias) else {
            return Ok(false);
        };
        let (integers, quant) = weight::to_integers(&weight, &scales, self.weight);
        let name = graph.value(node.inputs[1]).name.clone();
        let integers = graph.add_constant(&format!("{name}.int"), integers);
        let real = graph.add_node(&name, Op::Dequantize(quant), &[integers], &name)?;
        // It stands last now; its reader wants it before.
        let dequantize = graph.nodes.pop().expect("just added");
        graph.nodes[index].inputs[1] = real;
        graph.nodes.push(dequantize);
        Ok(true)
    }

    fn scales(&self, weight: &Tensor, bias: &[f32]) -> Option<Vec<f64>> {
        let target = &self.options.target;
        let (sx, sy) = (f64::from(self.x.scale[0]), f64::from(self.y_scale));
        if self.options.mode == RequantMode::Shift {
            let shift = f64::from(target.max_shift(self.activation));
            // sx * sw / sy = 2^-k for the largest k with which all weights are covered.
            let covering = weight::covering_scale(weight, self.weight);
            let k = (sy / (sx * covering)).log2().floor().clamp(-shift, shift);
            return Some(vec![sy / sx * (-k).exp2()]);
        }
        let (lo, hi) = self.activation.range().expect("an integer type");
        let zero_point = i64::from(self.x.zero_point[0]);
        let (_, heaviest) = self.weight.range().expect("an integer type");
        let most = RESIDUAL_CYCLES * heaviest;
        let residual = self.residual.map(f64::from);
        let reserved = residual.map_or(0, |_| most * (hi - lo));
        let limits = Limits {
            multiples: match self.options.mode {
                RequantMode::Multiply => Multiples::Whole,
                _ => Multiples::PowersOfTwo,
            },
            step: sy / sx / f64::from(target.single_shift(self.activation)).exp2(),
            input: (hi - zero_point).max(zero_point - lo) as f64,
            input_scale: sx,
            acc_max: (target.acc_max() - reserved) as f64,
        };
        let mut scales = weight::channel_scales(weight, bias, self.weight, &limits);
        match residual {
            Some(sr) => {
                weight::suit_residual(&mut scales, sr / sx, &limits, most as f64).then_some(scales)
            }
            None => Some(scales),
        }
    }
}

/// Puts the pairs in: a stored value keeps its name and its readers as the dequantized one;
/// what computes it gets a new output.
fn insert(graph: &mut Graph, scales: &[Option<Quant>], dtype: DType) -> Result<(), GraphError> {
    let mut layers = std::mem::take(&mut graph.nodes);
    // Constants come first.
    let weights = layers
        .iter()
        .position(|n| matches!(n.op, Op::Dequantize(_)));
    graph.nodes = layers.split_off(weights.unwrap_or(layers.len()));
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
