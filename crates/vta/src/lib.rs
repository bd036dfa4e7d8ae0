//! VTA as a library: what the command line and the Python module both do.
//!
//! For: going from files and names that a user gives to designs, networks and results, with
//! errors that say what to do. Not for: arguments, tables and progress, which belong to the
//! command line, nor any algorithm, which belongs to the crate that it is named after.

mod design;
mod error;
mod fault;
mod file;

pub use design::design;
pub use error::{Error, Kind, Result};
pub use file::{read, read_text, write};
