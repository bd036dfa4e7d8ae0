//! The Python module `vta._vta`, which the package `vta` (in `python/`) presents.
//!
//! For: numpy arrays in and out of the library of the crate `vta`, and its errors as exceptions.
//! Not for anything of its own: what Python can do, the command line can, in the same words.

mod arguments;
mod array;
mod error;
mod module;

use pyo3::prelude::*;

/// Compiler, runtime and simulator for the VTA tensor accelerator.
#[pymodule]
mod _vta {
    #[pymodule_export]
    use crate::module::{Module, compile, load};
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
