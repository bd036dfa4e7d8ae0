//! `align_phases`: what `depth_to_space` puts side by side begins with a block of registers.
//!
//! An element of the result is then a register of the input, stored elsewhere. The convolution before it gets its
//! channels in that order, and spare ones at the end of each position's, all like its first (where values are signs,
//! lanes that nobody reads have to be equal); where there is none, one with weights of 1 moves channels. What is far more
//! work than that saves stays as it is: a position of one channel, say, would become a whole block.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, DType, Graph, GraphError, Op, PoolAttrs, Requant, Tensor, ValueId, Window};

/// How many times the blocks of a tensor its positions may fill, spare channels included.
const BLOCKS: usize = 4;

/// Weights of a convolution that moves channels, at most.
const WEIGHTS: usize = 1 << 20;

/// Rewrites every `depth_to_space` that a node computes of a tensor of the type `activation`, for registers of `lanes`
/// channels. Without weights that are 1 and 0 only convolutions get their channels in another order.
///
/// # Errors
/// None of its own.
pub fn run(
    graph: &mut Graph,
    lanes: usize,
    activation: DType,
    weight: DType,
) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let &Op::DepthToSpace {
            block,
            groups,
            channels,
        } = &node.op
        else {
            return Ok(Rewrite::Keep);
        };
        let x = node.inputs[0];
        let ty = rw.graph.value(x).ty.clone();
        if ty.dtype != activation || rw.producer(x).is_none() {
            return Ok(Rewrite::Keep);
        }
        let positions = block[0] * block[1];
        let each = ty.shape[1] / (positions * groups);
        let whole = channels.next_multiple_of(lanes);
        let blocks = (positions * whole / lanes, ty.shape[1].div_ceil(lanes));
        if (groups, each) == (1, whole) || blocks.0 > BLOCKS * blocks.1 {
            return Ok(Rewrite::Keep);
        }
        let order = (0..positions * whole).map(|c| {
            let (position, c) = (c / whole, c % whole);
            let c = if c < channels { c } else { 0 };
            (c / each * positions + position) * each + c % each
        });
        let order: Vec<usize> = order.collect();
        let name = rw.name(node).to_string();
        let phases = match reordered(rw, &name, x, &order)? {
            Some(phases) => phases,
            None if weight.holds(0) && weight.holds(1) && order.len() * ty.shape[1] <= WEIGHTS => {
                moved(rw, &name, x, &order)?
            }
            None => return Ok(Rewrite::Keep),
        };
        let op = Op::DepthToSpace {
            block,
            groups: 1,
            channels,
        };
        Ok(Rewrite::As(op, vec![phases]))
    })?;
    Ok(())
}

/// The convolution that makes `x` for nobody else, with its channels in `order`.
fn reordered(
    rw: &mut Rewriter,
    name: &str,
    x: ValueId,
    order: &[usize],
) -> Result<Option<ValueId>, GraphError> {
    let requantize = rw.only_producer(x).cloned();
    let Some((requantize, Op::Requantize(requant, dtype))) =
        requantize.as_ref().map(|node| (node, &node.op))
    else {
        return Ok(None);
    };
    let conv = rw.only_producer(requantize.inputs[0]).cloned();
    let Some((conv, Op::QConv(attrs, zero_point))) = conv.as_ref().map(|node| (node, &node.op))
    else {
        return Ok(None);
    };
    let (&[image, weight], 1) = (&conv.inputs[..], attrs.groups) else {
        return Ok(None);
    };
    let Some(tensor) = rw.graph.constant(weight) else {
        return Ok(None);
    };
    let values = tensor.to_ints().expect("integer weights");
    let mut shape = tensor.shape().to_vec();
    let each = values.len() / shape[0];
    let rows = order.iter().flat_map(|&c| &values[c * each..][..each]);
    let rows: Vec<i64> = rows.copied().collect();
    shape[0] = order.len();
    let tensor = Tensor::from_ints(tensor.dtype(), shape, &rows);
    let weight = rw.graph.add_constant(&format!("{name}.weight"), tensor);
    let conv_op = Op::QConv(attrs.clone(), *zero_point);
    let sums = rw.emit(&conv.name, conv_op, &[image, weight])?;
    let requant = Requant {
        mult: in_order(&requant.mult, order),
        add: in_order(&requant.add, order),
        ..requant.clone()
    };
    let op = Op::Requantize(requant, *dtype);
    rw.emit(&requantize.name, op, &[sums]).map(Some)
}

/// The one number for all channels, or those of the channels in `order`.
fn in_order<T: Copy>(numbers: &[T], order: &[usize]) -> Vec<T> {
    match numbers {
        [one] => vec![*one],
        _ => order.iter().map(|&c| numbers[c]).collect(),
    }
}

/// The channels of `x` in `order`, by a convolution.
fn moved(
    rw: &mut Rewriter,
    name: &str,
    x: ValueId,
    order: &[usize],
) -> Result<ValueId, GraphError> {
    let (channels, dtype) = (rw.shape(x)[1], rw.graph.value(x).ty.dtype);
    let (window, groups): (Window, _) = (PoolAttrs::unit().window, 1);
    let mut weight = vec![0; order.len() * channels];
    for (row, &channel) in weight.chunks_exact_mut(channels).zip(order) {
        row[channel] = 1;
    }
    let weight = Tensor::from_ints(DType::I8, vec![order.len(), channels, 1, 1], &weight);
    let weight = rw.graph.add_constant(&format!("{name}.weight"), weight);
    let conv = Op::QConv(ConvAttrs { window, groups }, 0);
    let sums = rw.emit(&format!("{name}.sums"), conv, &[x, weight])?;
    let same = Op::Requantize(Requant::identity(dtype), dtype);
    rw.emit(&format!("{name}.phases"), same, &[sums])
}
