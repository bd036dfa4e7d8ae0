//! Executes and checks raw instruction streams of VTA.
//!
//! * [`FuncSim`] runs a stream on a DRAM image: exact results, no timing. It never hangs and never
//!   leaves its memories; whatever is wrong with a stream is a [`Fault`] that names the instruction,
//!   the state of the queues, the cause and the remedy.
//! * [`CycleSim`] does the same and tells in which cycle each instruction is taken and retires, exactly as
//!   the hardware's page (`hardware/README.md`) has it, with data or without.
//! * [`check`](fn@check) proves, without computing a value, that every interleaving which the tokens
//!   allow gives the same memory, or names what breaks it, in the same words.
//! * [`generate`](fn@generate) makes random programs that are correct by construction, for tests of
//!   everything that runs or rewrites streams.
//!
//! The functional simulator and the checker drive one machine of queues and tokens (`machine`); the cycle
//! simulator has its own (`cycle`), where tokens carry the cycles in which they move. All learn what an
//! instruction touches from one place (`access`).
//!
//! A stream is decoded once ([`FuncSim`] keeps the last ones), and what its GEMM instructions ask for is done in blocks
//! that keep accumulators and weights in the registers of the host (`kernel`), with the vector instructions that it has:
//! [`HostSimd`]. They change nothing but the time.
//!
//! What it is not: it knows no compiler; DRAM is a plain array of bytes, allocated by whoever owns it.
#![deny(unsafe_code)]

mod access;
mod check;
mod counters;
mod course;
mod cycle;
mod decoded;
mod dram;
mod fault;
mod func;
mod generate;
mod kernel;
mod lanes;
mod machine;
mod meter;
mod requant;
mod shadow;
mod tokens;

pub use check::{CheckOptions, CheckReport, check};
pub use counters::{AluCounters, Bytes, Counters, InsnCounters};
pub use cycle::{
    Burst, Channel, CycleOptions, CycleReport, CycleSim, InsnTiming, MemoryModel, ModuleCycles,
    Traffic, stall,
};
pub use dram::Dram;
pub use fault::{Cause, Direction, Fault, Head, Kind, Operand, Place, QueueState, Site, Wait};
pub use func::{FuncSim, Leftover, RunOptions, RunReport};
pub use generate::{Program, generate, generate_crowded};
pub use kernel::HostSimd;
pub use machine::Order;
pub use tokens::{TokenQueue, pops, pushes};
