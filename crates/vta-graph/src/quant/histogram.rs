//! The distribution of a tensor's values, gathered in one pass.

/// Bins on each side of zero.
const HALF: usize = 1024;

/// First reach, 2^-100: far below any activation, and `HALF / reach` is still finite.
const FIRST_REACH: f32 = 1.0 / (1u128 << 100) as f32;

/// Counts of finite values in equal bins over `[-reach, reach)`. `reach` doubles when a value
/// falls outside, so that no first look at the data is needed; the result does not depend on
/// the order of the values.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    reach: f32,
    counts: Vec<u64>,
    min: f32,
    max: f32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            reach: FIRST_REACH,
            counts: vec![0; 2 * HALF],
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

impl Histogram {
    /// Counts values; infinities and NaN are left out.
    pub fn record(&mut self, values: &[f32]) {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        self.min = finite().fold(self.min, f32::min);
        self.max = finite().fold(self.max, f32::max);
        let largest = finite().fold(0.0, |m: f32, v| m.max(v.abs()));
        while largest >= self.reach && self.reach < f32::MAX / 2.0 {
            self.double();
        }
        let per_unit = HALF as f32 / self.reach;
        for v in finite() {
            let bin = (v * per_unit).floor() + HALF as f32;
            self.counts[(bin.max(0.0) as usize).min(2 * HALF - 1)] += 1;
        }
    }

    /// Adds the counts of another.
    pub(super) fn merge(&mut self, mut other: Histogram) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        while self.reach < other.reach {
            self.double();
        }
        while other.reach < self.reach {
            other.double();
        }
        for (mine, other) in self.counts.iter_mut().zip(other.counts) {
            *mine += other;
        }
    }

    /// Twice the reach: pairs of bins join, towards zero.
    fn double(&mut self) {
        let mut counts = vec![0; 2 * HALF];
        for (i, &n) in self.counts.iter().enumerate() {
            counts[HALF / 2 + i / 2] += n;
        }
        self.counts = counts;
        self.reach *= 2.0;
    }

    /// Smallest and largest value; `None` if there was none.
    pub fn range(&self) -> Option<(f32, f32)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// Bins that hold something: centre, clamped to the range, and count.
    pub fn bins(&self) -> impl Iterator<Item = (f32, u64)> + '_ {
        let width = self.reach / HALF as f32;
        let centre =
            move |i: usize| ((i as f32 + 0.5 - HALF as f32) * width).clamp(self.min, self.max);
        let filled = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        filled.map(move |(i, &n)| (centre(i), n))
    }

    /// The interval that leaves out a share of `1 - share` of the values, half on each side.
    pub fn percentile(&self, share: f64) -> Option<(f32, f32)> {
        let (min, max) = self.range()?;
        let total: u64 = self.counts.iter().sum();
        let spare = ((1.0 - share) / 2.0 * total as f64) as u64;
        let edge = |bins: &[(f32, u64)]| {
            let mut left_out = 0;
            let inner = bins.iter().find(|(_, n)| {
                left_out += n;
                left_out > spare
            });
            inner.filter(|_| spare > 0).map(|(centre, _)| *centre)
        };
        let mut bins: Vec<_> = self.bins().collect();
        let lo = edge(&bins);
        bins.reverse();
        let hi = edge(&bins);
        Some((lo.unwrap_or(min), hi.unwrap_or(max)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However the values come, in one piece or many or merged, the histogram is the same, and each
        /// value lies within a bin's width of the centre that counts it.
        #[test]
        fn order_does_not_matter(mut values in prop::collection::vec(-1e6..1e6f32, 1..200)) {
            let mut one = Histogram::default();
            one.record(&values);
            values.reverse();
            let mut many = Histogram::default();
            values.chunks(7).for_each(|c| many.record(c));
            prop_assert_eq!(&one, &many);

            let mut merged = Histogram::default();
            for part in values.chunks(11) {
                let mut histogram = Histogram::default();
                histogram.record(part);
                merged.merge(histogram);
            }
            prop_assert_eq!(&one, &merged);

            values.sort_by(f32::total_cmp);
            let counted = one.bins().flat_map(|(c, n)| std::iter::repeat_n(c, n as usize));
            let width = one.reach / HALF as f32;
            for (v, c) in values.iter().zip(counted) {
                prop_assert!((v - c).abs() <= width, "{v} counted at {c}");
            }
        }
    }
}
