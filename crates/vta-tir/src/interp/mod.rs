//! The loop-nest interpreter: the oracle of this level.
//!
//! Runs any program, naive or with intrinsics, on concrete arrays. Nothing is random and nothing is undefined: an index
//! outside a buffer is an error that names the statement and the loop variables' values.

mod compile;
mod exec;

use std::collections::BTreeMap;
use std::fmt;

use crate::expr::{Expr, Name};
use crate::program::{DType, Direction, Param, Program};
use crate::verify::{self, VerifyError};

/// Values in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// As many as the product of the extents, each within the range of the buffer's type.
    pub data: Vec<i32>,
}

impl Array {
    /// All zero.
    pub fn zeros(shape: &[usize]) -> Array {
        Array {
            shape: shape.to_vec(),
            data: vec![0; shape.iter().product()],
        }
    }
}

/// Arrays by parameter name.
pub type Arrays = BTreeMap<Name, Array>;

/// Steps (iterations and elements moved) after which a run counts as endless.
pub const MAX_STEPS: u64 = 1 << 36;

/// Values that all live buffers together may hold.
const MAX_VALUES: usize = 1 << 29;

/// Why a program did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpError {
    /// The program makes no sense.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// An argument does not fit its parameter.
    #[error("argument `{name}`: {reason}")]
    Argument {
        /// The parameter or, where there is none, the argument.
        name: Name,
        /// What is wrong.
        reason: String,
    },
    /// A statement failed.
    #[error("`{statement}` at {place}: {reason}")]
    Failed {
        /// The first line of the statement.
        statement: String,
        /// The loop variables and their values.
        place: Place,
        /// What happened.
        reason: String,
    },
}

/// Loop variables and their values, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub Vec<(Name, i64)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the top");
        }
        for (i, (var, value)) in self.0.iter().enumerate() {
            write!(f, "{}{var} = {value}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Runs `program`: reads its inputs from `arrays` and leaves its outputs there. An output that is absent starts zero.
///
/// # Errors
/// A program that names what is not there, an argument that is missing or of the wrong shape or range, and the first
/// statement that fails; outputs are then unspecified.
pub fn run(program: &Program, arrays: &mut Arrays) -> Result<(), InterpError> {
    run_bounded(program, arrays, MAX_STEPS)
}

/// A value for every place of every parameter, from a seed: over the whole range of its type.
///
/// Parameters whose shapes are not constant get none, which [`run`] reports.
pub fn arguments(program: &Program, seed: u64) -> Arrays {
    let mut state = seed;
    let mut next = || {
        // SplitMix64, Steele et al. 2014.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut arrays = Arrays::new();
    for Param { buffer, .. } in &program.params {
        if let Some(shape) = shape(&buffer.shape) {
            let mut array = Array::zeros(&shape);
            let values = array.data.iter_mut();
            values.for_each(|value| *value = buffer.dtype.wrap(next() as i64));
            arrays.insert(buffer.name.clone(), array);
        }
    }
    arrays
}

/// As [`run`], but fails after `max_steps` iterations and moved elements.
///
/// # Errors
/// As [`run`].
pub fn run_bounded(
    program: &Program,
    arrays: &mut Arrays,
    max_steps: u64,
) -> Result<(), InterpError> {
    verify::resolve(program)?;
    for param in &program.params {
        let buffer = &param.buffer;
        let argument = |reason| InterpError::Argument {
            name: buffer.name.clone(),
            reason,
        };
        let shape = shape(&buffer.shape)
            .ok_or_else(|| argument("larger than this interpreter holds".into()))?;
        match arrays.get(&buffer.name) {
            Some(array) => fits(array, &shape, buffer.dtype).map_err(argument)?,
            None if param.direction == Direction::Out => {
                arrays.insert(buffer.name.clone(), Array::zeros(&shape));
            }
            None => return Err(argument("an input, but no array was given".into())),
        }
    }
    if let Some(name) = arrays
        .keys()
        .find(|name| program.params.iter().all(|p| p.buffer.name != **name))
    {
        return Err(InterpError::Argument {
            name: name.clone(),
            reason: "no such parameter".into(),
        });
    }
    exec::run(program, arrays, max_steps)
}

/// The extents of a parameter, if so many values can be held.
fn shape(shape: &[Expr]) -> Option<Vec<usize>> {
    let extents: Option<Vec<usize>> = shape
        .iter()
        .map(|e| usize::try_from(e.as_const()?).ok())
        .collect();
    let extents = extents?;
    let total = extents
        .iter()
        .try_fold(1usize, |product, extent| product.checked_mul(*extent))?;
    (total <= MAX_VALUES).then_some(extents)
}

fn fits(array: &Array, shape: &[usize], dtype: DType) -> Result<(), String> {
    if array.shape != shape || array.data.len() != shape.iter().product() {
        return Err(format!(
            "shape {:?} with {} values, want {shape:?}",
            array.shape,
            array.data.len()
        ));
    }
    match array
        .data
        .iter()
        .find(|value| dtype.wrap(i64::from(**value)) != **value)
    {
        Some(value) => Err(format!("{value} is no {}", dtype.name())),
        None => Ok(()),
    }
}
