use super::{ScheduleError, find_loop, fresh, siblings_mut, stmt_at, substitute};
use crate::expr::Expr;
use crate::program::Program;
use crate::stmt::Stmt;

/// More copies than this are a loop.
const MAX_COPIES: i64 = 1024;

/// Replaces the loop over `target` by a copy of its body per iteration. Loops and allocations inside are renamed in
/// every copy but the first.
///
/// # Errors
/// No such loop; an extent that is not constant, or over 1024.
pub fn unroll(program: &mut Program, target: &str) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("unroll", target);
    let path = find_loop(program, target).map_err(&failed)?;
    let Stmt::For { extent, body, .. } = stmt_at(program, &path).clone() else {
        unreachable!("the path of a loop")
    };
    let copies = match extent.as_const() {
        None => {
            return Err(failed(format!(
                "its extent {extent} varies; split off the full tiles first"
            )));
        }
        Some(copies) if copies > MAX_COPIES => {
            return Err(failed(format!(
                "{copies} copies, more than {MAX_COPIES}; split it and unroll the inner loop"
            )));
        }
        Some(copies) => copies,
    };
    let mut unrolled = program.clone();
    let at = path[path.len() - 1];
    siblings_mut(&mut unrolled, &path).remove(at);
    for (offset, iteration) in (0..copies).enumerate() {
        let mut copy = body.clone();
        substitute(&mut copy, target, &Expr::Const(iteration));
        if iteration > 0 {
            copy.iter_mut()
                .for_each(|stmt| rename(&unrolled, stmt, iteration));
        }
        let place = at + offset * body.len();
        siblings_mut(&mut unrolled, &path).splice(place..place, copy);
    }
    *program = unrolled;
    Ok(())
}

/// Gives every loop and allocation in `stmt` a name that `program` does not have.
fn rename(program: &Program, stmt: &mut Stmt, iteration: i64) {
    let declared = match stmt {
        Stmt::For { var, .. } => var.clone(),
        Stmt::Alloc { buffer, .. } => buffer.name.clone(),
        _ => return,
    };
    let name = fresh(program, &format!("{declared}_{iteration}"));
    match stmt {
        Stmt::For { var, body, .. } => {
            substitute(body, &declared, &Expr::from(&name));
            *var = name;
        }
        Stmt::Alloc { buffer, body } => {
            for inner in body {
                inner.walk_mut(&mut |stmt| {
                    stmt.for_each_access_mut(&mut |access| {
                        if access.buffer == declared {
                            access.buffer = name.clone();
                        }
                    });
                });
            }
            buffer.name = name;
        }
        _ => {}
    }
    for child in stmt.children_mut().into_iter().flatten() {
        rename(program, child, iteration);
    }
}
