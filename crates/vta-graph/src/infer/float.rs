//! Inference for the operators as imported, and for windows in general.

use super::{Inferred, expect_axis, expect_dtype, expect_rank, expect_shape};
use crate::{ConvAttrs, DType, PoolAttrs, TensorType, Window};

pub(super) fn conv(a: &ConvAttrs, inputs: &[&TensorType]) -> Inferred {
    expect_dtype("x", inputs[0], DType::F32)?;
    expect_dtype("weight", inputs[1], DType::F32)?;
    let shape = conv_shape(a, inputs)?;
    if let Some(bias) = inputs.get(2) {
        expect_dtype("bias", bias, DType::F32)?;
    }
    Ok(TensorType::new(DType::F32, shape))
}

/// Shape of a convolution of `x, weight, bias?` of any types.
pub(super) fn conv_shape(a: &ConvAttrs, inputs: &[&TensorType]) -> Result<[usize; 4], String> {
    let [n, c, h, w] = expect_rank("x", inputs[0])?;
    let [o, i, kh, kw] = expect_rank("weight", inputs[1])?;
    if a.groups == 0 || o % a.groups != 0 || i.checked_mul(a.groups) != Some(c) {
        return Err(format!(
            "operand `weight` is {} with {} groups and operand `x` is {}: the groups must \
             divide the {o} output channels, and {i} times the groups be the {c} input channels",
            inputs[1], a.groups, inputs[0]
        ));
    }
    if a.window.kernel != [kh, kw] {
        return Err(format!(
            "operand `weight` is {} but the window's kernel is {:?}: they must agree",
            inputs[1], a.window.kernel
        ));
    }
    if let Some(bias) = inputs.get(2) {
        expect_shape("bias", bias, &[o])?;
    }
    let [oh, ow] = window_hw(&a.window, [h, w], [0, 0], inputs[0])?;
    Ok([n, o, oh, ow])
}

/// Height and width after sliding `window` over `hw` grown by `extra` at the bottom and right.
pub(super) fn window_hw(
    window: &Window,
    hw: [usize; 2],
    extra: [usize; 2],
    x: &TensorType,
) -> Result<[usize; 2], String> {
    let all = [window.kernel, window.stride, window.dilation].concat();
    if all.contains(&0) {
        return Err("kernel, stride and dilation must be at least 1".into());
    }
    // Bounded so that sums of an extent and paddings fit `usize` on any host.
    let limit = TensorType::MAX_LEN / 4;
    if all
        .iter()
        .chain(&window.pads)
        .chain(&extra)
        .any(|&v| v > limit)
    {
        return Err(format!("an attribute of the window exceeds {limit}"));
    }
    hw[0]
        .checked_add(extra[0])
        .zip(hw[1].checked_add(extra[1]))
        .and_then(|(h, w)| window.out_hw(h, w))
        .ok_or_else(|| {
            format!(
                "the kernel {:?} with dilation {:?} is larger than operand `x`, {x}, with \
                 padding {:?}: enlarge the padding or the input",
                window.kernel, window.dilation, window.pads
            )
        })
}

/// Shape of a pooling operator. Each window must hold an element of the input: a maximum or
/// a mean over padding alone has no value.
pub(super) fn pool_shape(p: &PoolAttrs, x: &TensorType) -> Result<[usize; 4], String> {
    let [n, c, h, w] = expect_rank("x", x)?;
    let out = window_hw(&p.window, [h, w], p.extra, x)?;
    for (axis, extent) in [h, w].into_iter().enumerate() {
        if !windows_meet_input(&p.window, axis, extent, out[axis]) {
            return Err(format!(
                "some window may lie in the padding {:?} (extra {:?}) of operand `x`, {x}, alone: \
                 reduce the padding below the kernel's reach and the dilation to the input's size",
                p.window.pads, p.extra
            ));
        }
    }
    Ok([n, c, out[0], out[1]])
}

fn windows_meet_input(window: &Window, axis: usize, extent: usize, out: usize) -> bool {
    let (pad, stride) = (window.pads[axis], window.stride[axis]);
    let (kernel, dilation) = (window.kernel[axis], window.dilation[axis]);
    // In padded coordinates: the last position at or past the input's begin, the first before
    // its end. Positions that step over the whole input are refused, so this suffices, and
    // the outermost windows decide for those between.
    let meets = |o: usize| {
        let first = o * stride;
        first < pad + extent && first + (kernel - 1) * dilation >= pad
    };
    (kernel == 1 || dilation <= extent) && meets(0) && meets(out - 1)
}

pub(super) fn dense(inputs: &[&TensorType]) -> Inferred {
    for (name, ty) in ["x", "weight", "bias"].into_iter().zip(inputs) {
        expect_dtype(name, ty, DType::F32)?;
    }
    Ok(TensorType::new(DType::F32, dense_shape(inputs)?))
}

/// Shape of `x[.., K] * weight[N, K]^T + bias[N]?` of any types.
pub(super) fn dense_shape(inputs: &[&TensorType]) -> Result<Vec<usize>, String> {
    let x = inputs[0];
    let [n, k] = expect_rank("weight", inputs[1])?;
    let Some((&last, leading)) = x.shape.split_last() else {
        return Err(format!(
            "operand `x` is {x}: it must have at least 1 dimension"
        ));
    };
    if last != k {
        return Err(format!(
            "operand `x` is {x} and operand `weight` {}: their last extents must agree \
             (transpose the weight if it is [K, N])",
            inputs[1]
        ));
    }
    if let Some(bias) = inputs.get(2) {
        expect_shape("bias", bias, &[n])?;
    }
    Ok([leading, &[n]].concat())
}

pub(super) fn matmul(inputs: &[&TensorType]) -> Inferred {
    let (a, b) = (inputs[0], inputs[1]);
    expect_dtype("a", a, DType::F32)?;
    expect_dtype("b", b, DType::F32)?;
    let (ra, rb) = (a.shape.len(), b.shape.len());
    if ra < 2 || rb < 2 {
        return Err(format!(
            "operands `a`, {a}, and `b`, {b}, must have at least 2 dimensions: reshape a vector \
             to a row or a column"
        ));
    }
    if a.shape[ra - 1] != b.shape[rb - 2] {
        return Err(format!(
            "operand `a` is {a} and operand `b` {b}: the last extent of `a` must be the last but \
             one of `b`"
        ));
    }
    let mut shape = broadcast(&a.shape[..ra - 2], &b.shape[..rb - 2])
        .ok_or_else(|| format!("the leading extents of {a} and {b} do not broadcast"))?;
    shape.extend([a.shape[ra - 2], b.shape[rb - 1]]);
    Ok(TensorType::new(DType::F32, shape))
}

pub(super) fn batch_norm(epsilon: f32, inputs: &[&TensorType]) -> Inferred {
    let x = inputs[0];
    let &[_, c, ..] = x.shape.as_slice() else {
        return Err(format!(
            "operand `x` is {x}: it must have its channels on axis 1"
        ));
    };
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(format!("epsilon {epsilon} must be finite and not negative"));
    }
    for (name, ty) in ["x", "scale", "bias", "mean", "var"]
        .into_iter()
        .zip(inputs)
    {
        expect_dtype(name, ty, DType::F32)?;
        if name != "x" {
            expect_shape(name, ty, &[c])?;
        }
    }
    Ok(x.clone())
}

pub(super) fn leaky_relu(alpha: f32, x: &TensorType) -> Inferred {
    if alpha.is_nan() {
        return Err("alpha is not a number".into());
    }
    sigmoid(x)
}

pub(super) fn sigmoid(x: &TensorType) -> Inferred {
    expect_dtype("x", x, DType::F32)?;
    Ok(x.clone())
}

pub(super) fn relu(x: &TensorType) -> Inferred {
    expect_number(x)?;
    Ok(x.clone())
}

fn expect_number(x: &TensorType) -> Result<(), String> {
    if x.dtype == DType::Bool {
        return Err(format!("operand `x` is {x}: it must hold numbers"));
    }
    Ok(())
}

pub(super) fn clip(lo: f32, hi: f32, x: &TensorType) -> Inferred {
    expect_number(x)?;
    if lo.is_nan() || hi.is_nan() || lo > hi {
        return Err(format!(
            "bounds {lo} and {hi}: they must be numbers and ordered"
        ));
    }
    if x.dtype == DType::S1 {
        return Err("operand `x` is of signs, which have no bounds".into());
    }
    if let Some((min, max)) = x.dtype.range() {
        let whole = |v: f32| v.is_infinite() || v.trunc() == v;
        if !whole(lo) || !whole(hi) || (lo as i64) > max || (hi as i64) < min {
            return Err(format!(
                "bounds {lo} and {hi} on operand `x`, {x}: they must be whole numbers and leave \
                 some value in {min}..={max}"
            ));
        }
    }
    Ok(x.clone())
}

/// The common shape of two shapes under NumPy's rules; `None` where there is none.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |s: &[usize], d: usize| (d + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|d| match (extent(a, d), extent(b, d)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

pub(super) fn binary(inputs: &[&TensorType]) -> Inferred {
    let (a, b) = (inputs[0], inputs[1]);
    if !matches!(a.dtype, DType::F32 | DType::I32 | DType::I64) || a.dtype != b.dtype {
        return Err(format!(
            "operands `a`, {a}, and `b`, {b}, must both be f32, both i32 or both i64"
        ));
    }
    let shape = broadcast(&a.shape, &b.shape).ok_or_else(|| {
        format!(
            "operands `a`, {a}, and `b`, {b}, do not broadcast: aligned at the end, extents must \
             be equal or 1"
        )
    })?;
    Ok(TensorType::new(a.dtype, shape))
}

pub(super) fn max_pool(p: &PoolAttrs, x: &TensorType) -> Inferred {
    expect_number(x)?;
    Ok(TensorType::new(x.dtype, pool_shape(p, x)?))
}

pub(super) fn avg_pool(p: &PoolAttrs, x: &TensorType) -> Inferred {
    expect_dtype("x", x, DType::F32)?;
    Ok(TensorType::new(DType::F32, pool_shape(p, x)?))
}

pub(super) fn global_avg_pool(x: &TensorType) -> Inferred {
    expect_dtype("x", x, DType::F32)?;
    let [n, c, _, _] = expect_rank("x", x)?;
    Ok(TensorType::new(DType::F32, [n, c, 1, 1]))
}

pub(super) fn reduce_mean(axes: &[usize], keep_dims: bool, x: &TensorType) -> Inferred {
    expect_dtype("x", x, DType::F32)?;
    if axes.windows(2).any(|w| w[0] >= w[1]) {
        return Err(format!("axes {axes:?} must be sorted and distinct"));
    }
    axes.iter().try_for_each(|&axis| expect_axis(axis, x))?;
    let kept = |d: usize| !axes.contains(&d);
    let shape: Vec<usize> = (0..x.shape.len())
        .filter(|&d| keep_dims || kept(d))
        .map(|d| if kept(d) { x.shape[d] } else { 1 })
        .collect();
    Ok(TensorType::new(DType::F32, shape))
}

pub(super) fn softmax(axis: usize, x: &TensorType) -> Inferred {
    expect_axis(axis, x)?;
    sigmoid(x)
}
