//! `pad_to_conv`: rows and columns around integers are the padding of a convolution.
//!
//! A convolution whose zero point is the value around its input takes it into its own padding. What is left is a
//! depthwise convolution with weights of 1, whose windows lie on padding in part.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, DType, Graph, GraphError, Node, Op, PoolAttrs, Requant, Tensor, ValueId};

/// Rewrites every `pad` of rows and columns of a narrow tensor `[N, C, H, W]` that a node computes.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| Ok(absorbed(rw, node)))?;
    rewrite(graph, |rw, node| {
        let Some(padded) = Padded::of(rw, node) else {
            return Ok(Rewrite::Keep);
        };
        let groups = rw.shape(node.output)[1];
        let mut window = PoolAttrs::unit().window;
        window.pads = padded.pads;
        let dtype = rw.graph.value(node.output).ty.dtype;
        let name = rw.name(node).to_string();
        let weight = Tensor::from_ints(DType::I8, [groups, 1, 1, 1], &vec![1; groups]);
        let weight = rw.graph.add_constant(&format!("{name}.weight"), weight);
        let conv = Op::QConv(ConvAttrs { window, groups }, padded.value);
        let sums = rw.emit(&format!("{name}.sums"), conv, &[padded.x, weight])?;
        let back = Requant {
            add: vec![padded.value.into()],
            ..Requant::identity(dtype)
        };
        Ok(Rewrite::As(Op::Requantize(back, dtype), vec![sums]))
    })?;
    Ok(())
}

/// What a `pad` of rows and columns does.
struct Padded {
    x: ValueId,
    /// Top, left, bottom, right.
    pads: [usize; 4],
    value: i32,
}

impl Padded {
    fn of(rw: &Rewriter, node: &Node) -> Option<Padded> {
        let Op::Pad {
            before,
            after,
            value,
        } = &node.op
        else {
            return None;
        };
        let x = node.inputs[0];
        let ty = &rw.graph.value(x).ty;
        let (&[0, 0, top, left], &[0, 0, bottom, right]) = (&before[..], &after[..]) else {
            return None;
        };
        let made = ty.dtype.is_narrow() && rw.producer(x).is_some();
        made.then_some(Padded {
            x,
            pads: [top, left, bottom, right],
            value: *value as i32,
        })
    }
}

/// The convolution with the padding of its input as its own, if it reads that as nothing.
fn absorbed(rw: &Rewriter, node: &Node) -> Rewrite {
    let Op::QConv(attrs, zero_point) = &node.op else {
        return Rewrite::Keep;
    };
    let padded = rw
        .producer(node.inputs[0])
        .and_then(|pad| Padded::of(rw, pad));
    let Some(padded) = padded.filter(|padded| padded.value == *zero_point) else {
        return Rewrite::Keep;
    };
    let mut attrs = attrs.clone();
    for (own, more) in attrs.window.pads.iter_mut().zip(padded.pads) {
        *own += more;
    }
    let mut inputs = node.inputs.clone();
    inputs[0] = padded.x;
    Rewrite::As(Op::QConv(attrs, *zero_point), inputs)
}
