//! Convolution, dense layers and matrix products in `f32`.

use super::convolve::Convolution;
use super::elementwise::{row_offsets, strides};
use super::{dims, f32s};
use crate::{ConvAttrs, Data, Tensor, TensorType};

pub(super) fn conv(attrs: &ConvAttrs, x: &[&Tensor], ty: &TensorType) -> Data {
    let convolution = Convolution {
        attrs,
        x: f32s(x[0]),
        x_shape: dims(x[0].shape()),
        weight: f32s(x[1]),
        bias: x.get(2).map(|b| f32s(b)),
    };
    Data::F32(convolution.sums(dims(&ty.shape), |s, x, k| s + x * k))
}

pub(super) fn dense(x: &[&Tensor]) -> Data {
    let (weight, bias) = (f32s(x[1]), x.get(2).map(|b| f32s(b)));
    let [n, k] = dims(x[1].shape());
    let mut y = Vec::with_capacity(x[0].ty().len() / k * n);
    for row in f32s(x[0]).chunks_exact(k) {
        for (i, w) in weight.chunks_exact(k).enumerate() {
            y.push(dot(row, w) + bias.map_or(0.0, |b| b[i]));
        }
    }
    Data::F32(y)
}

/// The product of two vectors, summed in eight interleaved parts: an order that is fixed and
/// that a vector unit can follow.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (a_parts, b_parts) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = (a_parts.remainder().iter().zip(b_parts.remainder()))
        .map(|(a, b)| a * b)
        .sum();
    let mut sums = [0.0; LANES];
    for (a, b) in a_parts.zip(b_parts) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

pub(super) fn matmul(x: &[&Tensor], ty: &TensorType) -> Data {
    let (a, b) = (f32s(x[0]), f32s(x[1]));
    let leading = ty.shape.len() - 2;
    let (m, n) = (ty.shape[leading], ty.shape[leading + 1]);
    let k = x[0].shape()[x[0].shape().len() - 1];
    // Matrices of either side, walked as rows of a broadcast tensor whose last extent is 1.
    let batch = [&ty.shape[..leading], &[1]].concat();
    let matrices = |t: &Tensor| {
        let shape = [&t.shape()[..t.shape().len() - 2], &[1]].concat();
        row_offsets(&batch, &strides(&shape, &batch))
    };
    let mut y = vec![0.0f32; ty.len()];
    let products = matrices(x[0]).zip(matrices(x[1]));
    for ((ma, mb), y) in products.zip(y.chunks_exact_mut(m * n)) {
        let (a, b) = (&a[ma * m * k..][..m * k], &b[mb * k * n..][..k * n]);
        for (a, y) in a.chunks_exact(k).zip(y.chunks_exact_mut(n)) {
            for (&a, b) in a.iter().zip(b.chunks_exact(n)) {
                for (y, b) in y.iter_mut().zip(b) {
                    *y += a * b;
                }
            }
        }
    }
    Data::F32(y)
}
