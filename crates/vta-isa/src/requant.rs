//! The records of the rescaling table.

/// What a STORE makes of the accumulators of one channel, exactly and in integers without bounds:
///
/// `y = min(max((x * mult + add) >> shift, lo), hi)`
///
/// of which the low bits are stored, as many as an output has. `>>` rounds towards minus infinity, so that
/// rounding to nearest, the bias and the output's zero point are in `add`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChannelRequant {
    /// Bias, rounding and zero point.
    pub add: i64,
    /// Multiplier.
    pub mult: i32,
    /// Right shift, 0 to 63.
    pub shift: u8,
    /// Smallest result.
    pub lo: i8,
    /// Largest result; it wins over `lo`.
    pub hi: i8,
}

impl ChannelRequant {
    /// Bytes of a record.
    pub const BYTES: usize = 16;
    /// The largest shift.
    pub const MAX_SHIFT: u8 = 63;

    /// The record: `add` in bytes 0 to 7, `mult` in 8 to 11, little-endian, then `shift`, `lo` and `hi`;
    /// the last byte is 0. Of `shift` the low 6 bits.
    pub fn to_bytes(&self) -> [u8; ChannelRequant::BYTES] {
        let mut bytes = [0; ChannelRequant::BYTES];
        bytes[..8].copy_from_slice(&self.add.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.mult.to_le_bytes());
        bytes[12] = self.shift & ChannelRequant::MAX_SHIFT;
        bytes[13] = self.lo as u8;
        bytes[14] = self.hi as u8;
        bytes
    }

    /// Reads a record. The bits that mean nothing are ignored.
    pub fn from_bytes(bytes: &[u8; ChannelRequant::BYTES]) -> ChannelRequant {
        let word = u128::from_le_bytes(*bytes);
        ChannelRequant {
            add: word as i64,
            mult: (word >> 64) as i32,
            shift: bytes[12] & ChannelRequant::MAX_SHIFT,
            lo: bytes[13] as i8,
            hi: bytes[14] as i8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_reads_back(add: i64, mult: i32, shift in 0u8..64, lo: i8, hi: i8) {
            let record = ChannelRequant { add, mult, shift, lo, hi };
            prop_assert_eq!(ChannelRequant::from_bytes(&record.to_bytes()), record);
        }

        #[test]
        fn ten_bits_of_a_record_mean_nothing(bytes: [u8; ChannelRequant::BYTES]) {
            let mut meant = bytes;
            meant[12] &= 0x3f;
            meant[15] = 0;
            prop_assert_eq!(ChannelRequant::from_bytes(&bytes).to_bytes(), meant);
        }
    }
}
