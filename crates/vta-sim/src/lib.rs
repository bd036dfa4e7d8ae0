//!
//! * [`FuncSim`] runs a stream on a DRAM image: exact results, no timing. It never hangs and never
//!   leaves its memories; whatever is wrong with a stream is a [`Fault`] that names the instruction,
//!   the state of the queues, the cause and the remedy.
//!   the same memory, or names what breaks it, in the same words.
//!   that runs or rewrites streams.
//!
//! ([`machine`]), and both learn what an instruction touches from one place ([`access`]).
//!
//! What it is not: it knows no cycles, no bus and no compiler; DRAM is a plain array of bytes, allocated by
//! whoever owns it.
#![forbid(unsafe_code)]

mod access;
mod counters;
mod dram;
mod fault;
mod func;
mod kernel;
mod lanes;
mod machine;

pub use counters::{AluCounters, Bytes, Counters, InsnCounters};
pub use dram::Dram;
pub use fault::{Cause, Direction, Fault, Head, Kind, Operand, Place, QueueState, Site, Wait};
pub use func::{FuncSim, Leftover, RunOptions, RunReport};
pub use machine::{Order, TokenQueue};
