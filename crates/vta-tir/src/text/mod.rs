//! The text form: `Display` prints it, [`parse`] reads it back to an equal program.

mod print;
