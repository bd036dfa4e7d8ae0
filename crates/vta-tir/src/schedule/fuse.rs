use super::{ScheduleError, find_loop, fresh, stmt_at, stmt_at_mut, substitute};
use crate::expr::{Expr, Name, var};
use crate::program::Program;
use crate::stmt::Stmt;

/// Collapses the loop over `outer` and the only statement of its body, the loop over `inner`, into one:
/// `for yx { y := yx / n, x := yx % n }`, where `n` is the extent of `inner`. Returns the new variable, named after both.
///
/// # Errors
/// No such loops; something else stands in the body of the first; or the extent of the second is not constant.
pub fn fuse(program: &mut Program, outer: &str, inner: &str) -> Result<Name, ScheduleError> {
    let target = format!("{outer} {inner}");
    let failed = ScheduleError::of("fuse", &target);
    let path = find_loop(program, outer).map_err(&failed)?;
    find_loop(program, inner).map_err(&failed)?;
    let name = fresh(program, &format!("{outer}{inner}"));
    let Stmt::For { extent, body, .. } = stmt_at(program, &path) else {
        unreachable!("the path of a loop")
    };
    let [
        Stmt::For {
            var: second,
            extent: steps,
            body: inside,
        },
    ] = &body[..]
    else {
        return Err(failed(format!(
            "the body of `{outer}` is not one loop; split it off with decompose_reduction first"
        )));
    };
    if &**second != inner {
        return Err(failed(format!(
            "the loop right within `{outer}` is `{second}`"
        )));
    }
    let Some(steps) = steps.as_const().filter(|steps| *steps > 0) else {
        return Err(failed(format!(
            "the extent {steps} of `{inner}` is not constant; fuse before splitting"
        )));
    };
    let whole = (extent.clone() * steps).simplify();
    let mut inside = inside.clone();
    substitute(&mut inside, outer, &(var(&name) / Expr::from(steps)));
    substitute(&mut inside, inner, &(var(&name) % Expr::from(steps)));
    *stmt_at_mut(program, &path) = Stmt::for_(&name, whole, inside);
    Ok(name)
}
