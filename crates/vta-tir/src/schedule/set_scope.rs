use super::{ScheduleError, find_alloc, stmt_at_mut};
use crate::program::{ELEM_RANK, Program, Scope};
use crate::stmt::Stmt;

/// Moves an allocation to another memory.
///
/// # Errors
/// No such allocation; a rank without elements; or an intrinsic uses the buffer already and fixed its scope.
pub fn set_scope(program: &mut Program, buffer: &str, scope: Scope) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("set_scope", buffer);
    let path = find_alloc(program, buffer).map_err(&failed)?;
    let mut fixed = None;
    program.walk(&mut |stmt| {
        stmt.for_each_touch(&mut |touch| {
            let element = !matches!(stmt, Stmt::Assign { .. } | Stmt::Accumulate { .. });
            if element && &touch.access.buffer == buffer {
                fixed = Some(stmt);
            }
        });
    });
    if let Some(stmt) = fixed {
        return Err(failed(format!(
            "`{stmt}` fixed its scope; set the scope before tensorizing"
        )));
    }
    let Stmt::Alloc { buffer, .. } = stmt_at_mut(program, &path) else {
        unreachable!("the path of an allocation")
    };
    if buffer.rank() < ELEM_RANK {
        return Err(failed(format!(
            "rank {}; a scratchpad holds elements of rank {ELEM_RANK}",
            buffer.rank()
        )));
    }
    buffer.scope = scope;
    Ok(())
}
