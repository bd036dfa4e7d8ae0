use super::{ScheduleError, Step, find_alloc, siblings_mut, stmt_at, stmt_at_mut};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::{Buffer, Program};
use crate::region::{Use, for_each_touch};
use crate::stmt::Stmt;
use crate::value::Value;

/// Computes the values of an allocation where they are read, and takes the allocation and the nest that fills it away.
///
/// The nest is one assignment, with a loop for each dimension over all of it. What was cut by the type of the allocation
/// is cut where it is read.
///
/// # Errors
/// No such allocation; it is not filled by one such nest at the beginning of its body; something reads it with padding
/// or through an intrinsic; or what its values are computed from is written while it lives.
pub fn inline(program: &mut Program, buffer: &str) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("inline", buffer);
    let path = find_alloc(program, buffer).map_err(&failed)?;
    let Stmt::Alloc { buffer, body } = stmt_at(program, &path) else {
        unreachable!("the path of an allocation")
    };
    let (vars, value) = producer(buffer, body).map_err(&failed)?;
    only_read(buffer, &value, &body[1..]).map_err(&failed)?;
    let (name, value) = (buffer.name.clone(), value.cast(buffer.dtype));
    let Stmt::Alloc { body, .. } = stmt_at_mut(program, &path) else {
        unreachable!("the path of an allocation")
    };
    let mut readers = body.split_off(1);
    for stmt in &mut readers {
        stmt.walk_mut(&mut |stmt| {
            if let Stmt::Assign { value: v, .. } | Stmt::Accumulate { value: v, .. } = stmt {
                replace(v, &name, &vars, &value);
            }
        });
    }
    let at = path[path.len() - 1];
    siblings_mut(program, &path).splice(at..=at, readers);
    Ok(())
}

/// The loop variable of each dimension, and what is assigned there.
fn producer(buffer: &Buffer, body: &[Stmt]) -> Step<(Vec<Name>, Value)> {
    let shape = || "it is not filled by one nest with a loop for each dimension".to_owned();
    let first = body.first().ok_or_else(shape)?;
    let (loops, inner) = super::perfect_nest(first);
    let [Stmt::Assign { dst, value }] = inner else {
        return Err(shape());
    };
    if dst.buffer != buffer.name || loops.len() != dst.idx.len() {
        return Err(shape());
    }
    let mut vars: Vec<Name> = Vec::new();
    for (idx, extent) in dst.idx.iter().zip(&buffer.shape) {
        let walks = |(var, steps): &&(&Name, &Expr)| {
            *idx == Expr::from(*var) && steps.same_as(extent) && !vars.contains(var)
        };
        let (var, _) = loops.iter().find(walks).ok_or_else(shape)?;
        vars.push((*var).clone());
    }
    Ok((vars, value.clone()))
}

/// Whether `rest` only reads the buffer, and leaves alone what `value` is computed from.
fn only_read(buffer: &Buffer, value: &Value, rest: &[Stmt]) -> Step<()> {
    let mut sources = Vec::new();
    value.for_each_read(&mut |access, _| sources.push(&access.buffer));
    if sources.contains(&&buffer.name) {
        return Err("its values are computed from itself".into());
    }
    let mut fault = None;
    for_each_touch(&mut LoopNest::new(), rest, &mut |_, touch| {
        let name = &touch.access.buffer;
        if touch.kind != Use::Read && sources.contains(&name) {
            fault = Some(format!(
                "`{name}`, of which it is computed, is written after it"
            ));
        } else if *name != buffer.name {
        } else if touch.kind != Use::Read {
            fault = Some("it is written in several places".to_owned());
        } else if touch.padded.is_some() {
            fault = Some(format!("`{}` is read with padding", touch.access));
        } else if touch.access.idx.len() != buffer.rank() || !touch.extents.is_empty() {
            fault = Some("an intrinsic reads it".to_owned());
        }
    });
    fault.map_or(Ok(()), Err)
}

/// Puts `with`, at the place that is read, for every read of `buffer`.
fn replace(value: &mut Value, buffer: &Name, vars: &[Name], with: &Value) {
    match value {
        Value::Const(_) => {}
        Value::Cast(_, inner) => replace(inner, buffer, vars, with),
        Value::Bin(_, a, b) => {
            replace(a, buffer, vars, with);
            replace(b, buffer, vars, with);
        }
        Value::Read { access, .. } if access.buffer == *buffer => {
            let at = std::mem::take(&mut access.idx);
            let mut computed = with.clone();
            computed.for_each_read_mut(&mut |access, _| {
                for idx in &mut access.idx {
                    *idx = renamed(idx, vars, &at);
                }
            });
            *value = computed;
        }
        Value::Read { .. } => {}
    }
}

/// `idx` with all of `vars` replaced at once: what they are replaced by may use the same names.
fn renamed(idx: &Expr, vars: &[Name], by: &[Expr]) -> Expr {
    match idx {
        Expr::Const(_) => idx.clone(),
        Expr::Var(name) => match vars.iter().position(|var| var == name) {
            Some(i) => by[i].clone(),
            None => idx.clone(),
        },
        Expr::Bin(op, a, b) => {
            Expr::bin(*op, renamed(a, vars, by), renamed(b, vars, by)).simplify()
        }
    }
}
