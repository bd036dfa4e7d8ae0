//! Quantization: from a float graph and calibration inputs to `quantize`/`dequantize` pairs,
//! and the integer arithmetic that stands for real scales.
//!
//! A quantized graph says what it means in floats; [`crate::passes::lower_qdq`] then makes
//! exact integer operators of it. Models that come with such pairs take the second step alone.

pub mod bounds;
mod rescale;
mod target;

pub(crate) use rescale::{Addend, Output, add_epilogue, requant, requant_shift, round_to};
pub use target::QuantTarget;
