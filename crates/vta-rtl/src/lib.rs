//! The hardware of `hardware/rtl`, run by Verilator.
//!
//! [`RtlModel`] is a design's hardware as a library, built on first use and kept by digest;
//! [`RtlSim`] runs streams on it, cycle by cycle, with the memory of `hardware/README.md`;
//! `RtlDevice` is the same as a device.
//!
//! Nothing here knows what an instruction does: that is in the hardware's sources.

mod error;
mod library;
mod model;
mod sim;
mod sources;
mod tools;

pub use error::RtlError;
pub use model::{Progress, RtlModel};
pub use sim::{RtlOptions, RtlReport, RtlSim};
pub use sources::SOURCES;
