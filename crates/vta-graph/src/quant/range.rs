//! From the distribution of an activation to its scale and zero point.

use super::histogram::Histogram;
use super::rescale::round_to;
use crate::{DType, Quant};

/// How the interval that integers cover is chosen from what calibration saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeMethod {
    /// All of it.
    Max,
    /// What holds this share of the values, for instance 0.9999.
    Percentile(f64),
    /// The one with the least mean squared error of quantization.
    Mse,
    /// The one whose quantized distribution diverges least from the original
    /// (Kullback and Leibler).
    Entropy,
}

/// Where zero lies in the integers of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// At 0: padding needs no border, and half of the range is unused after `relu`.
    Symmetric,
    /// Anywhere, so that the interval fills the integers.
    Asymmetric,
}

/// Shares of the whole interval that the searches try.
const STEPS: usize = 80;

/// The part of the interval seen that integers should cover.
pub(super) fn choose(
    histogram: &Histogram,
    method: RangeMethod,
    scheme: Scheme,
    dtype: DType,
) -> (f32, f32) {
    let Some((min, max)) = histogram.range() else {
        return (0.0, 0.0);
    };
    let search = |cost: &dyn Fn(f32, f32) -> f64| {
        let shares = (STEPS / 5..=STEPS).rev().map(|i| i as f32 / STEPS as f32);
        let costs = shares.map(|s| (cost(min * s, max * s), (min * s, max * s)));
        let best = costs.reduce(|best, next| if next.0 < best.0 { next } else { best });
        best.map_or((min, max), |(_, range)| range)
    };
    match method {
        RangeMethod::Max => (min, max),
        RangeMethod::Percentile(share) => histogram.percentile(share).unwrap_or((min, max)),
        RangeMethod::Mse => {
            search(&|lo, hi| squared_error(histogram, &params(lo, hi, scheme, dtype), dtype))
        }
        RangeMethod::Entropy => {
            search(&|lo, hi| divergence(histogram, &params(lo, hi, scheme, dtype), dtype))
        }
    }
}

/// Scale and zero point of integers that cover `lo..hi`, zero among them exactly; of signs it is one only where it is an end
/// of the interval.
pub(super) fn params(lo: f32, hi: f32, scheme: Scheme, dtype: DType) -> Quant {
    let (qmin, qmax) = dtype.range().expect("an integer type");
    let (lo, hi) = (lo.min(0.0), hi.max(0.0));
    let usable = |scale: f32| if scale.is_normal() { scale } else { 1.0 };
    if dtype == DType::S1 {
        let (scale, zero_point) = match scheme {
            Scheme::Asymmetric if lo == 0.0 => (hi / 2.0, -1),
            Scheme::Asymmetric if hi == 0.0 => (-lo / 2.0, 1),
            _ => (hi.max(-lo), 0),
        };
        return Quant::per_tensor(usable(scale), zero_point);
    }
    match scheme {
        Scheme::Symmetric => {
            // A 1-bit integer has no positive value: 1 is the magnitude of its negative one.
            let steps = qmax.max(1) as f32;
            Quant::per_tensor(usable(hi.max(-lo) / steps), 0)
        }
        Scheme::Asymmetric => {
            let scale = usable((hi - lo) / (qmax - qmin) as f32);
            let zero_point = (qmin as f32 - lo / scale).round_ties_even();
            Quant::per_tensor(scale, zero_point.clamp(qmin as f32, qmax as f32) as i32)
        }
    }
}

/// The smallest power of two that is no smaller.
pub(super) fn up_to_power_of_two(scale: f32) -> f32 {
    scale.log2().ceil().exp2()
}

fn squared_error(histogram: &Histogram, q: &Quant, dtype: DType) -> f64 {
    let (scale, zero_point) = (q.scale[0], q.zero_point[0]);
    let error = |(x, n): (f32, u64)| {
        let y = (round_to(x, scale, zero_point, dtype) - zero_point) as f32 * scale;
        n as f64 * f64::from(x - y).powi(2)
    };
    histogram.bins().map(error).sum()
}

/// The divergence of the distribution in which the values of one integer are equally likely
/// from the distribution seen.
fn divergence(histogram: &Histogram, q: &Quant, dtype: DType) -> f64 {
    let (qmin, qmax) = dtype.range().expect("an integer type");
    let slot =
        |x: f32| (i64::from(round_to(x, q.scale[0], q.zero_point[0], dtype)) - qmin) as usize;
    let inside = |x: f32| {
        let real = |edge: i64| (edge - i64::from(q.zero_point[0])) as f32 * q.scale[0];
        (real(qmin)..=real(qmax)).contains(&x)
    };
    // Values beyond the interval add to what is seen of its ends, not to what is modelled.
    let slots = (qmax - qmin + 1) as usize;
    let (mut modelled, mut bins) = (vec![0u64; slots], vec![0u64; slots]);
    let mut outside = vec![0u64; slots];
    for (x, n) in histogram.bins() {
        let s = slot(x);
        if inside(x) {
            modelled[s] += n;
            bins[s] += 1;
        } else {
            outside[s] += n;
        }
    }
    let total: u64 = modelled.iter().chain(&outside).sum();
    let kept: u64 = modelled.iter().sum();
    if kept == 0 {
        return f64::INFINITY;
    }
    let term = |seen: f64, modelled: f64| {
        let (p, q) = (seen / total as f64, modelled / kept as f64);
        if p > 0.0 { p * (p / q).ln() } else { 0.0 }
    };
    let mut sum = 0.0;
    for (x, n) in histogram.bins().filter(|(x, _)| inside(*x)) {
        let s = slot(x);
        let extra = outside[s] as f64 / bins[s] as f64;
        sum += term(n as f64 + extra, modelled[s] as f64 / bins[s] as f64);
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Zero is exact, and both ends are within one step of the interval that was asked for.
        #[test]
        fn parameters_cover_the_interval(
            lo in -1e3..1e3f32, span in 1e-3..1e3f32, bits in 1..4u32, symmetric: bool,
        ) {
            let dtype = DType::signed(1 << bits).unwrap();
            let (qmin, qmax) = dtype.range().unwrap();
            let scheme = if symmetric { Scheme::Symmetric } else { Scheme::Asymmetric };
            let q = params(lo, lo + span, scheme, dtype);
            let (scale, zero_point) = (q.scale[0], i64::from(q.zero_point[0]));
            prop_assert!((qmin..=qmax).contains(&zero_point));
            prop_assert!(!symmetric || zero_point == 0);
            let real = |x: i64| (x - zero_point) as f32 * scale;
            let slack = scale * 1.001;
            prop_assert!(real(qmin) <= lo.min(0.0) + slack);
            prop_assert!(real(qmax) >= (lo + span).max(0.0) - slack);
        }

        /// The searches only ever narrow the interval, and squared error is no worse for it.
        #[test]
        fn searches_narrow(values in prop::collection::vec(-10.0..10f32, 50..300), spike in 1.0..50f32) {
            let mut histogram = Histogram::default();
            histogram.record(&values);
            histogram.record(&[spike]);
            let (min, max) = histogram.range().unwrap();
            let error = |(lo, hi)| {
                squared_error(&histogram, &params(lo, hi, Scheme::Symmetric, DType::I4), DType::I4)
            };
            for method in [RangeMethod::Percentile(0.99), RangeMethod::Mse, RangeMethod::Entropy] {
                let (lo, hi) = choose(&histogram, method, Scheme::Symmetric, DType::I4);
                prop_assert!(min <= lo && hi <= max && lo <= hi, "{method:?}");
            }
            let best = choose(&histogram, RangeMethod::Mse, Scheme::Symmetric, DType::I4);
            prop_assert!(error(best) <= error((min, max)));
        }
    }
}
