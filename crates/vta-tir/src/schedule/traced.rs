use super::{Cache, ScheduleError, Tensor};
use crate::expr::Name;
use crate::intrinsics::Geometry;
use crate::program::{DType, Program, Scope};

/// A program with the lines of [`apply`](super::apply) that made it what it is: every primitive that succeeds here is one.
///
/// Each method is the primitive of its name, with its errors; one that fails leaves program and lines as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    program: Program,
    geometry: Geometry,
    lines: Vec<String>,
}

type Made<T> = Result<T, ScheduleError>;

impl Traced {
    /// A program to which nothing was applied yet, for elements of `geometry`.
    pub fn new(program: Program, geometry: Geometry) -> Traced {
        Traced {
            program,
            geometry,
            lines: Vec::new(),
        }
    }

    /// The program as it is now.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The program as it is now, and what was applied to it, in order.
    pub fn into_parts(self) -> (Program, Vec<String>) {
        (self.program, self.lines)
    }

    fn noted<T>(&mut self, made: Made<T>, line: String) -> Made<T> {
        if made.is_ok() {
            self.lines.push(line);
        }
        made
    }

    /// Applies a line of text.
    pub fn apply(&mut self, line: &str) -> Made<()> {
        let made = super::apply(&mut self.program, line, &self.geometry);
        self.noted(made, line.trim().to_owned())
    }

    /// [`split`](super::split)
    pub fn split(&mut self, var: &str, factor: i64) -> Made<(Name, Name)> {
        let made = super::split(&mut self.program, var, factor);
        self.noted(made, format!("split {var} {factor}"))
    }

    /// [`fuse`](super::fuse)
    pub fn fuse(&mut self, outer: &str, inner: &str) -> Made<Name> {
        let made = super::fuse(&mut self.program, outer, inner);
        self.noted(made, format!("fuse {outer} {inner}"))
    }

    /// [`reorder`](super::reorder)
    pub fn reorder(&mut self, order: &[&str]) -> Made<()> {
        let made = super::reorder(&mut self.program, order);
        self.noted(made, format!("reorder {}", order.join(" ")))
    }

    /// [`tile`](super::tile)
    pub fn tile(&mut self, factors: &[(&str, i64)]) -> Made<(Vec<Name>, Vec<Name>)> {
        let made = super::tile(&mut self.program, factors);
        let factors: Vec<_> = factors.iter().map(|(v, n)| format!("{v}:{n}")).collect();
        self.noted(made, format!("tile {}", factors.join(" ")))
    }

    /// [`fuse_nests`](super::fuse_nests)
    pub fn fuse_nests(&mut self, first: &str, second: &str, levels: usize) -> Made<()> {
        let made = super::fuse_nests(&mut self.program, first, second, levels);
        self.noted(made, format!("fuse_nests {first} {second} {levels}"))
    }

    /// [`decompose_reduction`](super::decompose_reduction)
    pub fn decompose_reduction(&mut self, var: &str) -> Made<Name> {
        let made = super::decompose_reduction(&mut self.program, var);
        self.noted(made, format!("decompose_reduction {var}"))
    }

    /// [`inline`](super::inline)
    pub fn inline(&mut self, buffer: &str) -> Made<()> {
        let made = super::inline(&mut self.program, buffer);
        self.noted(made, format!("inline {buffer}"))
    }

    /// [`sink_alloc`](super::sink_alloc)
    pub fn sink_alloc(&mut self, buffer: &str, at: &str) -> Made<()> {
        let made = super::sink_alloc(&mut self.program, buffer, at);
        self.noted(made, format!("sink_alloc {buffer} {at}"))
    }

    /// [`set_scope`](super::set_scope)
    pub fn set_scope(&mut self, buffer: &str, scope: Scope) -> Made<()> {
        let made = super::set_scope(&mut self.program, buffer, scope);
        self.noted(made, format!("set_scope {buffer} {}", scope.name()))
    }

    /// [`double_buffer`](super::double_buffer)
    pub fn double_buffer(&mut self, buffer: &str) -> Made<()> {
        let made = super::double_buffer(&mut self.program, buffer);
        self.noted(made, format!("double_buffer {buffer}"))
    }

    /// [`virtual_thread`](super::virtual_thread)
    pub fn virtual_thread(&mut self, var: &str) -> Made<()> {
        let made = super::virtual_thread(&mut self.program, var);
        self.noted(made, format!("virtual_thread {var}"))
    }

    /// [`compute_at`](super::compute_at)
    pub fn compute_at(&mut self, buffer: &str, at: &str) -> Made<()> {
        let made = super::compute_at(&mut self.program, buffer, at);
        self.noted(made, format!("compute_at {buffer} {at}"))
    }

    /// [`reverse_compute_at`](super::reverse_compute_at)
    pub fn reverse_compute_at(&mut self, consumer: &str, at: &str) -> Made<()> {
        let made = super::reverse_compute_at(&mut self.program, consumer, at);
        self.noted(made, format!("reverse_compute_at {consumer} {at}"))
    }

    /// [`cache_read`](super::cache_read)
    pub fn cache_read(&mut self, buffer: &str, at: &str, scope: Scope) -> Made<Cache> {
        let made = super::cache_read(&mut self.program, buffer, at, scope);
        self.noted(made, format!("cache_read {buffer} {at} {}", scope.name()))
    }

    /// [`cache_write`](super::cache_write)
    pub fn cache_write(&mut self, buffer: &str, at: &str, scope: Scope) -> Made<Cache> {
        let made = super::cache_write(&mut self.program, buffer, at, scope);
        self.noted(made, format!("cache_write {buffer} {at} {}", scope.name()))
    }

    /// [`widen`](super::widen)
    pub fn widen(&mut self, buffer: &str, dtype: DType) -> Made<()> {
        let made = super::widen(&mut self.program, buffer, dtype);
        self.noted(made, format!("widen {buffer} {}", dtype.name()))
    }

    /// [`unroll`](super::unroll)
    pub fn unroll(&mut self, var: &str) -> Made<()> {
        let made = super::unroll(&mut self.program, var);
        self.noted(made, format!("unroll {var}"))
    }

    /// [`tensorize`](super::tensorize)
    pub fn tensorize(&mut self, var: &str, kind: Tensor) -> Made<()> {
        let made = super::tensorize(&mut self.program, var, kind, &self.geometry);
        self.noted(made, format!("tensorize {var} {}", kind.name()))
    }

    /// [`dma`](super::dma)
    pub fn dma(&mut self, var: &str) -> Made<()> {
        let made = super::dma(&mut self.program, var);
        self.noted(made, format!("dma {var}"))
    }
}
