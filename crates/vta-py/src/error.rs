//! Errors of the library as exceptions.

use pyo3::prelude::*;
use vta::Kind;

/// The exception of an error: a class of the file `vta/_error.py`, with the message and the
/// remedy as its arguments.
pub(crate) fn raise(py: Python<'_>, error: &vta::Error) -> PyErr {
    let class = match error.kind() {
        Kind::Input => "InputError",
        Kind::Limit => "LimitError",
        Kind::Bug => "Error",
    };
    let exception = py
        .import("vta._error")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((error.message(), error.remedy())));
    exception.map_or_else(|failure| failure, PyErr::from_value)
}
