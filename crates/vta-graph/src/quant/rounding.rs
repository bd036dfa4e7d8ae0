//! Weights rounded so that their errors cancel.
//!
//! The nearest integer of each weight makes the weights' error small, not that of the sums: inputs are alike from one
//! position of a kernel to the next, and most are positive, so that errors of one sign add up. Some weights that lie
//! near the middle of two integers are therefore rounded the other way. A bias takes out the mean of what
//! is left, not what varies with the inputs.

use crate::DType;

/// How much of an input's variance the positions of a kernel have in common.
const IN_COMMON: f64 = 0.8;

/// How near to the middle of two integers a weight lies that may be rounded either way, in steps.
const DOUBT: f64 = 0.25;

/// Of the sum of magnitudes of a row, the share by which it may grow, as a divisor.
pub(super) const GROWTH: f64 = 64.0;

/// What a layer reads, channel by channel.
pub(super) struct Inputs<'a> {
    pub(super) means: &'a [f32],
    /// Standard deviations.
    pub(super) deviations: &'a [f32],
}

/// Changes the integers of an output channel's weights, each the nearest, to make the expected square of the
/// sum's error smaller, if channels deviate from their means independently of one another.
pub(super) fn balance(
    row: &[f32],
    rounded: &mut [i64],
    scale: f64,
    inputs: &Inputs<'_>,
    dtype: DType,
) {
    let (lo, hi) = dtype.range().expect("an integer type");
    let taps = row.len() / inputs.means.len();
    let mean = |c: usize| f64::from(inputs.means[c]);
    let variance = |c: usize| f64::from(inputs.deviations[c]).powi(2);
    let error = |i: usize, q: i64| q as f64 - f64::from(row[i]) / scale;
    let (mut of_means, mut of_channel) = (0.0, vec![0.0; inputs.means.len()]);
    let (mut magnitude, mut doubtful) = (0, Vec::new());
    for (i, &q) in rounded.iter().enumerate() {
        let e = error(i, q);
        of_means += e * mean(i / taps);
        of_channel[i / taps] += e;
        magnitude += q.abs();
        // What is off by more is saturated.
        if (DOUBT..=0.5).contains(&e.abs()) {
            doubtful.push((e.abs(), i));
        }
    }
    let most = magnitude + (magnitude as f64 / GROWTH) as i64;
    doubtful.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, i) in doubtful {
        let (c, old) = (i / taps, error(i, rounded[i]));
        let q = rounded[i] - if old > 0.0 { 1 } else { -1 };
        let new = error(i, q);
        let means = of_means + (new - old) * mean(c);
        let channel = of_channel[c] + new - old;
        let less = |old: f64, new: f64| old * old - new * new;
        let common = IN_COMMON * less(of_channel[c], channel) + (1.0 - IN_COMMON) * less(old, new);
        let gain = less(of_means, means) + variance(c) * common;
        let grown = magnitude - rounded[i].abs() + q.abs();
        if gain > 0.0 && (lo..=hi).contains(&q) && grown <= most {
            rounded[i] = q;
            (of_means, of_channel[c], magnitude) = (means, channel, grown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights of 0.4 and inputs of one sign: rounded to the nearest nothing is left of the sum.
    #[test]
    fn errors_cancel_where_inputs_are_alike() {
        let row = [0.4f32; 10];
        let inputs = Inputs {
            means: &[3.0],
            deviations: &[1.0],
        };
        let mut rounded = [0; 10];
        balance(&row, &mut rounded, 1.0, &inputs, DType::I8);
        // 64 times less than one: magnitudes may not grow from nothing.
        assert_eq!(rounded, [0; 10]);
        let row = [100.4f32; 10];
        let mut rounded = [100; 10];
        balance(&row, &mut rounded, 1.0, &inputs, DType::I8);
        assert_eq!(rounded.iter().sum::<i64>(), 1004);
        assert!(rounded.iter().all(|q| (100..=101).contains(q)));
    }

    /// Channels that deviate independently from a mean of 0 gain nothing from one another.
    #[test]
    fn independent_inputs_keep_the_nearest() {
        let row = [50.4f32, 30.3, -20.4, 10.45];
        let inputs = Inputs {
            means: &[0.0; 4],
            deviations: &[1.0; 4],
        };
        let mut rounded = [50, 30, -20, 10];
        balance(&row, &mut rounded, 1.0, &inputs, DType::I8);
        assert_eq!(rounded, [50, 30, -20, 10]);
    }

    #[test]
    fn integers_stay_in_their_type() {
        let row = [127.0f32, 126.6, 126.6];
        let inputs = Inputs {
            means: &[1.0],
            deviations: &[0.0],
        };
        let mut rounded = [127, 127, 127];
        balance(&row, &mut rounded, 1.0, &inputs, DType::I8);
        assert_eq!(rounded.iter().sum::<i64>(), 380);
        assert!(rounded.iter().all(|&q| q <= 127));
    }
}
