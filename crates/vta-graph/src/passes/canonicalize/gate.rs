//! Products of a value with a function of itself.

use crate::passes::rewrite::{Rewrite, Rewriter};
use crate::{GraphError, Node, Op, ValueId};

/// `x * sigmoid(x)` is `silu`; `x * clip(x + 3, 0, 6) / 6`, in whichever order, is `hard_swish`.
pub(super) fn gate(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let (outer, product) = match scaling(rw, node) {
        Some((factor, v)) => match rw.only_producer(v) {
            Some(product) => (factor, product.clone()),
            None => return Ok(Rewrite::Keep),
        },
        None => (1.0, node.clone()),
    };
    let (Op::Mul, &[a, b]) = (&product.op, &product.inputs[..]) else {
        return Ok(Rewrite::Keep);
    };
    for (x, gate) in [(a, b), (b, a)] {
        let Some(inner) = rw.only_producer(gate) else {
            continue;
        };
        if inner.op == Op::Sigmoid && inner.inputs[0] == x && outer == 1.0 {
            return Ok(Rewrite::As(Op::Silu, vec![x]));
        }
        if is_hard(rw, inner, outer, x) {
            return Ok(Rewrite::As(Op::HardSwish, vec![x]));
        }
    }
    Ok(Rewrite::Keep)
}

/// Whether `node` times `outer` is `clip(x / 6 + 0.5, 0, 1)`.
fn is_hard(rw: &Rewriter, node: &Node, mut outer: f32, x: ValueId) -> bool {
    let mut node = node;
    if let Some((factor, v)) = scaling(rw, node) {
        let Some(inner) = rw.only_producer(v) else {
            return false;
        };
        (outer, node) = (outer * factor, inner);
    }
    let Op::Clip { lo: 0.0, hi } = node.op else {
        return false;
    };
    let (mut at, mut slope, mut offset) = (node.inputs[0], 1.0, 0.0);
    while at != x {
        let Some(inner) = rw.only_producer(at) else {
            return false;
        };
        if let Some((factor, v)) = scaling(rw, inner) {
            (slope, at) = (slope * factor, v);
        } else if let Some((by, v)) = shifting(rw, inner) {
            (offset, at) = (offset + slope * by, v);
        } else {
            return false;
        }
    }
    let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
    near(outer * hi, 1.0) && near(outer * slope, 1.0 / 6.0) && near(outer * offset, 0.5)
}

/// A number that a node multiplies a value by, and the value.
fn scaling(rw: &Rewriter, node: &Node) -> Option<(f32, ValueId)> {
    let &[a, b] = &node.inputs[..] else {
        return None;
    };
    match node.op {
        Op::Mul => number(rw, b)
            .map(|n| (n, a))
            .or(number(rw, a).map(|n| (n, b))),
        Op::Div => number(rw, b).map(|n| (1.0 / n, a)),
        _ => None,
    }
}

/// A number that a node adds to a value, and the value.
fn shifting(rw: &Rewriter, node: &Node) -> Option<(f32, ValueId)> {
    let (Op::Add, &[a, b]) = (&node.op, &node.inputs[..]) else {
        return None;
    };
    number(rw, b)
        .map(|n| (n, a))
        .or(number(rw, a).map(|n| (n, b)))
}

/// A constant of one element, which widens nothing.
fn number(rw: &Rewriter, v: ValueId) -> Option<f32> {
    match rw.f32s(v)? {
        &[n] if rw.shape(v).len() <= 1 => Some(n),
        _ => None,
    }
}
