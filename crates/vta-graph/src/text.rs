//! The text forms of a graph, which prints, parses to an equal graph and runs, and of its
//! quantization.
//!
//! The grammar is in `docs/graph.md`. The attributes of each operator are listed once
//! (`text/attributes.rs`), for the printer and the parser both.

mod attributes;
mod lex;
mod parse;
mod print;
mod ranges;

pub use parse::parse;
pub use print::{PrintOptions, print};
pub use ranges::{RangesFile, parse_ranges, print_ranges};
