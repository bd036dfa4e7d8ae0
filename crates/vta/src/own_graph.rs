//! A network that comes quantized, beside the exact results of its own graph.

use serde::Serialize;
use vta_graph::passes::unsigned_to_signed;
use vta_graph::quant::{Exactness, exactness};
use vta_graph::{Graph, Op, Tensor};

use crate::{Built, Result};

/// How far the integers of a network are from what its own graph says of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnGraph {
    /// Values that are stored as integers.
    pub values: usize,
    /// Those of which every element is the nearest integer to what its operator makes of the integers that it reads.
    pub exact: usize,
    /// The largest distance from that, in steps of a value; half a step is rounding.
    pub distance: f64,
    /// The largest difference of the last value, in its steps, from what the graph gives with all its roundings from the
    /// input on.
    pub apart: i64,
    /// Those that are not exact.
    pub inexact: Vec<Inexact>,
}

/// A value that is not everywhere the nearest integer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inexact {
    /// Its name.
    pub name: String,
    /// Share of elements that are not.
    pub share: f64,
    /// The largest distance from the exact result, in steps.
    pub distance: f64,
}

impl OwnGraph {
    /// Of a network that brings its own scales, on some inputs; `None` of one that was quantized here.
    pub(crate) fn compare(built: &Built, inputs: &[Vec<Tensor>]) -> Result<Option<OwnGraph>> {
        if !quantizes(&built.float) {
            return Ok(None);
        }
        let mut quantized = built.float.clone();
        unsigned_to_signed::run(&mut quantized)?;
        let values = exactness(&quantized, &built.integer, inputs)?;
        let share = |value: &Exactness| value.inexact as f64 / value.elements as f64;
        let inexact = values.iter().filter(|value| value.inexact > 0);
        let inexact: Vec<Inexact> = inexact
            .map(|value| Inexact {
                name: value.name.clone(),
                share: share(value),
                distance: value.distance,
            })
            .collect();
        let distances = values.iter().map(|value| value.distance);
        Ok(Some(OwnGraph {
            values: values.len(),
            exact: values.len() - inexact.len(),
            distance: distances.fold(0.0, f64::max),
            apart: values.last().map_or(0, |value| value.apart),
            inexact,
        }))
    }
}

fn quantizes(graph: &Graph) -> bool {
    let mut ops = graph.nodes.iter().map(|node| &node.op);
    ops.any(|op| matches!(op, Op::Quantize(..)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Model, Options, compile};

    /// All bytes by a number that is no short fraction: its multiplier has 23 bits behind the point.
    #[test]
    fn a_quantized_network_is_held_against_itself() {
        let text = "graph \"g\" (%x: i8[1,16,4,4]) -> (%y) {\n  \
             %a: f32[1,16,4,4] = dequantize(%x) {scale=[0.7], zero_point=[0], axis=0}\n  \
             %y: i8[1,16,4,4] = quantize(%a) {scale=[1], zero_point=[0], axis=0}\n}\n";
        let model = Model::from_graph(vta_graph::text::parse(text).unwrap()).unwrap();
        let built = compile(&model, &Options::default(), &()).unwrap();
        let all: Vec<i64> = (-128..128).collect();
        let input = Tensor::from_ints(vta_graph::DType::I8, [1, 16, 4, 4], &all);
        let own = OwnGraph::compare(&built, &[vec![input]]).unwrap();
        let own = own.expect("it has scales of its own");
        // -5 * 0.7 lies in the middle: integers round it up, `quantize` to even. Both are nearest.
        assert_eq!((own.values, own.exact, own.apart), (1, 1, 1));
        assert!(own.distance < 0.501 && own.inexact.is_empty());
    }
}
