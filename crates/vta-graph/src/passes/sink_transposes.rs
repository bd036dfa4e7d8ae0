//! Moves transposes towards the outputs until they meet their inverse.
//!
//! Graphs from channels-last frameworks wrap each convolution in a pair of transposes. Pushed
//! through what works element by element, and through concatenation, padding and the like
//! with their axes renamed, neighbours cancel and chains of NCHW convolutions remain. A
//! transpose that is left over moves to the integer side of a `quantize` or `dequantize`,
//! so that these stay beside the layer whose operands they describe.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{Graph, GraphError, Node, Op, Quant, Tensor, ValueId};

/// Runs the pass.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, sink)?;
    rewrite(graph, to_integer_side)?;
    Ok(())
}

fn sink(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    if let Op::Transpose { perm } = &node.op {
        return Ok(cancel(rw, perm, node.inputs[0]));
    }
    // The operator before the transpose, and the transpose that then follows it.
    let sunk = match &node.op {
        Op::Add | Op::Sub | Op::Mul | Op::Div => return sink_binary(rw, node),
        Op::Concat { axis } => {
            let Some((perm, inputs)) = all_transposed(rw, &node.inputs) else {
                return Ok(Rewrite::Keep);
            };
            let axis = perm[*axis];
            let joined = rw.emit(&node.name, Op::Concat { axis }, &inputs)?;
            return Ok(Rewrite::As(Op::Transpose { perm }, vec![joined]));
        }
        _ if node.inputs.len() != 1 => None,
        op => transposed(rw, node.inputs[0])
            .and_then(|(perm, x)| Some((before_transpose(op, &perm)?, x))),
    };
    let Some(((op, perm), x)) = sunk else {
        return Ok(Rewrite::Keep);
    };
    if perm.is_sorted() {
        return Ok(Rewrite::As(op, vec![x]));
    }
    let inner = rw.emit(&node.name, op, &[x])?;
    Ok(Rewrite::As(Op::Transpose { perm }, vec![inner]))
}

fn cancel(rw: &Rewriter, perm: &[usize], x: ValueId) -> Rewrite {
    let Some((inner, x)) = transposed(rw, x) else {
        return Rewrite::Keep;
    };
    let perm: Vec<usize> = perm.iter().map(|&axis| inner[axis]).collect();
    if perm.is_sorted() {
        Rewrite::Alias(x)
    } else {
        Rewrite::As(Op::Transpose { perm }, vec![x])
    }
}

/// The permutation and operand of a value that is a transpose.
fn transposed(rw: &Rewriter, value: ValueId) -> Option<(Vec<usize>, ValueId)> {
    let node = rw.producer(value)?;
    match &node.op {
        Op::Transpose { perm } => Some((perm.clone(), node.inputs[0])),
        _ => None,
    }
}

/// The operands of values that are all transposed alike.
fn all_transposed(rw: &Rewriter, values: &[ValueId]) -> Option<(Vec<usize>, Vec<ValueId>)> {
    let (perm, _) = transposed(rw, *values.first()?)?;
    let inputs = values.iter().map(|&v| {
        let (p, x) = transposed(rw, v)?;
        (p == perm).then_some(x)
    });
    Some((perm.clone(), inputs.collect::<Option<_>>()?))
}

/// For `op(transpose(x))`: the operator and permutation of the equal `transpose(op(x))`.
fn before_transpose(op: &Op, perm: &[usize]) -> Option<(Op, Vec<usize>)> {
    // What is said of axis `i` after the transpose holds for axis `perm[i]` before it.
    let by_axis = |v: &[usize]| {
        let mut before = vec![0; v.len()];
        for (&axis, &x) in perm.iter().zip(v) {
            before[axis] = x;
        }
        before
    };
    let along = |q: &Quant| Quant {
        axis: if q.scale.len() > 1 { perm[q.axis] } else { 0 },
        ..q.clone()
    };
    let op = match op {
        Op::Relu | Op::LeakyRelu { .. } | Op::Clip { .. } => op.clone(),
        Op::Sigmoid | Op::HardSwish | Op::Silu => op.clone(),
        Op::Quantize(q, dtype) => Op::Quantize(along(q), *dtype),
        Op::Dequantize(q) => Op::Dequantize(along(q)),
        Op::Softmax { axis } => Op::Softmax { axis: perm[*axis] },
        Op::Pad {
            before,
            after,
            value,
        } => Op::Pad {
            before: by_axis(before),
            after: by_axis(after),
            value: *value,
        },
        Op::Slice { start, end, step } => Op::Slice {
            start: by_axis(start),
            end: by_axis(end),
            step: by_axis(step),
        },
        Op::ReduceMean { axes, keep_dims } => {
            let mut inner: Vec<usize> = axes.iter().map(|&axis| perm[axis]).collect();
            inner.sort_unstable();
            let reduced = Op::ReduceMean {
                axes: inner.clone(),
                keep_dims: *keep_dims,
            };
            if *keep_dims {
                return Some((reduced, perm.to_vec()));
            }
            // Reduced axes are gone: count those that are left.
            let kept = perm.iter().filter(|axis| !inner.contains(axis));
            let rank_of = |axis: &usize| axis - inner.iter().filter(|&a| a < axis).count();
            return Some((reduced, kept.map(rank_of).collect()));
        }
        _ => return None,
    };
    Some((op, perm.to_vec()))
}

/// Two operands transposed alike, or one transposed and one constant.
fn sink_binary(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let [a, b] = [node.inputs[0], node.inputs[1]];
    let rank = rw.shape(node.output).len();
    let sunk = match (transposed(rw, a), transposed(rw, b)) {
        (Some((perm, x)), Some((other, y))) if perm == other => Some((perm, [x, y])),
        (Some((perm, x)), None) => untranspose_constant(rw, b, &perm).map(|c| (perm, [x, c])),
        (None, Some((perm, y))) => untranspose_constant(rw, a, &perm).map(|c| (perm, [c, y])),
        _ => None,
    };
    let Some((perm, inputs)) = sunk.filter(|(perm, _)| perm.len() == rank) else {
        return Ok(Rewrite::Keep);
    };
    let inner = rw.emit(&node.name, node.op.clone(), &inputs)?;
    Ok(Rewrite::As(Op::Transpose { perm }, vec![inner]))
}

/// The constant which, transposed by `perm`, broadcasts as `value` does.
fn untranspose_constant(rw: &mut Rewriter, value: ValueId, perm: &[usize]) -> Option<ValueId> {
    let tensor = rw.graph.constant(value)?;
    let elements = tensor.as_f32()?;
    let lead = perm.len().checked_sub(tensor.shape().len())?;
    let mut shape = vec![1; lead];
    shape.extend(tensor.shape());
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    // Axis `perm[i]` of the result is axis `i` of the constant.
    let mut inverse = vec![0; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        inverse[axis] = i;
    }
    let extents: Vec<usize> = inverse.iter().map(|&i| shape[i]).collect();
    let gathered = (0..elements.len()).map(|mut index| {
        let mut offset = 0;
        for (&extent, &i) in extents.iter().zip(&inverse).rev() {
            offset += index % extent * strides[i];
            index /= extent;
        }
        elements[offset]
    });
    let permuted = Tensor::f32(extents.clone(), gathered.collect());
    let name = format!("{}.t", rw.graph.value(value).name);
    Some(rw.graph.add_constant(&name, permuted))
}

/// `dequantize(transpose(x))` for `transpose(dequantize(x))`, and
/// `transpose(quantize(x))` for `quantize(transpose(x))`.
fn to_integer_side(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let Some(&input) = node.inputs.first() else {
        return Ok(Rewrite::Keep);
    };
    match &node.op {
        Op::Transpose { perm } => {
            let Some(Node {
                op: Op::Dequantize(q),
                inputs,
                ..
            }) = rw.only_producer(input)
            else {
                return Ok(Rewrite::Keep);
            };
            let (x, mut q) = (inputs[0], q.clone());
            if q.scale.len() > 1 {
                q.axis = perm.iter().position(|&axis| axis == q.axis).unwrap_or(0);
            }
            let op = node.op.clone();
            let turned = rw.emit(&node.name, op, &[x])?;
            Ok(Rewrite::As(Op::Dequantize(q), vec![turned]))
        }
        Op::Quantize(..) => {
            let Some((perm, x)) = transposed(rw, input) else {
                return Ok(Rewrite::Keep);
            };
            let Some((op, perm)) = before_transpose(&node.op, &perm) else {
                return Ok(Rewrite::Keep);
            };
            let inner = rw.emit(&node.name, op, &[x])?;
            Ok(Rewrite::As(Op::Transpose { perm }, vec![inner]))
        }
        _ => Ok(Rewrite::Keep),
    }
}
