//! Executes and checks raw instruction streams of VTA.
//!
//! * [`FuncSim`] runs a stream on a DRAM image: exact results, no timing. It never hangs and never
//!   leaves its memories; whatever is wrong with a stream is a [`Fault`] that names the instruction,
//!   the state of the queues, the cause and the remedy.
//! * [`check`](fn@check) proves, without computing a value, that every interleaving which the tokens
//!   allow gives the same memory, or names what breaks it, in the same words.
//! * [`generate`](fn@generate) makes random programs that are correct by construction, for tests of
//!   everything that runs or rewrites streams.
//!
//! The simulator and the checker drive one machine of queues and tokens (`machine`), and both learn
//! what an instruction touches from one place (`access`).
//!
//! What it is not: it knows no cycles, no bus and no compiler; DRAM is a plain array of bytes,
//! allocated by whoever owns it.
#![forbid(unsafe_code)]

mod access;
mod check;
mod counters;
mod dram;
mod fault;
mod func;
mod generate;
mod kernel;
mod lanes;
mod machine;
mod shadow;
mod tokens;

pub use check::{CheckOptions, CheckReport, check};
pub use counters::{AluCounters, Bytes, Counters, InsnCounters};
pub use dram::Dram;
pub use fault::{Cause, Direction, Fault, Head, Kind, Operand, Place, QueueState, Site, Wait};
pub use func::{FuncSim, Leftover, RunOptions, RunReport};
pub use generate::{Program, generate, generate_crowded};
pub use machine::Order;
pub use tokens::TokenQueue;
