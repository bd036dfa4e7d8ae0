//! Devices and the execution of compiled networks.
//!
//! - [`Device`] is an accelerator with its memory; [`SimDevice`] is the functional simulator as one,
//!   [`CycleDevice`] the cycle simulator;
//! - [`Network`] loads a [`vta_program::Program`] into a device and runs inferences;
//! - [`preprocess`] makes input tensors of raw pixels and features.
//!
//! Nothing is compiled here: a network arrives ready, and only its addresses are put in. The crate
//! builds for 32-bit hosts.

mod cycle_device;
mod device;
mod memory;
mod network;
pub mod preprocess;
pub mod resize;
mod sim_device;
mod stats;

pub use cycle_device::CycleDevice;
pub use device::{Device, DeviceError, ErrorKind, RunLimits, StreamRun};
pub use memory::{DEFAULT_MEMORY, DeviceMemory};
pub use network::{Network, NetworkError};
pub use sim_device::SimDevice;
pub use stats::{OperatorTime, RunStats, StepTime, StreamStats};
