//! Printing: the inverse of parsing.

use std::fmt;

use crate::expr::{Expr, ExprOp};
use crate::program::{Buffer, Direction, Program};
use crate::stmt::{Operand, Stmt};
use crate::value::{Access, Value, ValueOp};

/// How tightly an operator binds; calls and literals bind tightest.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Shift,
    Sum,
    Product,
    Call,
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        expr(f, self, Level::Shift)
    }
}

fn expr(f: &mut fmt::Formatter<'_>, e: &Expr, at: Level) -> fmt::Result {
    let (op, a, b) = match e {
        Expr::Const(c) => return write!(f, "{c}"),
        Expr::Var(v) => return write!(f, "{v}"),
        Expr::Bin(op, a, b) => (op, a, b),
    };
    let (level, sign) = match op {
        ExprOp::Add => (Level::Sum, "+"),
        ExprOp::Sub => (Level::Sum, "-"),
        ExprOp::Mul => (Level::Product, "*"),
        ExprOp::FloorDiv => (Level::Product, "/"),
        ExprOp::Mod => (Level::Product, "%"),
        ExprOp::Min => (Level::Call, "min"),
        ExprOp::Max => (Level::Call, "max"),
    };
    infix(
        f,
        level,
        sign,
        at,
        |f, at| expr(f, a, at),
        |f, at| expr(f, b, at),
    )
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        value(f, self, Level::Shift)
    }
}

fn value(f: &mut fmt::Formatter<'_>, v: &Value, at: Level) -> fmt::Result {
    let (op, a, b) = match v {
        Value::Const(c) => return write!(f, "{c}"),
        Value::Read { access, padded } => return place(f, access, *padded),
        Value::Cast(dtype, a) => return write!(f, "{}({a})", dtype.name()),
        Value::Bin(op, a, b) => (op, a, b),
    };
    let (level, sign) = match op {
        ValueOp::Shr => (Level::Shift, ">>"),
        ValueOp::Add => (Level::Sum, "+"),
        ValueOp::Sub => (Level::Sum, "-"),
        ValueOp::Mul => (Level::Product, "*"),
        ValueOp::Min => (Level::Call, "min"),
        ValueOp::Max => (Level::Call, "max"),
    };
    infix(
        f,
        level,
        sign,
        at,
        |f, at| value(f, a, at),
        |f, at| value(f, b, at),
    )
}

/// `a sign b` in a place that wants at least level `at`; operators of one level associate to the left.
fn infix<'a>(
    f: &mut fmt::Formatter<'a>,
    level: Level,
    sign: &str,
    at: Level,
    a: impl Fn(&mut fmt::Formatter<'a>, Level) -> fmt::Result,
    b: impl Fn(&mut fmt::Formatter<'a>, Level) -> fmt::Result,
) -> fmt::Result {
    let right = match level {
        Level::Shift => Level::Sum,
        Level::Sum => Level::Product,
        Level::Product => Level::Call,
        Level::Call => {
            write!(f, "{sign}(")?;
            a(f, Level::Shift)?;
            f.write_str(", ")?;
            b(f, Level::Shift)?;
            return f.write_str(")");
        }
    };
    let parens = level < at;
    f.write_str(if parens { "(" } else { "" })?;
    a(f, level)?;
    write!(f, " {sign} ")?;
    b(f, right)?;
    f.write_str(if parens { ")" } else { "" })
}

fn list(f: &mut fmt::Formatter<'_>, items: &[Expr]) -> fmt::Result {
    f.write_str("[")?;
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str("]")
}

fn place(f: &mut fmt::Formatter<'_>, access: &Access, padded: Option<i32>) -> fmt::Result {
    write!(f, "{}", access.buffer)?;
    match padded {
        None => {}
        Some(0) => f.write_str(".pad")?,
        Some(with) => write!(f, ".pad({with})")?,
    }
    list(f, &access.idx)
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self, None)
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}{} {}",
            self.name,
            if self.double { "double " } else { "" },
            self.scope.name(),
            self.dtype.name()
        )?;
        list(f, &self.shape)
    }
}

/// The first line of the statement: all of it but the body of a loop or an allocation.
impl fmt::Display for Stmt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stmt::For { var, extent, .. } => write!(f, "for {var} in 0..{extent}"),
            Stmt::Alloc { buffer, .. } => write!(f, "alloc {buffer}"),
            Stmt::Assign { dst, value } => write!(f, "{dst} = {value}"),
            Stmt::Accumulate { dst, value } => write!(f, "{dst} += {value}"),
            Stmt::Load {
                dst,
                src,
                padded,
                extents,
            } => {
                write!(f, "load {dst} <- ")?;
                place(f, src, *padded)?;
                f.write_str(" : ")?;
                list(f, extents)
            }
            Stmt::Store {
                dst,
                src,
                extents,
                by,
            } => {
                write!(f, "store {dst} <- {src} : ")?;
                list(f, extents)?;
                by.iter().try_for_each(|by| write!(f, " by {by}"))
            }
            Stmt::Gemm { acc, inp, wgt } => write!(f, "gemm {acc}, {inp}, {wgt}"),
            Stmt::Reset { acc } => write!(f, "reset {acc}"),
            Stmt::Alu {
                op,
                dst,
                src: Operand::Imm(imm),
            } => write!(f, "alu.{} {dst}, {imm}", op.name()),
            Stmt::Alu {
                op,
                dst,
                src: Operand::Elem(src),
            } => write!(f, "alu.{} {dst}, {src}", op.name()),
        }
    }
}

fn block(f: &mut fmt::Formatter<'_>, body: &[Stmt], depth: usize) -> fmt::Result {
    f.write_str(" {\n")?;
    for stmt in body {
        write!(f, "{:width$}{stmt}", "", width = 2 * depth + 2)?;
        match stmt {
            Stmt::For { body, .. } | Stmt::Alloc { body, .. } => block(f, body, depth + 1)?,
            _ => f.write_str("\n")?,
        }
    }
    writeln!(f, "{:width$}}}", "", width = 2 * depth)
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}(", self.name)?;
        for (i, param) in self.params.iter().enumerate() {
            let direction = match param.direction {
                Direction::In => "in",
                Direction::Out => "out",
            };
            let Buffer {
                name, dtype, shape, ..
            } = &param.buffer;
            write!(
                f,
                "{}{name}: {direction} {}",
                if i == 0 { "" } else { ", " },
                dtype.name()
            )?;
            list(f, shape)?;
        }
        f.write_str(")")?;
        block(f, &self.body, 0)
    }
}
