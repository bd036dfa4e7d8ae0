//! Which part of a buffer statements touch.

use crate::affine::Affine;
use crate::bounds::LoopNest;
use crate::expr::{Expr, ExprOp, Name};
use crate::stmt::{Operand, Stmt};
use crate::value::Access;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
    /// Adds to what is there; such uses commute with each other.
    Accumulate,
}

/// A box of a buffer that one statement uses: index and extent (1 where absent) per dimension. Statements on whole
/// elements give the leading dimensions only.
pub(crate) struct Touch<'a> {
    pub(crate) access: &'a Access,
    pub(crate) extents: &'a [Expr],
    pub(crate) kind: Use,
    pub(crate) padded: Option<i32>,
}

impl Stmt {
    /// Calls `f` on every box that this statement itself uses.
    pub(crate) fn for_each_touch<'a>(&'a self, f: &mut impl FnMut(Touch<'a>)) {
        let mut touch = |kind, access, extents, padded| {
            f(Touch {
                access,
                extents,
                kind,
                padded,
            })
        };
        match self {
            Stmt::For { .. } | Stmt::Alloc { .. } => {}
            Stmt::Assign { dst, value } | Stmt::Accumulate { dst, value } => {
                value.for_each_read(&mut |access, padded| touch(Use::Read, access, &[], padded));
                let kind = if matches!(self, Stmt::Assign { .. }) {
                    Use::Write
                } else {
                    Use::Accumulate
                };
                touch(kind, dst, &[], None);
            }
            Stmt::Load {
                dst,
                src,
                padded,
                extents,
            } => {
                touch(Use::Read, src, extents, *padded);
                touch(Use::Write, dst, extents, None);
            }
            Stmt::Store {
                dst,
                src,
                extents,
                by,
            } => {
                touch(Use::Read, src, extents, None);
                if let Some(by) = by {
                    touch(Use::Read, by, &[], None);
                }
                touch(Use::Write, dst, extents, None);
            }
            Stmt::Gemm { acc, inp, wgt } => {
                touch(Use::Read, inp, &[], None);
                touch(Use::Read, wgt, &[], None);
                touch(Use::Accumulate, acc, &[], None);
            }
            Stmt::Reset { acc } => touch(Use::Write, acc, &[], None),
            Stmt::Alu { dst, src, .. } => {
                if let Operand::Elem(src) = src {
                    touch(Use::Read, src, &[], None);
                }
                touch(Use::Read, dst, &[], None);
                touch(Use::Write, dst, &[], None);
            }
        }
    }
}

/// Calls `f` on every touch in `body`, with the loops around it, those of `nest` included.
pub(crate) fn for_each_touch<'a>(
    nest: &mut LoopNest,
    body: &'a [Stmt],
    f: &mut impl FnMut(&LoopNest, Touch<'a>),
) {
    for stmt in body {
        stmt.for_each_touch(&mut |touch| f(nest, touch));
        if let Stmt::For { var, extent, .. } = stmt {
            nest.push(var.clone(), extent.clone());
            for_each_touch(nest, stmt.children(), f);
            nest.pop();
        } else {
            for_each_touch(nest, stmt.children(), f);
        }
    }
}

/// Inclusive bounds per dimension, in terms of the loops that were kept.
pub(crate) type Hull = Vec<(Affine, Affine)>;

/// The bounding box of all that `body` touches of `buffer` during one iteration of the loops `nest` around it.
/// Nothing if it touches nothing; an error naming the index that has no bound.
pub(crate) fn hull(nest: &LoopNest, body: &[Stmt], buffer: &Name) -> Result<Option<Hull>, Expr> {
    hull_of(nest, body, buffer, &|_| true)
}

/// [`hull`] of those touches that count.
pub(crate) fn hull_of(
    nest: &LoopNest,
    body: &[Stmt],
    buffer: &Name,
    counts: &impl Fn(&Touch) -> bool,
) -> Result<Option<Hull>, Expr> {
    let keep = nest.depth();
    let mut hull: Option<Hull> = None;
    let mut failed = None;
    let mut last: Option<(&Access, &[Expr])> = None;
    for_each_touch(&mut nest.clone(), body, &mut |nest, touch| {
        // What is read and written in one place has one box.
        let place = (touch.access, touch.extents);
        if touch.access.buffer != *buffer || !counts(&touch) || last.replace(place) == Some(place) {
            return;
        }
        let mut dims = Vec::with_capacity(touch.access.idx.len());
        for (d, idx) in touch.access.idx.iter().enumerate() {
            let bounds = || {
                let first = idx.as_affine();
                let width = touch
                    .extents
                    .get(d)
                    .map_or(Affine::constant(1), Expr::as_affine);
                let last = first.add(&width)?.add(&Affine::constant(-1))?;
                Some((nest.least(&first, keep)?, nest.greatest(&last, keep)?))
            };
            match bounds() {
                Some(bounds) => dims.push(bounds),
                None => failed = Some(idx.clone()),
            }
        }
        hull = Some(match hull.take() {
            None => dims,
            Some(hull) => hull
                .iter()
                .zip(&dims)
                .map(|(a, b)| union(nest, a, b))
                .collect(),
        });
    });
    match failed {
        Some(idx) => Err(idx),
        None => Ok(hull),
    }
}

/// The least interval around two.
pub(crate) fn union(
    nest: &LoopNest,
    a: &(Affine, Affine),
    b: &(Affine, Affine),
) -> (Affine, Affine) {
    if a == b {
        return a.clone();
    }
    (
        one_of(nest, ExprOp::Min, &a.0, &b.0),
        one_of(nest, ExprOp::Max, &a.1, &b.1),
    )
}

/// The minimum or maximum of two: one of them, if it can be proved to be that throughout the loops.
fn one_of(nest: &LoopNest, op: ExprOp, a: &Affine, b: &Affine) -> Affine {
    let either = Expr::bin(op, a.to_expr(), b.to_expr()).as_affine();
    if either == *a || either == *b {
        return either;
    }
    let (less, more) = match op {
        ExprOp::Min => (a, b),
        _ => (b, a),
    };
    let is_ahead = |x: &Affine, y: &Affine| nest.lower(&(x.to_expr() - y.to_expr())) >= Some(0);
    if is_ahead(more, less) {
        a.clone()
    } else if is_ahead(less, more) {
        b.clone()
    } else {
        either
    }
}

/// Whether the box moves past itself with every step of the innermost loop of `nest`: in some dimension, a later
/// iteration begins beyond the end of an earlier one.
pub(crate) fn steps_past(nest: &LoopNest, hull: &Hull) -> bool {
    let Some(var) = nest.vars().last() else {
        return false;
    };
    let once = nest.upper(&Expr::from(var)).is_some_and(|last| last <= 0);
    once || hull.iter().any(|(low, high)| {
        let next = low.to_expr().substitute(var, &(Expr::from(var) + 1));
        nest.lower(&(next - high.to_expr()))
            .is_some_and(|gap| gap >= 1)
    })
}

/// Whether, of every two iterations of the innermost loop of `nest`, the `later` box of the later one lies past the `earlier`
/// box of the earlier one: in some dimension it begins beyond the other's end, and never moves back.
pub(crate) fn moves_beyond(nest: &LoopNest, earlier: &Hull, later: &Hull) -> bool {
    let Some(var) = nest.vars().last() else {
        return false;
    };
    let once = nest.upper(&Expr::from(var)).is_some_and(|last| last <= 0);
    once || earlier.iter().zip(later).any(|((_, high), (low, _))| {
        let low = low.to_expr();
        let next = low.substitute(var, &(Expr::from(var) + 1));
        let at_least = |e: Expr, least| nest.lower(&e).is_some_and(|gap| gap >= least);
        at_least(next.clone() - high.to_expr(), 1) && at_least(next - low, 0)
    })
}
