//! Quantization: from a float graph and calibration inputs to `quantize`/`dequantize` pairs,
//! and the integer arithmetic that stands for real scales.
//!
//! A quantized graph says what it means in floats; [`crate::passes::lower_qdq`] then makes
//! exact integer operators of it. Models that come with such pairs take the second step alone.

pub mod bounds;
mod calibrate;
mod correct;
mod equalize;
mod histogram;
mod insert;
mod plan;
mod range;
mod rescale;
mod target;
mod weight;

pub use calibrate::{Ranges, Statistics, calibrate};
pub use equalize::equalize;
pub use histogram::Histogram;
pub use insert::{QuantOptions, RequantMode, quantize};
pub(crate) use plan::has_one_divisor;
pub use range::{RangeMethod, Scheme};
pub(crate) use rescale::{Addend, Output, add_epilogue, requant, requant_shift, round_to};
pub use target::{QuantTarget, SHIFT_IMM_MAX};

use crate::{Graph, GraphError, Tensor};

/// Post-training quantization of a prepared float graph ([`crate::passes::prepare`]) from
/// calibration inputs, each the tensors of one run: equalize, calibrate, quantize, correct
/// biases.
///
/// # Errors
/// Those of [`calibrate`] and [`quantize`].
pub fn post_training(
    graph: &mut Graph,
    inputs: &[Vec<Tensor>],
    options: &QuantOptions,
) -> Result<(), GraphError> {
    let look = |graph: &Graph, runs: &[Vec<Tensor>]| calibrate(graph, runs.iter().cloned());
    let mut ranges = look(graph, inputs)?;
    if options.equalize && equalize(graph, &ranges)? {
        ranges = look(graph, inputs)?;
    }
    if !options.correct_bias {
        return quantize(graph, &ranges, options);
    }
    let runs = &inputs[..inputs.len().min(correct::MAX_RUNS)];
    let means = correct::layer_means(graph, runs)?;
    quantize(graph, &ranges, options)?;
    correct::correct_biases(graph, &means, runs)
}
