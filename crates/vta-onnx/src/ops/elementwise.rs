//! Operators on elements, normalization, and reductions.

use std::slice::from_ref;

use vta_graph::{DType, Op, Quant, Tensor};

use super::arrange;
use crate::import::{Importer, Known};
use crate::node::{NodeView, resolve_axes};

pub(super) fn unary(im: &mut Importer, n: &NodeView, op: Op) -> Result<Known, String> {
    im.emit(n, op, from_ref(n.input(0)?))
}

pub(super) fn binary(im: &mut Importer, n: &NodeView, op: Op) -> Result<Known, String> {
    im.fold_or_emit(n, op, &[n.input(0)?.clone(), n.input(1)?.clone()])
}

pub(super) fn leaky_relu(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let alpha = n.float("alpha")?.unwrap_or(0.01);
    unary(im, n, Op::LeakyRelu { alpha })
}

/// A `quantize` to -1 and +1, and back: what binarizes a network. It has no 0, for which it has +1.
pub(super) fn sign(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?.clone();
    if im.dtype(&x) != DType::F32 {
        return Err(format!(
            "its operand is {}; signs are taken of f32",
            im.dtype(&x)
        ));
    }
    let note = "the sign of 0 taken as +1";
    if !im.notes.iter().any(|known| known == note) {
        im.notes.push(note.to_string());
    }
    if let Some(tensor) = x.as_constant() {
        let signs = tensor.as_f32().unwrap_or_default().iter();
        let signs = signs.map(|v| if *v < 0.0 { -1.0 } else { 1.0 }).collect();
        let tensor = Tensor::f32(tensor.shape(), signs);
        return Ok(Known::constant(&n.proto.output[0], tensor));
    }
    let unit = Quant::per_tensor(1.0, 0);
    let signs = im.emit_step(n, "sign", Op::Quantize(unit.clone(), DType::S1), &[x])?;
    im.emit(n, Op::Dequantize(unit), &[signs])
}

/// `clip(alpha * x + beta, 0, 1)`, in operators that layers can take in.
pub(super) fn hard_sigmoid(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let alpha = n.float("alpha")?.unwrap_or(0.2);
    let beta = n.float("beta")?.unwrap_or(0.5);
    let line = line(im, n, alpha, beta)?;
    im.emit(n, UNIT, &[line])
}

const UNIT: Op = Op::Clip { lo: 0.0, hi: 1.0 };

/// `slope * x + offset`.
fn line(im: &mut Importer, n: &NodeView, slope: f32, offset: f32) -> Result<Known, String> {
    let number =
        |part: &str, v| Known::constant(&format!("{}.{part}", n.name), Tensor::f32([], vec![v]));
    let (slope, offset) = (number("slope", slope), number("offset", offset));
    let product = im.emit_step(n, "product", Op::Mul, &[n.input(0)?.clone(), slope])?;
    im.emit_step(n, "line", Op::Add, &[product, offset])
}

pub(super) fn identity(_: &mut Importer, n: &NodeView) -> Result<Known, String> {
    n.input(0).cloned()
}

/// Nothing is dropped outside training.
pub(super) fn dropout(_: &mut Importer, n: &NodeView) -> Result<Known, String> {
    if n.constant_scalar(2)?
        .is_some_and(|training| training != 0.0)
    {
        return Err("training_mode is set; export the model for inference".into());
    }
    n.input(0).cloned()
}

/// The bounds are attributes before operator set 11 and inputs since.
pub(super) fn clip(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let (lo, hi) = if n.opset < 11 {
        (n.float("min")?, n.float("max")?)
    } else {
        (n.constant_scalar(1)?, n.constant_scalar(2)?)
    };
    let op = Op::Clip {
        lo: lo.unwrap_or(f32::MIN),
        hi: hi.unwrap_or(f32::MAX),
    };
    unary(im, n, op)
}

pub(super) fn batch_norm(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    n.only_int("training_mode", 0)?;
    n.only_int("spatial", 1)?;
    let epsilon = n.float("epsilon")?.unwrap_or(1e-5);
    let inputs = (0..5)
        .map(|i| n.input(i).cloned())
        .collect::<Result<Vec<_>, _>>()?;
    im.emit(n, Op::BatchNorm { epsilon }, &inputs)
}

/// The axes are an attribute before operator set 18 and an input since; none means all.
pub(super) fn reduce_mean(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?;
    let rank = im.shape(x).len();
    let axes = if n.opset < 18 {
        n.ints("axes")?
    } else {
        n.constant_ints(1)?
    };
    let axes = match axes.filter(|a| !a.is_empty()) {
        Some(axes) => resolve_axes(&axes, rank)?,
        None if n.flag("noop_with_empty_axes", false)? => return Ok(x.clone()),
        None => (0..rank).collect(),
    };
    let keep_dims = n.flag("keepdims", true)?;
    unary(im, n, Op::ReduceMean { axes, keep_dims })
}

/// Before operator set 13 everything from the axis on is one distribution; since then the axis
/// alone is.
pub(super) fn softmax(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?.clone();
    let shape = im.shape(&x).to_vec();
    let axis = n.axis(if n.opset < 13 { 1 } else { -1 }, shape.len())?;
    let spread = shape[axis + 1..].iter().any(|&d| d != 1);
    if n.opset >= 13 || !spread {
        return im.emit(n, Op::Softmax { axis }, &[x]);
    }
    let flat = arrange::flat(&shape, axis);
    let x = im.emit_step(n, "flat", Op::Reshape { shape: flat }, &[x])?;
    let y = im.emit_step(n, "softmax", Op::Softmax { axis: 1 }, &[x])?;
    im.emit(n, Op::Reshape { shape }, &[y])
}
