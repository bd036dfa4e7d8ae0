//! Schedule primitives: each rewrites a program to an equivalent one, or says why it cannot.
//!
//! One file, one primitive. A primitive names loops by their variables and buffers by their names, checks its own
//! precondition, and leaves the program untouched when it fails. Wrapping addition commutes, so accumulations may be
//! reordered; everything else must be proved not to interfere.

mod cache_read;
mod cache_write;
mod compute_at;
mod decompose_reduction;
mod dma;
mod double_buffer;
mod fuse;
mod fuse_nests;
mod inline;
mod reorder;
mod reverse_compute_at;
mod script;
mod set_scope;
mod sink_alloc;
mod split;
mod steps;
mod tensorize;
mod tile;
mod traced;
mod unroll;
mod virtual_thread;
mod widen;

pub use cache_read::cache_read;
pub use cache_write::cache_write;
pub use compute_at::compute_at;
pub use decompose_reduction::decompose_reduction;
pub use dma::dma;
pub use double_buffer::double_buffer;
pub use fuse::fuse;
pub use fuse_nests::fuse_nests;
pub use inline::inline;
pub use reorder::reorder;
pub use reverse_compute_at::reverse_compute_at;
pub use script::apply;
pub use set_scope::set_scope;
pub use sink_alloc::sink_alloc;
pub use split::split;
pub use steps::{Script, ScriptLine, ScriptStep};
pub use tensorize::{Tensor, tensorize};
pub use tile::tile;
pub use traced::Traced;
pub use unroll::unroll;
pub use virtual_thread::virtual_thread;
pub use widen::widen;

use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::program::{Buffer, Program};
use crate::stmt::Stmt;

/// Why a primitive does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{primitive} {target}: {reason}")]
pub struct ScheduleError {
    /// The primitive.
    pub primitive: &'static str,
    /// The loop or buffer it was given.
    pub target: String,
    /// What stands in the way and, where there is one, the remedy.
    pub reason: String,
}

impl ScheduleError {
    fn new(
        primitive: &'static str,
        target: impl Into<String>,
        reason: impl Into<String>,
    ) -> ScheduleError {
        ScheduleError {
            primitive,
            target: target.into(),
            reason: reason.into(),
        }
    }

    /// Turns reasons into errors of `primitive` on `target`.
    fn of<'a>(primitive: &'static str, target: &'a str) -> impl Fn(String) -> ScheduleError + 'a {
        move |reason| ScheduleError::new(primitive, target, reason)
    }
}

/// The result of one step within a primitive: a reason where it fails.
type Step<T> = Result<T, String>;

/// A buffer that a primitive put on the way to another, and the outermost loop of the nest that copies between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The new buffer.
    pub buffer: Name,
    /// The outermost loop of the copy; give it to [`dma`].
    pub copy: Name,
}

/// A statement's place: child indices from the program's body inwards.
type Path = Vec<usize>;

fn search(body: &[Stmt], wanted: &impl Fn(&Stmt) -> bool, path: &mut Path) -> bool {
    body.iter().enumerate().any(|(i, stmt)| {
        path.push(i);
        let found = wanted(stmt) || search(stmt.children(), wanted, path);
        if !found {
            path.pop();
        }
        found
    })
}

/// The loop over `var`.
fn find_loop(program: &Program, var: &str) -> Step<Path> {
    let mut path = Path::new();
    if search(
        &program.body,
        &|stmt| matches!(stmt, Stmt::For { var: v, .. } if v == var),
        &mut path,
    ) {
        return Ok(path);
    }
    let mut loops = Vec::new();
    program.walk(&mut |stmt| {
        if let Stmt::For { var, .. } = stmt {
            loops.push(&**var);
        }
    });
    Err(format!(
        "no loop of this name; the loops are {}",
        loops.join(", ")
    ))
}

/// The allocation of `buffer`.
fn find_alloc(program: &Program, buffer: &str) -> Step<Path> {
    let mut path = Path::new();
    if search(
        &program.body,
        &|stmt| matches!(stmt, Stmt::Alloc { buffer: b, .. } if &b.name == buffer),
        &mut path,
    ) {
        return Ok(path);
    }
    Err(match program.buffer(buffer) {
        Some(_) => "a parameter stays where the caller put it; cache it instead".into(),
        None => "no buffer of this name".into(),
    })
}

/// The buffer called `name`, which must be declared outside of the loop at `path`.
fn buffer_around(program: &Program, name: &str, path: &[usize]) -> Step<Buffer> {
    let buffer = program.buffer(name).ok_or("no buffer of this name")?;
    match find_alloc(program, name) {
        Ok(alloc) if alloc.starts_with(path) => {
            Err("it is allocated inside that loop; name a loop within its body".into())
        }
        _ => Ok(buffer.clone()),
    }
}

fn stmt_at<'a>(program: &'a Program, path: &[usize]) -> &'a Stmt {
    let (last, outer) = path.split_last().expect("a path names a statement");
    &outer
        .iter()
        .fold(&program.body[..], |body, i| body[*i].children())[*last]
}

/// The list that holds the statement at `path`.
fn siblings_mut<'a>(program: &'a mut Program, path: &[usize]) -> &'a mut Vec<Stmt> {
    path[..path.len() - 1]
        .iter()
        .fold(&mut program.body, |body, i| {
            body[*i]
                .children_mut()
                .expect("a path goes through loops and allocations")
        })
}

fn stmt_at_mut<'a>(program: &'a mut Program, path: &[usize]) -> &'a mut Stmt {
    &mut siblings_mut(program, path)[path[path.len() - 1]]
}

/// The loops around the statement at `path`, itself not among them.
fn nest_around(program: &Program, path: &[usize]) -> LoopNest {
    let mut nest = LoopNest::new();
    for length in 1..path.len() {
        if let Stmt::For { var, extent, .. } = stmt_at(program, &path[..length]) {
            nest.push(var.clone(), extent.clone());
        }
    }
    nest
}

/// `base`, or `base` with the first number that makes it new.
fn fresh(program: &Program, base: &str) -> Name {
    let mut taken: Vec<Name> = program
        .params
        .iter()
        .map(|param| param.buffer.name.clone())
        .collect();
    program.walk(&mut |stmt| match stmt {
        Stmt::For { var, .. } => taken.push(var.clone()),
        Stmt::Alloc { buffer, .. } => taken.push(buffer.name.clone()),
        _ => {}
    });
    let free = |name: &str| taken.iter().all(|known| known != name);
    if free(base) {
        return base.into();
    }
    (2u64..)
        .map(|i| format!("{base}{i}"))
        .find(|name| free(name))
        .expect("numbers do not run out")
        .into()
}

/// Puts `value` for the variable `name` in all of `body`.
fn substitute(body: &mut [Stmt], name: &str, value: &Expr) {
    for stmt in body {
        stmt.map_exprs(&mut |expr| {
            if expr.mentions(name) {
                expr.substitute(name, value).simplify()
            } else {
                expr.clone()
            }
        });
    }
}

/// The perfect nest from `stmt` inwards: its loops, and the body of the innermost.
fn perfect_nest(stmt: &Stmt) -> (Vec<(&Name, &Expr)>, &[Stmt]) {
    let mut loops = Vec::new();
    let mut body = std::slice::from_ref(stmt);
    while let [
        Stmt::For {
            var,
            extent,
            body: inner,
        },
    ] = body
    {
        loops.push((var, extent));
        body = inner;
    }
    (loops, body)
}
