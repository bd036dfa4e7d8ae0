//! What a rescaling STORE makes of accumulators.

use vta_isa::ChannelRequant;

/// Rescales elements of `block` values a row, column by column with `records`.
pub(crate) fn requantize(records: &[u128], elements: &[i32]) -> Vec<i32> {
    let records: Vec<ChannelRequant> = records
        .iter()
        .map(|record| ChannelRequant::from_bytes(&record.to_le_bytes()))
        .collect();
    let rows = elements.chunks_exact(records.len());
    let rescale = |row: &[i32]| -> Vec<i32> {
        let values = row.iter().zip(&records);
        values.map(|(&x, record)| value(record, x)).collect()
    };
    rows.flat_map(rescale).collect()
}

fn value(record: &ChannelRequant, x: i32) -> i32 {
    let ChannelRequant {
        add,
        mult,
        shift,
        lo,
        hi,
    } = *record;
    // The product fits 64 bits, the sum 65.
    let sum = i128::from(i64::from(x) * i64::from(mult)) + i128::from(add);
    let clipped = (sum >> shift).max(lo.into()).min(hi.into());
    clipped as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(add: i64, mult: i32, shift: u8, lo: i8, hi: i8) -> ChannelRequant {
        ChannelRequant {
            add,
            mult,
            shift,
            lo,
            hi,
        }
    }

    #[test]
    fn halves_round_up_and_results_saturate() {
        let half = record(2, 1, 2, -128, 127);
        let results = [-7, -6, -5, -2, 1, 2, 5, 6, 4000, -4000].map(|x| value(&half, x));
        assert_eq!(results, [-2, -1, -1, 0, 0, 1, 1, 2, 127, -128]);
    }

    #[test]
    fn nothing_wraps_at_the_extremes() {
        let most = record(i64::MAX, i32::MIN, 62, -128, 127);
        // 2^62 + 2^63 - 1 needs a 65th bit.
        assert_eq!(value(&most, i32::MIN), 2);
        let least = record(i64::MIN, i32::MAX, 62, -128, 127);
        assert_eq!(value(&least, i32::MIN), -3);
    }

    #[test]
    fn the_larger_bound_wins_and_a_sign_is_two_bounds() {
        assert_eq!(value(&record(0, 1, 0, 5, -5), 100), -5);
        let sign = record(-10, 3, 63, -1, 0);
        assert_eq!([3, 4].map(|x| value(&sign, x)), [-1, 0]);
    }

    #[test]
    fn each_column_has_its_record_in_every_row() {
        let records = [record(0, 1, 0, -128, 127), record(1, 2, 0, -128, 127)]
            .map(|record| u128::from_le_bytes(record.to_bytes()));
        assert_eq!(requantize(&records, &[1, 2, 3, 4]), [1, 5, 3, 9]);
    }
}
