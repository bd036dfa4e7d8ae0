//! Quantization: from a float graph and calibration inputs to `quantize`/`dequantize` pairs,
//! and the integer arithmetic that stands for real scales.
//!
//! A quantized graph says what it means in floats; [`crate::passes::lower_qdq`] then makes
//! exact integer operators of it. Models that come with such pairs take the second step alone.

pub mod bounds;
mod calibrate;
mod choose;
mod correct;
mod curve;
mod equalize;
mod exactness;
mod histogram;
mod insert;
mod integers;
mod nearest_plane;
mod options;
mod plan;
mod quantization;
mod range;
mod report;
mod rescale;
mod rounding;
mod target;
mod threads;
mod weight;
mod windows;

pub use calibrate::{Channel, Ranges, Statistics, calibrate};
pub use curve::SIGMOID_ERROR;
pub(crate) use curve::{HARD_SIGMOID, Knots, SIGMOID, curve, gated, leaky, multiply};
pub use exactness::{Exactness, exactness};
pub use histogram::Histogram;
pub use options::{QuantOptions, RequantMode};
pub(crate) use plan::has_one_divisor;
pub use quantization::{Quantization, QuantizedLayer, StoredValue, post_training};
pub use range::{RangeMethod, Scheme};
pub use report::{LayerError, QuantReport, report};
pub(crate) use rescale::{
    Addend, Output, RESIDUAL_MIN, add_epilogue, requant, requant_shift, round_to,
};
pub use target::{QuantTarget, SHIFT_IMM_MAX};
