//! `slice_to_conv`: some of the channels of an activation are a convolution of all of them, with a weight of 1 for
//! each that stays.
//!
//! Channels that do not begin and end with a block of registers have to move between lanes, which is what weights do.

use super::rewrite::{Rewrite, rewrite};
use crate::{ConvAttrs, DType, Graph, GraphError, Op, PoolAttrs, Requant, Tensor};

/// Rewrites every `slice` of channels of a narrow tensor `[N, C, H, W]` that a node computes; rows and columns are
/// taken first.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let x = node.inputs[0];
        let shape = rw.shape(x).to_vec();
        let (Op::Slice { start, end, step }, &[n, c, h, w]) = (&node.op, &shape[..]) else {
            return Ok(Rewrite::Keep);
        };
        let dtype = rw.graph.value(x).ty.dtype;
        let whole_batch = (start[0], end[0], step[0]) == (0, n, 1);
        let all = (start[1], end[1], step[1]) == (0, c, 1);
        if !dtype.is_narrow() || !whole_batch || all || rw.producer(x).is_none() {
            return Ok(Rewrite::Keep);
        }
        let name = rw.name(node).to_string();
        let mut part = x;
        if (&start[2..], &end[2..], &step[2..]) != (&[0, 0], &[h, w], &[1, 1]) {
            let op = Op::Slice {
                start: vec![0, 0, start[2], start[3]],
                end: vec![n, c, end[2], end[3]],
                step: vec![1, 1, step[2], step[3]],
            };
            part = rw.emit(&format!("{name}.window"), op, &[x])?;
        }
        let chosen: Vec<usize> = (start[1]..end[1]).step_by(step[1]).collect();
        let mut weight = vec![0; chosen.len() * c];
        for (row, &channel) in weight.chunks_exact_mut(c).zip(&chosen) {
            row[channel] = 1;
        }
        let weight = Tensor::from_ints(DType::I8, vec![chosen.len(), c, 1, 1], &weight);
        let weight = rw.graph.add_constant(&format!("{name}.weight"), weight);
        let attrs = ConvAttrs {
            window: PoolAttrs::unit().window,
            groups: 1,
        };
        let sums = rw.emit(
            &format!("{name}.sums"),
            Op::QConv(attrs, 0),
            &[part, weight],
        )?;
        let same = Op::Requantize(Requant::identity(dtype), dtype);
        Ok(Rewrite::As(same, vec![sums]))
    })?;
    Ok(())
}
