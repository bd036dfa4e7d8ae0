//! `fold_padding`: a quantized convolution takes in the padding before it, whatever value that has.
//!
//! Padding counts as the zero point. With the padding's value `p` in place of the zero point `z`, each product lacks
//! `(p - z) * w`, and so does each sum the same for all weights of its channel, which goes into the bias.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, Graph, GraphError, Node, Op, Tensor, ValueId};

/// Folds a `pad` of height and width into each `qconv` that reads it, if the convolution has no padding of its own, or
/// one of the same value.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Op::QConv(attrs, zero_point) = &node.op else {
            return Ok(Rewrite::Keep);
        };
        let pad = rw.producer(node.inputs[0]);
        let Some((x, more, value)) = pad.and_then(padding) else {
            return Ok(Rewrite::Keep);
        };
        let mut inputs = node.inputs.clone();
        inputs[0] = x;
        if value != *zero_point {
            let Some(bias) = bias(rw, &node.inputs, value - zero_point) else {
                return Ok(Rewrite::Keep);
            };
            if attrs.window.pads != [0; 4] {
                return Ok(Rewrite::Keep);
            }
            let name = format!("{}.padded", rw.name(node));
            inputs.truncate(2);
            inputs.push(rw.graph.add_constant(&name, bias));
        }
        let mut window = attrs.window.clone();
        window.pads.iter_mut().zip(more).for_each(|(p, m)| *p += m);
        let attrs = ConvAttrs {
            window,
            groups: attrs.groups,
        };
        Ok(Rewrite::As(Op::QConv(attrs, value), inputs))
    })?;
    Ok(())
}

/// What a padding of height and width stands around, its extents (top, left, bottom, right), and its value.
pub(super) fn padding(node: &Node) -> Option<(ValueId, [usize; 4], i32)> {
    let Op::Pad {
        before,
        after,
        value,
    } = &node.op
    else {
        return None;
    };
    let (&[0, 0, top, left], &[0, 0, bottom, right]) = (&before[..], &after[..]) else {
        return None;
    };
    Some((node.inputs[0], [top, left, bottom, right], *value as i32))
}

/// The bias, and `difference` times the sum of each channel's weights; `None` beyond 32 bits.
fn bias(rw: &Rewriter, inputs: &[ValueId], difference: i32) -> Option<Tensor> {
    let sums = super::pack::channel_sums(rw.graph.constant(inputs[1])?);
    let old = match inputs.get(2) {
        Some(&bias) => rw.graph.constant(bias)?.to_ints()?,
        None => vec![0; sums.len()],
    };
    let new = old.iter().zip(&sums);
    let new = new.map(|(b, sum)| i32::try_from(b + i64::from(difference) * sum).ok());
    let new: Vec<i32> = new.collect::<Option<_>>()?;
    Some(Tensor::i32([new.len()], new))
}
