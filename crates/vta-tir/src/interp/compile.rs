//! Names to slots, so that nothing is looked up while loops run.

use crate::expr::{Expr, ExprOp, Name};
use crate::program::{DType, Program};
use crate::stmt::{Operand, Stmt};
use crate::value::{Access, Value, ValueOp};

/// An index expression; the slot of a variable is its depth in the nest.
pub(super) enum Index {
    Linear {
        constant: i64,
        terms: Vec<(usize, i64)>,
    },
    Bin(ExprOp, Box<Index>, Box<Index>),
}

/// A place; the slot of a buffer is its position among those in scope.
pub(super) struct Spot {
    pub(super) buffer: usize,
    pub(super) idx: Vec<Index>,
}

pub(super) enum Val {
    Const(i64),
    Read { spot: Spot, padded: Option<i32> },
    Bin(ValueOp, Box<Val>, Box<Val>),
    Cast(DType, Box<Val>),
}

pub(super) enum Source {
    Imm(i64),
    Elem(Spot),
}

pub(super) enum Op<'a> {
    For {
        var: &'a Name,
        extent: Index,
        body: Vec<Node<'a>>,
    },
    Alloc {
        dtype: DType,
        shape: Vec<Index>,
        body: Vec<Node<'a>>,
    },
    Write {
        dst: Spot,
        value: Val,
        accumulate: bool,
    },
    Copy {
        dst: Spot,
        src: Spot,
        padded: Option<i32>,
        extents: Vec<Index>,
        by: Option<Spot>,
    },
    Gemm {
        acc: Spot,
        inp: Spot,
        wgt: Spot,
    },
    Reset {
        acc: Spot,
    },
    Alu {
        op: ValueOp,
        dst: Spot,
        src: Source,
    },
}

/// A statement and what it compiled to.
pub(super) struct Node<'a> {
    pub(super) stmt: &'a Stmt,
    pub(super) op: Op<'a>,
}

/// Compiles a program whose names resolve.
pub(super) fn compile(program: &Program) -> Vec<Node<'_>> {
    let buffers = program
        .params
        .iter()
        .map(|param| &param.buffer.name)
        .collect();
    Scopes {
        vars: Vec::new(),
        buffers,
    }
    .block(&program.body)
}

struct Scopes<'a> {
    vars: Vec<&'a Name>,
    buffers: Vec<&'a Name>,
}

fn slot(names: &[&Name], name: &Name) -> usize {
    names
        .iter()
        .rposition(|known| *known == name)
        .expect("names were resolved before")
}

impl<'a> Scopes<'a> {
    fn block(&mut self, body: &'a [Stmt]) -> Vec<Node<'a>> {
        body.iter()
            .map(|stmt| Node {
                stmt,
                op: self.op(stmt),
            })
            .collect()
    }

    fn op(&mut self, stmt: &'a Stmt) -> Op<'a> {
        match stmt {
            Stmt::For { var, extent, body } => {
                let extent = self.index(extent);
                self.vars.push(var);
                let body = self.block(body);
                self.vars.pop();
                Op::For { var, extent, body }
            }
            Stmt::Alloc { buffer, body } => {
                let shape = self.indices(&buffer.shape);
                self.buffers.push(&buffer.name);
                let body = self.block(body);
                self.buffers.pop();
                Op::Alloc {
                    dtype: buffer.dtype,
                    shape,
                    body,
                }
            }
            Stmt::Assign { dst, value } => Op::Write {
                dst: self.spot(dst),
                value: self.value(value),
                accumulate: false,
            },
            Stmt::Accumulate { dst, value } => Op::Write {
                dst: self.spot(dst),
                value: self.value(value),
                accumulate: true,
            },
            Stmt::Load {
                dst,
                src,
                padded,
                extents,
            } => Op::Copy {
                dst: self.spot(dst),
                src: self.spot(src),
                padded: *padded,
                extents: self.indices(extents),
                by: None,
            },
            Stmt::Store {
                dst,
                src,
                extents,
                by,
            } => Op::Copy {
                dst: self.spot(dst),
                src: self.spot(src),
                padded: None,
                extents: self.indices(extents),
                by: by.as_ref().map(|by| self.spot(by)),
            },
            Stmt::Gemm { acc, inp, wgt } => Op::Gemm {
                acc: self.spot(acc),
                inp: self.spot(inp),
                wgt: self.spot(wgt),
            },
            Stmt::Reset { acc } => Op::Reset {
                acc: self.spot(acc),
            },
            Stmt::Alu { op, dst, src } => {
                let src = match src {
                    Operand::Imm(imm) => Source::Imm(i64::from(*imm)),
                    Operand::Elem(src) => Source::Elem(self.spot(src)),
                };
                Op::Alu {
                    op: op.value_op(),
                    dst: self.spot(dst),
                    src,
                }
            }
        }
    }

    fn spot(&self, access: &Access) -> Spot {
        Spot {
            buffer: slot(&self.buffers, &access.buffer),
            idx: self.indices(&access.idx),
        }
    }

    fn indices(&self, exprs: &[Expr]) -> Vec<Index> {
        exprs.iter().map(|expr| self.index(expr)).collect()
    }

    fn index(&self, expr: &Expr) -> Index {
        let affine = expr.as_affine();
        if affine.is_linear() {
            let mut terms = Vec::new();
            for (term, coefficient) in affine.terms() {
                if let Expr::Var(var) = term {
                    terms.push((slot(&self.vars, var), coefficient));
                }
            }
            return Index::Linear {
                constant: affine.offset(),
                terms,
            };
        }
        match expr {
            Expr::Const(c) => Index::Linear {
                constant: *c,
                terms: Vec::new(),
            },
            Expr::Var(var) => Index::Linear {
                constant: 0,
                terms: vec![(slot(&self.vars, var), 1)],
            },
            Expr::Bin(op, a, b) => {
                Index::Bin(*op, Box::new(self.index(a)), Box::new(self.index(b)))
            }
        }
    }

    fn value(&self, value: &Value) -> Val {
        match value {
            Value::Const(c) => Val::Const(*c),
            Value::Read { access, padded } => Val::Read {
                spot: self.spot(access),
                padded: *padded,
            },
            Value::Bin(op, a, b) => Val::Bin(*op, Box::new(self.value(a)), Box::new(self.value(b))),
            Value::Cast(dtype, a) => Val::Cast(*dtype, Box::new(self.value(a))),
        }
    }
}
