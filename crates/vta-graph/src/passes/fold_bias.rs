//! `fold_bias`: the bias of a quantized convolution moves into the requantization behind it.
//!
//! `((a + b) * m + d) >> s` is `(a * m + (d + b * m)) >> s`, exactly, so the accelerator adds
//! once instead of twice; also where a residual is added to the sums in between.

use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Op, Requant};

/// Folds the constant bias of every `qconv` whose one reader is a `requantize`, or a `qaccumulate` with
/// such a reader.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Op::Requantize(requant, dtype) = &node.op else {
            return Ok(Rewrite::Keep);
        };
        let Some(sums) = rw.only_producer(node.inputs[0]).cloned() else {
            return Ok(Rewrite::Keep);
        };
        let residual = matches!(sums.op, Op::QAccumulate { .. });
        let conv = if residual {
            rw.only_producer(sums.inputs[0]).cloned()
        } else {
            Some(sums.clone())
        };
        let Some(conv) = conv else {
            return Ok(Rewrite::Keep);
        };
        let (Op::QConv(..), [x, w, bias]) = (&conv.op, conv.inputs.as_slice()) else {
            return Ok(Rewrite::Keep);
        };
        let bias = rw.graph.constant(*bias).and_then(|b| b.to_ints());
        let Some(requant) = bias.and_then(|bias| folded(requant, &bias)) else {
            return Ok(Rewrite::Keep);
        };
        let mut folded = rw.emit(&conv.name, conv.op.clone(), &[*x, *w])?;
        if residual {
            folded = rw.emit(&sums.name, sums.op.clone(), &[folded, sums.inputs[1]])?;
        }
        Ok(Rewrite::As(Op::Requantize(requant, *dtype), vec![folded]))
    })?;
    Ok(())
}

/// `requant` on sums that lack `bias`; `None` where an addend would leave 64 bits.
fn folded(requant: &Requant, bias: &[i64]) -> Option<Requant> {
    let add = bias.iter().enumerate().map(|(c, b)| {
        let m = requant.mult[if requant.mult.len() == 1 { 0 } else { c }];
        let d = requant.add[if requant.add.len() == 1 { 0 } else { c }];
        b.checked_mul(m.into())?.checked_add(d)
    });
    Some(Requant {
        add: add.collect::<Option<Vec<_>>>()?,
        ..requant.clone()
    })
}
