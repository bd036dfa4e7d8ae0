//! Matrix products. Where one side is a weight they become [`Op::Dense`].

use std::slice::from_ref;
use std::sync::Arc;

use vta_graph::{Op, Quant, Tensor};

use super::arrange;
use crate::fold;
use crate::import::{Importer, Known};
use crate::node::NodeView;

/// A vector is a matrix of one row on the left and of one column on the right; that dimension is
/// dropped from the product again.
pub(super) fn matmul(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let sides = [n.input(0)?.clone(), n.input(1)?.clone()];
    let ranks = [0, 1].map(|i| im.shape(&sides[i]).len());
    if let Some(i) = ranks.iter().position(|&rank| rank == 0) {
        return Err(format!(
            "input {i} is a scalar; rank 1 or more is supported"
        ));
    }
    let [mut a, mut b] = sides;
    if ranks[0] == 1 {
        let shape = vec![1, im.shape(&a)[0]];
        a = im.emit_step(n, "row", Op::Reshape { shape }, &[a])?;
    }
    if ranks[1] == 1 {
        let shape = vec![im.shape(&b)[0], 1];
        b = im.emit_step(n, "column", Op::Reshape { shape }, &[b])?;
    }
    let (op, b) = match is_weight(im, &b) {
        true => (Op::Dense, transposed(im, n, &b)?),
        false => (Op::MatMul, b),
    };
    if ranks[0] > 1 && ranks[1] > 1 {
        return im.emit(n, op, &[a, b]);
    }
    let product = im.emit_step(n, "product", op, &[a, b])?;
    let mut shape = im.shape(&product).to_vec();
    if ranks[1] == 1 {
        shape.pop();
    }
    if ranks[0] == 1 {
        shape.remove(shape.len() - 1 - usize::from(ranks[1] > 1));
    }
    im.emit(n, Op::Reshape { shape }, &[product])
}

/// `alpha * A * B + beta * C`, with `A` and `B` transposed where the node says so.
pub(super) fn gemm(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let (mut a, b) = (n.input(0)?.clone(), n.input(1)?.clone());
    for (i, side) in [&a, &b].into_iter().enumerate() {
        if im.shape(side).len() != 2 {
            return Err(format!(
                "input {i} has shape {:?}, not rank 2",
                im.shape(side)
            ));
        }
    }
    if n.flag("transA", false)? {
        let perm = vec![1, 0];
        a = im.emit_step(n, "a", Op::Transpose { perm }, &[a])?;
    }
    let trans_b = n.flag("transB", false)?;
    let alpha = n.float("alpha")?.unwrap_or(1.0);
    let beta = n.float("beta")?.unwrap_or(1.0);
    let columns = im.shape(&b)[usize::from(!trans_b)];
    let weight = if trans_b { b } else { transposed(im, n, &b)? };
    let weight = scaled(im, n, "weight", weight, alpha)?;
    let Some(bias) = n.optional(2).filter(|_| beta != 0.0) else {
        return im.emit(n, Op::Dense, &[a, weight]);
    };
    let bias = scaled(im, n, "bias", bias.clone(), beta)?;
    if let Some(bias) = as_row(im, n, &bias, columns)? {
        return im.emit(n, Op::Dense, &[a, weight, bias]);
    }
    let y = im.emit_step(n, "product", Op::Dense, &[a, weight])?;
    im.emit(n, Op::Add, &[y, bias])
}

/// `known * factor`: of a constant now, and of a dequantized one by its scale.
fn scaled(
    im: &mut Importer,
    n: &NodeView,
    what: &str,
    known: Known,
    factor: f32,
) -> Result<Known, String> {
    if factor == 1.0 {
        return Ok(known);
    }
    let name = format!("{}.{what}", n.proto.output[0]);
    let by = Tensor::f32([1], vec![factor]);
    if let Known::Constant(c) = &known {
        let Some((quant, stored)) = &c.quant else {
            let product = fold::fold(&Op::Mul, &[&c.tensor, &by], |shape| im.charge(shape))
                .ok_or("a product is not folded")??;
            return Ok(Known::constant(&name, product));
        };
        let scale: Vec<f32> = quant.scale.iter().map(|s| s * factor).collect();
        if scale.iter().all(|s| s.is_normal() && *s > 0.0) {
            let quant = Quant {
                scale,
                ..quant.clone()
            };
            let tensor = Arc::clone(&c.tensor);
            return Ok(Known::dequantized(&name, tensor, quant, stored));
        }
    }
    let by = Known::constant(&format!("{name}.factor"), by);
    im.emit_step(n, what, Op::Mul, &[known, by])
}

/// Whether a value is a constant matrix, dequantized or not.
fn is_weight(im: &Importer, known: &Known) -> bool {
    matches!(known, Known::Constant(_)) && im.shape(known).len() == 2
}

/// `[K, N]` as `[N, K]`.
fn transposed(im: &mut Importer, n: &NodeView, known: &Known) -> Result<Known, String> {
    let perm = vec![1, 0];
    match known {
        Known::Constant(c) => {
            let name = format!("{}.weight", n.proto.output[0]);
            arrange::permuted(im, c, perm, &name)
        }
        Known::Value(_) => im.emit_step(n, "weight", Op::Transpose { perm }, from_ref(known)),
    }
}

/// A bias that is the same for every row, as `[columns]`; `None` if it is another kind.
fn as_row(
    im: &mut Importer,
    n: &NodeView,
    bias: &Known,
    columns: usize,
) -> Result<Option<Known>, String> {
    let shape = im.shape(bias);
    if shape == [columns] {
        return Ok(Some(bias.clone()));
    }
    let Known::Constant(c) = bias else {
        return Ok(None);
    };
    let len = c.tensor.ty().len();
    let row = len == columns && shape.last() == Some(&columns);
    let name = format!("{}.bias", n.proto.output[0]);
    match &c.quant {
        None if row => {
            let flat = (*c.tensor).clone().reshaped([columns]);
            Ok(Some(Known::constant(&name, flat)))
        }
        None if len == 1 => {
            im.charge(&[columns])?;
            let one = (*c.tensor).clone().reshaped([1]);
            Ok(Some(Known::constant(&name, fold::expand(&one, &[columns]))))
        }
        Some((quant, stored)) if row && quant.scale.len() == 1 => {
            let flat = Arc::new((*c.tensor).clone().reshaped([columns]));
            let quant = Quant {
                axis: 0,
                ..quant.clone()
            };
            Ok(Some(Known::dequantized(&name, flat, quant, stored)))
        }
        _ => Ok(None),
    }
}
