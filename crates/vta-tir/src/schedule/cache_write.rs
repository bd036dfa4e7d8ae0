use super::cache_read::{extents, rebase};
use super::{
    Cache, ScheduleError, Step, buffer_around, find_loop, fresh, nest_around, stmt_at, stmt_at_mut,
};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::{Buffer, Program, Scope};
use crate::region::{Hull, Use, for_each_touch, hull};
use crate::stmt::Stmt;

/// Collects what one iteration of the loop over `at` assigns to `buffer` in a new buffer in `scope`, and copies it out at
/// the end of the body. The new buffer is called `buffer_scope`, the loops of the copy `buffer_scope_0` and so on.
///
/// # Errors
/// No such loop or buffer; nothing is assigned; the body also reads or accumulates to the buffer; or the assignments may
/// leave holes in their bounding box, which the copy would overwrite.
pub fn cache_write(
    program: &mut Program,
    buffer: &str,
    at: &str,
    scope: Scope,
) -> Result<Cache, ScheduleError> {
    let target = format!("{buffer} {at}");
    let failed = ScheduleError::of("cache_write", &target);
    let path = find_loop(program, at).map_err(&failed)?;
    let out = buffer_around(program, buffer, &path).map_err(&failed)?;
    let region = written_region(program, &path, &out).map_err(&failed)?;

    let name = fresh(program, &format!("{buffer}_{}", scope.name()));
    let shape = extents(&region);
    let loops: Vec<Name> = (0..shape.len())
        .map(|d| fresh(program, &format!("{name}_{d}")))
        .collect();
    let to: Vec<Expr> = region
        .iter()
        .zip(&loops)
        .map(|((low, _), var)| (low.to_expr() + var).simplify())
        .collect();
    let cache = Buffer {
        name: name.clone(),
        scope,
        dtype: out.dtype,
        shape: shape.clone(),
        double: false,
    };
    let copied = Stmt::Assign {
        dst: out.at(to),
        value: cache.at(&loops).read(),
    };

    let body = stmt_at_mut(program, &path)
        .children_mut()
        .expect("a loop has a body");
    for stmt in body.iter_mut() {
        stmt.walk_mut(&mut |stmt| {
            if let Stmt::Assign { dst, .. } = stmt {
                rebase(dst, &out.name, &name, &region);
            }
        });
    }
    body.extend(Stmt::nest(loops.iter().zip(&shape), vec![copied]));
    let inner = std::mem::take(body);
    *body = vec![Stmt::Alloc {
        buffer: cache,
        body: inner,
    }];
    Ok(Cache {
        buffer: name,
        copy: loops[0].clone(),
    })
}

/// The box that one iteration assigns, without holes.
fn written_region(program: &Program, path: &[usize], buffer: &Buffer) -> Step<Hull> {
    let Stmt::For { var, extent, body } = stmt_at(program, path) else {
        unreachable!("the path of a loop")
    };
    let mut nest = nest_around(program, path);
    nest.push(var.clone(), extent.clone());
    let keep = nest.depth();
    let (mut fault, mut places) = (None, 0);
    for_each_touch(&mut nest.clone(), body, &mut |nest, touch| {
        if touch.access.buffer != buffer.name {
            return;
        }
        places += 1;
        if touch.kind != Use::Write || touch.access.idx.len() != buffer.rank() {
            fault = Some("the loop does more than assign it".to_owned());
        } else if let Some(idx) = holes(&touch.access.idx, nest, keep) {
            fault = Some(format!("assignments along `{idx}` may leave holes"));
        }
    });
    match (fault, places) {
        (Some(fault), _) => return Err(fault),
        (None, 0) => return Err("the loop does not assign it".into()),
        (None, 1) => {}
        (None, _) => {
            return Err(
                "it is assigned in several places, which may leave holes between them".into(),
            );
        }
    }
    hull(&nest, body, &buffer.name)
        .map_err(|idx| format!("index `{idx}` has no affine bounds in the loops inside"))
        .map(Option::unwrap_or_default)
}

/// The first index that does not cover an interval, or does so only together with another: each dimension has variables
/// of its own, and each step is as long as the reach of the shorter steps.
fn holes<'a>(idx: &'a [Expr], nest: &LoopNest, keep: usize) -> Option<&'a Expr> {
    let inner: Vec<&Name> = nest.vars().skip(keep).collect();
    idx.iter().enumerate().find_map(|(d, expr)| {
        let affine = expr.as_affine();
        let mut steps: Vec<(i64, &Name)> = inner
            .iter()
            .map(|var| (affine.coefficient(var), *var))
            .filter(|(step, _)| *step != 0)
            .collect();
        steps.sort_unstable();
        let shared = |var: &Name| {
            idx.iter()
                .enumerate()
                .any(|(other, e)| other != d && e.mentions(var))
        };
        let mut reach = Some(1);
        let dense = affine.is_linear()
            && steps.iter().all(|(step, var)| {
                let covered = reach == Some(*step) && !shared(var);
                let exact = nest.extent(var).and_then(Expr::as_const);
                reach = exact.and_then(|extent| extent.checked_mul(*step));
                covered
            });
        (!dense).then_some(expr)
    })
}
