//! Scales of symmetric integer weights.

use super::rescale::RESIDUAL_MIN;
use super::rounding::GROWTH;
use crate::{DType, Tensor};

/// What the scales of a layer's weights must respect.
pub(super) struct Limits {
    /// Scales are whole multiples of it: they make a channel's multiplier a whole number at the shift of one
    /// operation, so that none of it is lost to rounding and nothing more is to be shifted.
    pub(super) step: f64,
    /// Which multiples they may be.
    pub(super) multiples: Multiples,
    /// Largest magnitude of the input as an integer, zero point subtracted.
    pub(super) input: f64,
    /// Scale of the input.
    pub(super) input_scale: f64,
    /// Largest value of the accumulator.
    pub(super) acc_max: f64,
}

/// Which multipliers a channel may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiples {
    /// Whole numbers.
    Whole,
    /// Powers of two, which are a shift.
    PowersOfTwo,
}

impl Multiples {
    /// The largest that is no more than `m`, if there is one, and the next.
    fn around(self, m: f64) -> [f64; 2] {
        let m = m.max(1.0);
        match self {
            Multiples::Whole => [m.floor(), m.floor() + 1.0],
            Multiples::PowersOfTwo => [m.log2().floor().exp2(), m.log2().floor().exp2() * 2.0],
        }
    }

    /// The smallest that is no less than `m`, up to rounding.
    pub(super) fn at_least(self, m: f64) -> f64 {
        let [below, above] = self.around(m);
        if m <= below * (1.0 + 1e-9) {
            below
        } else {
            above
        }
    }
}

/// Candidates for a scale, as shares of the one that covers all weights.
const STEPS: usize = 40;

/// A scale for each output channel: the multiple of the step of least squared error, then as much
/// larger as the accumulator asks.
pub(super) fn channel_scales(
    weight: &Tensor,
    bias: &[f32],
    dtype: DType,
    limits: &Limits,
) -> Vec<f64> {
    let elements = weight.as_f32().expect("a float weight");
    let rows = elements.chunks(elements.len() / bias.len());
    rows.zip(bias)
        .map(|(row, &b)| {
            let best = best_scale(row, dtype) / limits.step;
            let around = limits.multiples.around(best).map(|m| m * limits.step);
            let [below, above] = around.map(|scale| squared_error(row, scale, dtype));
            let scale = around[usize::from(above < below)];
            let fitting = fit_accumulator(row, b.into(), scale, dtype, limits);
            limits.multiples.at_least(fitting / limits.step) * limits.step
        })
        .collect()
}

/// Changes scales, multiples of `step`, so that a residual whose scale is `ratio` times that of the input has
/// a factor of at most `most` in the unit of each channel's sums that is close to exact; false if it cannot
/// be.
///
/// The factor times the multiplier of the sums is a constant of the layer: where the factor is small and
/// rounds badly, a multiplier that fits it is close.
pub(super) fn suit_residual(scales: &mut [f64], ratio: f64, limits: &Limits, most: f64) -> bool {
    const SLACK: f64 = 1.0 / 64.0;
    let step = limits.step;
    let product = ratio / step;
    for scale in scales {
        let least = limits.multiples.at_least(product / most);
        let multiplier = (*scale / step).round().max(least);
        let factor = (product / multiplier).round().max(1.0);
        let error = |m: f64| (factor * m / product - 1.0).abs();
        let fitted = limits.multiples.at_least((product / factor).round());
        let multiplier = if error(fitted) < error(multiplier) {
            fitted
        } else {
            multiplier
        };
        if error(multiplier) > SLACK || !(f64::from(RESIDUAL_MIN)..=most).contains(&factor) {
            return false;
        }
        *scale = multiplier * step;
    }
    true
}

/// One scale for the whole weight, which covers all of it.
pub(super) fn covering_scale(weight: &Tensor, dtype: DType) -> f64 {
    let elements = weight.as_f32().expect("a float weight");
    largest(elements) / steps(dtype)
}

/// The squared error of all weights, each rounded to the nearest, with one scale or one for each output channel.
pub(super) fn squared_errors(weight: &Tensor, scales: &[f64], dtype: DType) -> f64 {
    let elements = weight.as_f32().expect("a float weight");
    let rows = elements.chunks(elements.len() / scales.len()).zip(scales);
    rows.map(|(row, &scale)| squared_error(row, scale, dtype))
        .sum()
}

/// The nearest integer of `dtype`, an even one where two are; of signs that of `w`, of 0 that is +1.
pub(super) fn round(w: f32, scale: f64, dtype: DType) -> f64 {
    if dtype == DType::S1 {
        return if w < 0.0 { -1.0 } else { 1.0 };
    }
    // From here on numbers have no fraction: an addition rounds as the processor does, in vectors.
    const WHOLE: f64 = (3u64 << 51) as f64;
    let (lo, hi) = dtype.range().expect("an integer type");
    (f64::from(w) / scale).clamp(lo as f64, hi as f64) + WHOLE - WHOLE
}

fn largest(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |m: f32, w| m.max(w.abs())).into()
}

fn steps(dtype: DType) -> f64 {
    let (lo, hi) = dtype.range().expect("an integer type");
    if hi > 0 { hi as f64 } else { -lo as f64 }
}

fn squared_error(row: &[f32], scale: f64, dtype: DType) -> f64 {
    let square = |&w: &f32| (f64::from(w) - round(w, scale, dtype) * scale).powi(2);
    row.iter().map(square).sum()
}

fn best_scale(row: &[f32], dtype: DType) -> f64 {
    let whole = largest(row) / steps(dtype);
    if whole == 0.0 {
        return f64::from(f32::MIN_POSITIVE);
    }
    if dtype == DType::S1 {
        // Of all scales of signs the mean magnitude has the least squared error (Rastegari et al., "XNOR-Net", 2016).
        return row.iter().map(|w| f64::from(w.abs())).sum::<f64>() / row.len() as f64;
    }
    let error = |scale| squared_error(row, scale, dtype);
    let candidates = (STEPS / 4..=STEPS)
        .rev()
        .map(|i| whole * i as f64 / STEPS as f64);
    let costs = candidates.map(|s| (error(s), s));
    let best = costs.reduce(|best, next| if next.0 < best.0 { next } else { best });
    best.map_or(whole, |(_, scale)| scale)
}

/// The smallest scale, `scale` or more, with which no input can take the sum beyond the
/// accumulator.
fn fit_accumulator(row: &[f32], bias: f64, mut scale: f64, dtype: DType, limits: &Limits) -> f64 {
    loop {
        let sum: f64 = row.iter().map(|&w| round(w, scale, dtype).abs()).sum();
        let sum = sum + (sum / GROWTH).floor();
        let unit = scale * limits.input_scale;
        // A bias beyond half of the range is added after the shift.
        let bias = (bias / unit).round().abs();
        let bias = if bias > limits.acc_max / 2.0 {
            0.0
        } else {
            bias
        };
        let reach = sum * limits.input + bias;
        if reach <= limits.acc_max {
            return scale;
        }
        scale *= (reach / limits.acc_max).max(1.01);
    }
}
