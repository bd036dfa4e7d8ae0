//! What quantization loses, and which layer loses it.

use std::collections::HashMap;

use super::threads;
use crate::interp::{Interpreter, eval};
use crate::{Graph, GraphError, Op, Quant, Tensor, ValueId};

/// The loss at one place where reals become integers. Ratios of signal to noise are in decibels,
/// the float network's values being the signal; `None` where there is no noise or no signal.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerError {
    /// Name of the value in the float network.
    pub name: String,
    /// The operator that computes it; activations that only bound it are passed over.
    pub op: &'static str,
    /// Of the integer network's value, with the losses of everything before it; `None` also where
    /// the integer network does not have the value.
    pub integer_db: Option<f64>,
    /// Of the value when its own layer alone is quantized.
    pub alone_db: Option<f64>,
    /// Of the network's first output when its own layer alone is quantized.
    pub output_db: Option<f64>,
}

/// The losses of a quantized network, in order of computation.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantReport {
    /// Place by place.
    pub layers: Vec<LayerError>,
    /// Of the integer network's first output.
    pub output_db: Option<f64>,
}

/// Compares a quantized network with what it stands for on some inputs.
///
/// `quantized` has `quantize` and `dequantize`, and `integer` is what
/// [`crate::passes::to_integers`] made of it. `float` is the network that
/// [`super::Quantization::apply`] quantized, equalized as it says; where the network came with its
/// scales there is none, and what it computes without rounding its activations takes its place.
///
/// # Errors
/// If an input is not what the graphs declare, or an operator has no result.
pub fn report(
    float: Option<&Graph>,
    quantized: &Graph,
    integer: &Graph,
    inputs: &[Vec<Tensor>],
) -> Result<QuantReport, GraphError> {
    let points = points(quantized);
    let reference = match float {
        Some(float) => Reference {
            graph: float.clone(),
            at: points.iter().map(|p| p.real).collect(),
        },
        None => Reference {
            graph: without_rounding(quantized),
            at: points.iter().map(|p| p.exact).collect(),
        },
    };
    let integer_at: Vec<Option<ValueId>> = {
        let ids = (0..integer.values.len() as u32).map(ValueId);
        let by_name: HashMap<&str, ValueId> =
            ids.map(|v| (integer.value(v).name.as_str(), v)).collect();
        let of = |p: &Point| {
            by_name
                .get(quantized.value(p.stored).name.as_str())
                .copied()
        };
        points.iter().map(of).collect()
    };
    let comparison = Comparison {
        reference,
        quantized,
        integer,
        points: &points,
        integer_at,
    };
    let runs = threads::map(threads::available(), inputs.len(), |run| {
        comparison.run(&inputs[run])
    })?;
    let mut total = Losses::new(points.len());
    for run in &runs {
        total.add(run);
    }
    Ok(comparison.in_words(&total))
}

/// A `quantize` of a quantized graph.
struct Point {
    /// What is quantized.
    exact: ValueId,
    /// The integers.
    stored: ValueId,
    /// The integers as reals again; what is quantized, where nobody asks for that.
    real: ValueId,
    quant: Quant,
    op: Op,
}

fn points(graph: &Graph) -> Vec<Point> {
    let quantizes = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Quantize(quant, _) => Some((node, quant)),
        _ => None,
    });
    let point = |(node, quant): (&crate::Node, &Quant)| {
        let (exact, stored) = (node.inputs[0], node.output);
        let is_real = |n: &&crate::Node| matches!(n.op, Op::Dequantize(_)) && n.inputs[0] == stored;
        let real = graph.nodes.iter().find(is_real).map(|n| n.output);
        Point {
            exact,
            stored,
            // An input keeps its value; anything else gives its name to the reals.
            real: real
                .filter(|_| !graph.inputs.contains(&exact))
                .unwrap_or(exact),
            quant: quant.clone(),
            op: node.op.clone(),
        }
    };
    quantizes.map(point).collect()
}

/// The graph with every `quantize` left out, and the `dequantize` that reads it.
fn without_rounding(graph: &Graph) -> Graph {
    let mut plain = graph.clone();
    let mut same: HashMap<ValueId, ValueId> = HashMap::new();
    plain.nodes.retain_mut(|node| {
        for v in &mut node.inputs {
            *v = *same.get(v).unwrap_or(v);
        }
        let x = node.inputs[0];
        match &node.op {
            Op::Quantize(..) => same.insert(node.output, x),
            Op::Dequantize(_) if graph.value(x).ty.dtype == crate::DType::F32 => {
                same.insert(node.output, x)
            }
            _ => return true,
        };
        false
    });
    for v in &mut plain.outputs {
        *v = *same.get(v).unwrap_or(v);
    }
    plain
}

/// A float graph, and where it has what is quantized.
struct Reference {
    graph: Graph,
    at: Vec<ValueId>,
}

struct Comparison<'a> {
    reference: Reference,
    quantized: &'a Graph,
    integer: &'a Graph,
    points: &'a [Point],
    integer_at: Vec<Option<ValueId>>,
}

impl Comparison<'_> {
    fn run(&self, inputs: &[Tensor]) -> Result<Losses, GraphError> {
        let mut losses = Losses::new(self.points.len());
        let mut reals: Vec<Option<Tensor>> = vec![None; self.reference.graph.values.len()];
        Interpreter::new(&self.reference.graph)?.run_with(inputs, &mut |v, tensor| {
            reals[v.0 as usize] = Some(tensor.clone());
        })?;
        let real = |point: usize| {
            let value = &reals[self.reference.at[point].0 as usize];
            value.as_ref().expect("a computed value")
        };
        let mut observe = |v: ValueId, tensor: &Tensor| {
            for (i, _) in self
                .integer_at
                .iter()
                .enumerate()
                .filter(|(_, at)| **at == Some(v))
            {
                if let Ok(given) = eval(&Op::Dequantize(self.points[i].quant.clone()), &[tensor]) {
                    losses.integer[i].compare(real(i), &given);
                }
            }
        };
        let outputs = Interpreter::new(self.integer)?.run_with(inputs, &mut observe)?;
        self.compare_output(&reals, &outputs[0], &mut losses.output);
        self.alone(&reals, inputs, &mut losses)?;
        Ok(losses)
    }

    /// The integer network's first output, as reals if the network quantizes it.
    fn compare_output(&self, reals: &[Option<Tensor>], given: &Tensor, loss: &mut Loss) {
        let output = self.quantized.outputs[0];
        let last = self.points.iter().find(|p| p.stored == output);
        let given = match last.map(|p| eval(&Op::Dequantize(p.quant.clone()), &[given])) {
            Some(Ok(real)) => real,
            _ => given.clone(),
        };
        let wanted = &reals[self.reference.graph.outputs[0].0 as usize];
        loss.compare(wanted.as_ref().expect("a computed value"), &given);
    }

    /// Each layer from the float network's values, and what its loss does to the output.
    fn alone(
        &self,
        reals: &[Option<Tensor>],
        inputs: &[Tensor],
        losses: &mut Losses,
    ) -> Result<(), GraphError> {
        let graph = self.quantized;
        let mut local: Vec<Option<Tensor>> = vec![None; graph.values.len()];
        for (&v, tensor) in graph.inputs.iter().zip(inputs) {
            local[v.0 as usize] = Some(tensor.clone());
        }
        for node in &graph.nodes {
            let operand = |v: &ValueId| match &local[v.0 as usize] {
                Some(tensor) => tensor,
                None => graph.constant(*v).expect("a constant or an earlier result"),
            };
            let operands: Vec<&Tensor> = node.inputs.iter().map(operand).collect();
            let result = eval(&node.op, &operands)
                .map_err(|why| GraphError::node(&node.name, &node.op, why))?;
            local[node.output.0 as usize] = Some(result);
            let point = |p: &Point| p.stored == node.inputs[0];
            match (
                &node.op,
                self.points.iter().position(|p| p.stored == node.output),
            ) {
                (Op::Quantize(..), Some(i)) => {
                    let point = &self.points[i];
                    let stored = local[node.output.0 as usize]
                        .as_ref()
                        .expect("just computed");
                    let given = eval(&Op::Dequantize(point.quant.clone()), &[stored]);
                    let given =
                        given.map_err(|why| GraphError::node(&node.name, &point.op, why))?;
                    let at = self.reference.at[i];
                    let real = reals[at.0 as usize].as_ref().expect("a computed value");
                    losses.alone[i].compare(real, &given);
                    let output = self.reference.output_with(reals, at, given)?;
                    let wanted = &reals[self.reference.graph.outputs[0].0 as usize];
                    losses.at_output[i].compare(wanted.as_ref().expect("computed"), &output);
                }
                // What the next layer reads is the float network's.
                (Op::Dequantize(_), _) => {
                    if let Some(i) = self.points.iter().position(point) {
                        let at = self.reference.at[i];
                        local[node.output.0 as usize] = reals[at.0 as usize].clone();
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn in_words(&self, losses: &Losses) -> QuantReport {
        let producers = self.quantized.producers();
        let op = |point: &Point| {
            let mut v = point.exact;
            loop {
                let Some(node) = producers[v.0 as usize].map(|n| self.quantized.node(n)) else {
                    return "input";
                };
                match node.op {
                    Op::Relu | Op::Clip { .. } => v = node.inputs[0],
                    _ => return node.op.name(),
                }
            }
        };
        let layer = |(i, point): (usize, &Point)| LayerError {
            name: self
                .reference
                .graph
                .value(self.reference.at[i])
                .name
                .clone(),
            op: op(point),
            integer_db: losses.integer[i].decibels(),
            alone_db: losses.alone[i].decibels(),
            output_db: losses.at_output[i].decibels(),
        };
        QuantReport {
            layers: self.points.iter().enumerate().map(layer).collect(),
            output_db: losses.output.decibels(),
        }
    }
}

impl Reference {
    /// The first output if the value at `at` were another.
    fn output_with(
        &self,
        reals: &[Option<Tensor>],
        at: ValueId,
        value: Tensor,
    ) -> Result<Tensor, GraphError> {
        let mut changed: HashMap<ValueId, Tensor> = HashMap::from([(at, value)]);
        for node in &self.graph.nodes {
            if node.output == at || !node.inputs.iter().any(|v| changed.contains_key(v)) {
                continue;
            }
            let operand = |v: &ValueId| {
                let new = changed.get(v).or(reals[v.0 as usize].as_ref());
                new.unwrap_or_else(|| self.graph.constant(*v).expect("a constant"))
            };
            let operands: Vec<&Tensor> = node.inputs.iter().map(operand).collect();
            let result = eval(&node.op, &operands)
                .map_err(|why| GraphError::node(&node.name, &node.op, why))?;
            changed.insert(node.output, result);
        }
        let output = self.graph.outputs[0];
        let unchanged = || reals[output.0 as usize].clone().expect("a computed value");
        Ok(changed.remove(&output).unwrap_or_else(unchanged))
    }
}

/// Signal and noise.
#[derive(Clone, Copy, Default)]
struct Loss {
    signal: f64,
    noise: f64,
}

impl Loss {
    fn compare(&mut self, wanted: &Tensor, given: &Tensor) {
        let (Some(wanted), Some(given)) = (wanted.as_f32(), given.as_f32()) else {
            return;
        };
        for (&wanted, &given) in wanted.iter().zip(given) {
            let (wanted, given) = (f64::from(wanted), f64::from(given));
            self.signal += wanted * wanted;
            self.noise += (given - wanted).powi(2);
        }
    }

    fn decibels(&self) -> Option<f64> {
        let ratio = self.signal / self.noise;
        (ratio > 0.0 && ratio.is_finite()).then(|| 10.0 * ratio.log10())
    }
}

/// What was lost at each point.
struct Losses {
    integer: Vec<Loss>,
    alone: Vec<Loss>,
    at_output: Vec<Loss>,
    output: Loss,
}

impl Losses {
    fn new(points: usize) -> Losses {
        let none = vec![Loss::default(); points];
        Losses {
            integer: none.clone(),
            alone: none.clone(),
            at_output: none,
            output: Loss::default(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Loss> {
        let each = [&self.integer, &self.alone, &self.at_output];
        each.into_iter().flatten().chain([&self.output])
    }

    fn add(&mut self, other: &Losses) {
        let each = [&mut self.integer, &mut self.alone, &mut self.at_output];
        let mine = each.into_iter().flatten().chain([&mut self.output]);
        for (mine, other) in mine.zip(other.all()) {
            mine.signal += other.signal;
            mine.noise += other.noise;
        }
    }
}
