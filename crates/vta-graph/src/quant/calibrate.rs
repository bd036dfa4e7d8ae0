//! What the activations of a float graph look like on calibration inputs.

use super::correct::{self, LayerMeans};
use super::histogram::Histogram;
use super::threads;
use crate::interp::Interpreter;
use crate::{Graph, GraphError, Tensor, ValueId};

/// Statistics of each value of one graph, by value id: they describe that graph alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    values: Vec<Option<Statistics>>,
}

/// Statistics of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// All elements.
    pub histogram: Histogram,
    /// Channel by channel (axis 1).
    pub channels: Vec<Channel>,
}

/// Statistics of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Channel {
    /// Largest magnitude.
    pub max_abs: f32,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Channel {
    /// Mean and standard deviation.
    pub fn moments(&self) -> (f32, f32) {
        let mean = self.sum / self.count.max(1.0);
        let variance = self.squares / self.count.max(1.0) - mean * mean;
        (mean as f32, variance.max(0.0).sqrt() as f32)
    }

    fn merge(&mut self, other: Channel) {
        self.max_abs = self.max_abs.max(other.max_abs);
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// Everything that one look at the inputs tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) ranges: Ranges,
    /// Of every layer in the order of the nodes, over the first [`correct::MAX_RUNS`] inputs.
    pub(super) means: Vec<LayerMeans>,
}

/// Runs the float graph on each input (the tensors of one run, in the graph's order) and
/// gathers what its `f32` values look like. The result is the same whatever the number of
/// threads.
///
/// # Errors
/// If there is no input, or one is not what the graph declares.
pub fn calibrate(graph: &Graph, inputs: &[Vec<Tensor>]) -> Result<Ranges, GraphError> {
    look(graph, inputs, threads::available()).map(|seen| seen.ranges)
}

/// [`calibrate`] on so many threads, with the means of layers.
pub(super) fn look(
    graph: &Graph,
    inputs: &[Vec<Tensor>],
    threads: usize,
) -> Result<Seen, GraphError> {
    if inputs.is_empty() {
        return Err(GraphError::Invalid(
            "no calibration input: give at least one, better a hundred typical ones".into(),
        ));
    }
    let interpreter = Interpreter::new(graph)?;
    let layers = correct::layers(graph);
    let look = |run: usize| {
        let mut seen = Seen::default();
        seen.ranges.values.resize(graph.values.len(), None);
        seen.means.resize(layers.len(), LayerMeans::new());
        interpreter.run_with(&inputs[run], &mut |v, tensor| {
            seen.ranges.record(v, tensor);
            let layer = layers.iter().position(|&l| l == v);
            if let Some(layer) = layer.filter(|_| run < correct::MAX_RUNS) {
                seen.means[layer].push(correct::channel_means(tensor));
            }
        })?;
        Ok(seen)
    };
    let mut all: Option<Result<Seen, GraphError>> = None;
    threads::in_order(threads, inputs.len(), look, |seen| match (&mut all, seen) {
        (Some(Err(_)), _) => {}
        (Some(Ok(all)), Ok(seen)) => all.merge(seen),
        (_, seen) => all = Some(seen),
    });
    all.expect("there is an input")
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.ranges.merge(other.ranges);
        for (mine, other) in self.means.iter_mut().zip(other.means) {
            mine.extend(other);
        }
    }
}

impl Ranges {
    /// What was seen of an `f32` input or activation.
    pub fn of(&self, value: ValueId) -> Option<&Statistics> {
        self.values.get(value.0 as usize)?.as_ref()
    }

    fn record(&mut self, value: ValueId, tensor: &Tensor) {
        let Some(elements) = tensor.as_f32() else {
            return;
        };
        let statistics = self.values[value.0 as usize].get_or_insert_default();
        statistics.histogram.record(elements);
        let &[_, channels, ref inner @ ..] = tensor.shape() else {
            return;
        };
        statistics.channels.resize(channels, Channel::default());
        let inner = inner.iter().product();
        for (i, run) in elements.chunks(inner).enumerate() {
            statistics.channels[i % channels].merge(Channel {
                max_abs: run.iter().fold(0.0, |m, x| m.max(x.abs())),
                count: run.len() as f64,
                sum: run.iter().map(|&x| f64::from(x)).sum(),
                squares: run.iter().map(|&x| f64::from(x).powi(2)).sum(),
            });
        }
    }

    /// Adds what was seen elsewhere of the same graph.
    fn merge(&mut self, other: Ranges) {
        for (mine, other) in self.values.iter_mut().zip(other.values) {
            match (mine.as_mut(), other) {
                (Some(mine), Some(other)) => mine.merge(other),
                (None, other) => *mine = other,
                (Some(_), None) => {}
            }
        }
    }
}

impl Statistics {
    fn merge(&mut self, other: Statistics) {
        self.histogram.merge(other.histogram);
        for (mine, other) in self.channels.iter_mut().zip(other.channels) {
            mine.merge(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_does_not_show() {
        let text = "graph \"g\" (%x: f32[1,3,4,4]) -> (%y) {\n  \
            %w: f32[3,1,1,1] = const [1, -2, 0.5]\n  \
            %c: f32[1,3,4,4] = conv(%x, %w) {kernel=[1,1], stride=[1,1], dilation=[1,1], pads=[0,0,0,0], groups=3}\n  \
            %y: f32[1,3,4,4] = relu(%c)\n}\n";
        let graph = crate::text::parse(text).unwrap();
        let run = |i: usize| {
            let values = (0..48).map(|k| ((k * 37 + i * 101) % 91) as f32 / 7.3 - 5.0);
            vec![Tensor::f32([1, 3, 4, 4], values.collect())]
        };
        let inputs: Vec<_> = (0..9).map(run).collect();
        let one = look(&graph, &inputs, 1).unwrap();
        assert_eq!((one.means.len(), one.means[0].len()), (1, 9));
        for threads in [2, 3, 16] {
            assert_eq!(one, look(&graph, &inputs, threads).unwrap());
        }
    }
}
