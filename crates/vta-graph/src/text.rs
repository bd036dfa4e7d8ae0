//! The text form of a graph: it prints, parses to an equal graph, and runs.
//!
//! The grammar is in `docs/graph.md`. The attributes of each operator are listed once
//! (`text/attributes.rs`), for the printer and the parser both.

mod attributes;
mod lex;
mod parse;
mod print;

pub use parse::parse;
pub use print::{PrintOptions, print};
