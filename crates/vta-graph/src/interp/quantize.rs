//! Between reals and the integers that stand for them.

use super::{f32s, integer::narrow};
use crate::{DType, Data, Quant, Tensor};

pub(super) fn quantize(q: &Quant, dtype: DType, x: &Tensor) -> Data {
    let (lo, hi) = dtype.range().expect("an integer type");
    let mut y = Vec::with_capacity(x.ty().len());
    let mut parts = Parts::new(q, x.shape());
    for run in f32s(x).chunks_exact(parts.run) {
        let (scale, zero_point) = parts.next();
        // The conversion to i64 saturates, and takes NaN to 0.
        y.extend(run.iter().map(|v| {
            let q = match dtype {
                // The nearer of -1 and +1.
                DType::S1 => (v / scale + zero_point as f32).floor() as i64,
                _ => ((v / scale).round_ties_even() as i64).saturating_add(zero_point),
            };
            q.clamp(lo, hi)
        }));
    }
    narrow(dtype, y.into_iter())
}

pub(super) fn dequantize(q: &Quant, x: &Tensor) -> Data {
    fn reals<T: Copy + Into<i64>>(x: &[T], mut parts: Parts<'_>) -> Vec<f32> {
        let mut y = Vec::with_capacity(x.len());
        for run in x.chunks_exact(parts.run) {
            let (scale, zero_point) = parts.next();
            y.extend(run.iter().map(|&v| (v.into() - zero_point) as f32 * scale));
        }
        y
    }
    let parts = Parts::new(q, x.shape());
    Data::F32(match x.data() {
        Data::I32(v) => reals(v, parts),
        Data::I8(v) => reals(v, parts),
        Data::U8(v) => reals(v, parts),
        Data::F32(_) | Data::I64(_) => unreachable!("inference accepts i32 and narrower"),
    })
}

/// The scale and zero point of successive runs of elements.
struct Parts<'a> {
    q: &'a Quant,
    /// Elements that share a scale and lie side by side.
    run: usize,
    at: usize,
}

impl<'a> Parts<'a> {
    fn new(q: &'a Quant, shape: &[usize]) -> Self {
        let run = match q.scale.len() {
            1 => shape.iter().product(),
            _ => shape[q.axis + 1..].iter().product(),
        };
        Parts { q, run, at: 0 }
    }

    fn next(&mut self) -> (f32, i64) {
        let i = self.at;
        self.at = (i + 1) % self.q.scale.len();
        let zero_point = self.q.zero_point[i % self.q.zero_point.len()];
        (self.q.scale[i], zero_point.into())
    }
}
