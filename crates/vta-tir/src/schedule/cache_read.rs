use super::{
    Cache, ScheduleError, Step, buffer_around, find_loop, fresh, nest_around, stmt_at, stmt_at_mut,
};
use crate::expr::{Expr, Name};
use crate::program::{Buffer, Program, Scope};
use crate::region::{Hull, Use, for_each_touch, hull};
use crate::stmt::Stmt;
use crate::value::{Access, Value};

/// Copies what one iteration of the loop over `at` reads of `buffer` to a new buffer in `scope`, at the beginning of the
/// body, and reads it from there. The copy is called `buffer_scope`, its loops `buffer_scope_0` and so on.
///
/// The copied region is the bounding box of the reads. Where they are padded, the copy is, and the reads need not be any
/// more. The type stays; what must widen on its way into the register file is an allocation of its own with a copy nest.
///
/// # Errors
/// No such loop or buffer; nothing is read; the body writes the buffer, or an intrinsic reads it; reads that are padded
/// with different values; an index without affine bounds.
pub fn cache_read(
    program: &mut Program,
    buffer: &str,
    at: &str,
    scope: Scope,
) -> Result<Cache, ScheduleError> {
    let target = format!("{buffer} {at}");
    let failed = ScheduleError::of("cache_read", &target);
    let path = find_loop(program, at).map_err(&failed)?;
    let source = buffer_around(program, buffer, &path).map_err(&failed)?;
    let (region, padded) = read_region(program, &path, &source).map_err(&failed)?;

    let name = fresh(program, &format!("{buffer}_{}", scope.name()));
    let shape = extents(&region);
    let loops: Vec<Name> = (0..shape.len())
        .map(|d| fresh(program, &format!("{name}_{d}")))
        .collect();
    let from: Vec<Expr> = region
        .iter()
        .zip(&loops)
        .map(|((low, _), var)| (low.to_expr() + var).simplify())
        .collect();
    let cache = Buffer {
        name: name.clone(),
        scope,
        dtype: source.dtype,
        shape: shape.clone(),
        double: false,
    };
    let value = Value::Read {
        access: source.at(from),
        padded,
    };
    let copy = Stmt::nest(
        loops.iter().zip(&shape),
        vec![Stmt::Assign {
            dst: cache.at(&loops),
            value,
        }],
    );

    let body = stmt_at_mut(program, &path)
        .children_mut()
        .expect("a loop has a body");
    for stmt in body.iter_mut() {
        stmt.walk_mut(&mut |stmt| redirect(stmt, &source.name, &name, &region));
    }
    let inner = copy.into_iter().chain(std::mem::take(body)).collect();
    *body = vec![Stmt::Alloc {
        buffer: cache,
        body: inner,
    }];
    Ok(Cache {
        buffer: name,
        copy: loops[0].clone(),
    })
}

/// How large a region is, per dimension.
pub(super) fn extents(region: &Hull) -> Vec<Expr> {
    region
        .iter()
        .map(|(low, high)| (high.to_expr() - low.to_expr() + 1).simplify())
        .collect()
}

/// Points an access to `old` at `new`, which holds `region` of it.
pub(super) fn rebase(access: &mut Access, old: &Name, new: &Name, region: &Hull) -> bool {
    let found = access.buffer == *old;
    if found {
        access.buffer = new.clone();
        for (idx, (low, _)) in access.idx.iter_mut().zip(region) {
            *idx = (idx.clone() - low.to_expr()).simplify();
        }
    }
    found
}

fn redirect(stmt: &mut Stmt, old: &Name, new: &Name, region: &Hull) {
    if let Stmt::Assign { value, .. } | Stmt::Accumulate { value, .. } = stmt {
        value.for_each_read_mut(&mut |access, padded| {
            if rebase(access, old, new, region) {
                *padded = None;
            }
        });
    }
}

/// The box that one iteration reads, and what its reads are padded with, if one is.
fn read_region(program: &Program, path: &[usize], buffer: &Buffer) -> Step<(Hull, Option<i32>)> {
    let Stmt::For { var, extent, body } = stmt_at(program, path) else {
        unreachable!("the path of a loop")
    };
    let mut nest = nest_around(program, path);
    nest.push(var.clone(), extent.clone());
    let (mut padded, mut fault) = (None, None);
    for_each_touch(&mut nest.clone(), body, &mut |_, touch| {
        if touch.access.buffer != buffer.name {
            return;
        }
        if touch.padded.is_some() && padded.is_some() && touch.padded != padded {
            fault = Some("its reads are padded with different values");
        }
        padded = padded.or(touch.padded);
        if touch.kind != Use::Read {
            fault = Some("the loop writes it as well");
        } else if touch.access.idx.len() != buffer.rank() {
            fault = Some("an intrinsic reads it already");
        }
    });
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    match hull(&nest, body, &buffer.name) {
        Ok(Some(region)) if !region.is_empty() => Ok((region, padded)),
        Ok(_) => Err("the loop does not read it".into()),
        Err(idx) => Err(format!(
            "index `{idx}` has no affine bounds in the loops inside"
        )),
    }
}
