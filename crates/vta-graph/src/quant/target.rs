//! The operand widths that a quantization is for.

use crate::DType;

/// Largest shift that one ALU operation carries within itself and every device reads alike: an
/// immediate of 16 to 31 shifts left on some. Larger shifts take two operations.
pub const SHIFT_IMM_MAX: u32 = 15;

/// Widths of a design's operands, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuantTarget {
    /// Activations, 1, 2, 4 or 8.
    pub inp_bits: u32,
    /// Weights, 1, 2, 4 or 8.
    pub wgt_bits: u32,
    /// Accumulators, at most 32.
    pub acc_bits: u32,
    /// Whether activations, of 1 bit then, are signs.
    pub sign_inp: bool,
    /// Whether weights, of 1 bit then, are signs.
    pub sign_wgt: bool,
    /// Whether activations can be added to sums: by weights on the diagonal of a square tile.
    pub residuals: bool,
}

impl Default for QuantTarget {
    /// 8-bit operands, 32-bit accumulators, square tiles.
    fn default() -> Self {
        QuantTarget {
            inp_bits: 8,
            wgt_bits: 8,
            acc_bits: 32,
            sign_inp: false,
            sign_wgt: false,
            residuals: true,
        }
    }
}

impl QuantTarget {
    /// Type of activations; `None` if there is none of that width.
    pub fn activation(&self) -> Option<DType> {
        narrow(self.inp_bits, self.sign_inp)
    }

    /// Type of weights; `None` if there is none of that width.
    pub fn weight(&self) -> Option<DType> {
        narrow(self.wgt_bits, self.sign_wgt)
    }

    /// Largest value of an accumulator.
    pub fn acc_max(&self) -> i64 {
        (1 << (self.acc_bits - 1)) - 1
    }

    /// The shift for which scales are chosen: the largest of one operation after which
    /// [`Self::max_shift`] holds.
    pub(crate) fn single_shift(&self, out: DType) -> u32 {
        self.max_shift(out).min(SHIFT_IMM_MAX)
    }

    /// The largest right shift after which a result of `out` still has a value before the shift
    /// that fits an accumulator: `(hi + 1) << shift` must.
    pub fn max_shift(&self, out: DType) -> u32 {
        let (lo, hi) = out.range().expect("an integer type");
        let magnitude = (hi + 1).max(-lo) as u64;
        (self.acc_bits - 1).saturating_sub(magnitude.ilog2() + 1)
    }
}

fn narrow(bits: u32, sign: bool) -> Option<DType> {
    match (bits, sign) {
        (1, true) => Some(DType::S1),
        _ => DType::signed(bits).filter(|d| d.is_narrow()),
    }
}
