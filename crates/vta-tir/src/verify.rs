//! Whether a program makes sense: names, ranks, proven bounds, capacities.

use std::collections::BTreeSet;
use std::fmt;

use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::intrinsics::{Geometry, RECORD_WORDS};
use crate::program::{Buffer, DType, Direction, ELEM_RANK, Program, Scope};
use crate::region::Use;
use crate::stmt::{Operand, Stmt};
use crate::text::is_name;
use crate::value::Access;

/// What a program must fit: the shape of elements and how many each scratchpad holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Dimensions of the elements.
    pub geometry: Geometry,
    /// Elements of the input scratchpad.
    pub inp: u64,
    /// Elements of the weight scratchpad.
    pub wgt: u64,
    /// Elements of the register file; `acc` and `out` allocations share them.
    pub acc: u64,
    /// Elements of the table that stores rescale by: records of a whole channel block.
    pub rqt: u64,
}

impl Limits {
    /// Capacity of a scope in elements; nothing where this crate does not plan it.
    fn capacity(&self, scope: Scope) -> Option<u64> {
        match scope {
            Scope::Dram | Scope::Uop => None,
            Scope::Inp => Some(self.inp),
            Scope::Wgt => Some(self.wgt),
            Scope::Acc | Scope::Out => Some(self.acc),
            Scope::Rqt => Some(self.rqt),
        }
    }
}

/// What is wrong with a program, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// The first line of the statement; the parameter for a fault in the signature.
    pub statement: String,
    /// The loops around it, outermost first.
    pub loops: Vec<Name>,
    /// What is wrong.
    pub reason: String,
}

impl std::error::Error for VerifyError {}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.statement)?;
        for (i, var) in self.loops.iter().enumerate() {
            write!(f, "{}{var}", if i == 0 { " in loops " } else { ", " })?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Checks names, scopes and ranks, and proves every index in range and every write allowed.
///
/// # Errors
/// The first fault, with its statement and the loops around it. An index that is in range but by an argument that
/// interval analysis does not see is refused too.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    Checker::check(program, true, None)
}

/// As [`verify`], and the scratchpad allocations have elements of the right shape and fit, all that live at one time
/// together, at their largest extents.
///
/// # Errors
/// As [`verify`]; an allocation that does not fit names the capacity and what the allocations around it take.
pub fn verify_on(program: &Program, limits: &Limits) -> Result<(), VerifyError> {
    Checker::check(program, true, Some(limits))
}

/// Names, scopes and ranks alone: what the interpreter needs to know before it starts.
pub(crate) fn resolve(program: &Program) -> Result<(), VerifyError> {
    Checker::check(program, false, None)
}

type Checked = Result<(), String>;

struct Checker<'a> {
    bounds: bool,
    limits: Option<&'a Limits>,
    names: BTreeSet<&'a Name>,
    nest: LoopNest,
    /// Those in scope, with whether they may be written.
    buffers: Vec<(&'a Buffer, bool)>,
}

impl<'a> Checker<'a> {
    fn check(
        program: &'a Program,
        bounds: bool,
        limits: Option<&'a Limits>,
    ) -> Result<(), VerifyError> {
        let (names, nest, buffers) = (BTreeSet::new(), LoopNest::new(), Vec::new());
        let mut checker = Checker {
            bounds,
            limits,
            names,
            nest,
            buffers,
        };
        for param in &program.params {
            checker.param(&param.buffer).map_err(|reason| VerifyError {
                statement: param.buffer.to_string(),
                loops: Vec::new(),
                reason,
            })?;
            checker
                .buffers
                .push((&param.buffer, param.direction == Direction::Out));
        }
        checker.block(&program.body)
    }

    fn param(&mut self, buffer: &'a Buffer) -> Checked {
        self.declare(&buffer.name)?;
        if buffer.scope != Scope::Dram {
            return Err("a parameter lives in dram".into());
        }
        match buffer
            .shape
            .iter()
            .find(|extent| !matches!(extent, Expr::Const(1..)))
        {
            Some(extent) => Err(format!(
                "extent `{extent}` of a parameter is not a positive constant"
            )),
            None => Ok(()),
        }
    }

    fn declare(&mut self, name: &'a Name) -> Checked {
        if !is_name(name) {
            return Err(format!("`{name}` cannot be a name"));
        }
        if !self.names.insert(name) {
            return Err(format!(
                "`{name}` is declared twice; names are unique within a program"
            ));
        }
        Ok(())
    }

    fn block(&mut self, body: &'a [Stmt]) -> Result<(), VerifyError> {
        for stmt in body {
            self.stmt(stmt).map_err(|reason| VerifyError {
                statement: stmt.to_string(),
                loops: self.nest.vars().cloned().collect(),
                reason,
            })?;
            match stmt {
                Stmt::For { var, extent, body } => {
                    self.nest.push(var.clone(), extent.clone());
                    self.block(body)?;
                    self.nest.pop();
                }
                Stmt::Alloc { buffer, body } => {
                    self.buffers.push((buffer, true));
                    self.block(body)?;
                    self.buffers.pop();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &'a Stmt) -> Checked {
        match stmt {
            Stmt::For { var, extent, .. } => {
                self.extent(extent)?;
                self.declare(var)?;
            }
            Stmt::Alloc { buffer, .. } => {
                self.declare(&buffer.name)?;
                buffer
                    .shape
                    .iter()
                    .try_for_each(|extent| self.extent(extent))?;
                self.fits(buffer)?;
            }
            Stmt::Assign { .. } | Stmt::Accumulate { .. } => {}
            Stmt::Load {
                dst, src, extents, ..
            } => {
                let (to, from) = self.copy(dst, src, extents)?;
                if !matches!(to.scope, Scope::Inp | Scope::Wgt | Scope::Acc | Scope::Rqt)
                    || from.scope != Scope::Dram
                {
                    return Err("a load goes from dram to inp, wgt, acc or rqt".into());
                }
                if to.dtype != from.dtype && (to.scope != Scope::Acc || to.dtype < from.dtype) {
                    return Err("a load keeps the type; only into acc it may widen".into());
                }
            }
            Stmt::Store {
                dst,
                src,
                extents,
                by,
            } => {
                let (to, from) = self.copy(dst, src, extents)?;
                if to.scope != Scope::Dram || !matches!(from.scope, Scope::Acc | Scope::Out) {
                    return Err("a store goes from acc or out to dram".into());
                }
                if let Some(by) = by {
                    let table = self.operand(by, Scope::Rqt)?;
                    if !table.elem()[0].same_as(&from.elem()[1]) {
                        return Err("there is not a record for each column".into());
                    }
                    let words = table.elem()[1].as_const();
                    if table.dtype != DType::I32 || words != Some(RECORD_WORDS) {
                        return Err(format!("a record is {RECORD_WORDS} words of i32"));
                    }
                }
                if to.dtype > from.dtype {
                    return Err("a store keeps the type or narrows".into());
                }
            }
            Stmt::Gemm { acc, inp, wgt } => {
                let acc = self.operand(acc, Scope::Acc)?;
                let (inp, wgt) = (
                    self.operand(inp, Scope::Inp)?,
                    self.operand(wgt, Scope::Wgt)?,
                );
                let (a, i, w) = (acc.elem(), inp.elem(), wgt.elem());
                if !(a[0].same_as(&i[0]) && a[1].same_as(&w[0]) && i[1].same_as(&w[1])) {
                    return Err(
                        "element shapes disagree: gemm wants acc[b, o], inp[b, k], wgt[o, k]"
                            .into(),
                    );
                }
            }
            Stmt::Reset { acc } => {
                self.operand(acc, Scope::Acc)?;
            }
            Stmt::Alu { dst, src, .. } => {
                let dst = self.operand(dst, Scope::Acc)?;
                if let Operand::Elem(src) = src {
                    same_elem(dst, self.operand(src, Scope::Acc)?)?;
                }
            }
        }
        let mut outcome = Ok(());
        stmt.for_each_touch(&mut |touch| {
            if outcome.is_ok() {
                let whole = matches!(stmt, Stmt::Assign { .. } | Stmt::Accumulate { .. });
                outcome = self.access(touch.access, touch.extents, whole, touch.kind, touch.padded);
            }
        });
        outcome
    }

    fn bound(&self, expr: &Expr) -> Checked {
        let mut unbound = None;
        expr.for_each_var(&mut |var| {
            if !self.nest.binds(var) {
                unbound = Some(var);
            }
        });
        unbound.map_or(Ok(()), |var| {
            Err(format!("no loop around this binds `{var}`"))
        })
    }

    fn extent(&self, extent: &Expr) -> Checked {
        self.bound(extent)?;
        if self.bounds && self.nest.lower(extent).is_none_or(|least| least < 0) {
            return Err(format!("extent `{extent}` may be negative"));
        }
        Ok(())
    }

    fn find(&self, name: &Name) -> Result<(&'a Buffer, bool), String> {
        let found = self
            .buffers
            .iter()
            .rfind(|(buffer, _)| buffer.name == *name);
        found
            .copied()
            .ok_or_else(|| format!("no buffer `{name}` here"))
    }

    fn operand(&self, access: &Access, scope: Scope) -> Result<&'a Buffer, String> {
        let (buffer, _) = self.find(&access.buffer)?;
        if buffer.scope != scope {
            return Err(format!(
                "`{}` is in {}, not in {}",
                buffer.name,
                buffer.scope.name(),
                scope.name()
            ));
        }
        if buffer.rank() < ELEM_RANK {
            return Err(format!(
                "`{}` has no elements: its rank is below {ELEM_RANK}",
                buffer.name
            ));
        }
        Ok(buffer)
    }

    /// The two sides of a box copy, destination first.
    fn copy(
        &self,
        dst: &Access,
        src: &Access,
        extents: &[Expr],
    ) -> Result<(&'a Buffer, &'a Buffer), String> {
        let (to, from) = (self.find(&dst.buffer)?.0, self.find(&src.buffer)?.0);
        if to.rank() != from.rank()
            || to.rank() < ELEM_RANK
            || extents.len() != to.rank() - ELEM_RANK
        {
            return Err(
                "both sides need the same rank, and an extent for each leading dimension".into(),
            );
        }
        same_elem(to, from)?;
        extents.iter().try_for_each(|extent| self.extent(extent))?;
        Ok((to, from))
    }

    fn access(
        &self,
        access: &Access,
        extents: &[Expr],
        whole: bool,
        kind: Use,
        padded: Option<i32>,
    ) -> Checked {
        let (buffer, writable) = self.find(&access.buffer)?;
        if let Some(with) = padded.filter(|&with| buffer.dtype.wrap(with.into()) != with) {
            let (name, dtype) = (&buffer.name, buffer.dtype.name());
            return Err(format!(
                "`{name}` is padded with {with}, which is no {dtype}"
            ));
        }
        if kind != Use::Read && !writable {
            return Err(format!(
                "`{}` is an input and cannot be written",
                buffer.name
            ));
        }
        let dims = if whole {
            &buffer.shape
        } else {
            buffer.leading()
        };
        if access.idx.len() != dims.len() {
            let (given, name) = (access.idx.len(), &buffer.name);
            return Err(format!(
                "`{name}[]` wants {} indices here, not {given}",
                dims.len()
            ));
        }
        for (d, (idx, dim)) in access.idx.iter().zip(dims).enumerate() {
            self.bound(idx)?;
            if !self.bounds || padded.is_some() {
                continue;
            }
            let end = match extents.get(d) {
                Some(extent) => idx.clone() + extent,
                None => idx.clone() + 1,
            };
            let (low, over) = (self.nest.lower(idx), self.nest.upper(&(end - dim)));
            if low.is_none_or(|low| low < 0) {
                return Err(format!(
                    "index `{idx}` of `{}` may be negative{}",
                    buffer.name,
                    bound("lowest", low)
                ));
            }
            if over.is_none_or(|over| over > 0) {
                let over = bound("too far by", over);
                return Err(format!(
                    "index `{idx}` of `{}` may pass its extent {dim}{over}",
                    buffer.name
                ));
            }
        }
        Ok(())
    }

    fn fits(&self, buffer: &Buffer) -> Checked {
        let Some((limits, capacity)) = self
            .limits
            .and_then(|l| Some((l, l.capacity(buffer.scope)?)))
        else {
            return Ok(());
        };
        if let Some(elem) = limits.geometry.elem(buffer.scope) {
            let given: Vec<_> = buffer.elem().iter().map(Expr::as_const).collect();
            if given != elem.map(Some) {
                let scope = buffer.scope.name();
                return Err(format!(
                    "an element of {scope} is [{}, {}] in this design",
                    elem[0], elem[1]
                ));
            }
        }
        let mut taken = 0u64;
        for (other, _) in &self.buffers {
            if limits.shared(other.scope) == limits.shared(buffer.scope) {
                taken = taken.saturating_add(self.elements(other)?);
            }
        }
        let needed = self.elements(buffer)?;
        if taken.saturating_add(needed) > capacity {
            let scope = buffer.scope.name();
            return Err(format!(
                "`{}` takes up to {needed} elements of {scope}, {taken} are taken, and it holds {capacity}; \
                 choose smaller tiles",
                buffer.name
            ));
        }
        Ok(())
    }

    /// The most elements that an allocation takes.
    fn elements(&self, buffer: &Buffer) -> Result<u64, String> {
        let places: u64 = if buffer.double { 2 } else { 1 };
        buffer.leading().iter().try_fold(places, |product, extent| {
            let most = self
                .nest
                .upper(extent)
                .ok_or_else(|| format!("extent `{extent}` has no bound"))?;
            Ok(product.saturating_mul(u64::try_from(most).unwrap_or(0)))
        })
    }
}

impl Limits {
    /// Scopes that share one memory map to the same scope.
    fn shared(&self, scope: Scope) -> Scope {
        if scope == Scope::Out {
            Scope::Acc
        } else {
            scope
        }
    }
}

fn same_elem(a: &Buffer, b: &Buffer) -> Checked {
    if a.elem().len() == b.elem().len() && a.elem().iter().zip(b.elem()).all(|(a, b)| a.same_as(b))
    {
        return Ok(());
    }
    Err(format!(
        "elements of `{}` and `{}` have different shapes",
        a.name, b.name
    ))
}

fn bound(what: &str, value: Option<i64>) -> String {
    value.map_or(String::new(), |value| format!(" ({what} {value})"))
}
