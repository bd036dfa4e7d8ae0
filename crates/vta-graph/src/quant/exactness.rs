//! How far integers are from the exact results of their own graph.
//!
//! A graph with `quantize` and `dequantize` says of each of its values what it is: the nearest integers to what an
//! operator makes of other integers. The integer network multiplies by numbers of so many bits instead of quotients of
//! scales: where these are no such numbers, what lies near the middle of two integers may become the other one. And one
//! step more or less moves what comes behind it, so that both networks grow apart, each as near to the real one.

use std::collections::HashMap;

use super::threads;
use crate::interp::{Interpreter, eval};
use crate::{Graph, GraphError, Op, Quant, Tensor, ValueId};

/// How much farther than half a step from the exact result an integer may lie and count as the nearest: what the
/// reference, computed in `f32`, may be off itself.
const SLACK: f64 = 1.0 / 256.0;

/// Integers of one value beside the exact results of their own graph. One step is 1 of the integer.
#[derive(Clone, Debug, PartialEq)]
pub struct Exactness {
    /// Name of the value.
    pub name: String,
    /// Elements that were compared.
    pub elements: u64,
    /// Those that are not the nearest integer to what the operator makes of the integers that it reads.
    pub inexact: u64,
    /// The largest distance from that result, in steps; half a step is rounding.
    pub distance: f64,
    /// The largest difference, in steps, from what the graph gives with all its roundings from the inputs on: what
    /// differences before it have grown to.
    pub apart: i64,
}

impl Exactness {
    fn merge(&mut self, other: &Exactness) {
        self.elements += other.elements;
        self.inexact += other.inexact;
        self.distance = self.distance.max(other.distance);
        self.apart = self.apart.max(other.apart);
    }
}

/// Compares an integer network with the graph of `quantize` and `dequantize` that it was made of, on some inputs: each value
/// that both store as integers of one scale, in order of computation, inputs aside.
///
/// # Errors
/// If an input is not what the graphs declare, or an operator has no result.
pub fn exactness(
    quantized: &Graph,
    integer: &Graph,
    inputs: &[Vec<Tensor>],
) -> Result<Vec<Exactness>, GraphError> {
    let ids = (0..integer.values.len() as u32).map(ValueId);
    let comparison = Comparison {
        quantized,
        integer,
        by_name: ids.map(|v| (integer.value(v).name.as_str(), v)).collect(),
    };
    let compare = |run: usize| comparison.run(&inputs[run]);
    let runs = threads::map(threads::available(), inputs.len(), compare)?;
    let whole = runs.into_iter().reduce(|mut whole, run| {
        for (all, one) in whole.iter_mut().zip(&run) {
            all.merge(one);
        }
        whole
    });
    Ok(whole.unwrap_or_default())
}

struct Comparison<'a> {
    quantized: &'a Graph,
    integer: &'a Graph,
    /// Values of the integer network.
    by_name: HashMap<&'a str, ValueId>,
}

impl Comparison<'_> {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Exactness>, GraphError> {
        let graph = self.quantized;
        let mut integers: Vec<Option<Tensor>> = vec![None; self.integer.values.len()];
        Interpreter::new(self.integer)?.run_with(inputs, &mut |v, tensor| {
            integers[v.0 as usize] = Some(tensor.clone());
        })?;
        let given = |v: ValueId| {
            let value = graph.value(v);
            let at = self.by_name.get(value.name.as_str())?;
            let tensor = integers[at.0 as usize].as_ref()?;
            (*tensor.ty() == value.ty).then_some(tensor)
        };
        let mut rounded: HashMap<ValueId, Tensor> = HashMap::new();
        Interpreter::new(graph)?.run_with(inputs, &mut |v, tensor| {
            if given(v).is_some() {
                rounded.insert(v, tensor.clone());
            }
        })?;

        // Every operator once more, of what the integer network gives it.
        let mut local: Vec<Option<Tensor>> = vec![None; graph.values.len()];
        for (&v, tensor) in graph.inputs.iter().zip(inputs) {
            local[v.0 as usize] = Some(tensor.clone());
        }
        let mut values = Vec::new();
        for node in &graph.nodes {
            let operand = |v: &ValueId| match &local[v.0 as usize] {
                Some(tensor) => tensor,
                None => graph.constant(*v).expect("a constant or an earlier result"),
            };
            let operands: Vec<&Tensor> = node.inputs.iter().map(operand).collect();
            let mut result = eval(&node.op, &operands)
                .map_err(|why| GraphError::node(&node.name, &node.op, why))?;
            if let (Op::Quantize(quant, _), Some(given)) = (&node.op, given(node.output)) {
                if quant.scale.len() == 1 && !graph.inputs.contains(&node.inputs[0]) {
                    values.push(Exactness {
                        name: graph.value(node.output).name.clone(),
                        apart: difference(&rounded[&node.output], given),
                        ..beside(operands[0], given, quant)
                    });
                }
                result = given.clone();
            }
            local[node.output.0 as usize] = Some(result);
        }
        Ok(values)
    }
}

/// Integers beside the reals that they should be nearest to.
fn beside(exact: &Tensor, given: &Tensor, quant: &Quant) -> Exactness {
    let (scale, zero_point) = (f64::from(quant.scale[0]), f64::from(quant.zero_point[0]));
    let (lo, hi) = given.dtype().range().expect("integers");
    let exact = exact.as_f32().expect("floats are quantized");
    let integers = given.to_ints().expect("integers");
    let distances = exact.iter().zip(&integers).map(|(&x, &q)| {
        let steps = (f64::from(x) / scale + zero_point).clamp(lo as f64, hi as f64);
        (steps - q as f64).abs()
    });
    let (mut inexact, mut distance) = (0, 0.0);
    for d in distances {
        inexact += u64::from(d > 0.5 + SLACK);
        distance = f64::max(distance, d);
    }
    Exactness {
        name: String::new(),
        elements: integers.len() as u64,
        inexact,
        distance,
        apart: 0,
    }
}

/// The largest difference of two tensors of integers.
fn difference(a: &Tensor, b: &Tensor) -> i64 {
    let integers = |t: &Tensor| t.to_ints().expect("integers");
    let pairs = integers(a).into_iter().zip(integers(b));
    pairs.map(|(a, b)| (a - b).abs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::to_integers;
    use crate::quant::QuantTarget;

    /// Two rescalings of all bytes, the first by `ratio` to 1, on a design whose multipliers have few bits.
    fn rescaled(ratio: &str) -> Vec<Exactness> {
        let text = format!(
            "graph \"g\" (%x: i8[1,255]) -> (%z) {{\n  \
             %a: f32[1,255] = dequantize(%x) {{scale=[{ratio}], zero_point=[0], axis=0}}\n  \
             %y: i8[1,255] = quantize(%a) {{scale=[1], zero_point=[0], axis=0}}\n  \
             %b: f32[1,255] = dequantize(%y) {{scale=[1], zero_point=[0], axis=0}}\n  \
             %z: i8[1,255] = quantize(%b) {{scale=[0.25], zero_point=[3], axis=0}}\n}}\n"
        );
        let quantized = crate::text::parse(&text).unwrap();
        let mut integer = quantized.clone();
        let target = QuantTarget {
            acc_bits: 16,
            ..QuantTarget::default()
        };
        to_integers(&mut integer, &target).unwrap();
        let all: Vec<i64> = (-127..=127).collect();
        let inputs = vec![vec![Tensor::from_ints(crate::DType::I8, [1, 255], &all)]];
        exactness(&quantized, &integer, &inputs).unwrap()
    }

    #[test]
    fn factors_that_a_multiplier_stands_for_are_exact() {
        let values = rescaled("0.375");
        assert_eq!(values.len(), 2);
        for value in values {
            assert_eq!((value.elements, value.inexact), (255, 0), "{value:?}");
            assert!(value.distance <= 0.5);
        }
    }

    #[test]
    fn other_factors_are_off_and_carried_on() {
        let values = rescaled("0.33");
        assert!(values[0].inexact > 0 && values[0].distance > 0.5);
        assert_eq!((values[0].apart, values[1].inexact), (1, 0));
        assert_eq!(values[1].apart, 4);
    }
}
