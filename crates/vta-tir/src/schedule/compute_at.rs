use super::cache_read::extents;
use super::sink_alloc::only_used_inside;
use super::{
    ScheduleError, Step, find_alloc, find_loop, nest_around, perfect_nest, stmt_at, stmt_at_mut,
    substitute,
};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::{Buffer, Program};
use crate::region::{Hull, Touch, Use, for_each_touch, hull, hull_of, moves_beyond};
use crate::stmt::Stmt;

/// Moves the nests that compute `buffer` into the loop over `at`, to the beginning of its body, where each iteration
/// computes what it uses of the buffer and no more. The allocation moves along and shrinks to that region. What several
/// iterations use, as the halo of a window, is computed by each of them.
///
/// # Errors
/// No such allocation or loop; the loop is not in the nest right behind those that compute the buffer, or something
/// outside of it uses the buffer; a computing nest is not perfect, or its place in the buffer is not one loop a
/// dimension over the whole of it; it reads what the loop changes; an index without affine bounds; or the loop also
/// writes the buffer, at places that other iterations use.
pub fn compute_at(program: &mut Program, buffer: &str, at: &str) -> Result<(), ScheduleError> {
    let target = format!("{buffer} {at}");
    let failed = ScheduleError::of("compute_at", &target);
    let from = find_alloc(program, buffer).map_err(&failed)?;
    let to = find_loop(program, at).map_err(&failed)?;
    if !to.starts_with(&from) || to.len() < from.len() + 1 {
        return Err(failed(format!(
            "the loop over `{at}` is not inside the allocation"
        )));
    }
    let Stmt::Alloc {
        buffer: whole,
        body,
    } = stmt_at(program, &from).clone()
    else {
        unreachable!("the path of an allocation")
    };
    let consumer = to[from.len()];
    let producers = &body[..consumer];
    producers_are_whole(producers, &whole).map_err(&failed)?;
    reads_stay(producers, &body[consumer..], &whole.name).map_err(&failed)?;
    let inside = stmt_at(program, &to).children();
    only_used_inside(&body[consumer..], inside, &whole.name).map_err(&failed)?;
    let region = region(program, &to, &whole).map_err(&failed)?;
    for length in from.len() + 1..=to.len() {
        own_writes(program, &to[..length], &whole.name).map_err(&failed)?;
    }

    let sizes = extents(&region);
    let mut inner: Vec<Stmt> = producers.to_vec();
    for stmt in &mut inner {
        restrict(stmt, &whole.name, &region, &sizes);
    }
    let body = stmt_at_mut(program, &to)
        .children_mut()
        .expect("a loop has a body");
    for stmt in body.iter_mut() {
        stmt.walk_mut(&mut |stmt| {
            stmt.for_each_access_mut(&mut |access| {
                if access.buffer == whole.name {
                    for (idx, (low, _)) in access.idx.iter_mut().zip(&region) {
                        *idx = (idx.clone() - low.to_expr()).simplify();
                    }
                }
            });
        });
    }
    inner.append(body);
    let buffer = Buffer {
        shape: sizes,
        ..whole
    };
    *body = vec![Stmt::Alloc {
        buffer,
        body: inner,
    }];
    // The allocation's place is taken by what is left of its body.
    let rest = stmt_at_mut(program, &from)
        .children_mut()
        .expect("an allocation has a body")
        .split_off(consumer);
    let (last, _) = from.split_last().expect("a path names a statement");
    super::siblings_mut(program, &from).splice(*last..=*last, rest);
    Ok(())
}

/// Whether each nest assigns or adds to every element of the buffer, the first assigning.
fn producers_are_whole(producers: &[Stmt], buffer: &Buffer) -> Step<()> {
    if producers.is_empty() {
        return Err("no nest before that loop computes it".into());
    }
    for (i, stmt) in producers.iter().enumerate() {
        let (loops, body) = perfect_nest(stmt);
        let (dst, value) = match body {
            [Stmt::Assign { dst, value }] => (dst, value),
            [Stmt::Accumulate { dst, value }] if i > 0 => (dst, value),
            [Stmt::Accumulate { .. }] => {
                return Err("the first nest that computes it adds to it; assign it first".into());
            }
            _ => return Err("a nest that computes it is not perfect".into()),
        };
        if dst.buffer != buffer.name {
            return Err(format!(
                "the nests before that loop also write `{}`",
                dst.buffer
            ));
        }
        let mut seen: Vec<&Name> = Vec::new();
        let whole = dst.idx.len() == buffer.shape.len()
            && dst.idx.iter().zip(&buffer.shape).all(|(idx, extent)| {
                let Expr::Var(v) = idx else { return false };
                let fits = loops.iter().any(|(l, e)| *l == v && e.same_as(extent));
                let new = !seen.contains(&v);
                seen.push(v);
                fits && new
            });
        if !whole {
            return Err(format!(
                "a nest that computes it writes {dst}: its indices must be loops over all of it"
            ));
        }
        let mut elsewhere = false;
        value.for_each_read(&mut |access, _| {
            elsewhere |= access.buffer == buffer.name && (i == 0 || access.idx != dst.idx);
        });
        if elsewhere {
            return Err("a nest that computes it reads other elements of it".into());
        }
    }
    Ok(())
}

/// Whether nothing that the producers read is written behind them.
fn reads_stay(producers: &[Stmt], rest: &[Stmt], buffer: &Name) -> Step<()> {
    let mut read: Vec<&Name> = Vec::new();
    for_each_touch(&mut LoopNest::new(), producers, &mut |_, touch| {
        if touch.access.buffer != *buffer {
            read.push(&touch.access.buffer);
        }
    });
    let mut changed = None;
    for_each_touch(&mut LoopNest::new(), rest, &mut |_, touch| {
        if touch.kind != Use::Read && read.contains(&&touch.access.buffer) {
            changed = Some(touch.access.buffer.clone());
        }
    });
    match changed {
        None => Ok(()),
        Some(name) => Err(format!(
            "the nests that compute it read `{name}`, which is written later"
        )),
    }
}

/// What one iteration of the loop at `path` uses; it lies within the buffer.
fn region(program: &Program, path: &[usize], buffer: &Buffer) -> Step<Hull> {
    let (nest, body) = around(program, path);
    let region = hull(&nest, body, &buffer.name)
        .map_err(|idx| format!("index `{idx}` has no affine bounds"))?
        .ok_or("the loop does not use it")?;
    for ((low, high), extent) in region.iter().zip(&buffer.shape) {
        let below = nest.lower(&low.to_expr()).is_some_and(|low| low >= 0);
        let above = high.to_expr() - extent.clone();
        if !below || nest.upper(&above).is_none_or(|over| over >= 0) {
            return Err(format!(
                "its elements {} to {} are not proven to lie within {extent}",
                low.to_expr(),
                high.to_expr()
            ));
        }
    }
    Ok(region)
}

/// Whether no iteration of the loop at `path` uses what another has written: in some dimension, all that an iteration
/// writes lies past what earlier ones use, and before what later ones do.
fn own_writes(program: &Program, path: &[usize], buffer: &Name) -> Step<()> {
    let Stmt::For { var, .. } = stmt_at(program, path) else {
        return Ok(());
    };
    let (nest, body) = around(program, path);
    let written = |touch: &Touch| touch.kind != Use::Read;
    let unbounded = |idx: Expr| format!("index `{idx}` has no affine bounds");
    let Some(writes) = hull_of(&nest, body, buffer, &written).map_err(unbounded)? else {
        return Ok(());
    };
    let uses = hull(&nest, body, buffer)
        .map_err(unbounded)?
        .expect("it is written");
    if moves_beyond(&nest, &writes, &uses) && moves_beyond(&nest, &uses, &writes) {
        return Ok(());
    }
    Err(format!(
        "iterations of `{var}` write places of it that others use"
    ))
}

/// The loops around the body of the loop at `path`, itself among them, and that body.
fn around<'a>(program: &'a Program, path: &[usize]) -> (LoopNest, &'a [Stmt]) {
    let Stmt::For { var, extent, body } = stmt_at(program, path) else {
        unreachable!("the path of a loop")
    };
    let mut nest = nest_around(program, path);
    nest.push(var.clone(), extent.clone());
    (nest, body)
}

/// Lets a producer compute `region` alone, into a buffer that holds no more than that.
fn restrict(stmt: &mut Stmt, buffer: &Name, region: &Hull, sizes: &[Expr]) {
    let (_, body) = perfect_nest(stmt);
    let [Stmt::Assign { dst, .. } | Stmt::Accumulate { dst, .. }] = body else {
        unreachable!("a checked nest")
    };
    let vars: Vec<Name> = dst
        .idx
        .iter()
        .map(|idx| match idx {
            Expr::Var(v) => v.clone(),
            _ => unreachable!("a checked index"),
        })
        .collect();
    let place: Vec<Expr> = dst.idx.clone();
    for (v, (low, _)) in vars.iter().zip(region) {
        let moved = Expr::from(v) + low.to_expr();
        substitute(std::slice::from_mut(stmt), v, &moved);
    }
    stmt.walk_mut(&mut |stmt| {
        if let Stmt::For { var, extent, .. } = stmt {
            if let Some(d) = vars.iter().position(|v| v == var) {
                *extent = sizes[d].clone();
            }
        }
        stmt.for_each_access_mut(&mut |access| {
            if access.buffer == *buffer {
                access.idx = place.clone();
            }
        });
    });
}
