use super::{ScheduleError, find_alloc, stmt_at_mut};
use crate::program::{DType, Program};
use crate::region::Use;
use crate::stmt::Stmt;
use crate::value::Value;

/// Gives an allocation a wider type, so that operands of the register file take narrow values: the copy into it then
/// widens, as a load does.
///
/// # Errors
/// No such allocation; a type that is not wider; or something other than a copy of values that fit the old type is
/// written to it, which the old type might have cut.
pub fn widen(program: &mut Program, buffer: &str, dtype: DType) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("widen", buffer);
    let path = find_alloc(program, buffer).map_err(&failed)?;
    let have = program.buffer(buffer).expect("an allocation").dtype;
    if dtype <= have {
        let (have, dtype) = (have.name(), dtype.name());
        return Err(failed(format!("{dtype} is not wider than {have}")));
    }
    let mut other = None;
    program.walk(&mut |stmt| {
        let mut written = false;
        stmt.for_each_touch(&mut |touch| {
            written |= &touch.access.buffer == buffer && touch.kind != Use::Read;
        });
        let copied = match stmt {
            Stmt::Assign {
                value: Value::Read { access, .. },
                ..
            } => program.buffer(&access.buffer),
            _ => None,
        };
        if written && copied.is_none_or(|from| from.dtype > have) {
            other = Some(stmt);
        }
    });
    if let Some(stmt) = other {
        return Err(failed(format!(
            "`{stmt}` is no copy of values that fit {}",
            have.name()
        )));
    }
    let Stmt::Alloc { buffer, .. } = stmt_at_mut(program, &path) else {
        unreachable!("the path of an allocation")
    };
    buffer.dtype = dtype;
    Ok(())
}
