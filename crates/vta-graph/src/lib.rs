//! The graph of operators: what a network *is*, before anything is decided about loops.
//!
//! Holds the typed graph ([`Graph`]), its text form, shape and type inference, the passes
//! that rewrite it (folding, quantization, fusion, packing, partition), and two reference
//! interpreters: one in `f32`, one in exact integers, which is the oracle of the project.
//!
//! It also draws random graphs ([`random`]), which the tests of every level run.
//!
//! It is not a compiler: it knows the *shape* of the accelerator's registers (lanes, batch,
//! operand widths) because packing and quantization depend on them, and nothing about
//! scratchpads, instructions or time.

#![deny(unsafe_code)]

mod graph;
mod infer;
pub mod interp;
mod macs;
mod op;
mod tensor;
pub mod text;
mod verify;

pub mod passes;
pub mod quant;
pub mod random;
pub use graph::{Graph, GraphError, Node, NodeId, Quant, Value, ValueId};
pub use op::{
    AddEpilogue, BlockedLayout, ConvAttrs, MulEpilogue, Op, PackedConv, PackedPair, PackedPool,
    PackedSpread, Piece, Pieces, Piecewise, PoolAttrs, Requant, Window,
};
pub use tensor::{DType, Data, Tensor, TensorType};
