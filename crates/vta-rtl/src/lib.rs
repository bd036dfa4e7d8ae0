//! The hardware of `hardware/rtl`, run by Verilator.
//!
//! [`RtlModel`] is a design's hardware as a library, built on first use and kept by digest;
//! [`RtlSim`] runs streams on it, cycle by cycle, with the memory of `hardware/README.md`;
//! [`RtlDevice`] is the same as a device.
//!
//! [`Cosim`] runs a program in both simulators and in the hardware and compares them, [`Campaign`] many
//! random ones, and [`Coverage`] counts what they met; [`shrink`](fn@shrink) makes one that differs small.
//! Each [`Mutation`] is a deliberate bug that they have to catch.
//!
//! Nothing here executes an instruction: that is for the hardware's sources and for `vta-sim`.

mod brief;
mod cache;
mod cosim;
pub mod coverage;
mod device;
mod error;
mod library;
mod lint;
mod model;
mod mutation;
mod shrink;
mod sim;
mod sources;
mod tools;

pub use cosim::{
    Campaign, Candidate, Cosim, Difference, DifferenceKind, Failure, Placement, Summary, Trial,
    TrialOptions, Who, candidates,
};
pub use coverage::Coverage;
pub use device::RtlDevice;
pub use error::RtlError;
pub use lint::lint;
pub use model::{Progress, RtlModel};
pub use mutation::{Catch, Mutation, MutationError, mutations, parse_mutations, try_mutations};
pub use shrink::shrink;
pub use sim::{RtlOptions, RtlReport, RtlSim};
pub use sources::SOURCES;
