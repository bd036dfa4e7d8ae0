//! Brings graphs to the few forms that the later passes know.
//!
//! * what rearranges nothing disappears, and rearrangements of rearrangements become one;
//! * `matmul` by a constant (or dequantized constant) becomes `dense`, and adding a constant
//!   vector to a `dense` or `conv` its bias;
//! * zero padding becomes the window's of the convolution or average pooling after it;
//! * means over all positions become `global_avg_pool`, `clip` from 0 to infinity `relu`;
//! * a value times a function of itself becomes `silu` or `hard_swish`.

mod gate;

use super::channel::{channel_axis, per_channel};
use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{Graph, GraphError, Node, Op, PoolAttrs, Quant, Tensor, ValueId};

/// Runs the pass.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    const RULES: [Rule; 6] = [arrangement, activation, gate::gate, product, bias, window];
    rewrite(graph, |rw, node| {
        for rule in RULES {
            match rule(rw, node)? {
                Rewrite::Keep => {}
                done => return Ok(done),
            }
        }
        Ok(Rewrite::Keep)
    })?;
    Ok(())
}

type Rule = fn(&mut Rewriter, &Node) -> Result<Rewrite, GraphError>;

fn arrangement(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let Some(&x) = node.inputs.first() else {
        return Ok(Rewrite::Keep);
    };
    let from = rw.shape(x);
    Ok(match &node.op {
        Op::Reshape { shape } if shape == from => Rewrite::Alias(x),
        Op::Reshape { shape } => match rw.producer(x) {
            Some(inner) if matches!(inner.op, Op::Reshape { .. }) => Rewrite::As(
                Op::Reshape {
                    shape: shape.clone(),
                },
                inner.inputs.clone(),
            ),
            _ => Rewrite::Keep,
        },
        Op::Transpose { perm } => match rw.producer(x) {
            Some(Node {
                op: Op::Transpose { perm: inner },
                inputs,
                ..
            }) => {
                let perm: Vec<usize> = perm.iter().map(|&axis| inner[axis]).collect();
                simple_transpose(rw, perm, inputs[0])
            }
            _ => simple_transpose(rw, perm.clone(), x),
        },
        Op::Concat { .. } if node.inputs.len() == 1 => Rewrite::Alias(x),
        Op::Pad { before, after, .. } if before.iter().chain(after).all(|&n| n == 0) => {
            Rewrite::Alias(x)
        }
        Op::Slice { start, end, step }
            if end == from && start.iter().all(|&n| n == 0) && step.iter().all(|&n| n == 1) =>
        {
            Rewrite::Alias(x)
        }
        Op::MaxPool(p) | Op::AvgPool(p) if is_unit_window(p) => Rewrite::Alias(x),
        _ => Rewrite::Keep,
    })
}

/// A transpose, or the simpler thing that it is: nothing, or a reshape if only extents of 1
/// change places.
fn simple_transpose(rw: &Rewriter, perm: Vec<usize>, x: ValueId) -> Rewrite {
    let shape = rw.shape(x);
    if perm.iter().enumerate().all(|(i, &axis)| i == axis) {
        return Rewrite::Alias(x);
    }
    let wide: Vec<usize> = perm.iter().copied().filter(|&a| shape[a] != 1).collect();
    if wide.is_sorted() {
        let shape = perm.iter().map(|&axis| shape[axis]).collect();
        return Rewrite::As(Op::Reshape { shape }, vec![x]);
    }
    Rewrite::As(Op::Transpose { perm }, vec![x])
}

fn is_unit_window(p: &PoolAttrs) -> bool {
    p.window.kernel == [1, 1]
        && p.window.stride == [1, 1]
        && p.window.pads == [0; 4]
        && p.extra == [0, 0]
}

fn activation(_: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    Ok(match node.op {
        Op::Clip { lo, hi } if lo == f32::NEG_INFINITY && hi == f32::INFINITY => {
            Rewrite::Alias(node.inputs[0])
        }
        Op::Clip { lo, hi } if lo == 0.0 && hi == f32::INFINITY => {
            Rewrite::As(Op::Relu, node.inputs.clone())
        }
        _ => Rewrite::Keep,
    })
}

fn product(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let (Op::MatMul, &[a, b]) = (&node.op, node.inputs.as_slice()) else {
        return Ok(Rewrite::Keep);
    };
    let Ok([k, n]) = <[usize; 2]>::try_from(rw.shape(b)) else {
        return Ok(Rewrite::Keep);
    };
    let name = format!("{}.t", rw.graph.value(b).name);
    let weight = if let Some(w) = rw.f32s(b) {
        let transposed = Tensor::f32([n, k], transpose(w, k));
        rw.graph.add_constant(&name, transposed)
    } else if let Some((tensor, quant)) = dequantized(rw, b) {
        let values = transpose(&tensor.to_ints().expect("quantized"), k);
        let transposed = Tensor::from_ints(tensor.dtype(), [n, k], &values);
        let integers = rw.graph.add_constant(&name, transposed);
        let quant = Quant {
            axis: 1 - quant.axis.min(1),
            ..quant
        };
        rw.emit(&name, Op::Dequantize(quant), &[integers])?
    } else {
        return Ok(Rewrite::Keep);
    };
    Ok(Rewrite::As(Op::Dense, vec![a, weight]))
}

/// `[rows, N]` to `[N, rows]`.
fn transpose<T: Copy>(elements: &[T], rows: usize) -> Vec<T> {
    let n = elements.len() / rows;
    (0..n)
        .flat_map(|j| (0..rows).map(move |i| elements[i * n + j]))
        .collect()
}

/// The constant integers behind a value that is their `dequantize`.
fn dequantized(rw: &Rewriter, value: ValueId) -> Option<(Tensor, Quant)> {
    let node = rw.producer(value)?;
    let Op::Dequantize(quant) = &node.op else {
        return None;
    };
    let tensor = rw.graph.constant(node.inputs[0])?;
    Some((Tensor::clone(tensor), quant.clone()))
}

fn bias(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let (Op::Add, &[a, b]) = (&node.op, node.inputs.as_slice()) else {
        return Ok(Rewrite::Keep);
    };
    for (sum, addend) in [(a, b), (b, a)] {
        let Some(layer) = rw.only_producer(sum).cloned() else {
            continue;
        };
        let shape = rw.shape(sum).to_vec();
        let Some(axis) = channel_axis(&layer.op, shape.len()) else {
            continue;
        };
        let name = format!("{}.bias", rw.name(&layer));
        let bias = if let Some(addend) = per_channel(rw.graph, addend, &shape, axis) {
            let bias = match layer.inputs.get(2) {
                None => addend,
                Some(&old) => match rw.f32s(old) {
                    Some(old) => old.iter().zip(&addend).map(|(x, y)| x + y).collect(),
                    None => continue,
                },
            };
            rw.graph
                .add_constant(&name, Tensor::f32([bias.len()], bias))
        } else if layer.inputs.len() == 2 {
            match bias_vector(rw, addend, &name, shape[axis], &shape, axis)? {
                Some(bias) => bias,
                None => continue,
            }
        } else {
            continue;
        };
        let inputs = vec![layer.inputs[0], layer.inputs[1], bias];
        return Ok(Rewrite::As(layer.op, inputs));
    }
    Ok(Rewrite::Keep)
}

/// A dequantized constant that broadcasts along the channels alone, as a vector.
fn bias_vector(
    rw: &mut Rewriter,
    value: ValueId,
    name: &str,
    channels: usize,
    shape: &[usize],
    axis: usize,
) -> Result<Option<ValueId>, GraphError> {
    let Some((tensor, quant)) = dequantized(rw, value) else {
        return Ok(None);
    };
    let lead = shape.len().checked_sub(tensor.shape().len());
    let position = lead.and_then(|lead| axis.checked_sub(lead));
    let fits = tensor.ty().len() == channels
        && position.is_some_and(|p| tensor.shape()[p] == channels)
        && (quant.scale.len() == 1 || position == Some(quant.axis));
    if !fits {
        return Ok(None);
    }
    let integers = rw.graph.add_constant(name, tensor.reshaped([channels]));
    let quant = Quant { axis: 0, ..quant };
    rw.emit(name, Op::Dequantize(quant), &[integers]).map(Some)
}

fn window(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let Some(&x) = node.inputs.first() else {
        return Ok(Rewrite::Keep);
    };
    Ok(match &node.op {
        Op::Conv(attrs) => match spatial_zero_pad(rw, x) {
            Some((inner, pads)) => {
                let mut attrs = attrs.clone();
                add_pads(&mut attrs.window.pads, pads);
                let mut inputs = node.inputs.clone();
                inputs[0] = inner;
                Rewrite::As(Op::Conv(attrs), inputs)
            }
            None => Rewrite::Keep,
        },
        Op::AvgPool(attrs) => match spatial_zero_pad(rw, x) {
            // Padding of its own that is not counted cannot join padding that is.
            Some((inner, pads)) if attrs.count_include_pad || attrs.window.pads == [0; 4] => {
                let mut attrs = attrs.clone();
                add_pads(&mut attrs.window.pads, pads);
                attrs.count_include_pad = true;
                let op = Op::AvgPool(attrs);
                // Not every padding may be a window's.
                match op.infer(&[&rw.graph.value(inner).ty]) {
                    Ok(_) => Rewrite::As(op, vec![inner]),
                    Err(_) => Rewrite::Keep,
                }
            }
            _ if covers_all(attrs, rw.shape(x)) => {
                Rewrite::As(Op::GlobalAvgPool, node.inputs.clone())
            }
            _ => Rewrite::Keep,
        },
        Op::ReduceMean { axes, keep_dims } if axes == &[2, 3] && rw.shape(x).len() == 4 => {
            if *keep_dims {
                return Ok(Rewrite::As(Op::GlobalAvgPool, vec![x]));
            }
            let shape = rw.shape(x)[..2].to_vec();
            let pooled = rw.emit(&node.name, Op::GlobalAvgPool, &[x])?;
            Rewrite::As(Op::Reshape { shape }, vec![pooled])
        }
        _ => Rewrite::Keep,
    })
}

/// The value before a zero padding of height and width, and that padding (top, left,
/// bottom, right).
fn spatial_zero_pad(rw: &Rewriter, x: ValueId) -> Option<(ValueId, [usize; 4])> {
    let node = rw.producer(x)?;
    match &node.op {
        Op::Pad {
            before,
            after,
            value,
        } if *value == 0.0
            && before.len() == 4
            && before[..2] == [0, 0]
            && after[..2] == [0, 0] =>
        {
            Some((node.inputs[0], [before[2], before[3], after[2], after[3]]))
        }
        _ => None,
    }
}

fn add_pads(pads: &mut [usize; 4], more: [usize; 4]) {
    for (p, m) in pads.iter_mut().zip(more) {
        *p += m;
    }
}

/// Whether a pooling has one window, which is the whole input.
fn covers_all(p: &PoolAttrs, shape: &[usize]) -> bool {
    p.window.kernel[..] == shape[2..]
        && p.window.dilation == [1, 1]
        && p.window.pads == [0; 4]
        && p.extra == [0, 0]
}
