//! Random arguments, shared by the tests.

use vta_tir::{Array, Arrays, Direction, Program};

/// An argument for every input, from a seed: values over the whole range of each type.
pub(crate) fn arguments(program: &Program, seed: u64) -> Arrays {
    let mut state = seed;
    let mut next = || {
        // SplitMix64, Steele et al. 2014.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut arrays = Arrays::new();
    for param in program
        .params
        .iter()
        .filter(|param| param.direction == Direction::In)
    {
        let shape: Vec<usize> = param
            .buffer
            .shape
            .iter()
            .map(|e| usize::try_from(e.as_const().unwrap()).unwrap())
            .collect();
        let mut array = Array::zeros(&shape);
        array
            .data
            .iter_mut()
            .for_each(|value| *value = param.buffer.dtype.wrap(next() as i64));
        arrays.insert(param.buffer.name.clone(), array);
    }
    arrays
}

/// What the program leaves in its outputs.
pub(crate) fn outputs(program: &Program, seed: u64) -> Arrays {
    let mut arrays = arguments(program, seed);
    vta_tir::interp::run(program, &mut arrays).unwrap_or_else(|e| panic!("{e}\n{program}"));
    arrays
}
