//! Type and shape inference: what an operator gives for inputs of given types, and the rules
//! its attributes and inputs must keep.
//!
//! Everything that an interpreter or a pass relies on is checked here, so that they need not.
//! A rejection names the operand, its type, and what would be accepted.

mod arrange;
mod float;
mod integer;
mod packed;

use crate::{DType, Op, TensorType};

/// A type, or the reason why there is none.
type Inferred = Result<TensorType, String>;

impl Op {
    /// The type of the result for inputs of the given types.
    ///
    /// # Errors
    /// If the operator does not take these inputs, or its attributes contradict themselves or
    /// the inputs: the reason, naming the operand and the remedy.
    pub fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let (names, required) = self.operands();
        check_arity(inputs.len(), names, required)?;
        for (i, ty) in inputs.iter().enumerate() {
            ty.checked_len()?;
            if ty.shape.contains(&0) {
                let name = names.get(i).unwrap_or(&names[names.len() - 1]);
                return Err(format!(
                    "operand `{name}` is {ty}: an extent is zero, there is nothing to compute"
                ));
            }
        }
        let ty = match self {
            Op::Conv(a) => float::conv(a, inputs),
            Op::Dense => float::dense(inputs),
            Op::MatMul => float::matmul(inputs),
            Op::BatchNorm { epsilon } => float::batch_norm(*epsilon, inputs),
            Op::LeakyRelu { alpha } => float::leaky_relu(*alpha, inputs[0]),
            Op::Sigmoid | Op::HardSwish | Op::Silu => float::sigmoid(inputs[0]),
            Op::Relu => float::relu(inputs[0]),
            Op::Clip { lo, hi } => float::clip(*lo, *hi, inputs[0]),
            Op::Add | Op::Sub | Op::Mul | Op::Div => float::binary(inputs),
            Op::MaxPool(p) => float::max_pool(p, inputs[0]),
            Op::AvgPool(p) => float::avg_pool(p, inputs[0]),
            Op::GlobalAvgPool => float::global_avg_pool(inputs[0]),
            Op::ReduceMean { axes, keep_dims } => float::reduce_mean(axes, *keep_dims, inputs[0]),
            Op::Softmax { axis } => float::softmax(*axis, inputs[0]),
            Op::Reshape { shape } => arrange::reshape(shape, inputs[0]),
            Op::Transpose { perm } => arrange::transpose(perm, inputs[0]),
            Op::Concat { axis } => arrange::concat(*axis, inputs),
            Op::Pad {
                before,
                after,
                value,
            } => arrange::pad(before, after, *value, inputs[0]),
            Op::Im2col {
                kernel,
                stride,
                dilation,
            } => arrange::im2col(*kernel, *stride, *dilation, inputs[0]),
            Op::Slice { start, end, step } => arrange::slice(start, end, step, inputs[0]),
            Op::DepthToSpace {
                block,
                groups,
                channels,
            } => arrange::depth_to_space(*block, *groups, *channels, inputs[0]),
            Op::Resize { factors } => arrange::resize(*factors, inputs[0]),
            Op::Quantize(q, dtype) => integer::quantize(q, *dtype, inputs[0]),
            Op::Dequantize(q) => integer::dequantize(q, inputs[0]),
            Op::QConv(a, zero_point) => integer::qconv(a, *zero_point, inputs),
            Op::QDense(zero_point) => integer::qdense(*zero_point, inputs),
            Op::Requantize(r, dtype) => integer::requantize(r, *dtype, inputs[0]),
            Op::QAccumulate { mult, zero_point } => integer::qaccumulate(mult, *zero_point, inputs),
            Op::QAdd(e, dtype) => integer::qadd(e, *dtype, inputs),
            Op::QMul(e, dtype) => integer::qmul(e, *dtype, inputs),
            Op::QPiecewise(p, dtype) => integer::qpiecewise(p, *dtype, inputs[0]),
            Op::QSumPool(p, zero_point) => integer::qsum_pool(p, *zero_point, inputs[0]),
            Op::Pack(layout) => packed::pack(layout, inputs[0]),
            Op::Unpack { layout, shape } => packed::unpack(layout, *shape, inputs[0]),
            Op::VtaConv(c) => packed::vta_conv(c, inputs),
            Op::VtaAdd(pair, add) => packed::vta_add(pair, add, inputs),
            Op::VtaMul(pair, mul) => packed::vta_mul(pair, mul, inputs),
            Op::VtaPiecewise {
                shape,
                in_layout,
                out_layout,
                map,
            } => packed::vta_piecewise(*shape, [in_layout, out_layout], map, inputs[0]),
            Op::VtaMaxPool(p) => packed::vta_max_pool(p, inputs[0]),
            Op::VtaSumPool(p, requant) => packed::vta_sum_pool(p, requant, inputs[0]),
            Op::VtaSpread(p) => packed::vta_spread(p, inputs[0]),
            Op::VtaConcat => packed::vta_concat(inputs),
        }?;
        ty.checked_len()?;
        Ok(ty)
    }

    /// Names of the operands for messages, and how many of them are required. The last name
    /// of a variadic operator stands for all that follow.
    fn operands(&self) -> (&'static [&'static str], usize) {
        match self {
            Op::Conv(_) | Op::QConv(..) | Op::Dense | Op::QDense(_) => {
                (&["x", "weight", "bias"], 2)
            }
            Op::VtaConv(c) if c.residual.is_some() => {
                (&["x", "weight", "residual", "residual_weight"], 4)
            }
            Op::VtaConv(_) => (&["x", "weight"], 2),
            Op::QAccumulate { .. } => (&["sums", "x"], 2),
            Op::BatchNorm { .. } => (&["x", "scale", "bias", "mean", "var"], 5),
            Op::MatMul | Op::Add | Op::Sub | Op::Mul | Op::Div => (&["a", "b"], 2),
            Op::QAdd(..) | Op::QMul(..) | Op::VtaAdd(..) | Op::VtaMul(..) => (&["a", "b"], 2),
            Op::Concat { .. } | Op::VtaConcat => (&["x..."], 1),
            _ => (&["x"], 1),
        }
    }
}

fn check_arity(given: usize, names: &[&str], required: usize) -> Result<(), String> {
    let variadic = names.last().is_some_and(|n| n.ends_with("..."));
    if given >= required && (variadic || given <= names.len()) {
        return Ok(());
    }
    let takes = match required {
        _ if variadic => format!("at least {required}"),
        _ if required < names.len() => format!("{required} to {}", names.len()),
        _ => required.to_string(),
    };
    Err(format!(
        "{given} operands given where it takes {takes} ({})",
        names.join(", ")
    ))
}

fn expect_dtype(name: &str, ty: &TensorType, dtype: DType) -> Result<(), String> {
    if ty.dtype == dtype {
        Ok(())
    } else {
        Err(format!("operand `{name}` is {ty}: it must be {dtype}"))
    }
}

/// Stored activations and weights: signed, 8 bits or fewer.
fn expect_narrow(name: &str, ty: &TensorType) -> Result<(), String> {
    if ty.dtype.is_narrow() {
        Ok(())
    } else {
        Err(format!(
            "operand `{name}` is {ty}: it must be i8, i4, i2, i1 or s1 \
             (shift an unsigned tensor and its zero point by 128 first)"
        ))
    }
}

fn expect_rank<const R: usize>(name: &str, ty: &TensorType) -> Result<[usize; R], String> {
    <[usize; R]>::try_from(ty.shape.as_slice()).map_err(|_| {
        format!(
            "operand `{name}` is {ty}: it must have {R} dimensions, reshape it first{}",
            if R == 4 { " (NCHW)" } else { "" }
        )
    })
}

fn expect_shape(name: &str, ty: &TensorType, shape: &[usize]) -> Result<(), String> {
    if ty.shape == shape {
        Ok(())
    } else {
        Err(format!(
            "operand `{name}` is {ty}: its shape must be {shape:?}"
        ))
    }
}

fn expect_axis(axis: usize, ty: &TensorType) -> Result<(), String> {
    if axis < ty.shape.len() {
        Ok(())
    } else {
        Err(format!(
            "axis {axis} does not exist in operand `x`, {ty}: use 0 to {}, counted from the front",
            ty.shape.len() as isize - 1
        ))
    }
}

/// A value that must be representable in an integer type.
fn expect_in_range(what: &str, value: i64, dtype: DType) -> Result<(), String> {
    let (lo, hi) = dtype
        .range()
        .ok_or_else(|| format!("{what}: {dtype} is not an integer type"))?;
    if (lo..=hi).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{what} {value} does not fit {dtype}: it must lie in {lo}..={hi}"
        ))
    }
}
