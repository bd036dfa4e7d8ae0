use super::{
    ScheduleError, Step, find_alloc, find_loop, nest_around, siblings_mut, stmt_at, stmt_at_mut,
};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::{Buffer, Program};
use crate::region::{Hull, for_each_touch, hull, steps_past};
use crate::stmt::Stmt;

/// Moves the allocation of `buffer` inwards to the body of the loop over `at`, and shrinks it to the region that one
/// iteration uses.
///
/// # Errors
/// No such allocation, or no such loop within it; statements outside the loop use the buffer; an index without affine
/// bounds; or iterations may share a place of the buffer, which must then outlive them.
pub fn sink_alloc(program: &mut Program, buffer: &str, at: &str) -> Result<(), ScheduleError> {
    let target = format!("{buffer} {at}");
    let failed = ScheduleError::of("sink_alloc", &target);
    let from = find_alloc(program, buffer).map_err(&failed)?;
    let to = find_loop(program, at).map_err(&failed)?;
    if !to.starts_with(&from) {
        return Err(failed(format!(
            "the loop over `{at}` is not inside the allocation"
        )));
    }
    let Stmt::Alloc { buffer: old, .. } = stmt_at(program, &from) else {
        unreachable!("the path of an allocation")
    };
    let name = old.name.clone();
    let inside = stmt_at(program, &to).children();
    only_used_inside(&program.body, inside, &name).map_err(&failed)?;
    let mut region = None;
    for length in from.len() + 1..=to.len() {
        region = own_region(program, &to[..length], &name)
            .map_err(&failed)?
            .or(region);
    }
    let region = region.unwrap_or_default();
    let mut shape = old.shape.clone();
    for (extent, (low, high)) in shape.iter_mut().zip(&region) {
        *extent = (high.to_expr() - low.to_expr() + 1).simplify();
    }
    let small = Buffer {
        shape,
        ..old.clone()
    };

    let body = stmt_at_mut(program, &to)
        .children_mut()
        .expect("a loop has a body");
    shift(body, &name, &region);
    let inner = std::mem::take(body);
    *body = vec![Stmt::Alloc {
        buffer: small,
        body: inner,
    }];
    let at = from[from.len() - 1];
    let body = stmt_at_mut(program, &from)
        .children_mut()
        .map(std::mem::take)
        .unwrap_or_default();
    siblings_mut(program, &from).splice(at..=at, body);
    Ok(())
}

/// Whether all uses of `buffer` in `all` are those in `inside`, a part of it, and none is padded.
pub(super) fn only_used_inside(all: &[Stmt], inside: &[Stmt], buffer: &Name) -> Step<()> {
    let mut padded = false;
    let mut count = |body: &[Stmt]| {
        let mut count = 0usize;
        for_each_touch(&mut LoopNest::new(), body, &mut |_, touch| {
            count += usize::from(touch.access.buffer == *buffer);
            padded |= touch.padded.is_some() && touch.access.buffer == *buffer;
        });
        count
    };
    let (everywhere, inside) = (count(all), count(inside));
    if padded {
        return Err("a padded read needs the whole buffer around it".into());
    }
    if everywhere == inside {
        return Ok(());
    }
    Err("it is used outside that loop as well; fuse the nests first".into())
}

/// What one iteration of the loop at `path` uses; iterations must not overlap. Nothing for an allocation on the way.
fn own_region(program: &Program, path: &[usize], buffer: &Name) -> Step<Option<Hull>> {
    let Stmt::For { var, extent, body } = stmt_at(program, path) else {
        return Ok(None);
    };
    let mut nest = nest_around(program, path);
    nest.push(var.clone(), extent.clone());
    let hull =
        hull(&nest, body, buffer).map_err(|idx| format!("index `{idx}` has no affine bounds"))?;
    let Some(hull) = hull else { return Ok(None) };
    if !steps_past(&nest, &hull) {
        return Err(format!("iterations of `{var}` may share a place of it"));
    }
    Ok(Some(hull))
}

/// Counts the indices of `buffer` from the beginning of `region`.
fn shift(body: &mut [Stmt], buffer: &Name, region: &Hull) {
    for stmt in body {
        stmt.walk_mut(&mut |stmt| {
            stmt.for_each_access_mut(&mut |access| {
                if access.buffer == *buffer {
                    for (idx, (low, _)) in access.idx.iter_mut().zip(region) {
                        *idx = (std::mem::replace(idx, Expr::Const(0)) - low.to_expr()).simplify();
                    }
                }
            });
        });
    }
}
