//! Outputs as classes and numbers, and how far two of them lie apart.

use vta_graph::{Data, Tensor};

/// The elements as numbers; the integers of a quantized output as they are.
pub fn reals(tensor: &Tensor) -> Vec<f32> {
    match tensor.data() {
        Data::F32(v) => v.clone(),
        Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
        Data::I32(v) => v.iter().map(|&x| x as f32).collect(),
        Data::I8(v) => v.iter().map(|&x| x.into()).collect(),
        Data::U8(v) => v.iter().map(|&x| x.into()).collect(),
    }
}

/// The classes of the `count` largest scores, best first; of equal scores, the first class.
pub fn top(scores: &[f32], count: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..scores.len()).collect();
    classes.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    classes.truncate(count);
    classes
}

/// How far the best score lies above the next, in standard deviations of all scores; `None`
/// where there is no other, or all are equal.
pub fn margin(scores: &[f32]) -> Option<f64> {
    let &[best, next] = &top(scores, 2)[..] else {
        return None;
    };
    let n = scores.len() as f64;
    let mean = scores.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = scores
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / n;
    (variance > 0.0).then(|| f64::from(scores[best] - scores[next]) / variance.sqrt())
}

/// Signal and noise, summed over any number of outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    signal: f64,
    noise: f64,
    count: usize,
}

impl Noise {
    /// Adds an output and what it should be.
    pub fn add(&mut self, wanted: &[f32], given: &[f32]) {
        for (&wanted, &given) in wanted.iter().zip(given) {
            let (wanted, given) = (f64::from(wanted), f64::from(given));
            self.signal += wanted * wanted;
            self.noise += (given - wanted).powi(2);
        }
        self.count += wanted.len();
    }

    /// Mean squared difference.
    pub fn mse(&self) -> f64 {
        self.noise / self.count.max(1) as f64
    }

    /// Ratio of signal to noise in decibels; `None` where there is no noise or no signal.
    pub fn snr_db(&self) -> Option<f64> {
        let ratio = self.signal / self.noise;
        (ratio > 0.0 && ratio.is_finite()).then(|| 10.0 * ratio.log10())
    }
}

/// Whether two lists of tensors are the same, bit for bit.
pub fn same_bits(a: &[Tensor], b: &[Tensor]) -> bool {
    let same = |a: &Tensor, b: &Tensor| match (a.data(), b.data()) {
        (Data::F32(x), Data::F32(y)) => {
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            a.ty() == b.ty() && bits(x) == bits(y)
        }
        _ => a == b,
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_margins() {
        let scores = [1.0, 3.0, 3.0, -5.0];
        assert_eq!(top(&scores, 3), [1, 2, 0]);
        assert_eq!(margin(&scores), Some(0.0));
        assert_eq!(margin(&[0.0, 2.0]), Some(2.0));
        assert_eq!((margin(&[1.0]), margin(&[1.0, 1.0])), (None, None));
    }

    #[test]
    fn noise_in_decibels() {
        let mut noise = Noise::default();
        assert_eq!(noise.snr_db(), None);
        noise.add(&[10.0, 0.0], &[10.0, 1.0]);
        assert_eq!((noise.mse(), noise.snr_db()), (0.5, Some(20.0)));
        let negative_zero = [Tensor::f32([1], vec![-0.0])];
        assert!(!same_bits(&negative_zero, &[Tensor::f32([1], vec![0.0])]));
        assert!(same_bits(&negative_zero, &negative_zero));
    }
}
