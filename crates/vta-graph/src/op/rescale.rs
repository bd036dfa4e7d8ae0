//! How integers become integers of another scale: rescalings, and functions of pieces.

/// Integer rescaling with saturation, exactly:
///
/// `y = clamp((x * mult[c] + add[c]) >> shift, lo, hi)`
///
/// computed without overflow (in 64 bits or wider); `>>` is arithmetic and rounds towards
/// minus infinity, so rounding to nearest and the output's zero point live in `add`.
/// `mult` and `add` have one element for all channels or one for each extent of axis 1.
/// `mult` is never negative: the map is monotone, which lowering relies on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requant {
    /// Multipliers.
    pub mult: Vec<i32>,
    /// Addends: rounding, zero point and folded biases.
    pub add: Vec<i64>,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

impl Requant {
    /// What leaves values of `dtype` as they are.
    ///
    /// # Panics
    /// If `dtype` has no range of integers.
    pub fn identity(dtype: crate::DType) -> Requant {
        let (lo, hi) = dtype.range().expect("an integer type");
        Requant {
            mult: vec![1],
            add: vec![0],
            shift: 0,
            lo: lo as i32,
            hi: hi as i32,
        }
    }
}

/// Integer addition of two tensors of different scales, exactly:
/// `y = clamp((a * mult_a + b * mult_b + add) >> shift, lo, hi)`, without overflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddEpilogue {
    /// Multiplier of the first operand.
    pub mult_a: i32,
    /// Multiplier of the second operand.
    pub mult_b: i32,
    /// Rounding and zero points.
    pub add: i64,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// One straight piece of a function: `mult * clamp(x, lo, hi)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Slope between the bounds.
    pub mult: i32,
    /// Where it begins to rise.
    pub lo: i32,
    /// Where it ends.
    pub hi: i32,
}

/// A continuous function of integers that consists of straight pieces, exactly:
/// `f(x) = add + the sum of mult * clamp(x, lo, hi)`, without overflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pieces {
    /// At least one.
    pub pieces: Vec<Piece>,
    /// What is added to their sum.
    pub add: i64,
}

/// Integer multiplication of two tensors, of which the second goes through a function, exactly:
/// `y = clamp(((a - zero_point) * gate(b) + add) >> shift, lo, hi)`, without overflow.
///
/// A plain product of `b - z` with a factor `m` is a gate of one piece without bounds, `m * b - m * z`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MulEpilogue {
    /// The value of `a` that stands for zero.
    pub zero_point: i32,
    /// What `a` is multiplied by.
    pub gate: Pieces,
    /// Rounding and the result's zero point.
    pub add: i64,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// A function of integers that consists of straight pieces, rescaled: `y = clamp(f(x) >> shift, lo, hi)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Piecewise {
    /// The function, with rounding and the result's zero point.
    pub function: Pieces,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}
