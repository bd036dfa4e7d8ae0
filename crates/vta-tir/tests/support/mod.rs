//! Random arguments, shared by the tests.

use vta_tir::{Arrays, Program, interp};

/// What the program leaves of arguments from a seed.
pub(crate) fn outputs(program: &Program, seed: u64) -> Arrays {
    let mut arrays = interp::arguments(program, seed);
    interp::run(program, &mut arrays).unwrap_or_else(|e| panic!("{e}\n{program}"));
    arrays
}
