//! Operators that only move elements.

use std::slice::from_ref;
use std::sync::Arc;

use vta_graph::{Op, Quant};

use crate::fold;
use crate::import::{Constant, Importer, Known};
use crate::node::{NodeView, resolve_axes, resolve_axis};
use crate::tensor::MAX_RANK;

/// `shape` as a matrix whose columns begin at `axis`.
pub(super) fn flat(shape: &[usize], axis: usize) -> Vec<usize> {
    let (rows, columns) = shape.split_at(axis);
    vec![rows.iter().product(), columns.iter().product()]
}

/// The first input under another shape; nothing at all where it has it already.
fn reshape_to(im: &mut Importer, n: &NodeView, shape: Vec<usize>) -> Result<Known, String> {
    let x = n.input(0)?;
    let have = im.shape(x);
    if shape.len() > MAX_RANK {
        return Err(format!(
            "a result of rank {}; at most {MAX_RANK} is supported",
            shape.len()
        ));
    }
    if have == shape {
        return Ok(x.clone());
    }
    let len = shape.iter().try_fold(1usize, |len, &d| len.checked_mul(d));
    if len != Some(have.iter().product()) {
        return Err(format!("{have:?} does not reshape to {shape:?}"));
    }
    im.fold_or_emit(n, Op::Reshape { shape }, from_ref(x))
}

pub(super) fn flatten(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let shape = im.shape(n.input(0)?);
    // Flattening may also split after the last axis.
    let axis = match n.int("axis")?.unwrap_or(1) {
        a if a == shape.len() as i64 => shape.len(),
        a => resolve_axis(a, shape.len())?,
    };
    let shape = flat(shape, axis);
    reshape_to(im, n, shape)
}

/// 0 keeps an extent of the input (unless `allowzero`), -1 takes what is left.
pub(super) fn reshape(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let have = im.shape(n.input(0)?);
    let wanted = n
        .constant_ints(1)?
        .ok_or("input 1, the shape, is missing")?;
    let keep = !n.flag("allowzero", false)?;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, &d) in wanted.iter().enumerate() {
        shape.push(match d {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if keep => *have
                .get(i)
                .ok_or_else(|| format!("shape {wanted:?} keeps axis {i} of {have:?}"))?,
            _ => usize::try_from(d).map_err(|_| format!("extent {d} in shape {wanted:?}"))?,
        });
    }
    if let Some(i) = open {
        let rest = shape
            .iter()
            .try_fold(1usize, |len, &d| len.checked_mul(d))
            .filter(|&rest| rest > 0);
        let len: usize = have.iter().product();
        shape[i] = rest
            .filter(|rest| len % rest == 0)
            .map(|rest| len / rest)
            .ok_or_else(|| format!("{have:?} does not reshape to {wanted:?}"))?;
    }
    reshape_to(im, n, shape)
}

/// The axes are an attribute before operator set 13 and an input since.
fn axes(n: &NodeView) -> Result<Option<Vec<i64>>, String> {
    if n.opset < 13 {
        n.ints("axes")
    } else {
        n.constant_ints(1)
    }
}

pub(super) fn squeeze(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let shape = im.shape(n.input(0)?);
    let axes = match axes(n)? {
        Some(axes) => resolve_axes(&axes, shape.len())?,
        None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&a| shape[a] != 1) {
        return Err(format!("axis {axis} of {shape:?} is not 1"));
    }
    let kept = (0..shape.len()).filter(|i| !axes.contains(i));
    let shape = kept.map(|i| shape[i]).collect();
    reshape_to(im, n, shape)
}

pub(super) fn unsqueeze(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let shape = im.shape(n.input(0)?);
    let axes = axes(n)?.ok_or("the axes are missing")?;
    let rank = shape.len() + axes.len();
    let axes = resolve_axes(&axes, rank)?;
    let mut old = shape.iter();
    let shape = (0..rank)
        .map(|i| match axes.binary_search(&i) {
            Ok(_) => 1,
            Err(_) => *old.next().expect("as many as are not new"),
        })
        .collect();
    reshape_to(im, n, shape)
}

pub(super) fn transpose(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?;
    let rank = im.shape(x).len();
    let perm: Vec<usize> = match n.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(list) => list
            .iter()
            .map(|&p| usize::try_from(p).ok().filter(|&p| p < rank))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("perm {list:?} for rank {rank}"))?,
    };
    if (0..rank).any(|i| !perm.contains(&i)) || perm.len() != rank {
        return Err(format!(
            "perm {perm:?} does not name each of {rank} axes once"
        ));
    }
    if perm.is_sorted() {
        return Ok(x.clone());
    }
    match x {
        Known::Constant(c) => permuted(im, c, perm, &n.proto.output[0]),
        Known::Value(_) => im.emit(n, Op::Transpose { perm }, from_ref(x)),
    }
}

/// A constant with its axes permuted; of a dequantized one, the integers are permuted.
pub(super) fn permuted(
    im: &mut Importer,
    c: &Constant,
    perm: Vec<usize>,
    name: &str,
) -> Result<Known, String> {
    let axis_after = |axis| perm.iter().position(|&p| p == axis).unwrap_or(0);
    let quant = c.quant.as_ref().map(|(quant, stored)| {
        let axis = axis_after(quant.axis);
        (
            Quant {
                axis,
                ..quant.clone()
            },
            stored,
        )
    });
    let op = Op::Transpose { perm };
    let tensor = fold::fold(&op, &[&c.tensor], |shape| im.charge(shape))
        .ok_or("the permutation has another rank than the constant")??;
    Ok(match quant {
        None => Known::constant(name, tensor),
        Some((quant, stored)) => Known::dequantized(name, Arc::new(tensor), quant, stored),
    })
}

pub(super) fn concat(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let rank = im.shape(n.input(0)?).len();
    let axis = n.int("axis")?.ok_or("attribute `axis` is missing")?;
    let axis = resolve_axis(axis, rank)?;
    let parts: Vec<Known> = n.inputs.iter().flatten().cloned().collect();
    match parts.as_slice() {
        [one] => Ok(one.clone()),
        _ => im.fold_or_emit(n, Op::Concat { axis }, &parts),
    }
}

/// Amounts and value are attributes before operator set 11 and inputs since.
pub(super) fn pad(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let mode = n.text("mode")?.unwrap_or_default();
    if !matches!(mode.as_str(), "" | "constant") {
        return Err(format!("mode `{mode}`; only `constant` is supported"));
    }
    let rank = im.shape(n.input(0)?).len();
    let (pads, value, axes) = if n.opset < 11 {
        (n.ints("pads")?, n.float("value")?, None)
    } else {
        let pads = n.constant_ints(1)?;
        (pads, n.constant_scalar(2)?, n.constant_ints(3)?)
    };
    let pads = pads.ok_or("the pads are missing")?;
    let axes = match axes {
        None => (0..rank).collect(),
        Some(axes) => axes
            .iter()
            .map(|&a| resolve_axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (i, &axis) in axes.iter().enumerate() {
        for (side, amount) in [(&mut before, pads[i]), (&mut after, pads[i + axes.len()])] {
            side[axis] = usize::try_from(amount)
                .ok()
                .filter(|&a| a <= 1 << 24)
                .ok_or_else(|| format!("pad {amount}; 0 to {} is supported", 1 << 24))?;
        }
    }
    let op = Op::Pad {
        before,
        after,
        value: value.unwrap_or(0.0),
    };
    im.emit(n, op, from_ref(n.input(0)?))
}

/// Bounds are attributes before operator set 10 and inputs since.
/// One part of several along an axis, a slice. The sizes are an attribute before operator set 13 and an input since;
/// without them all are equal, the last one smaller where they cannot be.
pub(super) fn split(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let shape = im.shape(n.input(0)?).to_vec();
    let axis = n.axis(0, shape.len())?;
    let (extent, parts) = (shape[axis], n.proto.output.len());
    let sizes = match n.opset {
        ..13 => n.ints("split")?,
        _ => n.constant_ints(1)?,
    };
    let sizes = match sizes {
        Some(sizes) => {
            let sizes: Option<Vec<usize>> =
                sizes.iter().map(|&s| usize::try_from(s).ok()).collect();
            let whole = |sizes: &Vec<usize>| {
                let sum = sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s));
                (sizes.len(), sum) == (parts, Some(extent))
            };
            sizes.filter(whole)
        }
        None => {
            let each = extent.div_ceil(parts);
            let last = extent.checked_sub(each * (parts - 1));
            last.map(|last| [vec![each; parts - 1], vec![last]].concat())
        }
    };
    let sizes = sizes.ok_or_else(|| {
        format!("its sizes do not make {parts} parts of the {extent} along axis {axis}")
    })?;
    let (mut start, mut end) = (vec![0; shape.len()], shape.clone());
    start[axis] = sizes[..n.output].iter().sum();
    end[axis] = start[axis] + sizes[n.output];
    let step = vec![1; shape.len()];
    im.fold_or_emit(n, Op::Slice { start, end, step }, from_ref(n.input(0)?))
}

pub(super) fn slice(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let shape = im.shape(n.input(0)?).to_vec();
    let (starts, ends, axes, steps) = if n.opset < 10 {
        (n.ints("starts")?, n.ints("ends")?, n.ints("axes")?, None)
    } else {
        let (starts, ends) = (n.constant_ints(1)?, n.constant_ints(2)?);
        (starts, ends, n.constant_ints(3)?, n.constant_ints(4)?)
    };
    let starts = starts.ok_or("the starts are missing")?;
    let ends = ends.ok_or("the ends are missing")?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps have different lengths".into());
    }
    resolve_axes(&axes, shape.len())?;
    let mut start = vec![0; shape.len()];
    let mut end = shape.clone();
    let mut step = vec![1; shape.len()];
    for (i, &axis) in axes.iter().enumerate() {
        let axis = resolve_axis(axis, shape.len())?;
        let extent = shape[axis] as i64;
        let place = |at: i64| {
            let at = if at < 0 {
                at.saturating_add(extent)
            } else {
                at
            };
            at.clamp(0, extent) as usize
        };
        (start[axis], end[axis]) = (place(starts[i]), place(ends[i]));
        if steps[i] < 1 {
            return Err(format!(
                "step {}; only positive steps are supported",
                steps[i]
            ));
        }
        // Any step past the extent takes one element.
        step[axis] = steps[i].min(extent.max(1)) as usize;
        end[axis] = end[axis].max(start[axis]);
    }
    im.fold_or_emit(n, Op::Slice { start, end, step }, from_ref(n.input(0)?))
}
