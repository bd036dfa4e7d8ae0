//! Operators that treat each element alone, and broadcasting.

use super::f32s;
use crate::{Data, Op, Tensor, TensorType};

fn map(x: &Tensor, f: impl Fn(f32) -> f32) -> Data {
    Data::F32(f32s(x).iter().map(|&v| f(v)).collect())
}

pub(super) fn relu(x: &Tensor) -> Data {
    match x.data() {
        Data::F32(_) => map(x, |v| if v < 0.0 { 0.0 } else { v }),
        Data::I64(v) => Data::I64(v.iter().map(|v| *v.max(&0)).collect()),
        Data::I32(v) => Data::I32(v.iter().map(|v| *v.max(&0)).collect()),
        Data::I8(v) => Data::I8(v.iter().map(|v| *v.max(&0)).collect()),
        Data::U8(v) => Data::U8(v.clone()),
    }
}

pub(super) fn leaky_relu(alpha: f32, x: &Tensor) -> Data {
    map(x, |v| if v < 0.0 { v * alpha } else { v })
}

pub(super) fn sigmoid(x: &Tensor) -> Data {
    map(x, |v| 1.0 / (1.0 + (-v).exp()))
}

pub(super) fn hard_swish(x: &Tensor) -> Data {
    map(x, |v| v * (v / 6.0 + 0.5).clamp(0.0, 1.0))
}

pub(super) fn silu(x: &Tensor) -> Data {
    map(x, |v| v / (1.0 + (-v).exp()))
}

pub(super) fn clip(lo: f32, hi: f32, x: &Tensor) -> Data {
    // Infinite bounds saturate; inference left the two in order and within reach of the type.
    let clamp = |v: i64| v.clamp(lo as i64, hi as i64);
    match x.data() {
        Data::F32(_) => map(x, |v| v.clamp(lo, hi)),
        Data::I64(v) => Data::I64(v.iter().map(|&v| clamp(v)).collect()),
        Data::I32(v) => Data::I32(v.iter().map(|&v| clamp(v.into()) as i32).collect()),
        Data::I8(v) => Data::I8(v.iter().map(|&v| clamp(v.into()) as i8).collect()),
        Data::U8(v) => Data::U8(v.iter().map(|&v| clamp(v.into()) as u8).collect()),
    }
}

pub(super) fn batch_norm(epsilon: f32, x: &[&Tensor]) -> Data {
    let [scale, bias, mean, var] = [1, 2, 3, 4].map(|i| f32s(x[i]));
    let channels = scale.len();
    let plane: usize = x[0].shape()[2..].iter().product();
    let mut y = f32s(x[0]).to_vec();
    for (i, plane) in y.chunks_exact_mut(plane).enumerate() {
        let c = i % channels;
        let a = scale[c] / (var[c] + epsilon).sqrt();
        for v in plane {
            *v = (*v - mean[c]) * a + bias[c];
        }
    }
    Data::F32(y)
}

pub(super) fn binary(op: &Op, a: &Tensor, b: &Tensor, ty: &TensorType) -> Result<Data, String> {
    let views = View::pair(a, b, ty);
    Ok(match (a.data(), b.data()) {
        (Data::F32(a), Data::F32(b)) => Data::F32(match op {
            Op::Add => views.zip(a, b, |a, b| a + b),
            Op::Sub => views.zip(a, b, |a, b| a - b),
            Op::Mul => views.zip(a, b, |a, b| a * b),
            _ => views.zip(a, b, |a, b| a / b),
        }),
        (Data::I32(a), Data::I32(b)) => Data::I32(match op {
            Op::Add => views.zip(a, b, i32::wrapping_add),
            Op::Sub => views.zip(a, b, i32::wrapping_sub),
            Op::Mul => views.zip(a, b, i32::wrapping_mul),
            _ if b.contains(&0) => return Err(division_by_zero()),
            _ => views.zip(a, b, i32::wrapping_div),
        }),
        (Data::I64(a), Data::I64(b)) => Data::I64(match op {
            Op::Add => views.zip(a, b, i64::wrapping_add),
            Op::Sub => views.zip(a, b, i64::wrapping_sub),
            Op::Mul => views.zip(a, b, i64::wrapping_mul),
            _ if b.contains(&0) => return Err(division_by_zero()),
            _ => views.zip(a, b, i64::wrapping_div),
        }),
        _ => unreachable!("inference accepts operands of one of these types"),
    })
}

fn division_by_zero() -> String {
    "operand `b` holds a zero: integers have no quotient by it".into()
}

/// Two operands seen as tensors of the result's shape.
struct View<'a> {
    shape: &'a [usize],
    strides: [Vec<usize>; 2],
}

impl<'a> View<'a> {
    fn pair(a: &Tensor, b: &Tensor, ty: &'a TensorType) -> Self {
        View {
            shape: &ty.shape,
            strides: [a, b].map(|t| strides(t.shape(), &ty.shape)),
        }
    }

    fn zip<T: Copy>(&self, a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> Vec<T> {
        let (Some(&width), [sa, sb]) = (self.shape.last(), &self.strides) else {
            return vec![f(a[0], b[0])];
        };
        let (step_a, step_b) = (sa[sa.len() - 1], sb[sb.len() - 1]);
        let mut y = Vec::with_capacity(self.shape.iter().product());
        for (i, j) in row_offsets(self.shape, sa).zip(row_offsets(self.shape, sb)) {
            let (a, b) = (&a[i..], &b[j..]);
            match (step_a, step_b) {
                (1, 1) => y.extend(a[..width].iter().zip(b).map(|(&a, &b)| f(a, b))),
                (1, _) => y.extend(a[..width].iter().map(|&a| f(a, b[0]))),
                _ => y.extend((0..width).map(|i| f(a[i * step_a], b[i * step_b]))),
            }
        }
        y
    }
}

/// Strides with which a tensor of `shape` is read as one of the broadcast shape `to`: zero
/// along the extents that it repeats.
pub(super) fn strides(shape: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    let missing = to.len() - shape.len();
    for d in (missing..to.len()).rev() {
        let extent = shape[d - missing];
        if extent != 1 {
            strides[d] = stride;
        }
        stride *= extent;
    }
    strides
}

/// Where each row of `shape` (a run along its last axis) begins under `strides`, in row-major
/// order. `shape` has at least one dimension.
pub(super) fn row_offsets<'a>(
    shape: &'a [usize],
    strides: &[usize],
) -> impl Iterator<Item = usize> + use<'a> {
    let outer = &shape[..shape.len() - 1];
    let strides = strides.to_vec();
    let mut index = vec![0; outer.len()];
    let mut offset = 0;
    (0..outer.iter().product()).map(move |_| {
        let here = offset;
        for d in (0..outer.len()).rev() {
            index[d] += 1;
            offset += strides[d];
            if index[d] < outer[d] {
                break;
            }
            offset -= outer[d] * strides[d];
            index[d] = 0;
        }
        here
    })
}
