//! Devices and the execution of compiled networks.
//!
//! - [`Device`] is an accelerator with its memory; [`SimDevice`] is the functional simulator as one;
//! - [`Network`] loads a [`vta_program::Program`] into a device and runs inferences;
//! - [`preprocess`] makes input tensors of raw pixels and features.
//!
//! Nothing is compiled here: a network arrives ready, and only its addresses are put in. The crate
//! builds for 32-bit hosts.

mod device;
mod network;
pub mod preprocess;
pub mod resize;
mod sim_device;

pub use device::{Device, DeviceError, ErrorKind, RunLimits};
pub use network::{Network, NetworkError, RunStats, StepTime};
pub use sim_device::{DEFAULT_MEMORY, SimDevice};
