//! Loop-nest programs over memory scopes: the language between the graph and the instruction stream.
//!
//! An operator enters as a naive loop nest over packed tensors in DRAM. [`schedule`] primitives rewrite it,
//! each checking its own precondition, until tiles sit in the scratchpads and the innermost nests are hardware
//! intrinsics. [`interp`] runs any program, naive or scheduled, and is the oracle that both mean the same;
//! [`verify`] proves indices in range and [`verify_on`] allocations within capacity; [`parse`] reads back what
//! `Display` prints.
//!
//! This crate knows memory scopes and the shape of the intrinsics. It does not know encodings, tokens or
//! addresses: turning the end form into instructions is the compiler's work.
//!
//! The text form and the meaning of every statement are described in `docs/tir.md`.

mod affine;
mod bounds;
mod expr;
pub mod interp;
pub mod intrinsics;
mod program;
mod region;
pub mod schedule;
mod stmt;
mod text;
mod ties;
mod value;
mod verify;

pub use affine::Affine;
pub use bounds::LoopNest;
pub use expr::{EvalError, Expr, ExprOp, Name, var};
pub use interp::{Array, Arrays, InterpError};
pub use intrinsics::{Geometry, Intrinsic};
pub use program::{Buffer, DType, Direction, ELEM_RANK, Param, Program, Scope};
pub use stmt::{AluOp, Operand, Stmt};
pub use text::{ParseError, parse};
pub use value::{Access, Value, ValueOp};
pub use verify::{Limits, VerifyError, verify, verify_on};
