//! What a device runs: command streams, micro-kernels, DRAM layout and the program container.
//!
//! - [`CommandStream`] turns transfers, micro-kernels and tokens into instructions;
//! - [`DramAllocator`] and [`SubBuffers`] give out device memory;
//! - [`relocate()`] moves a stream to where its arena lies;
//! - [`Program`] is a compiled network, and (de)serializes as a `.vta` container.
//!
//! This crate neither compiles networks nor runs them: a compiler writes programs with it, a
//! runtime reads them. It builds for 32-bit hosts.

pub mod bits;
mod check;
mod container;
mod dram;
mod kernel;
mod mismatch;
mod preprocess;
mod program;
mod relocate;
mod stream;
mod stream_error;
mod transfer;
mod uop_cache;

pub use check::{MAX_ARENA_BYTES, MAX_SLOT_ELEMS, ProgramError};
pub use container::{ContainerError, MAGIC, VERSION};
pub use dram::{AllocError, DramAllocator, SubBuffers};
pub use kernel::{KernelId, KernelPool};
pub use mismatch::{DesignMismatch, DifferingKey};
pub use preprocess::{IntegerInput, Layout, Preprocess, Resize};
pub use program::{
    DTYPES, ImageSection, InsnRange, Layer, Place, Placement, Program, Slot, SlotId, Step,
};
pub use relocate::{RelocateError, dram_range, mem_insn, relocate};
pub use stream::{CommandStream, Loop, Operand, Stream};
pub use stream_error::StreamError;
pub use transfer::{Block2d, Pads};
pub use uop_cache::UopCounters;
