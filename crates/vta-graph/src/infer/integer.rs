//! Inference between float and integers, and for the exact integer operators.

use super::float::{conv_shape, dense_shape, pool_shape};
use super::{Inferred, expect_dtype, expect_in_range, expect_narrow, expect_shape};
use crate::{
    AddEpilogue, ConvAttrs, DType, MulEpilogue, Pieces, Piecewise, PoolAttrs, Quant, Requant,
    TensorType,
};

/// Largest right shift of an epilogue.
const MAX_SHIFT: u32 = 62;

pub(super) fn quantize(q: &Quant, dtype: DType, x: &TensorType) -> Inferred {
    expect_dtype("x", x, DType::F32)?;
    check_quant(q, dtype, x)?;
    Ok(TensorType::new(dtype, x.shape.clone()))
}

pub(super) fn dequantize(q: &Quant, x: &TensorType) -> Inferred {
    check_quant(q, x.dtype, x)?;
    Ok(TensorType::new(DType::F32, x.shape.clone()))
}

fn check_quant(q: &Quant, dtype: DType, x: &TensorType) -> Result<(), String> {
    if matches!(dtype, DType::F32 | DType::I64 | DType::Bool) {
        return Err(format!(
            "the quantized type is {dtype}: it must be i32, i8, u8, i4, i2, i1 or s1"
        ));
    }
    let n = q.scale.len();
    if n != 1 && x.shape.get(q.axis) != Some(&n) {
        return Err(format!(
            "{n} scales along axis {} of operand `x`, {x}: there must be one, or one for each \
             extent of the axis",
            q.axis
        ));
    }
    if q.zero_point.len() != 1 && q.zero_point.len() != n {
        return Err(format!(
            "{} zero points with {n} scales: there must be one, or as many as scales",
            q.zero_point.len()
        ));
    }
    if let Some(s) = q.scale.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(format!("scale {s} must be finite and positive"));
    }
    q.zero_point
        .iter()
        .try_for_each(|&z| expect_in_range("zero point", z.into(), dtype))
}

pub(super) fn qconv(a: &ConvAttrs, zero_point: i32, inputs: &[&TensorType]) -> Inferred {
    check_product(zero_point, inputs)?;
    Ok(TensorType::new(DType::I32, conv_shape(a, inputs)?))
}

pub(super) fn qdense(zero_point: i32, inputs: &[&TensorType]) -> Inferred {
    check_product(zero_point, inputs)?;
    Ok(TensorType::new(DType::I32, dense_shape(inputs)?))
}

fn check_product(zero_point: i32, inputs: &[&TensorType]) -> Result<(), String> {
    expect_narrow("x", inputs[0])?;
    expect_narrow("weight", inputs[1])?;
    if let Some(bias) = inputs.get(2) {
        expect_dtype("bias", bias, DType::I32)?;
    }
    expect_in_range("zero point", zero_point.into(), inputs[0].dtype)
}

/// An operand of an epilogue: an accumulator, or something narrower.
fn expect_addend(name: &str, ty: &TensorType) -> Result<(), String> {
    if matches!(ty.dtype, DType::F32 | DType::I64 | DType::Bool) {
        return Err(format!(
            "operand `{name}` is {ty}: it must be i32 or narrower"
        ));
    }
    Ok(())
}

pub(super) fn qaccumulate(mult: &[i32], zero_point: i32, inputs: &[&TensorType]) -> Inferred {
    let (sums, x) = (inputs[0], inputs[1]);
    expect_dtype("sums", sums, DType::I32)?;
    expect_narrow("x", x)?;
    expect_in_range("zero point", zero_point.into(), x.dtype)?;
    expect_shape("x", x, &sums.shape)?;
    check_per_channel("mult", mult.len(), sums.shape.get(1).copied(), sums)?;
    if let Some(m) = mult.iter().find(|m| **m < 0) {
        return Err(format!("multiplier {m} is negative"));
    }
    Ok(sums.clone())
}

pub(super) fn requantize(r: &Requant, dtype: DType, x: &TensorType) -> Inferred {
    expect_addend("x", x)?;
    check_requant(r, dtype, x.shape.get(1).copied(), x)?;
    Ok(TensorType::new(dtype, x.shape.clone()))
}

/// `channels` is the length that per-channel parameters must have, if they may exist.
pub(super) fn check_requant(
    r: &Requant,
    dtype: DType,
    channels: Option<usize>,
    x: &TensorType,
) -> Result<(), String> {
    for (name, len) in [("mult", r.mult.len()), ("add", r.add.len())] {
        check_per_channel(name, len, channels, x)?;
    }
    if let Some(m) = r.mult.iter().find(|m| **m < 0) {
        return Err(format!(
            "multiplier {m} is negative: negate the weights instead"
        ));
    }
    check_epilogue(r.shift, r.lo, r.hi, dtype)
}

fn check_per_channel(
    name: &str,
    len: usize,
    channels: Option<usize>,
    x: &TensorType,
) -> Result<(), String> {
    if len == 1 || Some(len) == channels {
        return Ok(());
    }
    Err(format!(
        "{len} values of `{name}` for operand `x`, {x}: there must be one{}",
        channels.map_or(String::new(), |c| format!(", or {c}, one for each channel"))
    ))
}

fn check_epilogue(shift: u32, lo: i32, hi: i32, dtype: DType) -> Result<(), String> {
    if shift > MAX_SHIFT {
        return Err(format!("shift {shift} exceeds {MAX_SHIFT}"));
    }
    if lo > hi {
        return Err(format!("lo {lo} exceeds hi {hi}"));
    }
    expect_in_range("lo", lo.into(), dtype)?;
    expect_in_range("hi", hi.into(), dtype)
}

pub(super) fn check_mul(e: &MulEpilogue, dtype: DType) -> Result<(), String> {
    check_pieces(&e.gate)?;
    check_epilogue(e.shift, e.lo, e.hi, dtype)
}

pub(super) fn check_piecewise(p: &Piecewise, dtype: DType) -> Result<(), String> {
    check_pieces(&p.function)?;
    check_epilogue(p.shift, p.lo, p.hi, dtype)
}

fn check_pieces(function: &Pieces) -> Result<(), String> {
    if function.pieces.is_empty() {
        return Err("a function without pieces: there must be one at least".into());
    }
    match function.pieces.iter().find(|piece| piece.lo > piece.hi) {
        None => Ok(()),
        Some(piece) => Err(format!(
            "a piece from {} to {}: its bounds must be ordered",
            piece.lo, piece.hi
        )),
    }
}

pub(super) fn check_add(e: &AddEpilogue, dtype: DType) -> Result<(), String> {
    check_epilogue(e.shift, e.lo, e.hi, dtype)
}

pub(super) fn qadd(e: &AddEpilogue, dtype: DType, inputs: &[&TensorType]) -> Inferred {
    let (a, b) = (inputs[0], inputs[1]);
    expect_addend("a", a)?;
    expect_addend("b", b)?;
    expect_alike(a, b)?;
    check_add(e, dtype)?;
    Ok(TensorType::new(dtype, a.shape.clone()))
}

/// Two operands of one shape, or the second of one row and column.
fn expect_alike(a: &TensorType, b: &TensorType) -> Result<(), String> {
    let one =
        matches!((&a.shape[..], &b.shape[..]), ([n, c, _, _], [m, d, 1, 1]) if (n, c) == (m, d));
    if a.shape == b.shape || one {
        return Ok(());
    }
    Err(format!(
        "operand `a` is {a} and operand `b` {b}: their shapes must be equal, or that of `b` [N, C, 1, 1]"
    ))
}

pub(super) fn qmul(e: &MulEpilogue, dtype: DType, inputs: &[&TensorType]) -> Inferred {
    let (a, b) = (inputs[0], inputs[1]);
    expect_narrow("a", a)?;
    expect_narrow("b", b)?;
    expect_alike(a, b)?;
    check_mul(e, dtype)?;
    Ok(TensorType::new(dtype, a.shape.clone()))
}

pub(super) fn qpiecewise(p: &Piecewise, dtype: DType, x: &TensorType) -> Inferred {
    expect_narrow("x", x)?;
    check_piecewise(p, dtype)?;
    Ok(TensorType::new(dtype, x.shape.clone()))
}

pub(super) fn qsum_pool(p: &PoolAttrs, zero_point: i32, x: &TensorType) -> Inferred {
    expect_narrow("x", x)?;
    expect_in_range("zero point", zero_point.into(), x.dtype)?;
    Ok(TensorType::new(DType::I32, pool_shape(p, x)?))
}
