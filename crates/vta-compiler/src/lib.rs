//! From a quantized graph to instruction streams.
//!
//! [`compile`] takes an integer graph and a design to a [`vta_program::Program`]: it decides
//! what the accelerator runs ([`partition`]), lays tensors out in memory ([`plan`]), writes each
//! operator as a loop nest and schedules it ([`ops`]), walks the nests into instructions
//! ([`emit`]), orders those by tokens, and has every stream checked.
//!
//! It does not import or quantize networks, and runs nothing.

mod arena;
mod check;
pub mod emit;
pub mod epilogue;
mod error;
mod layers;
mod lower;
mod nest;
pub mod ops;
mod options;
pub mod partition;
mod pipeline;
pub mod plan;
mod prefetch;
pub mod records;
mod search;
pub mod segment;
mod slots;
mod timing;
mod tokens;
mod watch;

pub use error::CompileError;
pub use lower::{LowerError, Lowered};
pub use nest::{NestStream, compile_nest};
pub use options::{CompileOptions, Offload};
pub use partition::quant_target;
pub use pipeline::{Compiled, compile, compile_watched, compile_with};
pub use watch::Watch;
