//! Moves nearest resizing and `depth_to_space` towards the outputs, past what works element by element.
//!
//! A layer then meets its batch normalization, its activation and its `quantize`, and these see the smaller tensor.

use super::channel::per_channel;
use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{Graph, GraphError, Node, Op, Tensor, ValueId};

/// Runs the pass. A `slice` of rows and columns behind a resizing moves with it.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    while rewrite(graph, sink)? {}
    Ok(())
}

fn sink(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let is_constant = |&v: &ValueId| rw.graph.constant(v).is_some();
    let at = node.inputs.iter().position(|v| !is_constant(v));
    let Some(at) = at.filter(|_| works_by_element(&node.op)) else {
        return Ok(Rewrite::Keep);
    };
    let (chain, x) = chain(rw, node.inputs[at]);
    if chain.is_empty() || rw.shape(node.output) != rw.shape(node.inputs[at]) {
        return Ok(Rewrite::Keep);
    }
    let mut inputs = node.inputs.clone();
    inputs[at] = x;
    for i in (0..inputs.len()).filter(|&i| i != at) {
        match spread_constant(rw, node, i, &chain) {
            Some(c) => inputs[i] = c,
            None => return Ok(Rewrite::Keep),
        }
    }
    let name = rw.name(node).to_string();
    let mut y = rw.emit(&name, node.op.clone(), &inputs)?;
    let (last, others) = chain.split_last().expect("not empty");
    for op in others {
        y = rw.emit(&format!("{name}.{}", op.name()), op.clone(), &[y])?;
    }
    Ok(Rewrite::As(last.clone(), vec![y]))
}

fn works_by_element(op: &Op) -> bool {
    match op {
        Op::Relu | Op::LeakyRelu { .. } | Op::Clip { .. } => true,
        Op::Sigmoid | Op::HardSwish | Op::Silu | Op::BatchNorm { .. } => true,
        Op::Add | Op::Sub | Op::Mul | Op::Div => true,
        Op::Quantize(q, _) => q.scale.len() == 1,
        _ => false,
    }
}

/// The resizings, each the only reader of what it reads, that end with `value`, and what the first of them reads.
fn chain(rw: &Rewriter, value: ValueId) -> (Vec<Op>, ValueId) {
    let (mut ops, mut found) = (Vec::new(), (Vec::new(), value));
    let mut at = value;
    while let Some(node) = rw.only_producer(at) {
        let x = node.inputs.first().copied();
        match &node.op {
            // Channels that are left out have no number of their own.
            Op::DepthToSpace {
                block, channels, ..
            } if channels * block[0] * block[1] != rw.shape(x.expect("an operand"))[1] => break,
            Op::DepthToSpace { .. } | Op::Resize { .. } => {
                ops.insert(0, node.op.clone());
                found = (ops.clone(), x.expect("an operand"));
            }
            Op::Slice { start, end, step } => {
                let shape = rw.shape(x.expect("an operand"));
                let whole =
                    |axis: usize| (start[axis], end[axis], step[axis]) == (0, shape[axis], 1);
                if shape.len() != 4 || !whole(0) || !whole(1) {
                    break;
                }
                ops.insert(0, node.op.clone());
            }
            _ => break,
        }
        at = x.expect("an operand");
    }
    found
}

/// Operand `i` of `node`, one number for each channel, for the channels before the resizings.
fn spread_constant(rw: &mut Rewriter, node: &Node, i: usize, chain: &[Op]) -> Option<ValueId> {
    let value = node.inputs[i];
    let by_axis = matches!(node.op, Op::BatchNorm { .. });
    let shape = rw.shape(node.output).to_vec();
    let mut numbers = match by_axis {
        true => rw.f32s(value)?.to_vec(),
        false => per_channel(rw.graph, value, &shape, 1)?,
    };
    for op in chain.iter().rev() {
        let Op::DepthToSpace {
            block,
            groups,
            channels,
        } = op
        else {
            continue;
        };
        let (each, positions) = (channels / groups, block[0] * block[1]);
        let before = (0..channels * positions).map(|c| {
            let (group, lane) = (c / (positions * each), c % each);
            numbers.get(group * each + lane).copied()
        });
        numbers = before.collect::<Option<_>>()?;
    }
    let extents = match by_axis {
        true => vec![numbers.len()],
        false => vec![numbers.len(), 1, 1],
    };
    let name = format!("{}.spread", rw.graph.value(value).name);
    Some(rw.graph.add_constant(&name, Tensor::f32(extents, numbers)))
}
