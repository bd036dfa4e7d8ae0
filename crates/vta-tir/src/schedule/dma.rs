use super::{ScheduleError, Step, find_loop, perfect_nest, stmt_at, stmt_at_mut};
use crate::expr::{Expr, Name};
use crate::intrinsics::requantized;
use crate::program::{Buffer, ELEM_RANK, Program, Scope};
use crate::stmt::Stmt;
use crate::value::{Access, Value};

/// Turns the copy nest that begins at the loop over `target` into one box transfer: a load where it copies from DRAM to a
/// scratchpad, a store where it copies from the register file to DRAM, perhaps rescaled by a record a column.
///
/// # Errors
/// No such loop; the nest is not perfect around one copy; a dimension is not walked by one loop of its own, in unit steps
/// on both sides; or elements are not copied whole.
pub fn dma(program: &mut Program, target: &str) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("dma", target);
    let path = find_loop(program, target).map_err(&failed)?;
    let transfer = transfer(program, stmt_at(program, &path)).map_err(&failed)?;
    *stmt_at_mut(program, &path) = transfer;
    Ok(())
}

fn transfer(program: &Program, nest: &Stmt) -> Step<Stmt> {
    let (loops, body) = perfect_nest(nest);
    let [Stmt::Assign { dst, value }] = body else {
        return Err("it is no perfect nest around one assignment".into());
    };
    let find = |access: &Access| {
        program
            .buffer(&access.buffer)
            .ok_or_else(|| format!("no buffer `{}`", access.buffer))
    };
    let to = find(dst)?;
    let bare = match value {
        Value::Cast(dtype, inner) if *dtype == to.dtype => inner,
        value => value,
    };
    let (src, padded, record) = match bare {
        Value::Read { access, padded } => (access, *padded, None),
        _ => match rescaled(bare) {
            Some((src, record)) => (src, None, Some(record)),
            None => return Err(format!("`{value}` is more than a copy")),
        },
    };
    let from = find(src)?;
    let by = match record {
        Some(record) => Some(table_element(find(record)?, record, dst, &loops)?),
        None => None,
    };
    let (dst, src, extents) = walk(&loops, (to, dst), (from, src))?;
    let widens = to.scope == Scope::Acc && to.dtype > from.dtype;
    match (to.scope, from.scope) {
        (Scope::Inp | Scope::Wgt | Scope::Acc | Scope::Rqt, Scope::Dram)
            if widens || to.dtype == from.dtype =>
        {
            Ok(Stmt::Load {
                dst,
                src,
                padded,
                extents,
            })
        }
        (Scope::Dram, Scope::Acc | Scope::Out) if padded.is_none() && to.dtype <= from.dtype => {
            Ok(Stmt::Store {
                dst,
                src,
                extents,
                by,
            })
        }
        _ => {
            let side =
                |buffer: &Buffer| format!("{} in {}", buffer.dtype.name(), buffer.scope.name());
            let padding = if padded.is_some() {
                " with padding"
            } else {
                ""
            };
            Err(format!(
                "no transfer goes from {} to {}{padding}",
                side(from),
                side(to)
            ))
        }
    }
}

/// The operand that a value rescales, and a word of the record that it rescales by.
fn rescaled(value: &Value) -> Option<(&Access, &Access)> {
    let mut reads = Vec::new();
    value.for_each_read(&mut |access, _| reads.push(access));
    let (src, record) = (*reads.first()?, *reads.get(1)?);
    let word = |i: i64| {
        let mut access = record.clone();
        *access.idx.last_mut()? = Expr::Const(i);
        Some(access.read())
    };
    word(0)?;
    let wanted = requantized(src.clone().read(), |i| word(i).expect("an index"));
    (wanted == *value).then_some((src, record))
}

/// The element of the table that `record`, a record of the column that `dst` names last, lies in.
fn table_element(
    table: &Buffer,
    record: &Access,
    dst: &Access,
    loops: &[(&Name, &Expr)],
) -> Step<Access> {
    if table.scope != Scope::Rqt {
        return Err(format!(
            "`{}` is in {}; a store rescales by what is in rqt",
            table.name,
            table.scope.name()
        ));
    }
    let [leading @ .., column, _] = &record.idx[..] else {
        return Err(format!("`{}` has no records", table.name));
    };
    let moves = leading
        .iter()
        .any(|idx| loops.iter().any(|(v, _)| idx.mentions(v)));
    if moves || dst.idx.last() != Some(column) {
        return Err(format!(
            "all columns of the box do not take theirs of one element of `{}`",
            table.name
        ));
    }
    Ok(table.at(leading.to_vec()))
}

type Boxed = (Access, Access, Vec<Expr>);

/// Origins and extents over the leading dimensions.
fn walk(loops: &[(&Name, &Expr)], dst: (&Buffer, &Access), src: (&Buffer, &Access)) -> Step<Boxed> {
    let rank = dst.0.rank();
    if rank != src.0.rank() || rank < ELEM_RANK {
        return Err("both sides need one rank, with elements".into());
    }
    let mut left: Vec<&Name> = loops.iter().map(|(var, _)| *var).collect();
    if let Some((var, extent)) = loops
        .iter()
        .find(|(_, extent)| left.iter().any(|var| extent.mentions(var)))
    {
        return Err(format!(
            "the extent {extent} of `{var}` varies within the nest"
        ));
    }
    let mut origins: [Vec<Expr>; 2] = [Vec::new(), Vec::new()];
    let mut extents = Vec::new();
    for (d, (to, from)) in dst.1.idx.iter().zip(&src.1.idx).enumerate() {
        let walker = left
            .iter()
            .position(|var| to.mentions(var) || from.mentions(var))
            .map(|i| left.swap_remove(i));
        let start = |idx: &Expr| match walker {
            None => idx.simplify(),
            Some(var) => (idx.clone() - var).simplify(),
        };
        let (to_start, from_start) = (start(to), start(from));
        if let Some((var, _)) = loops
            .iter()
            .find(|(v, _)| to_start.mentions(v) || from_start.mentions(v))
        {
            return Err(format!(
                "`{var}` does not walk dimension {d} in unit steps on both sides: `{to}` and `{from}`"
            ));
        }
        let extent = loops
            .iter()
            .find(|(v, _)| Some(*v) == walker)
            .map_or(Expr::Const(1), |(_, e)| (*e).clone());
        if d + ELEM_RANK >= rank {
            let whole = [dst.0, src.0]
                .iter()
                .all(|buffer| extent.same_as(&buffer.shape[d]));
            if !whole || to_start.as_const() != Some(0) || from_start.as_const() != Some(0) {
                return Err(format!(
                    "dimension {d} is part of the element, which is not copied whole"
                ));
            }
        } else {
            origins[0].push(to_start);
            origins[1].push(from_start);
            extents.push(extent);
        }
    }
    if let Some(var) = left.first() {
        return Err(format!("the loop over `{var}` walks no dimension"));
    }
    let [to, from] = origins;
    Ok((dst.0.at(to), src.0.at(from), extents))
}
