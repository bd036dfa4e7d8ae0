//! ONNX in and out.
//!
//! [`import`] turns a model file into a [`vta_graph::Graph`] with static shapes: float models
//! and models quantized with `QuantizeLinear` and `DequantizeLinear`, operator sets 7 to 22.
//! [`export`] writes a graph of float and quantize operators as a file of operator set 13.
//!
//! It does not optimize: what it evaluates is shape arithmetic and the arrangement of
//! constants, because the graph has no operators for them. It reads files from strangers, so
//! everything in them is checked before it is believed.

mod error;
mod export;
mod fold;
mod import;
mod node;
mod ops;
mod proto;
mod tensor;

pub use error::OnnxError;
pub use export::export;
pub use import::{Imported, import};
