//! Operators that only exist on constants: shapes and arithmetic on them.

use vta_graph::Tensor;

use crate::fold;
use crate::import::{Importer, Known};
use crate::node::{NodeView, resolve_axis};
use crate::tensor::{checked_shape, dtype_of};

fn known(n: &NodeView, tensor: Tensor) -> Result<Known, String> {
    Ok(Known::constant(&n.proto.output[0], tensor))
}

pub(super) fn constant(_: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let tensor = if let Some(t) = n.tensor("value")? {
        t
    } else if let Some(v) = n.float("value_float")? {
        Tensor::f32([], vec![v])
    } else if let Some(v) = n.int("value_int")? {
        Tensor::i64([], vec![v])
    } else if let Some(v) = n.floats("value_floats")? {
        Tensor::f32([v.len()], v)
    } else if let Some(v) = n.ints("value_ints")? {
        Tensor::i64([v.len()], v)
    } else {
        return Err("it holds no value; numbers and dense tensors are supported".into());
    };
    known(n, tensor)
}

/// The extents of a value, of which the values themselves may be unknown.
pub(super) fn shape(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let dims: Vec<i64> = im.shape(n.input(0)?).iter().map(|&d| d as i64).collect();
    let rank = dims.len() as i64;
    let bound = |at: Option<i64>, default: i64| {
        let at = at.unwrap_or(default);
        let at = if at < 0 { at.saturating_add(rank) } else { at };
        at.clamp(0, rank) as usize
    };
    let (start, end) = (bound(n.int("start")?, 0), bound(n.int("end")?, rank));
    let part = dims.get(start..end).unwrap_or_default().to_vec();
    known(n, Tensor::i64([part.len()], part))
}

pub(super) fn gather(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.constant(0)?.ok_or("input 0 is missing")?;
    let indices = n.constant(1)?.ok_or("input 1 is missing")?;
    let axis = resolve_axis(n.int("axis")?.unwrap_or(0), x.shape().len())?;
    known(n, fold::gather(x, indices, axis, |shape| im.charge(shape))?)
}

/// A constant is converted now; a value can only keep its type.
pub(super) fn cast(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?;
    let to = n.int("to")?.ok_or("attribute `to` is missing")?;
    let to = dtype_of(to.try_into().unwrap_or(-1))?;
    if im.dtype(x) == to {
        return Ok(x.clone());
    }
    match x.as_constant() {
        Some(t) => {
            im.charge(t.shape())?;
            known(n, fold::cast(t, to)?)
        }
        None => Err(format!(
            "from {} to {to}; only constants are converted",
            im.dtype(x)
        )),
    }
}

pub(super) fn constant_of_shape(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let dims = n
        .constant_ints(0)?
        .ok_or("input 0, the shape, is missing")?;
    let shape = checked_shape(&dims)?;
    im.charge(&shape)?;
    let value = n
        .tensor("value")?
        .unwrap_or_else(|| Tensor::f32([1], vec![0.0]));
    if value.ty().len() != 1 {
        return Err(format!("value is {}, not one element", value.ty()));
    }
    known(
        n,
        fold::expand(&value.reshaped([1]), &[shape.iter().product()]).reshaped(shape),
    )
}
