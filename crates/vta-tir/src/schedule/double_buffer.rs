use super::{ScheduleError, find_alloc, stmt_at_mut};
use crate::program::{Program, Scope};
use crate::stmt::Stmt;

/// Gives an allocation on chip two places, taken in turns, so that one tile can be loaded or stored while
/// another is computed.
///
/// # Errors
/// No such allocation; one in DRAM; or one that is entered only once.
pub fn double_buffer(program: &mut Program, buffer: &str) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("double_buffer", buffer);
    let path = find_alloc(program, buffer).map_err(&failed)?;
    let in_a_loop = (1..path.len()).any(|depth| {
        let around = super::stmt_at(program, &path[..depth]);
        matches!(around, Stmt::For { .. })
    });
    let Stmt::Alloc { buffer, .. } = stmt_at_mut(program, &path) else {
        unreachable!("the path of an allocation")
    };
    if buffer.scope == Scope::Dram {
        return Err(failed("it lies in dram; set its scope first".into()));
    }
    if !in_a_loop {
        return Err(failed(
            "no loop is around it, so that it is entered once; sink it first".into(),
        ));
    }
    buffer.double = true;
    Ok(())
}
