//! Weights rounded one after the other, each making up for the errors of those before it.
//!
//! The expected square of a sum's error is a quadratic form of the weights' errors, whose matrix is the second moments
//! of what the layer reads. With the matrix as a product of a triangle and its transpose, each term of the
//! form has one weight more than the one before: rounded in that order, each weight takes what makes its own term least.
//! This is Babai's nearest plane algorithm ("On Lovász' lattice reduction and the nearest lattice point problem", 1986), and
//! what Frantar et al. do in "GPTQ" (2022) in other words.

use super::windows::Moments;
use crate::DType;

/// How much of the mean counts: biases take out most of its error ([`super::correct`]).
const MEAN: f64 = 0.2;

/// By how much each position varies beyond what was seen, as a share of its variance, alone: moments of few inputs show
/// more in common than there is.
const ALONE: f64 = 0.3;

/// The same of all positions alike, as a share of the mean variance.
const FLOOR: f64 = 0.01;

/// The triangle for one group of a layer's channels.
pub(super) struct Planes {
    /// Which weight stands in each row; the last row is rounded first.
    order: Vec<usize>,
    /// Lower triangle, row by row.
    triangle: Vec<f64>,
}

impl Planes {
    /// `None` where nothing was seen to vary.
    pub(super) fn new(moments: &Moments) -> Option<Planes> {
        let width = moments.sums.len();
        let expected = |i: usize, j: usize| {
            moments.covariance(i, j) + MEAN * moments.mean(i) * moments.mean(j)
        };
        let least = (0..width).map(|i| expected(i, i)).sum::<f64>() * FLOOR / width as f64;
        // What weighs most is rounded first, while all others can make up for it.
        let mut order: Vec<usize> = (0..width).collect();
        let weight: Vec<f64> = order.iter().map(|&i| expected(i, i)).collect();
        order.sort_by(|&a, &b| weight[a].total_cmp(&weight[b]).then(a.cmp(&b)));
        let mut triangle = vec![0.0; width * width];
        for i in 0..width {
            let (above, row) = triangle.split_at_mut(i * width);
            for j in 0..i {
                let other = &above[j * width..=j * width + j];
                let rest = expected(order[i], order[j]) - dot(&row[..j], &other[..j]);
                row[j] = rest / other[j];
            }
            let own = expected(order[i], order[i]) * (1.0 + ALONE) + least;
            let rest = own - dot(&row[..i], &row[..i]);
            // Not so of nothing, nor of what is no number.
            row[i] = Some(rest).filter(|&rest| rest > 0.0)?.sqrt();
        }
        Some(Planes { order, triangle })
    }

    /// Changes the integers of an output channel's weights, each the nearest, by one step at most.
    pub(super) fn round(&self, row: &[f32], rounded: &mut [i64], scale: f64, dtype: DType) {
        let (lo, hi) = dtype.range().expect("an integer type");
        let width = row.len();
        let mut owed = vec![0.0; width];
        for i in (0..width).rev() {
            let at = self.order[i];
            let triangle = &self.triangle[i * width..=i * width + i];
            let weight = f64::from(row[at]) / scale;
            let wanted = (weight + owed[i] / triangle[i]).round_ties_even();
            let (least, most) = ((rounded[at] - 1).max(lo), (rounded[at] + 1).min(hi));
            rounded[at] = wanted.clamp(least as f64, most as f64) as i64;
            let error = weight - rounded[at] as f64;
            for (owed, t) in owed[..i].iter_mut().zip(triangle) {
                *owed += t * error;
            }
        }
    }
}

/// In four sums, which processors add at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 4];
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes(windows: &[[f64; 4]]) -> Option<Planes> {
        Planes::new(&Moments::of(&windows.concat(), 4))
    }

    /// Inputs that are always the same: the sum of the weights is what counts.
    #[test]
    fn errors_cancel_where_inputs_are_alike() {
        let alike = [[1.0; 4], [-2.0; 4], [3.0; 4], [-1.0; 4]];
        let mut rounded = [10, 20, -30, 5];
        let row = [10.4, 20.4, -29.6, 5.4];
        planes(&alike)
            .unwrap()
            .round(&row, &mut rounded, 1.0, DType::I8);
        let sum: i64 = rounded.iter().sum();
        assert!(
            (6..=7).contains(&sum),
            "{rounded:?}: nearest is 5, exact 6.6"
        );
    }

    #[test]
    fn independent_inputs_keep_the_nearest() {
        let mut windows = Vec::new();
        for i in 0..4 {
            let mut window = [0.0; 4];
            window[i] = 1.0;
            windows.push(window);
            window[i] = -1.0;
            windows.push(window);
        }
        let mut rounded = [10, 20, -30, 5];
        let row = [10.4, 20.4, -30.4, 5.49];
        planes(&windows)
            .unwrap()
            .round(&row, &mut rounded, 1.0, DType::I8);
        assert_eq!(rounded, [10, 20, -30, 5]);
    }

    #[test]
    fn integers_stay_in_their_type() {
        let alike = [[1.0; 4], [-2.0; 4]];
        let mut rounded = [127, 127, 127, -128];
        planes(&alike)
            .unwrap()
            .round(&[150.0, 150.0, 126.6, -128.0], &mut rounded, 1.0, DType::I8);
        assert!(
            rounded.iter().all(|q| (-128..=127).contains(q)),
            "{rounded:?}"
        );
    }

    #[test]
    fn of_nothing_there_are_none() {
        assert!(planes(&[[0.0; 4]; 3]).is_none());
        assert!(planes(&[[f64::NAN; 4]; 3]).is_none());
    }
}
