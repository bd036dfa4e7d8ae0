use super::substitute;
use super::{
    ScheduleError, Step, find_loop, fresh, nest_around, perfect_nest, siblings_mut, stmt_at,
};
use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::Program;
use crate::region::{Use, for_each_touch, hull, steps_past};
use crate::stmt::Stmt;

/// More contexts than this have no scratchpads to live in.
const MAX_THREADS: i64 = 16;

/// Makes the iterations of the loop over `target` contexts that run interleaved: each has allocations of its own, and the
/// statements of its body, down to whole nests and loops of tiles, take turns. What one context loads or stores can then
/// go on while another computes.
///
/// # Errors
/// No such loop; an extent that is not constant, or beyond 16; or iterations that may meet in a buffer which one of them
/// writes.
pub fn virtual_thread(program: &mut Program, target: &str) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("virtual_thread", target);
    let path = find_loop(program, target).map_err(&failed)?;
    let mut nest = nest_around(program, &path);
    let Stmt::For { var, extent, body } = stmt_at(program, &path).clone() else {
        unreachable!("the path of a loop")
    };
    let threads = match extent.as_const() {
        Some(threads) if threads <= MAX_THREADS => threads,
        Some(threads) => {
            return Err(failed(format!(
                "{threads} contexts, more than {MAX_THREADS}; split it and take the outer loop"
            )));
        }
        None => {
            return Err(failed(format!(
                "its extent {extent} varies; split it by a factor that divides it"
            )));
        }
    };
    nest.push(var.clone(), extent);
    apart(&nest, &var, &body).map_err(&failed)?;
    let mut interleaved = program.clone();
    let at = path[path.len() - 1];
    siblings_mut(&mut interleaved, &path).remove(at);
    let mut contexts = Contexts {
        program,
        var: &var,
        threads,
        names: vec![Vec::new(); threads as usize],
        taken: Vec::new(),
    };
    let body = contexts.body(&body);
    siblings_mut(&mut interleaved, &path).splice(at..at, body);
    *program = interleaved;
    Ok(())
}

/// Whether iterations of the innermost loop of `nest` never meet.
fn apart(nest: &LoopNest, var: &Name, body: &[Stmt]) -> Step<()> {
    let mut local = Vec::new();
    body.iter().for_each(|stmt| {
        stmt.walk(&mut |stmt| {
            if let Stmt::Alloc { buffer, .. } = stmt {
                local.push(buffer.name.clone());
            }
        });
    });
    let mut shared: Vec<(Name, bool)> = Vec::new();
    for_each_touch(&mut nest.clone(), body, &mut |_, touch| {
        let name = &touch.access.buffer;
        if local.contains(name) {
            return;
        }
        let writes = touch.kind != Use::Read;
        match shared.iter_mut().find(|(known, _)| known == name) {
            Some((_, written)) => *written |= writes,
            None => shared.push((name.clone(), writes)),
        }
    });
    for (buffer, _) in shared.iter().filter(|(_, written)| *written) {
        let region = hull(nest, body, buffer)
            .map_err(|idx| format!("index `{idx}` of `{buffer}` has no affine bounds"))?
            .unwrap_or_default();
        if !steps_past(nest, &region) {
            return Err(format!(
                "iterations of `{var}` may meet in `{buffer}`: no dimension moves past itself"
            ));
        }
    }
    Ok(())
}

/// The copies that are being made.
struct Contexts<'a> {
    /// Where names must be new.
    program: &'a Program,
    var: &'a Name,
    threads: i64,
    /// Of each context, its names of loops and allocations.
    names: Vec<Vec<(Name, Name)>>,
    /// Names given so far.
    taken: Vec<Name>,
}

impl Contexts<'_> {
    fn body(&mut self, body: &[Stmt]) -> Vec<Stmt> {
        body.iter().flat_map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&mut self, stmt: &Stmt) -> Vec<Stmt> {
        match stmt {
            Stmt::Alloc { buffer, body } => {
                let buffers: Vec<_> = (0..self.threads)
                    .map(|thread| {
                        let mut own = buffer.clone();
                        own.name = self.declare(&buffer.name, thread);
                        for extent in &mut own.shape {
                            *extent = self.here(extent, thread);
                        }
                        own
                    })
                    .collect();
                let inner = self.body(body);
                buffers
                    .into_iter()
                    .rev()
                    .fold(inner, |body, buffer| vec![Stmt::Alloc { buffer, body }])
            }
            Stmt::For { var, extent, body } if is_of_tiles(stmt) && !extent.mentions(self.var) => {
                vec![Stmt::for_(var, extent.clone(), self.body(body))]
            }
            _ => (0..self.threads)
                .map(|thread| self.copy(stmt, thread))
                .collect(),
        }
    }

    /// `stmt` as context `thread` has it.
    fn copy(&mut self, stmt: &Stmt, thread: i64) -> Stmt {
        let mut declared = Vec::new();
        stmt.walk(&mut |stmt| match stmt {
            Stmt::For { var, .. } => declared.push(var.clone()),
            Stmt::Alloc { buffer, .. } => declared.push(buffer.name.clone()),
            _ => {}
        });
        for name in declared {
            self.declare(&name, thread);
        }
        let mut copy = vec![stmt.clone()];
        substitute(&mut copy, self.var, &Expr::Const(thread));
        let mut copy = copy.remove(0);
        for (old, new) in &self.names[thread as usize] {
            rename(&mut copy, old, new);
        }
        copy
    }

    /// The name that `name` has in a context: its own in the first, new ones in the others.
    fn declare(&mut self, name: &Name, thread: i64) -> Name {
        let mut own = name.clone();
        if thread > 0 {
            own = fresh(self.program, &format!("{name}_{thread}"));
            while self.taken.contains(&own) {
                own = fresh(self.program, &format!("{own}_{thread}"));
            }
        }
        self.taken.push(own.clone());
        self.names[thread as usize].push((name.clone(), own.clone()));
        own
    }

    fn here(&self, expr: &Expr, thread: i64) -> Expr {
        expr.substitute(self.var, &Expr::Const(thread)).simplify()
    }
}

/// Whether a loop does several things in turn, each time for another tile: not one nest that is one instruction.
fn is_of_tiles(stmt: &Stmt) -> bool {
    let (_, inner) = perfect_nest(stmt);
    inner.len() > 1 || matches!(inner, [Stmt::Alloc { .. }])
}

/// Renames a loop or an allocation, where it is declared and where it is used.
fn rename(stmt: &mut Stmt, old: &Name, new: &Name) {
    if old == new {
        return;
    }
    stmt.map_exprs(&mut |expr| match expr.mentions(old) {
        true => expr.substitute(old, &Expr::from(new)),
        false => expr.clone(),
    });
    stmt.walk_mut(&mut |stmt| {
        match stmt {
            Stmt::For { var, .. } if var == old => *var = new.clone(),
            Stmt::Alloc { buffer, .. } if buffer.name == *old => buffer.name = new.clone(),
            _ => {}
        }
        stmt.for_each_access_mut(&mut |access| {
            if access.buffer == *old {
                access.buffer = new.clone();
            }
        });
    });
}
