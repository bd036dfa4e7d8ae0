use super::{ScheduleError, find_loop, reorder, split};
use crate::expr::Name;
use crate::program::Program;

/// Splits each loop by its factor and puts all outer loops around all inner ones, both in the given order. Returns the
/// outer and the inner variables.
///
/// # Errors
/// As [`split`] and [`reorder`].
pub fn tile(
    program: &mut Program,
    factors: &[(&str, i64)],
) -> Result<(Vec<Name>, Vec<Name>), ScheduleError> {
    let mut tiled = program.clone();
    let (mut outers, mut inners) = (Vec::new(), Vec::new());
    for (var, factor) in factors {
        find_loop(&tiled, var).map_err(ScheduleError::of("tile", var))?;
        let (outer, inner) = split(&mut tiled, var, *factor)?;
        outers.push(outer);
        inners.push(inner);
    }
    let order: Vec<&str> = outers.iter().chain(&inners).map(|name| &**name).collect();
    reorder(&mut tiled, &order)?;
    *program = tiled;
    Ok((outers, inners))
}
