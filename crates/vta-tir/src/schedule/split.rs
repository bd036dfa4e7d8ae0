use super::{ScheduleError, Step, find_loop, fresh, stmt_at, stmt_at_mut, substitute};
use crate::expr::{Expr, Name, var};
use crate::program::Program;
use crate::stmt::Stmt;

/// Splits the loop over `target` in two: `for yo { for yi { y := factor * yo + yi } }`. Returns the outer and the inner
/// variable, `yo` and `yi` for a loop over `y`.
///
/// A factor that does not divide the extent `n` leaves a partial last tile: the inner extent is then
/// `min(factor, n - factor * yo)`.
///
/// # Errors
/// No such loop; a factor below 1.
pub fn split(
    program: &mut Program,
    target: &str,
    factor: i64,
) -> Result<(Name, Name), ScheduleError> {
    let failed = ScheduleError::of("split", target);
    let path = find_loop(program, target).map_err(&failed)?;
    let Stmt::For { extent, .. } = stmt_at(program, &path) else {
        unreachable!("the path of a loop")
    };
    let (outer, inner) = (
        fresh(program, &format!("{target}o")),
        fresh(program, &format!("{target}i")),
    );
    let (tiles, tile, whole) = tiling(extent, factor, &outer).map_err(&failed)?;
    let Stmt::For { var, extent, body } = stmt_at_mut(program, &path) else {
        unreachable!("the path of a loop")
    };
    let index = (whole * &outer + &inner).simplify();
    substitute(body, target, &index);
    let body = std::mem::take(body);
    *var = outer.clone();
    *extent = tiles;
    let inside = Stmt::for_(&inner, tile, body);
    *stmt_at_mut(program, &path)
        .children_mut()
        .expect("a loop has a body") = vec![inside];
    Ok((outer, inner))
}

/// How many tiles, the extent of one, and the distance between them.
fn tiling(extent: &Expr, factor: i64, outer: &Name) -> Step<(Expr, Expr, Expr)> {
    if factor < 1 {
        return Err(format!("a factor of {factor}; it is at least 1"));
    }
    let factor = extent.as_const().map_or(factor, |n| factor.min(n).max(1));
    let tiles = ((extent.clone() + (factor - 1)) / factor).simplify();
    let whole = extent.as_const().is_some_and(|n| n % factor == 0);
    let rest = extent.clone() - Expr::from(factor) * var(outer);
    let tile = if whole {
        Expr::from(factor)
    } else {
        Expr::from(factor).min(rest).simplify()
    };
    Ok((tiles, tile, factor.into()))
}
