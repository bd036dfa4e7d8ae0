//! Operators that sum along axes. Sums are taken in `f64`, in row-major order.

use super::f32s;
use crate::{Data, Tensor};

pub(super) fn mean(axes: &[usize], x: &Tensor) -> Data {
    // Strides of the result, zero along the reduced axes.
    let mut strides = vec![0; x.shape().len()];
    let mut kept = 1;
    for (d, &extent) in x.shape().iter().enumerate().rev() {
        if !axes.contains(&d) {
            strides[d] = kept;
            kept *= extent;
        }
    }
    let mut sums = vec![0.0f64; kept];
    let mut index = vec![0; strides.len()];
    let mut at = 0;
    for &v in f32s(x) {
        sums[at] += f64::from(v);
        for d in (0..index.len()).rev() {
            index[d] += 1;
            at += strides[d];
            if index[d] < x.shape()[d] {
                break;
            }
            at -= index[d] * strides[d];
            index[d] = 0;
        }
    }
    let count = (x.ty().len() / kept) as f64;
    Data::F32(sums.iter().map(|s| (s / count) as f32).collect())
}

pub(super) fn softmax(axis: usize, x: &Tensor) -> Data {
    let extent = x.shape()[axis];
    let stride: usize = x.shape()[axis + 1..].iter().product();
    let mut y = f32s(x).to_vec();
    for block in y.chunks_exact_mut(extent * stride) {
        for i in 0..stride {
            let line = || (i..extent * stride).step_by(stride);
            let max = line().fold(f32::NEG_INFINITY, |m, j| m.max(block[j]));
            let mut sum = 0.0f64;
            for j in line() {
                block[j] = (block[j] - max).exp();
                sum += f64::from(block[j]);
            }
            for j in line() {
                block[j] = (f64::from(block[j]) / sum) as f32;
            }
        }
    }
    Data::F32(y)
}
