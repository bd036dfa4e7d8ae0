//! Inference for packed operators.

use super::float::window_hw;
use super::integer::{check_add, check_mul, check_piecewise, check_requant};
use super::{Inferred, expect_in_range, expect_narrow, expect_rank, expect_shape};
use crate::{
    AddEpilogue, BlockedLayout, DType, MulEpilogue, PackedConv, PackedPair, PackedPool,
    PackedSpread, Piecewise, Requant, TensorType,
};

pub(super) fn pack(layout: &BlockedLayout, x: &TensorType) -> Inferred {
    expect_narrow("x", x)?;
    let shape = expect_rank("x", x)?;
    Ok(TensorType::new(
        x.dtype,
        packed_shape(layout, shape, x.dtype)?,
    ))
}

pub(super) fn unpack(layout: &BlockedLayout, shape: [usize; 4], x: &TensorType) -> Inferred {
    expect_packed("x", x, layout, shape)?;
    Ok(TensorType::new(x.dtype, shape))
}

/// The blocked extents of a logical shape, with a layout that `dtype` can fill.
fn packed_shape(
    layout: &BlockedLayout,
    shape: [usize; 4],
    dtype: DType,
) -> Result<[usize; 6], String> {
    if shape.contains(&0) {
        return Err(format!("an extent of the logical shape {shape:?} is zero"));
    }
    expect_in_range("the border's fill", layout.fill.into(), dtype)?;
    layout.packed_shape(shape).ok_or_else(|| {
        format!(
            "the layout with batch {}, lanes {} and border {:?} cannot block {shape:?}: batch and \
             lanes must be at least 1 and the border moderate",
            layout.batch, layout.lanes, layout.border
        )
    })
}

fn expect_packed(
    name: &str,
    ty: &TensorType,
    layout: &BlockedLayout,
    shape: [usize; 4],
) -> Result<(), String> {
    expect_narrow(name, ty)?;
    expect_shape(name, ty, &packed_shape(layout, shape, ty.dtype)?)
}

pub(super) fn vta_conv(c: &PackedConv, inputs: &[&TensorType]) -> Inferred {
    let (x, weight) = (inputs[0], inputs[1]);
    expect_packed("x", x, &c.in_layout, c.in_shape)?;
    expect_narrow("weight", weight)?;
    expect_in_range("pad", c.pad.into(), x.dtype)?;
    let out = packed_shape(&c.out_layout, c.out_shape, x.dtype)?;
    let [n, i, h, w] = c.in_shape;
    let [on, o, oh, ow] = c.out_shape;
    if c.in_layout.batch != c.out_layout.batch || n != on {
        return Err(format!(
            "batch {n} in rows of {} becomes batch {on} in rows of {}: they must be equal",
            c.in_layout.batch, c.out_layout.batch
        ));
    }
    let mut result = window_hw(&c.window, [h, w], [0, 0], x)?;
    if let Some(pool) = &c.pool {
        if c.residual.is_some() {
            return Err("there is a residual and a pooling: there may be one of them".to_string());
        }
        result = window_hw(pool, result, [0, 0], x)?;
    }
    if result != [oh, ow] {
        return Err(format!(
            "the window over {:?} does not give the output {:?}",
            c.in_shape, c.out_shape
        ));
    }
    if c.groups == 0 || i % c.groups != 0 || o % c.groups != 0 {
        return Err(format!(
            "{} groups of {i} input and {o} output channels: the groups must divide both",
            c.groups
        ));
    }
    let (bi, bo) = (c.in_layout.lanes, c.out_layout.lanes);
    let [kh, kw] = c.window.kernel;
    let blocks = o.div_ceil(bo);
    let [group_in, _] = c.group_blocks();
    expect_shape("weight", weight, &[blocks, group_in, kh, kw, bo, bi])?;
    check_requant(&c.requant, x.dtype, blocks.checked_mul(bo), x)?;
    if let Some(layout) = &c.residual {
        let (residual, weight) = (inputs[2], inputs[3]);
        expect_packed("residual", residual, layout, c.out_shape)?;
        expect_blocking("residual", layout, &c.out_layout)?;
        expect_narrow("residual_weight", weight)?;
        let [_, passes, _, _] = expect_rank("residual_weight", weight)?;
        expect_shape("residual_weight", weight, &[blocks, passes, bo, bo])?;
    }
    Ok(TensorType::new(x.dtype, out))
}

/// The type of the result of an operator on two packed activations.
fn pair(p: &PackedPair, inputs: &[&TensorType]) -> Inferred {
    let [shape, other] = p.in_shapes;
    let [n, c, ..] = shape;
    if other != shape && other != [n, c, 1, 1] {
        return Err(format!(
            "operand `b` is {other:?} for {shape:?}: it must be the same, or {:?}",
            [n, c, 1, 1]
        ));
    }
    for (i, name) in ["a", "b"].into_iter().enumerate() {
        expect_packed(name, inputs[i], &p.in_layouts[i], p.in_shapes[i])?;
        expect_blocking(name, &p.in_layouts[i], &p.out_layout)?;
    }
    let dtype = inputs[0].dtype;
    if inputs[1].dtype != dtype {
        return Err(format!(
            "operand `a` is {} and operand `b` {}: their element types must be equal",
            inputs[0], inputs[1]
        ));
    }
    Ok(TensorType::new(
        dtype,
        packed_shape(&p.out_layout, shape, dtype)?,
    ))
}

fn expect_blocking(name: &str, from: &BlockedLayout, to: &BlockedLayout) -> Result<(), String> {
    if (from.batch, from.lanes) == (to.batch, to.lanes) {
        return Ok(());
    }
    Err(format!(
        "operand `{name}` has blocks of {} by {}, the output of {} by {}: they must be equal",
        from.batch, from.lanes, to.batch, to.lanes
    ))
}

pub(super) fn vta_add(p: &PackedPair, add: &AddEpilogue, inputs: &[&TensorType]) -> Inferred {
    let ty = pair(p, inputs)?;
    check_add(add, ty.dtype)?;
    Ok(ty)
}

pub(super) fn vta_mul(p: &PackedPair, mul: &MulEpilogue, inputs: &[&TensorType]) -> Inferred {
    let ty = pair(p, inputs)?;
    check_mul(mul, ty.dtype)?;
    Ok(ty)
}

pub(super) fn vta_piecewise(
    shape: [usize; 4],
    [from, to]: [&BlockedLayout; 2],
    map: &Piecewise,
    x: &TensorType,
) -> Inferred {
    expect_packed("x", x, from, shape)?;
    expect_blocking("x", from, to)?;
    check_piecewise(map, x.dtype)?;
    Ok(TensorType::new(x.dtype, packed_shape(to, shape, x.dtype)?))
}

pub(super) fn vta_max_pool(p: &PackedPool, x: &TensorType) -> Inferred {
    pooled(p, x)
}

/// Operands of the same border have the same rows and columns.
pub(super) fn vta_concat(parts: &[&TensorType]) -> Inferred {
    for part in parts {
        expect_narrow("x", part)?;
        expect_rank::<6>("x", part)?;
    }
    super::arrange::concat(1, parts)
}

pub(super) fn vta_sum_pool(p: &PackedPool, requant: &Requant, x: &TensorType) -> Inferred {
    let ty = pooled(p, x)?;
    let lanes = ty.shape[1].checked_mul(p.out_layout.lanes);
    check_requant(requant, x.dtype, lanes, x)?;
    Ok(ty)
}

fn pooled(p: &PackedPool, x: &TensorType) -> Inferred {
    expect_packed("x", x, &p.in_layout, p.in_shape)?;
    expect_in_range("pad", p.pad.into(), x.dtype)?;
    let to = &p.out_layout;
    expect_blocking("x", &p.in_layout, to)?;
    let [n, c, h, w] = p.in_shape;
    let [oh, ow] = window_hw(&p.window, [h, w], [0, 0], x)?;
    if p.out_shape != [n, c, oh, ow] {
        return Err(format!(
            "the window over {:?} gives {:?}, not the output {:?}",
            p.in_shape,
            [n, c, oh, ow],
            p.out_shape
        ));
    }
    Ok(TensorType::new(
        x.dtype,
        packed_shape(to, p.out_shape, x.dtype)?,
    ))
}

pub(super) fn vta_spread(p: &PackedSpread, x: &TensorType) -> Inferred {
    expect_packed("x", x, &p.in_layout, p.in_shape)?;
    expect_blocking("x", &p.in_layout, &p.out_layout)?;
    let ty = packed_shape(&p.out_layout, p.out_shape, x.dtype)?;
    let ([n, c, h, w], [on, oc, oh, ow]) = (p.in_shape, p.out_shape);
    let grown = [0, 1].map(|i| [h, w][i].checked_mul(p.block[i]));
    if p.block.contains(&0) || n != on || grown != [Some(oh), Some(ow)] {
        return Err(format!(
            "{:?} in blocks of {:?} is not {:?}",
            p.in_shape, p.block, p.out_shape
        ));
    }
    let [_, blocks] = p.channel_blocks();
    let whole = (blocks * p.out_layout.lanes).checked_mul(p.block[0]);
    let apart = whole.and_then(|n| n.checked_mul(p.block[1])) == Some(c);
    if c != oc && !apart {
        return Err(format!(
            "{c} input channels for {oc}: they must be as many, or whole blocks for each position of {:?}",
            p.block
        ));
    }
    let border = p.out_layout.border;
    if (0..4).any(|side| border[side] % p.block[side % 2] != 0) {
        return Err(format!(
            "the output's border {border:?} does not consist of blocks of {:?}",
            p.block
        ));
    }
    Ok(TensorType::new(x.dtype, ty))
}
