//! Between float and integers.

use std::slice::from_ref;
use std::sync::Arc;

use vta_graph::{DType, Op, Quant};

use crate::import::{Importer, Known};
use crate::node::{NodeView, resolve_axis};
use crate::tensor::dtype_of;

/// A constant is quantized now: exporters leave float weights with a pair behind them.
pub(super) fn quantize(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?;
    let (quant, zero_type) = parameters(im, n)?;
    let asked = n.int("output_dtype")?.filter(|&c| c != 0);
    let asked = asked
        .map(|c| dtype_of(c.try_into().unwrap_or(-1)))
        .transpose()?;
    let dtype = match (zero_type, asked) {
        (Some(z), Some(a)) if z != a => {
            return Err(format!("output_dtype is {a}, but the zero point is {z}"));
        }
        (z, a) => z.or(a).unwrap_or(DType::U8),
    };
    if !matches!(dtype, DType::I8 | DType::U8 | DType::I4) {
        return Err(format!(
            "quantizing to {dtype}; i8, u8 and i4 are supported"
        ));
    }
    im.fold_or_emit(n, Op::Quantize(quant, dtype), from_ref(x))
}

/// A dequantized constant stays one until an operator needs it, so that what transposes it can
/// work on the integers.
pub(super) fn dequantize(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?;
    let (quant, zero_type) = parameters(im, n)?;
    let dtype = im.dtype(x);
    if let Some(z) = zero_type.filter(|&z| z != dtype) {
        return Err(format!("the input is {dtype}, but the zero point is {z}"));
    }
    if !matches!(dtype, DType::I8 | DType::U8 | DType::I4 | DType::I32) {
        return Err(format!(
            "dequantizing {dtype}; i8, u8, i4 and i32 are supported"
        ));
    }
    match x {
        Known::Constant(c) => Ok(Known::dequantized(
            &n.proto.output[0],
            Arc::clone(&c.tensor),
            quant,
            c.name(),
        )),
        Known::Value(_) => im.emit(n, Op::Dequantize(quant), from_ref(x)),
    }
}

/// Scale, zero point and axis, and the type of the zero point where one is given.
fn parameters(im: &Importer, n: &NodeView) -> Result<(Quant, Option<DType>), String> {
    n.only_int("block_size", 0)?;
    let scale = n.constant(1)?.ok_or("input 1, the scale, is missing")?;
    let scale = scale
        .as_f32()
        .ok_or_else(|| format!("the scale is {}, not f32", scale.ty()))?;
    if let Some(s) = scale.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(format!("scale {s} is not positive and finite"));
    }
    let zero = n.constant(2)?;
    let zero_point: Vec<i32> = match zero {
        None => vec![0; scale.len()],
        Some(t) => t
            .to_ints()
            .and_then(|v| v.iter().map(|&z| z.try_into().ok()).collect())
            .ok_or_else(|| format!("the zero point is {}, not integers of 32 bits", t.ty()))?,
    };
    if zero_point.len() != scale.len() {
        return Err(format!(
            "{} scales, but {} zero points",
            scale.len(),
            zero_point.len()
        ));
    }
    let shape = im.shape(n.input(0)?);
    let axis = match scale.len() {
        1 => 0,
        channels => {
            let axis = resolve_axis(n.int("axis")?.unwrap_or(1), shape.len())?;
            if shape[axis] != channels {
                return Err(format!(
                    "{channels} scales for axis {axis} of shape {shape:?}"
                ));
            }
            axis
        }
    };
    let quant = Quant {
        scale: scale.to_vec(),
        zero_point,
        axis,
    };
    Ok((quant, zero.map(|t| t.dtype())))
}
