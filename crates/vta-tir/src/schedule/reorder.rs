use super::{ScheduleError, Step, find_loop, nest_around, perfect_nest, stmt_at, stmt_at_mut};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::Program;
use crate::region::{Use, for_each_touch};
use crate::stmt::Stmt;
use crate::ties::tied;
use crate::value::Access;

/// Puts loops of one perfect nest into the given order, outermost first. Loops between them that are not named keep
/// their places.
///
/// # Errors
/// The loops are no perfect nest; an extent would leave the scope of a variable it uses; or iterations may interfere:
/// some buffer is neither only accumulated to, nor always used at one place that differs from iteration to iteration.
pub fn reorder(program: &mut Program, order: &[&str]) -> Result<(), ScheduleError> {
    let target = order.join(" ");
    let failed = ScheduleError::of("reorder", &target);
    if order.is_empty() {
        return Ok(());
    }
    let paths: Result<Vec<_>, _> = order.iter().map(|var| find_loop(program, var)).collect();
    let mut paths = paths.map_err(&failed)?;
    paths.sort_by_key(Vec::len);
    let path = paths.swap_remove(0);
    let around = nest_around(program, &path);
    let (loops, _) = perfect_nest(stmt_at(program, &path));
    let slots = slots(&loops, order).map_err(&failed)?;
    let span = slots.iter().max().map_or(0, |last| last + 1);

    let mut permuted: Vec<(Name, Expr)> = loops
        .iter()
        .map(|(var, e)| ((*var).clone(), (*e).clone()))
        .collect();
    let mut sorted = slots.clone();
    sorted.sort_unstable();
    for (to, from) in sorted.iter().zip(&slots) {
        permuted[*to] = (loops[*from].0.clone(), loops[*from].1.clone());
    }
    in_scope(&permuted).map_err(&failed)?;
    let body = (0..span).fold(stmt_at(program, &path), |stmt, depth| {
        if depth == 0 {
            stmt
        } else {
            &stmt.children()[0]
        }
    });
    independent(&around, &loops[..span], &slots, body.children()).map_err(&failed)?;

    let mut stmt = stmt_at_mut(program, &path);
    for (name, bound) in permuted.into_iter().take(span) {
        let Stmt::For { var, extent, .. } = stmt else {
            unreachable!("the loops were counted")
        };
        (*var, *extent) = (name, bound);
        if stmt.children().len() != 1 {
            break;
        }
        stmt = &mut stmt.children_mut().expect("a loop has a body")[0];
    }
    Ok(())
}

/// Where each named loop stands in the nest.
fn slots(loops: &[(&Name, &Expr)], order: &[&str]) -> Step<Vec<usize>> {
    let mut slots = Vec::with_capacity(order.len());
    for name in order {
        let Some(slot) = loops.iter().position(|(var, _)| ***var == **name) else {
            return Err(format!(
                "`{name}` is not in a perfect nest with the others: something stands between them"
            ));
        };
        if slots.contains(&slot) {
            return Err(format!("`{name}` is named twice"));
        }
        slots.push(slot);
    }
    Ok(slots)
}

fn in_scope(loops: &[(Name, Expr)]) -> Step<()> {
    for (i, (var, extent)) in loops.iter().enumerate() {
        if let Some((inner, _)) = loops[i..].iter().find(|(inner, _)| extent.mentions(inner)) {
            return Err(format!(
                "the extent {extent} of `{var}` needs `{inner}` outside of it"
            ));
        }
    }
    Ok(())
}

/// Whether iterations of the loops at `slots` may run in any order.
fn independent(
    around: &LoopNest,
    loops: &[(&Name, &Expr)],
    slots: &[usize],
    body: &[Stmt],
) -> Step<()> {
    let mut nest = around.clone();
    for (var, extent) in loops {
        nest.push((*var).clone(), (*extent).clone());
    }
    let fixed = around.depth();
    let moved: Vec<&Name> = slots.iter().map(|slot| loops[*slot].0).collect();
    let mut uses: Vec<(&Access, Use, LoopNest, bool)> = Vec::new();
    let mut local: Vec<&Name> = Vec::new();
    body.iter().for_each(|stmt| {
        stmt.walk(&mut |stmt| {
            if let Stmt::Alloc { buffer, .. } = stmt {
                local.push(&buffer.name);
            }
        });
    });
    for_each_touch(&mut nest, body, &mut |nest, touch| {
        uses.push((
            touch.access,
            touch.kind,
            nest.clone(),
            touch.extents.is_empty(),
        ));
    });
    for (access, kind, nest, point) in &uses {
        if *kind == Use::Read || local.contains(&&access.buffer) {
            continue;
        }
        let mut same = uses
            .iter()
            .filter(|(other, ..)| other.buffer == access.buffer);
        if same.clone().all(|(_, kind, ..)| *kind == Use::Accumulate) {
            continue;
        }
        let one_place = same.clone().all(|(other, ..)| {
            other.idx.len() == access.idx.len()
                && other.idx.iter().zip(&access.idx).all(|(a, b)| a.same_as(b))
        });
        let apart = |(other, _, _, other_point): &(&Access, Use, LoopNest, bool)| {
            let ties = tied(nest, fixed, access, other);
            *point && *other_point && moved.iter().all(|var| ties.contains(var))
        };
        if same.all(apart) {
            continue;
        }
        if !(one_place && *point) {
            return Err(format!(
                "`{}` is used at more than one place, iterations may interfere",
                access.buffer
            ));
        }
        let known = determined(&access.idx, nest, fixed);
        if let Some(var) = moved.iter().find(|var| !known.contains(*var)) {
            return Err(format!(
                "iterations of `{var}` may meet at the same place {access}"
            ));
        }
    }
    Ok(())
}

/// The variables, beyond the `fixed` outermost, whose values follow from the value of the index: those of a dimension
/// in which every step is longer than all shorter steps together, as in `8 * yo + yi` with `yi` below 8.
fn determined<'a>(idx: &[Expr], nest: &'a LoopNest, fixed: usize) -> Vec<&'a Name> {
    let free: Vec<&Name> = nest.vars().skip(fixed).collect();
    let mut known: Vec<&Name> = Vec::new();
    for _ in 0..idx.len() {
        for affine in idx
            .iter()
            .map(Expr::as_affine)
            .filter(crate::Affine::is_linear)
        {
            let mut steps: Vec<(u64, &Name)> = free
                .iter()
                .map(|var| (affine.coefficient(var).unsigned_abs(), *var))
                .filter(|(step, var)| *step != 0 && !known.contains(var))
                .collect();
            steps.sort_unstable();
            let mut reach = Some(0u64);
            let distinct = steps.iter().all(|(step, var)| {
                let longer = reach.is_some_and(|reach| *step > reach);
                let last = nest
                    .upper(&Expr::from(*var))
                    .and_then(|last| u64::try_from(last).ok());
                reach = reach
                    .zip(last)
                    .and_then(|(reach, last)| reach.checked_add(step.checked_mul(last)?));
                longer
            });
            if distinct {
                known.extend(steps.iter().map(|(_, var)| *var));
            }
        }
    }
    known
}
