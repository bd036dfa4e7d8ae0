//! Constants that hold one number for each channel.

use crate::{Graph, Op, ValueId};

/// The axis of the channels in the result of a convolution (1) or of a dense layer (the last).
pub(crate) fn channel_axis(op: &Op, rank: usize) -> Option<usize> {
    match op {
        Op::Conv(_) => Some(1),
        Op::Dense => Some(rank - 1),
        _ => None,
    }
}

/// A constant that, broadcast to `shape`, varies along `axis` alone: its value for each index
/// of the axis. `None` for anything else.
pub(crate) fn per_channel(
    graph: &Graph,
    value: ValueId,
    shape: &[usize],
    axis: usize,
) -> Option<Vec<f32>> {
    let tensor = graph.constant(value)?;
    let elements = tensor.as_f32()?;
    let lead = shape.len().checked_sub(tensor.shape().len())?;
    let along_axis = |(d, &extent): (usize, &usize)| extent == 1 || d + lead == axis;
    if !tensor.shape().iter().enumerate().all(along_axis) {
        return None;
    }
    match elements {
        [one] => Some(vec![*one; shape[axis]]),
        _ if elements.len() == shape[axis] => Some(elements.to_vec()),
        _ => None,
    }
}

/// Multiplies row `i` (all elements at index `i` of axis 0) by `factor[i]`.
pub(crate) fn scale_rows(elements: &[f32], factor: &[f32]) -> Vec<f32> {
    let row = elements.len() / factor.len();
    elements
        .chunks(row)
        .zip(factor)
        .flat_map(|(chunk, f)| chunk.iter().map(move |x| x * f))
        .collect()
}
