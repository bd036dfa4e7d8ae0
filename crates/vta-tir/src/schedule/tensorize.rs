use std::collections::BTreeMap;

use super::{ScheduleError, Step, find_loop, perfect_nest, stmt_at, stmt_at_mut};
use crate::expr::{Expr, Name};
use crate::intrinsics::{Geometry, Intrinsic};
use crate::program::{ELEM_RANK, Program};
use crate::stmt::{AluOp, Operand, Stmt};
use crate::value::{Access, Value, ValueOp};

/// Which kind of intrinsic to tensorize to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensor {
    /// Matrix multiplication of elements.
    Gemm,
    /// Zeroing an element.
    Reset,
    /// An ALU operation; which one, and whether on an immediate, the nest says.
    Alu,
}

impl Tensor {
    /// Every kind.
    pub const ALL: [Tensor; 3] = [Tensor::Gemm, Tensor::Reset, Tensor::Alu];

    /// The word for it in a line of a schedule.
    pub fn name(self) -> &'static str {
        match self {
            Tensor::Gemm => "gemm",
            Tensor::Reset => "reset",
            Tensor::Alu => "alu",
        }
    }
}

/// Replaces the innermost nest that begins at the loop over `target` by an intrinsic, by unifying it with the
/// intrinsic's [body](Intrinsic::program).
///
/// # Errors
/// No such loop, or what differs from the intrinsic's body.
pub fn tensorize(
    program: &mut Program,
    target: &str,
    kind: Tensor,
    geometry: &Geometry,
) -> Result<(), ScheduleError> {
    let failed = ScheduleError::of("tensorize", target);
    let path = find_loop(program, target).map_err(&failed)?;
    let nest = stmt_at(program, &path);
    let intrinsic = choose(kind, nest).map_err(&failed)?;
    let pattern = intrinsic.program(geometry);
    let element_op = unify(program, &pattern, nest, intrinsic)
        .map_err(|reason| failed(format!("{reason}; the intrinsic is\n{pattern}")))?;
    *stmt_at_mut(program, &path) = element_op;
    Ok(())
}

fn choose(kind: Tensor, nest: &Stmt) -> Step<Intrinsic> {
    match (kind, perfect_nest(nest).1) {
        (Tensor::Gemm, _) => Ok(Intrinsic::Gemm),
        (Tensor::Reset, _) => Ok(Intrinsic::Reset),
        (
            Tensor::Alu,
            [
                Stmt::Assign {
                    value: Value::Bin(op, a, b),
                    ..
                },
            ],
        ) => {
            let op = AluOp::ALL.into_iter().find(|alu| alu.value_op() == *op);
            let op = op.ok_or("the ALU has min, max, add, shr and mul only")?;
            let immediate = [a, b].iter().any(|side| matches!(***side, Value::Const(_)));
            Ok(if immediate {
                Intrinsic::AluImm(op)
            } else {
                Intrinsic::AluElem(op)
            })
        }
        (Tensor::Alu, _) => {
            Err("an ALU operation assigns one binary operation, in a perfect nest".into())
        }
    }
}

/// Pattern names bound to what they met.
struct Bindings<'a> {
    program: &'a Program,
    pattern: &'a Program,
    loops: Vec<(&'a Name, &'a Expr)>,
    wanted: Vec<(&'a Name, &'a Expr)>,
    vars: BTreeMap<&'a Name, &'a Name>,
    operands: BTreeMap<&'a Name, Access>,
    /// Whether the literal of the pattern stands for any.
    any_immediate: bool,
    immediate: Option<i32>,
}

fn unify(program: &Program, pattern: &Program, nest: &Stmt, intrinsic: Intrinsic) -> Step<Stmt> {
    let (loops, body) = perfect_nest(nest);
    let (wanted, [wanted_stmt]) = perfect_nest(&pattern.body[0]) else {
        unreachable!("an intrinsic is one statement")
    };
    let [stmt] = body else {
        return Err(format!(
            "the innermost of its loops holds {} statements, not one",
            body.len()
        ));
    };
    if loops.len() != wanted.len() {
        return Err(format!(
            "a nest of {} loops, not of {}",
            loops.len(),
            wanted.len()
        ));
    }
    let (vars, operands) = (BTreeMap::new(), BTreeMap::new());
    let mut bindings = Bindings {
        program,
        pattern,
        loops,
        wanted,
        vars,
        operands,
        any_immediate: matches!(intrinsic, Intrinsic::AluImm(_)),
        immediate: None,
    };
    bindings.stmt(wanted_stmt, stmt)?;
    let mut operand = |name: &str| {
        bindings
            .operands
            .remove(&Name::from(name))
            .ok_or_else(|| format!("no operand `{name}`"))
    };
    let acc = operand("acc")?;
    Ok(match intrinsic {
        Intrinsic::Gemm => Stmt::Gemm {
            acc,
            inp: operand("inp")?,
            wgt: operand("wgt")?,
        },
        Intrinsic::Reset => Stmt::Reset { acc },
        Intrinsic::AluElem(op) => Stmt::Alu {
            op,
            dst: acc,
            src: Operand::Elem(operand("src")?),
        },
        Intrinsic::AluImm(op) => {
            let imm = bindings.immediate.ok_or("no immediate")?;
            Stmt::Alu {
                op,
                dst: acc,
                src: Operand::Imm(imm),
            }
        }
    })
}

impl<'a> Bindings<'a> {
    fn stmt(&mut self, pattern: &'a Stmt, stmt: &'a Stmt) -> Step<()> {
        match (pattern, stmt) {
            (Stmt::Accumulate { dst: p, value: pv }, Stmt::Accumulate { dst, value })
            | (Stmt::Assign { dst: p, value: pv }, Stmt::Assign { dst, value }) => {
                self.access(p, dst)?;
                self.value(pv, value)
            }
            _ => Err(format!("`{stmt}` differs from `{pattern}`")),
        }
    }

    fn value(&mut self, pattern: &'a Value, value: &'a Value) -> Step<()> {
        match (pattern, value) {
            (Value::Const(0), Value::Const(c)) if self.any_immediate => {
                self.immediate =
                    Some(i32::try_from(*c).map_err(|_| format!("{c} does not fit 32 bits"))?);
                Ok(())
            }
            (Value::Const(p), Value::Const(c)) if p == c => Ok(()),
            (
                Value::Read { access: p, .. },
                Value::Read {
                    access,
                    padded: None,
                },
            ) => self.access(p, access),
            (Value::Bin(p, pa, pb), Value::Bin(op, a, b)) if p == op => {
                let before = (self.vars.clone(), self.operands.clone(), self.immediate);
                let straight = self.value(pa, a).and_then(|()| self.value(pb, b));
                if straight.is_ok() || matches!(op, ValueOp::Shr | ValueOp::Sub) {
                    return straight;
                }
                (self.vars, self.operands, self.immediate) = before;
                self.value(pa, b)
                    .and_then(|()| self.value(pb, a))
                    .or(straight)
            }
            (
                _,
                Value::Read {
                    access,
                    padded: Some(_),
                },
            ) => Err(format!(
                "the read of `{access}` is padded; cache it, and the copy is padded instead"
            )),
            _ => Err(format!("`{value}` differs from `{pattern}`")),
        }
    }

    /// Binds an operand of the pattern to the element that `access` lies in.
    fn access(&mut self, pattern: &'a Access, access: &'a Access) -> Step<()> {
        let Some(wanted) = self.pattern.buffer(&pattern.buffer) else {
            return Err("no such operand".into());
        };
        let operand = self
            .pattern
            .params
            .iter()
            .find(|param| param.buffer.name == pattern.buffer);
        let Some(buffer) = self.program.buffer(&access.buffer) else {
            return Err(format!("no buffer `{}`", access.buffer));
        };
        let scope = operand.map_or(wanted.scope, |param| param.buffer.scope);
        if buffer.scope != scope {
            let (have, want) = (buffer.scope.name(), scope.name());
            return Err(format!(
                "`{}` is in {have}, not in {want}; cache it there or set its scope",
                buffer.name
            ));
        }
        let Some(split) = access.idx.len().checked_sub(ELEM_RANK) else {
            return Err(format!("`{access}` has no elements"));
        };
        let (leading, elem) = access.idx.split_at(split);
        if !buffer
            .elem()
            .iter()
            .zip(&wanted.shape)
            .all(|(have, want)| have.same_as(want))
        {
            let shape: Vec<_> = buffer.elem().iter().map(Expr::to_string).collect();
            return Err(format!(
                "an element of `{}` is [{}]",
                buffer.name,
                shape.join(", ")
            ));
        }
        for (wanted, index) in pattern.idx.iter().zip(elem) {
            self.index(wanted, index)
                .map_err(|reason| format!("in `{access}`: {reason}"))?;
        }
        if let Some((var, _)) = self
            .loops
            .iter()
            .find(|(var, _)| leading.iter().any(|idx| idx.mentions(var)))
        {
            return Err(format!("`{access}` uses `{var}` outside the element"));
        }
        let element = Access {
            buffer: access.buffer.clone(),
            idx: leading.to_vec(),
        };
        match self.operands.get(&pattern.buffer) {
            Some(other) if !same_place(other, &element) => Err(format!(
                "`{element}` and `{other}` differ, where the intrinsic has one element"
            )),
            _ => {
                self.operands.insert(&pattern.buffer, element);
                Ok(())
            }
        }
    }

    /// Binds a loop of the pattern to the loop whose variable is the index.
    fn index(&mut self, wanted: &'a Expr, index: &'a Expr) -> Step<()> {
        let found = self
            .loops
            .iter()
            .find(|(var, _)| *index == Expr::from(*var));
        let (Expr::Var(wanted), Some((var, extent))) = (wanted, found) else {
            return Err(format!(
                "`{index}` is not one of the loops, where the intrinsic has `{wanted}`"
            ));
        };
        if self
            .vars
            .insert(wanted, var)
            .is_some_and(|bound| bound != *var)
        {
            return Err(format!("`{var}` stands in two places of the intrinsic"));
        }
        match self.wanted.iter().find(|(name, _)| *name == wanted) {
            Some((_, want)) if !want.same_as(extent) => {
                Err(format!("`{var}` runs to {extent}, not to {want}"))
            }
            _ => Ok(()),
        }
    }
}

fn same_place(a: &Access, b: &Access) -> bool {
    a.buffer == b.buffer
        && a.idx.len() == b.idx.len()
        && a.idx.iter().zip(&b.idx).all(|(a, b)| a.same_as(b))
}
