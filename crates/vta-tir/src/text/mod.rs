//! The text form: `Display` prints it, [`parse`] reads it back to an equal program.

mod lex;
mod parse;
mod print;

pub use parse::parse;

/// Where a text stopped being a program, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What was expected and what was there.
    pub message: String,
}

/// Words that begin a statement and so cannot name a variable or a buffer.
const RESERVED: &[&str] = &["alloc", "alu", "for", "gemm", "load", "reset", "store"];

/// Whether `text` can name a variable or a buffer.
pub(crate) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(lex::begins_name)
        && chars.all(lex::continues_name)
        && !RESERVED.contains(&text)
}
