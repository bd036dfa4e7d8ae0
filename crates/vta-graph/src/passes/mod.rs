//! The passes: each a file, a name in [`ALL`] and a folder of tests.
//!
//! A pass takes a verified graph to a verified graph with the same inputs and outputs, of the
//! same names and types. The float passes keep the results up to rounding; passes on integers
//! keep them bit for bit.

mod channel;
mod rewrite;

pub mod canonicalize;
pub mod dead_code;
pub mod fold_batch_norm;
pub mod lower_qdq;
pub mod sink_transposes;
pub mod unsigned_to_signed;
