//! What the activations of a float graph look like on calibration inputs.

use super::histogram::Histogram;
use crate::interp::Interpreter;
use crate::{Graph, GraphError, Tensor, ValueId};

/// Statistics of each value of one graph, by value id: they describe that graph alone.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    values: Vec<Option<Statistics>>,
}

/// Statistics of one value.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// All elements.
    pub histogram: Histogram,
    /// Mean of each channel (axis 1).
    pub mean: Vec<f32>,
    /// Largest magnitude in each channel (axis 1).
    pub max_abs: Vec<f32>,
    sums: ChannelSums,
}

impl Ranges {
    /// What was seen of an `f32` input or activation.
    pub fn of(&self, value: ValueId) -> Option<&Statistics> {
        self.values.get(value.0 as usize)?.as_ref()
    }
}

/// Runs the float graph on each input (the tensors of one run, in the graph's order) and
/// gathers what its `f32` values look like.
///
/// # Errors
/// If there is no input, or one is not what the graph declares.
pub fn calibrate(
    graph: &Graph,
    inputs: impl IntoIterator<Item = Vec<Tensor>>,
) -> Result<Ranges, GraphError> {
    let interpreter = Interpreter::new(graph)?;
    let mut ranges = Ranges {
        values: vec![None; graph.values.len()],
    };
    let mut runs = 0;
    for input in inputs {
        interpreter.run_with(&input, &mut |v, tensor| ranges.record(v, tensor))?;
        runs += 1;
    }
    if runs == 0 {
        return Err(GraphError::Invalid(
            "no calibration input: give at least one, better a hundred typical ones".into(),
        ));
    }
    for statistics in ranges.values.iter_mut().flatten() {
        statistics.mean = statistics.sums.means();
    }
    Ok(ranges)
}

impl Ranges {
    fn record(&mut self, value: ValueId, tensor: &Tensor) {
        let Some(elements) = tensor.as_f32() else {
            return;
        };
        let statistics = self.values[value.0 as usize].get_or_insert_default();
        statistics.histogram.record(elements);
        statistics.sums.add(tensor);
        let &[_, channels, ref inner @ ..] = tensor.shape() else {
            return;
        };
        statistics.max_abs.resize(channels, 0.0);
        let inner = inner.iter().product();
        for (i, run) in elements.chunks(inner).enumerate() {
            let largest = run.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
            let seen = &mut statistics.max_abs[i % channels];
            *seen = seen.max(largest);
        }
    }
}

/// Sums over all but axis 1.
#[derive(Clone, Debug, Default)]
struct ChannelSums {
    sum: Vec<f64>,
    count: u64,
}

impl ChannelSums {
    /// Adds the elements of an `f32` tensor of rank 2 or more; leaves out others.
    fn add(&mut self, tensor: &Tensor) {
        let (Some(elements), &[n, channels, ref inner @ ..]) = (tensor.as_f32(), tensor.shape())
        else {
            return;
        };
        let inner: usize = inner.iter().product();
        self.sum.resize(channels, 0.0);
        self.count += (n * inner) as u64;
        for (i, run) in elements.chunks(inner).enumerate() {
            self.sum[i % channels] += run.iter().map(|&x| f64::from(x)).sum::<f64>();
        }
    }

    fn means(&self) -> Vec<f32> {
        let count = self.count.max(1) as f64;
        self.sum.iter().map(|s| (s / count) as f32).collect()
    }
}

/// The mean of each channel (axis 1).
pub(super) fn channel_means(tensor: &Tensor) -> Vec<f32> {
    let mut sums = ChannelSums::default();
    sums.add(tensor);
    sums.means()
}
