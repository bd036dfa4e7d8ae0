use super::{
    ScheduleError, Step, find_loop, fuse_nests, nest_around, perfect_nest, reorder, split, stmt_at,
};
use crate::expr::{Expr, Name};
use crate::program::Program;
use crate::region::{Use, for_each_touch, hull};
use crate::stmt::Stmt;

/// Computes the nest over `consumer` in the loop over `at`, which lies in the nest right before it: each iteration
/// consumes what it has just produced. The consumer's loops are split as the producer's tiles are, and the nests are
/// merged down to `at`.
///
/// # Errors
/// The nests are not neighbours; they share no buffer that the first writes and the second reads along loops of its own;
/// or what [`split`], [`reorder`] or [`fuse_nests`] report.
pub fn reverse_compute_at(
    program: &mut Program,
    consumer: &str,
    at: &str,
) -> Result<(), ScheduleError> {
    let target = format!("{consumer} {at}");
    let failed = ScheduleError::of("reverse_compute_at", &target);
    let mut scheduled = program.clone();
    let to = find_loop(&scheduled, at).map_err(&failed)?;
    let from = find_loop(&scheduled, consumer).map_err(&failed)?;
    let (last, around) = from.split_last().expect("a path names a statement");
    let neighbour = to.starts_with(around) && to.get(around.len()).map(|i| i + 1) == Some(*last);
    if !neighbour {
        return Err(failed(format!(
            "the loop over `{at}` is not in the nest right before the loop over `{consumer}`"
        )));
    }
    let (first, steps) = walkers(&scheduled, &to, &from).map_err(&failed)?;
    let mut outer: Vec<Name> = Vec::new();
    let mut rest: Vec<(Name, Name)> = Vec::new();
    for (walker, step) in &steps {
        let var = match rest.iter().rev().find(|(whole, _)| whole == walker) {
            Some((_, rest)) => rest.clone(),
            None => walker.clone(),
        };
        if *step == 1 {
            outer.push(var);
        } else {
            let (tiles, inside) = split(&mut scheduled, &var, *step)?;
            outer.push(tiles);
            rest.push((walker.clone(), inside));
        }
    }
    let order: Vec<&str> = outer.iter().map(|name| &**name).collect();
    let nested = order.len() > 1 || *order[0] != **loop_at(&scheduled, &from);
    if nested {
        let mut all: Vec<Name> = Vec::new();
        let (loops, _) = perfect_nest(stmt_at(&scheduled, &from));
        let others = loops.iter().map(|(var, _)| (*var).clone());
        all.extend(outer.iter().cloned());
        all.extend(others.filter(|var| !outer.contains(var)));
        let all: Vec<&str> = all.iter().map(|name| &**name).collect();
        reorder(&mut scheduled, &all)?;
    }
    fuse_nests(&mut scheduled, &first, order[0], order.len())?;
    *program = scheduled;
    Ok(())
}

fn loop_at<'a>(program: &'a Program, path: &[usize]) -> &'a Name {
    let Stmt::For { var, .. } = stmt_at(program, path) else {
        unreachable!("the path of a loop")
    };
    var
}

/// The outermost loop of the producer and, for each of its loops down to `to`, which loop of the consumer walks the
/// dimension in which it moves, and how far.
fn walkers(program: &Program, to: &[usize], from: &[usize]) -> Step<(Name, Vec<(Name, i64)>)> {
    let consumer = std::slice::from_ref(stmt_at(program, from));
    let (loops, _) = perfect_nest(&consumer[0]);
    let mut steps = Vec::new();
    for length in from.len()..=to.len() {
        let Stmt::For { var, extent, body } = stmt_at(program, &to[..length]) else {
            return Err("an allocation lies between its loops".into());
        };
        let mut nest = nest_around(program, &to[..length]);
        nest.push(var.clone(), extent.clone());
        let mut found = None;
        for_each_touch(&mut nest.clone(), consumer, &mut |_, touch| {
            if found.is_some() || touch.kind != Use::Read {
                return;
            }
            let written = |body: &[Stmt]| {
                let mut written = false;
                for_each_touch(&mut nest.clone(), body, &mut |_, other| {
                    written |=
                        other.kind != Use::Read && other.access.buffer == touch.access.buffer;
                });
                written
            };
            if !written(body) {
                return;
            }
            let Ok(Some(region)) = hull(&nest, body, &touch.access.buffer) else {
                return;
            };
            found = region
                .iter()
                .zip(&touch.access.idx)
                .find_map(|((low, _), idx)| {
                    let step = low.coefficient(var);
                    let (walker, _) = loops.iter().find(|(w, _)| *idx == Expr::from(*w))?;
                    (step > 0).then(|| ((*walker).clone(), step))
                });
        });
        steps.push(found.ok_or_else(|| {
            format!("no loop of its own walks along `{var}` what both nests use")
        })?);
    }
    Ok((loop_at(program, &to[..from.len()]).clone(), steps))
}
