//! Inference for operators that only move elements.

use super::{Inferred, expect_axis};
use crate::{DType, TensorType, Window};

pub(super) fn reshape(shape: &[usize], x: &TensorType) -> Inferred {
    let y = TensorType::new(x.dtype, shape);
    if y.checked_len()? != x.len() {
        return Err(format!(
            "operand `x` is {x} with {} elements, the new shape {shape:?} has {}",
            x.len(),
            y.len()
        ));
    }
    Ok(y)
}

pub(super) fn transpose(perm: &[usize], x: &TensorType) -> Inferred {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.shape.len()) {
        return Err(format!(
            "perm {perm:?} must name each axis of operand `x`, {x}, once"
        ));
    }
    let shape: Vec<usize> = perm.iter().map(|&p| x.shape[p]).collect();
    Ok(TensorType::new(x.dtype, shape))
}

pub(super) fn concat(axis: usize, xs: &[&TensorType]) -> Inferred {
    let first = xs[0];
    expect_axis(axis, first)?;
    let mut y = first.clone();
    for (i, x) in xs.iter().enumerate().skip(1) {
        let alike = x.dtype == first.dtype
            && x.shape.len() == first.shape.len()
            && (0..x.shape.len()).all(|d| d == axis || x.shape[d] == first.shape[d]);
        if !alike {
            return Err(format!(
                "operand {i} is {x}, operand 0 is {first}: they may differ on axis {axis} only"
            ));
        }
        y.shape[axis] = y.shape[axis]
            .checked_add(x.shape[axis])
            .ok_or("the extents along the axis overflow")?;
    }
    Ok(y)
}

pub(super) fn pad(before: &[usize], after: &[usize], value: f32, x: &TensorType) -> Inferred {
    let rank = x.shape.len();
    if before.len() != rank || after.len() != rank {
        return Err(format!(
            "before {before:?} and after {after:?} must have one entry for each of the {rank} \
             axes of operand `x`, {x}"
        ));
    }
    expect_representable("the padding value", value, x.dtype)?;
    let shape = x
        .shape
        .iter()
        .zip(before)
        .zip(after)
        .map(|((&d, &b), &a)| d.checked_add(b)?.checked_add(a))
        .collect::<Option<Vec<usize>>>()
        .ok_or("the padded extents overflow")?;
    Ok(TensorType::new(x.dtype, shape))
}

/// A float attribute that stands for an element of `dtype`.
fn expect_representable(what: &str, value: f32, dtype: DType) -> Result<(), String> {
    let (lo, hi) = match dtype {
        DType::F32 => return Ok(()),
        DType::Bool => (0, 1),
        _ => dtype.range().expect("an integer type"),
    };
    // 2^63 and 2^31 round up in `f32`: compare after the (saturating) conversion, exactly.
    let whole = value as i64;
    if whole as f32 == value
        && value.abs() < 9.2e18
        && (lo..=hi).contains(&whole)
        && (dtype, whole) != (DType::S1, 0)
    {
        Ok(())
    } else {
        Err(format!(
            "{what} {value} is not {dtype}: it must be a whole number in {lo}..={hi}"
        ))
    }
}

pub(super) fn im2col(
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    x: &TensorType,
) -> Inferred {
    let [n, c, h, w] = x.shape[..] else {
        return Err(format!("operand `x` is {x}, expected [N, C, H, W]"));
    };
    let window = Window {
        kernel,
        stride,
        dilation,
        pads: [0; 4],
    };
    let out = window.out_hw(h, w);
    let channels = kernel.iter().try_fold(c, |c, &k| c.checked_mul(k));
    let (Some([oh, ow]), Some(channels)) = (out, channels) else {
        return Err(format!(
            "operand `x` is {x}: a window of {kernel:?} by steps of {stride:?}, dilated by {dilation:?}, \
             does not fit it"
        ));
    };
    Ok(TensorType::new(x.dtype, [n, channels, oh, ow]))
}

pub(super) fn slice(start: &[usize], end: &[usize], step: &[usize], x: &TensorType) -> Inferred {
    let rank = x.shape.len();
    if [start, end, step].iter().any(|v| v.len() != rank) {
        return Err(format!(
            "start {start:?}, end {end:?} and step {step:?} must have one entry for each of the \
             {rank} axes of operand `x`, {x}"
        ));
    }
    let mut shape = Vec::with_capacity(rank);
    for d in 0..rank {
        if step[d] == 0 || start[d] >= end[d] || end[d] > x.shape[d] {
            return Err(format!(
                "axis {d} of operand `x`, {x}: the slice {}..{} by {} needs start < end <= {} \
                 and a step of at least 1",
                start[d], end[d], step[d], x.shape[d]
            ));
        }
        shape.push((end[d] - start[d]).div_ceil(step[d]));
    }
    Ok(TensorType::new(x.dtype, shape))
}

pub(super) fn depth_to_space(
    block: [usize; 2],
    groups: usize,
    channels: usize,
    x: &TensorType,
) -> Inferred {
    let grown = enlarged(block, x)?;
    let positions = block[0].checked_mul(block[1]);
    let parts = positions.and_then(|n| n.checked_mul(groups));
    let each = parts.filter(|&parts| parts > 0 && x.shape[1] % parts == 0);
    let Some(each) = each.map(|parts| x.shape[1] / parts) else {
        return Err(format!(
            "operand `x` is {x}: its channels are no whole number for each of {groups} groups and each position of \
             a block of {block:?}"
        ));
    };
    let all = groups * each;
    if channels == 0 || channels > all || (channels < all && groups > 1) {
        return Err(format!(
            "{channels} channels of the {all} in {groups} groups: it must be all of them, or the first of one group"
        ));
    }
    let [n, _, h, w] = grown;
    Ok(TensorType::new(x.dtype, [n, channels, h, w]))
}

pub(super) fn resize(factors: [usize; 2], x: &TensorType) -> Inferred {
    Ok(TensorType::new(x.dtype, enlarged(factors, x)?))
}

/// The extents with so many times the rows and columns.
fn enlarged(block: [usize; 2], x: &TensorType) -> Result<[usize; 4], String> {
    let [n, c, h, w] = x.shape[..] else {
        return Err(format!("operand `x` is {x}, expected [N, C, H, W]"));
    };
    let grown = (h.checked_mul(block[0])).zip(w.checked_mul(block[1]));
    match grown.filter(|_| !block.contains(&0)) {
        Some((h, w)) => Ok([n, c, h, w]),
        None => Err(format!(
            "operand `x` is {x}: it cannot grow {block:?} times; factors must be at least 1 and moderate"
        )),
    }
}
