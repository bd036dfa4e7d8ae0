use super::fuse_nests::keeps_order;
use super::{ScheduleError, find_loop, fresh, nest_around, siblings_mut, stmt_at, substitute};
use crate::expr::{Expr, Name};
use crate::program::Program;
use crate::region::{Use, for_each_touch};
use crate::stmt::Stmt;

/// Takes what initializes a reduction apart from what updates it: the loop over `target` becomes two, the first with the
/// statements before the first one that accumulates, the second with the others. Returns the variable of the second.
///
/// # Errors
/// No such loop; nothing stands before the first accumulation, or nothing accumulates; or an iteration of one part may
/// use what another iteration of the other writes.
pub fn decompose_reduction(program: &mut Program, target: &str) -> Result<Name, ScheduleError> {
    let failed = ScheduleError::of("decompose_reduction", target);
    let path = find_loop(program, target).map_err(&failed)?;
    let mut nest = nest_around(program, &path);
    let Stmt::For { var, extent, body } = stmt_at(program, &path).clone() else {
        unreachable!("the path of a loop")
    };
    nest.push(var.clone(), extent.clone());
    let accumulates = |stmt: &Stmt| {
        let mut found = false;
        for_each_touch(
            &mut nest.clone(),
            std::slice::from_ref(stmt),
            &mut |_, touch| {
                found |= touch.kind == Use::Accumulate;
            },
        );
        found
    };
    let init = match body.iter().position(accumulates) {
        None => return Err(failed("nothing in its body accumulates".into())),
        Some(0) => {
            return Err(failed(
                "nothing in its body comes before the accumulation".into(),
            ));
        }
        Some(init) => init,
    };
    let (init, update) = body.split_at(init);
    keeps_order(&nest, &var, init, update).map_err(&failed)?;
    let second = fresh(program, &format!("{var}_update"));
    let (init, mut update) = (init.to_vec(), update.to_vec());
    substitute(&mut update, &var, &Expr::from(&second));
    let at = path[path.len() - 1];
    let parts = [
        Stmt::for_(&var, extent.clone(), init),
        Stmt::for_(&second, extent, update),
    ];
    siblings_mut(program, &path).splice(at..=at, parts);
    Ok(second)
}
