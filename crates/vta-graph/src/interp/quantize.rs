//! Between reals and the integers that stand for them.

use super::{f32s, integer::narrow};
use crate::{DType, Data, Quant, Tensor};

pub(super) fn quantize(q: &Quant, dtype: DType, x: &Tensor) -> Data {
    match dtype {
        DType::I8 => Data::I8(near(q, dtype, x, |v| v as i8)),
        DType::U8 => Data::U8(near(q, dtype, x, |v| v as u8)),
        _ => wide(q, dtype, x),
    }
}

/// To 8 bits, in arithmetic that processors have for many values at once. Zero points are of the type, so that all
/// that is rounded is small.
fn near<T>(q: &Quant, dtype: DType, x: &Tensor, narrow: impl Fn(i32) -> T) -> Vec<T> {
    /// Added to a value of at most 2^22 and taken off again, it leaves the nearest integer, halves to even.
    const ROUND: f32 = (3 << 22) as f32;
    let (lo, hi) = dtype.range().expect("an integer type");
    let mut y = Vec::with_capacity(x.ty().len());
    let mut parts = Parts::new(q, x.shape());
    for run in f32s(x).chunks_exact(parts.run) {
        let (scale, zero_point) = parts.next();
        // The bounds are integers: what is clamped before it is rounded comes out the same.
        let [lo, hi] = [lo, hi].map(|bound| (bound - zero_point) as f32);
        y.extend(run.iter().map(|v| {
            let q = v / scale;
            let q = if q.is_nan() { 0.0 } else { q };
            let q = (q.max(lo).min(hi) + ROUND) - ROUND;
            narrow(q as i32 + zero_point as i32)
        }));
    }
    y
}

fn wide(q: &Quant, dtype: DType, x: &Tensor) -> Data {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// 8 bits come out as they do in arithmetic of any width, whatever the value.
        #[test]
        fn near_values_are_those_of_wide_arithmetic(
            mut values in prop::collection::vec(any::<f32>(), 8),
            halves in prop::collection::vec(-300i32..300, 8),
            scale in prop_oneof![Just(0.5f32), Just(1.0), 1e-30f32..1e30],
            zero_point in -128i32..256,
        ) {
            values.extend(halves.iter().map(|&h| h as f32 * 0.5 * scale));
            values.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]);
            let x = Tensor::f32([values.len()], values);
            for (dtype, zero_point) in [(DType::I8, zero_point.min(127)), (DType::U8, zero_point.max(0))] {
                let q = Quant { scale: vec![scale], zero_point: vec![zero_point], axis: 0 };
                prop_assert_eq!(quantize(&q, dtype, &x), wide(&q, dtype, &x));
            }
        }
    }
}
