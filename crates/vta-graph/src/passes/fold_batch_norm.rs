//! Folds batch normalization, and scaling by constants, into the layer before it.
//!
//! Batch normalization of inference is `x * f + (bias - mean * f)` with
//! `f = scale / sqrt(var + epsilon)`, one for each channel; a convolution or dense layer
//! before it takes `f` into its weights and the rest into its bias. One that has no such
//! layer becomes `mul` and `add`.

use super::channel::{channel_axis, per_channel, scale_rows};
use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{Graph, GraphError, Node, Op, Tensor, ValueId};

/// Runs the pass.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        // The result of a layer.
        let channels =
            |rw: &Rewriter, x: ValueId| channel_axis(&rw.producer(x)?.op, rw.shape(x).len());
        let Some((x, affine)) = affine(rw, node, channels) else {
            return Ok(Rewrite::Keep);
        };
        if let Some(folded) = fold(rw, x, &affine) {
            return Ok(folded);
        }
        match node.op {
            Op::BatchNorm { .. } => expand(rw, node, x, affine),
            _ => Ok(Rewrite::Keep),
        }
    })?;
    Ok(())
}

/// `x * factor + offset`, one of each for every index of `axis`.
pub(super) struct Affine {
    pub(super) axis: usize,
    pub(super) factor: Vec<f32>,
    pub(super) offset: Vec<f32>,
}

/// What a node does to its one variable operand, if it is affine for each channel; `axis` gives the channels
/// of an operand.
pub(super) fn affine(
    rw: &Rewriter,
    node: &Node,
    axis: impl Fn(&Rewriter, ValueId) -> Option<usize>,
) -> Option<(ValueId, Affine)> {
    let constant = |x: ValueId, c: ValueId| {
        let shape = rw.shape(x);
        // The other operand must not be widened by the constant.
        let axis = axis(rw, x)?;
        (rw.shape(node.output) == shape)
            .then(|| per_channel(rw.graph, c, shape, axis))
            .flatten()
            .map(|c| (axis, c))
    };
    let either = |a, b| Some((a, constant(a, b)?));
    let commuted = |a, b| either(a, b).or_else(|| either(b, a));
    let map =
        |(axis, v): (usize, Vec<f32>), f: fn(f32) -> f32| (axis, v.into_iter().map(f).collect());
    match (&node.op, node.inputs.as_slice()) {
        (Op::BatchNorm { epsilon }, &[x, scale, bias, mean, var]) => {
            let [scale, bias, mean, var] = [scale, bias, mean, var].map(|v| rw.f32s(v));
            let (scale, bias, mean, var) = (scale?, bias?, mean?, var?);
            let deviation = var.iter().map(|v| (v + epsilon).sqrt());
            let factor: Vec<f32> = scale.iter().zip(deviation).map(|(s, d)| s / d).collect();
            let shift = mean.iter().zip(&factor).map(|(m, f)| m * f);
            let offset = bias.iter().zip(shift).map(|(b, s)| b - s).collect();
            Some((
                x,
                Affine {
                    axis: 1,
                    factor,
                    offset,
                },
            ))
        }
        (Op::Mul, &[a, b]) => commuted(a, b).map(|(x, c)| (x, scaling(c))),
        (Op::Div, &[a, b]) => either(a, b).map(|(x, c)| (x, scaling(map(c, f32::recip)))),
        (Op::Add, &[a, b]) => commuted(a, b).map(|(x, c)| (x, shifting(c))),
        (Op::Sub, &[a, b]) => either(a, b).map(|(x, c)| (x, shifting(map(c, |v| -v)))),
        _ => None,
    }
}

fn scaling((axis, factor): (usize, Vec<f32>)) -> Affine {
    let offset = vec![0.0; factor.len()];
    Affine {
        axis,
        factor,
        offset,
    }
}

fn shifting((axis, offset): (usize, Vec<f32>)) -> Affine {
    let factor = vec![1.0; offset.len()];
    Affine {
        axis,
        factor,
        offset,
    }
}

/// The layer that computes `x` with the affine map in its weights and bias; `None` where
/// something else reads `x`, or its weights are not plain constants.
pub(super) fn fold(rw: &mut Rewriter, x: ValueId, affine: &Affine) -> Option<Rewrite> {
    let layer = rw.only_producer(x)?.clone();
    if channel_axis(&layer.op, rw.shape(x).len())? != affine.axis {
        return None;
    }
    let weight = Tensor::f32(
        rw.shape(layer.inputs[1]).to_vec(),
        scale_rows(rw.f32s(layer.inputs[1])?, &affine.factor),
    );
    let bias: Vec<f32> = match layer.inputs.get(2) {
        None => affine.offset.clone(),
        Some(&old) => {
            let scaled = rw.f32s(old)?.iter().zip(&affine.factor).map(|(b, f)| b * f);
            scaled.zip(&affine.offset).map(|(b, o)| b + o).collect()
        }
    };
    let name = rw.name(&layer).to_string();
    let weight = rw.graph.add_constant(&format!("{name}.weight"), weight);
    let bias = Tensor::f32([bias.len()], bias);
    let bias = rw.graph.add_constant(&format!("{name}.bias"), bias);
    Some(Rewrite::As(layer.op, vec![layer.inputs[0], weight, bias]))
}

/// A batch normalization that stays, as a product and a sum.
fn expand(
    rw: &mut Rewriter,
    node: &Node,
    x: ValueId,
    affine: Affine,
) -> Result<Rewrite, GraphError> {
    let mut shape = vec![affine.factor.len()];
    shape.resize(rw.shape(x).len() - 1, 1);
    let Affine { factor, offset, .. } = affine;
    let name = rw.name(node).to_string();
    let factor = Tensor::f32(shape.clone(), factor);
    let factor = rw.graph.add_constant(&format!("{name}.scale"), factor);
    let product = rw.emit(&name, Op::Mul, &[x, factor])?;
    let offset = Tensor::f32(shape, offset);
    let offset = rw.graph.add_constant(&format!("{name}.bias"), offset);
    Ok(Rewrite::As(Op::Add, vec![product, offset]))
}
