//! The design template and the instruction set of VTA.
//!
//! A [`HwConfig`] holds the parameters of a design, as a `vta_config.json` gives them. Checked, it
//! becomes a [`Design`], which knows every depth, element and field width. [`Insn`] and [`Uop`] are
//! the instructions and micro-ops; they encode to and decode from the words of one design, and
//! [`asm`] is their text. All of that follows from one table of fields, `fields.rs`.
//! [`sv`] prints it for the hardware.
//!
//! What an instruction does to memory is not here: `vta-sim` executes streams and checks them.
//!
//! ```
//! use vta_isa::{Body, Deps, Design, HwConfig, Insn, MemInsn, MemType};
//!
//! let design = HwConfig::preset("pynq").unwrap().design()?;
//! let load = MemInsn { memory_type: MemType::Inp.code(), y_size: 1, x_size: 4, ..Default::default() };
//! let insn = Insn::new(Deps { push_next: true, ..Default::default() }, Body::Load(load));
//! let bytes = insn.encode(&design)?;
//! assert_eq!(Insn::decode(&design, &bytes)?, insn);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod asm;
mod config;
mod control;
mod design;
mod error;
mod feature;
mod field;
mod fields;
mod insn;
mod json;
mod layout;
mod page;
mod requant;
pub mod sv;

pub use config::HwConfig;
pub use control::{FaultCode, Register};
pub use design::{Design, PAGE_BYTES};
pub use error::ConfigError;
pub use feature::Feature;
pub use field::{Field, Spelling, Width};
pub use fields::{AluInsn, Deps, GemmInsn, MemInsn, Uop};
pub use insn::{
    AluOp, Body, DecodeError, GemmMode, INSN_BYTES, Insn, MemType, Module, Opcode, UOP_BYTES,
};
pub use layout::{EncodeError, Layout, Place};
pub use page::reference_page;
pub use requant::ChannelRequant;
