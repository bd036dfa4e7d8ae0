use std::collections::BTreeMap;

use super::{ScheduleError, Step, find_loop, nest_around, siblings_mut, stmt_at, substitute};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::Program;
use crate::region::{Hull, Use, hull, hull_of, moves_beyond, steps_past, union};
use crate::stmt::Stmt;

/// Merges the loop over `second` into the loop over `first` right before it, and so on inwards for `levels` levels: the
/// last loop within the first with the first loop within the second. The merged loops keep the names of the first.
///
/// This computes the second nest at the loops of the first, tile by tile.
///
/// # Errors
/// The loops are not neighbours or differ in extent; or an iteration of one may use what a later iteration of the other
/// writes: for each buffer that both use and one writes, some dimension must move past itself with every step.
pub fn fuse_nests(
    program: &mut Program,
    first: &str,
    second: &str,
    levels: usize,
) -> Result<(), ScheduleError> {
    let target = format!("{first} {second}");
    let failed = ScheduleError::of("fuse_nests", &target);
    let path = find_loop(program, first).map_err(&failed)?;
    let mut next = find_loop(program, second).map_err(&failed)?;
    if let Some(last) = next.last_mut() {
        *last = last.wrapping_sub(1);
    }
    if path != next {
        return Err(failed(format!(
            "the loop over `{second}` does not follow right after the loop over `{first}`"
        )));
    }
    if levels == 0 {
        return Err(failed("0 levels; it is at least 1".into()));
    }
    let at = path[path.len() - 1];
    let a = stmt_at(program, &path).clone();
    next[path.len() - 1] = at + 1;
    let b = stmt_at(program, &next).clone();
    let merged = merge(&mut nest_around(program, &path), a, b, levels).map_err(&failed)?;
    let siblings = siblings_mut(program, &path);
    siblings.splice(at..at + 2, [merged]);
    Ok(())
}

fn merge(nest: &mut LoopNest, a: Stmt, b: Stmt, levels: usize) -> Step<Stmt> {
    let (
        Stmt::For {
            var,
            extent,
            body: mut first,
        },
        Stmt::For {
            var: other,
            extent: extent_b,
            body: mut second,
        },
    ) = (a, b)
    else {
        return Err(format!(
            "there are not {levels} more levels of loops to merge"
        ));
    };
    if !extent.same_as(&extent_b) {
        return Err(format!(
            "`{var}` runs to {extent}, `{other}` to {extent_b}; split both alike first"
        ));
    }
    substitute(&mut second, &other, &Expr::from(&var));
    nest.push(var.clone(), extent.clone());
    keeps_order(nest, &var, &first, &second)?;
    if levels > 1 {
        let missing = || format!("there are not {levels} levels of loops to merge");
        let inner = first.pop().ok_or_else(missing)?;
        if second.is_empty() {
            return Err(missing());
        }
        first.push(merge(nest, inner, second.remove(0), levels - 1)?);
    }
    nest.pop();
    first.append(&mut second);
    Ok(Stmt::For {
        var,
        extent,
        body: first,
    })
}

/// Whether every iteration of `second` may run before the later iterations of `first`.
pub(super) fn keeps_order(
    nest: &LoopNest,
    var: &Name,
    first: &[Stmt],
    second: &[Stmt],
) -> Step<()> {
    let (before, after) = (uses(first), uses(second));
    for (buffer, kind) in &before {
        // A mixture of kinds counts as a write.
        let harmless = |other: &Use| *other != Use::Write && other == kind;
        if after.get(buffer).is_none_or(harmless) {
            continue;
        }
        let bounded = |body| {
            hull(nest, body, buffer)
                .map_err(|idx| format!("index `{idx}` of `{buffer}` has no affine bounds"))
        };
        let both = match (bounded(first)?, bounded(second)?) {
            (Some(a), Some(b)) => a.iter().zip(&b).map(|(a, b)| union(nest, a, b)).collect(),
            (one, other) => one.or(other).unwrap_or_default(),
        };
        if !steps_past(nest, &both) && !writes_ahead(nest, first, second, buffer) {
            return Err(format!(
                "iterations of `{var}` may meet in `{buffer}`: no dimension moves past itself; tile both alike"
            ));
        }
    }
    Ok(())
}

/// Whether what later iterations of `first` write lies beyond what `second` uses, and what they use beyond what `second` writes:
/// a row may be read by two iterations if neither of them writes it.
fn writes_ahead(nest: &LoopNest, first: &[Stmt], second: &[Stmt], buffer: &Name) -> bool {
    let uses = |body| hull(nest, body, buffer).ok().flatten();
    let writes = |body| hull_of(nest, body, buffer, &|touch| touch.kind != Use::Read);
    let ahead = |earlier: Option<Hull>, later: Result<Option<Hull>, Expr>| match (earlier, later) {
        (Some(earlier), Ok(Some(later))) => moves_beyond(nest, &earlier, &later),
        (_, later) => later.is_ok(),
    };
    let Ok(written) = writes(second) else {
        return false;
    };
    ahead(uses(second), writes(first)) && ahead(written, hull(nest, first, buffer))
}

/// How `body` uses each buffer: the one way in which it does, or a write where it does so in several.
fn uses(body: &[Stmt]) -> BTreeMap<Name, Use> {
    let mut uses: BTreeMap<Name, Use> = BTreeMap::new();
    for stmt in body {
        stmt.walk(&mut |stmt| {
            stmt.for_each_touch(&mut |touch| {
                let kind = uses
                    .entry(touch.access.buffer.clone())
                    .or_insert(touch.kind);
                if *kind != touch.kind {
                    *kind = Use::Write;
                }
            });
        });
    }
    uses
}
