//! Real scale factors as integer multiplication and shift.
//!
//! `y = round(x * ratio) + zero_point` becomes `(x * mult + add) >> shift` with
//! `mult = round(ratio * 2^shift)` and `add = 2^(shift-1) + zero_point * 2^shift`, which
//! rounds halves up.

use super::QuantTarget;
use crate::{AddEpilogue, DType, Requant};

/// Largest operand that an ALU instruction carries within itself: 16 bits, signed.
pub(crate) const IMM_MAX: i64 = i16::MAX as i64;
/// How close, relatively, a multiplier made of `f32` scales must come to a whole number to be one.
const WHOLE_SLACK: f64 = 1e-6;

/// Smallest factor of a residual: rounding a smaller one would cost more than the sum's last bit.
pub(crate) const RESIDUAL_MIN: i32 = 8;

/// A result as integers: its type, zero point, and the bounds that it is clamped to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) dtype: DType,
    pub(crate) zero_point: i32,
    pub(crate) lo: i32,
    pub(crate) hi: i32,
}

/// `x / scale` to the nearest whole number (halves to even), moved by `zero_point` and
/// saturated to `dtype`: as `quantize` does.
pub(crate) fn round_to(x: f32, scale: f32, zero_point: i32, dtype: DType) -> i32 {
    let (lo, hi) = dtype.range().expect("an integer type");
    if dtype == DType::S1 {
        let nearer = (x / scale + zero_point as f32).floor();
        return dtype.settled(nearer.clamp(lo as f32, hi as f32) as i64) as i32;
    }
    let q = f64::from((x / scale).round_ties_even()) + f64::from(zero_point);
    q.clamp(lo as f64, hi as f64) as i32
}

/// The shift that [`requant`] takes for these ratios and offsets: the least that makes every
/// multiplier exact, or else the largest with which multipliers fit 31 bits, and
/// addends and results an accumulator.
pub(crate) fn requant_shift(
    target: &QuantTarget,
    ratio: &[f64],
    offset: &[f64],
    out: Output,
) -> u32 {
    let max_shift = target.max_shift(out.dtype);
    if let Some(shift) = (0..=max_shift).find(|&s| ratio.iter().all(|r| is_whole(r * exp2(s)))) {
        return shift;
    }
    let zero_point = f64::from(out.zero_point);
    let mult = ratio.iter().copied().fold(0.0, f64::max);
    let add = offset.iter().map(|o| (o + zero_point).abs());
    let add = add.fold(0.0, f64::max) + 0.5;
    let fits = |&s: &u32| {
        (mult * exp2(s)).round() <= f64::from(i32::MAX) && add * exp2(s) < target.acc_max() as f64
    };
    (0..=max_shift).rev().find(fits).unwrap_or(0)
}

/// Scaling by `ratio`, after which `offset` is added, in units of the result; each is one
/// value or one for each channel.
///
/// A sign takes no scaling: what is added to a sum is where it changes.
pub(crate) fn requant(target: &QuantTarget, ratio: &[f64], offset: &[f64], out: Output) -> Requant {
    if out.dtype == DType::S1 {
        return threshold(ratio, offset, out);
    }
    let shift = requant_shift(target, ratio, offset, out);
    let mult = |r: &f64| (r * exp2(shift)).round().min(f64::from(i32::MAX)) as i32;
    let base = half(shift) + (i64::from(out.zero_point) << shift);
    let limit = target.acc_max();
    let add = |o: &f64| ((o * exp2(shift)).round() as i64).saturating_add(base);
    let uniform = offset.iter().all(|o| *o == offset[0]);
    let offset = if uniform { &offset[..1] } else { offset };
    Requant {
        mult: ratio.iter().map(mult).collect(),
        add: offset.iter().map(|o| add(o).clamp(-limit, limit)).collect(),
        shift,
        lo: out.lo,
        hi: out.hi,
    }
}

/// The sign of `x * ratio + offset`, zero point included, for integers `x`.
fn threshold(ratio: &[f64], offset: &[f64], out: Output) -> Requant {
    const FAR: f64 = 4e18;
    let each = |v: &[f64], c: usize| v[c.min(v.len() - 1)];
    let channels = ratio.len().max(offset.len());
    let add = (0..channels).map(|c| {
        let real = (each(offset, c) + f64::from(out.zero_point)) / each(ratio, c);
        real.floor().clamp(-FAR, FAR) as i64
    });
    Requant {
        mult: vec![1],
        add: add.collect(),
        shift: 0,
        lo: out.lo,
        hi: out.hi,
    }
}

/// An operand: its scale, of an addition in units of the result's and negative where it is taken away, type and zero
/// point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addend {
    pub(crate) ratio: f64,
    pub(crate) dtype: DType,
    pub(crate) zero_point: i32,
}

/// `round(a * ratio_a + b * ratio_b)`, in multipliers of 16 bits and sums that fit an
/// accumulator; `None` where the ratios are too large for that.
pub(crate) fn add_epilogue(
    target: &QuantTarget,
    a: Addend,
    b: Addend,
    out: Output,
) -> Option<AddEpilogue> {
    (0..=target.single_shift(out.dtype))
        .rev()
        .find_map(|shift| {
            let mult = |x: Addend| {
                let whole = (x.ratio.abs() * exp2(shift)).round() as i64;
                whole.max(1) * x.ratio.signum() as i64
            };
            let (mult_a, mult_b) = (mult(a), mult(b));
            let half = match out.dtype {
                DType::S1 => 0,
                _ => half(shift),
            };
            let add = half + (i64::from(out.zero_point) << shift)
                - mult_a * i64::from(a.zero_point)
                - mult_b * i64::from(b.zero_point);
            let (most_a, most_b) = (mult_a.abs(), mult_b.abs());
            let reach = most_a.max(most_b) <= IMM_MAX
                && magnitude(a.dtype) * most_a + magnitude(b.dtype) * most_b + add.abs()
                    <= target.acc_max();
            reach.then_some(AddEpilogue {
                mult_a: mult_a as i32,
                mult_b: mult_b as i32,
                add,
                shift,
                lo: out.lo,
                hi: out.hi,
            })
        })
}

/// Whether `mult` is a positive whole number, as exactly as `f32` scales can say.
fn is_whole(mult: f64) -> bool {
    let nearest = mult.round();
    (1.0..=f64::from(i32::MAX)).contains(&nearest) && (mult / nearest - 1.0).abs() <= WHOLE_SLACK
}

pub(crate) fn exp2(shift: u32) -> f64 {
    f64::from(shift).exp2()
}

/// What makes a right shift round to nearest.
pub(crate) fn half(shift: u32) -> i64 {
    (1 << shift) >> 1
}

fn magnitude(dtype: DType) -> i64 {
    let (lo, hi) = dtype.range().expect("an integer type");
    hi.max(-lo)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target() -> impl Strategy<Value = QuantTarget> {
        (0..4u32, 0..4u32, 3..6u32).prop_map(|(i, w, a)| QuantTarget {
            inp_bits: 1 << i,
            wgt_bits: 1 << w,
            acc_bits: 1 << a,
            ..QuantTarget::default()
        })
    }

    fn output(dtype: DType, zero_point: f64) -> Output {
        let (lo, hi) = dtype.range().unwrap();
        Output {
            dtype,
            zero_point: (lo as f64 + zero_point * (hi - lo) as f64).round() as i32,
            lo: lo as i32,
            hi: hi as i32,
        }
    }

    fn apply(r: &Requant, x: i64) -> i64 {
        let y = (i128::from(x) * i128::from(r.mult[0]) + i128::from(r.add[0])) >> r.shift;
        y.clamp(r.lo.into(), r.hi.into()) as i64
    }

    proptest! {
        /// The integer result is within half a unit, and what rounding the multiplier costs,
        /// of the real one.
        #[test]
        fn requant_is_near_the_real_product(
            target in target(), ratio in 1e-4..4.0f64, zp in 0.0..1.0f64, x in -100_000..100_000i64,
        ) {
            let dtype = target.activation().unwrap();
            let out = output(dtype, zp);
            let r = requant(&target, &[ratio], &[0.0], out);
            prop_assert!(r.shift <= target.max_shift(dtype));
            let real = x as f64 * ratio + f64::from(out.zero_point);
            let error = 0.5 + (x as f64).abs() * 0.5 / exp2(r.shift);
            let nearest = real.clamp(out.lo.into(), out.hi.into());
            prop_assert!((apply(&r, x) as f64 - nearest).abs() <= error + 1e-9);
        }

        /// Every sum that can occur fits the accumulator, and the result is near the real one.
        #[test]
        fn additions_fit_the_accumulator(
            target in target(), ra in 0.01..3.0f64, rb in 0.01..3.0f64,
            za in 0.0..1.0f64, zb in 0.0..1.0f64, zy in 0.0..1.0f64,
            a in 0.0..1.0f64, b in 0.0..1.0f64,
        ) {
            let dtype = target.activation().unwrap();
            let (oa, ob, out) = (output(dtype, za), output(dtype, zb), output(dtype, zy));
            let addend = |ratio, o: Output| Addend { ratio, dtype, zero_point: o.zero_point };
            let Some(e) = add_epilogue(&target, addend(ra, oa), addend(rb, ob), out) else {
                return Ok(());
            };
            let value = |t: f64| i64::from(output(dtype, t).zero_point);
            let (a, b) = (value(a), value(b));
            let partial = [
                a * i64::from(e.mult_a),
                a * i64::from(e.mult_a) + b * i64::from(e.mult_b),
                a * i64::from(e.mult_a) + b * i64::from(e.mult_b) + e.add,
            ];
            for sum in partial {
                prop_assert!(sum.abs() <= target.acc_max());
            }
            let y = (partial[2] >> e.shift).clamp(e.lo.into(), e.hi.into());
            let (da, db) = (a - i64::from(oa.zero_point), b - i64::from(ob.zero_point));
            let real = da as f64 * ra + db as f64 * rb + f64::from(out.zero_point);
            let slack = (da.abs() + db.abs()) as f64 / exp2(e.shift);
            let nearest = real.clamp(out.lo.into(), out.hi.into());
            prop_assert!((y as f64 - nearest).abs() <= 0.5 + slack + 1e-9);
        }
    }

    #[test]
    fn powers_of_two_need_no_multiplier() {
        let out = output(DType::I8, 0.5);
        let r = requant(&QuantTarget::default(), &[0.125, 0.125], &[0.0], out);
        assert_eq!((r.mult, r.shift), (vec![1, 1], 3));
    }

    #[test]
    fn exact_multipliers_take_one_shift() {
        let out = output(DType::I8, 0.5);
        let step = f64::from(0.0013f32) * exp2(15);
        let ratio = [37.0, 101.0].map(|m| f64::from((m * 0.0013 / step) as f32));
        let r = requant(&QuantTarget::default(), &ratio, &[0.0], out);
        assert_eq!((r.mult, r.shift), (vec![37, 101], 15));
        let r = requant(&QuantTarget::default(), &[ratio[0] * 1.001], &[0.0], out);
        assert_eq!(r.shift, 23);
    }
}
