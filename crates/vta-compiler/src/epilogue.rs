//! Instruction selection for requantization: from the exact integer meaning of a [`Requant`]
//! to a sequence of tensor-ALU operations that cannot overflow.
//!
//! The meaning is `clamp((a * mult[c] + add[c]) >> shift, lo, hi)` in unbounded integers. The
//! accelerator has `A`-bit wrap-around registers, so the product may be taken only where the
//! sum before the shift is proven to fit. Two forms are tried:
//!
//! 1. *scale, then clamp*: `MUL ADD SHR MAX MIN`, if the sum fits over the whole interval that
//!    the accumulator can take;
//! 2. *clamp, then scale*: `MAX MIN MUL ADD SHR`, where the accumulator is first cut, per
//!    channel, to the values beyond which the result saturates anyway. The map is monotone, so
//!    this changes nothing, and the sum afterwards is at most about `hi << shift`.
//!
//! Where every multiplier is a power of two, `MUL` goes: `(a * 2^j + d) >> s` is `(a + (d >> j)) >> (s - j)`, a shift by a
//! vector.
//!
//! A design whose stores rescale needs none of it: [`Epilogue`] has a record for each channel instead.
//!
//! `MUL` and `ADD` may wrap in between: if the true sum fits `A` bits, the wrapped one is it.
//! A clamp that the interval proves idle is dropped, by proof and never by observation.

use vta_graph::Requant;
use vta_graph::quant::SHIFT_IMM_MAX;
use vta_isa::{AluOp, ChannelRequant, Design, Feature};
use vta_tir::intrinsics::ADDEND_LIMIT;

/// The second operand of an ALU step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// One value for all channels, in the instruction (16 bits, signed).
    Imm(i32),
    /// One value a channel, in accumulator registers.
    Vector(Vec<i32>),
}

/// One tensor-ALU operation over all registers of an output tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operation.
    pub op: AluOp,
    /// Its second operand.
    pub operand: Operand,
}

/// What follows the sums of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epilogue {
    /// Operations on the accumulators.
    pub steps: Vec<Step>,
    /// What the store rescales each channel by; empty if it does not.
    pub records: Vec<ChannelRequant>,
}

impl Epilogue {
    /// What realizes `requant` on accumulators within `bounds`, one interval a channel: the store of a design that rescales,
    /// or the steps of [`select`].
    ///
    /// # Errors
    /// Those of [`select`].
    pub fn new(
        requant: &Requant,
        bounds: &[(i64, i64)],
        design: &Design,
    ) -> Result<Self, EpilogueError> {
        accumulators_fit(bounds, design.acc_bits())?;
        let rescales = design.has(Feature::RequantStore);
        match rescales.then(|| records(requant, bounds.len())).flatten() {
            Some(records) => Ok(Epilogue {
                steps: Vec::new(),
                records,
            }),
            None => Ok(Epilogue {
                steps: select(requant, bounds, design.acc_bits())?,
                records: Vec::new(),
            }),
        }
    }
}

/// Why a rescaling cannot run on the accelerator's registers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpilogueError {
    /// The sum of products itself can leave the register.
    #[error("channel {channel}: the accumulator can reach {value}, beyond {bits} bits")]
    Accumulator {
        /// The channel.
        channel: usize,
        /// The farthest value.
        value: i64,
        /// Width of an accumulator.
        bits: u32,
    },
    /// The scaled value can leave the register whatever is clamped first.
    #[error("channel {channel}: the scaled accumulator can reach {value}, beyond {bits} bits")]
    Scaled {
        /// The channel.
        channel: usize,
        /// The farthest value.
        value: i128,
        /// Width of an accumulator.
        bits: u32,
    },
}

/// The ALU steps that realize `requant` on accumulators of `acc_bits` bits, given the proven
/// interval of the accumulator for each channel.
///
/// `bounds` has one `(low, high)` a channel, `low <= high`; vectors of the result have the
/// same length.
pub fn select(
    requant: &Requant,
    bounds: &[(i64, i64)],
    acc_bits: u32,
) -> Result<Vec<Step>, EpilogueError> {
    accumulators_fit(bounds, acc_bits)?;
    let channels: Vec<Channel> = bounds
        .iter()
        .enumerate()
        .map(|(c, &interval)| Channel::new(requant, c, interval))
        .collect();
    if let Some(steps) = by_shifts(requant, bounds, acc_bits) {
        return Ok(steps);
    }
    let whole: Vec<(i64, i64)> = channels.iter().map(|ch| (ch.low, ch.high)).collect();
    if overflow(&channels, &whole, acc_bits).is_none() {
        return Ok(steps(requant, &channels, &whole));
    }
    let cut: Vec<(i64, i64)> = channels.iter().map(|ch| ch.saturation(requant)).collect();
    match overflow(&channels, &cut, acc_bits) {
        None => Ok(steps(requant, &channels, &cut)),
        Some((channel, value)) => Err(EpilogueError::Scaled {
            channel,
            value,
            bits: acc_bits,
        }),
    }
}

fn accumulators_fit(bounds: &[(i64, i64)], bits: u32) -> Result<(), EpilogueError> {
    for (channel, &(low, high)) in bounds.iter().enumerate() {
        if let Some(value) = [low, high].into_iter().find(|&v| !fits(v.into(), bits)) {
            return Err(EpilogueError::Accumulator {
                channel,
                value,
                bits,
            });
        }
    }
    Ok(())
}

/// A record for each of `channels` channels; `None` where the numbers do not fit one, or sums could leave 64 bits.
fn records(requant: &Requant, channels: usize) -> Option<Vec<ChannelRequant>> {
    let shift = u8::try_from(requant.shift).ok()?;
    let (lo, hi) = (
        i8::try_from(requant.lo).ok()?,
        i8::try_from(requant.hi).ok()?,
    );
    let record = |c: usize| {
        let add = per_channel(&requant.add, c);
        (add.unsigned_abs() < ADDEND_LIMIT).then_some(ChannelRequant {
            add,
            mult: per_channel(&requant.mult, c),
            shift,
            lo,
            hi,
        })
    };
    (0..channels).map(record).collect()
}

/// `ADD SHR MAX MIN`, if every multiplier is a power of two and nothing overflows.
fn by_shifts(requant: &Requant, bounds: &[(i64, i64)], acc_bits: u32) -> Option<Vec<Step>> {
    // Of each channel: addend and shift, none of either where nobody reads it.
    let mut shifts = Vec::with_capacity(bounds.len());
    for (c, &(low, high)) in bounds.iter().enumerate() {
        let (mult, add) = (per_channel(&requant.mult, c), per_channel(&requant.add, c));
        if (mult, add, low, high) == (0, 0, 0, 0) {
            shifts.push(None);
            continue;
        }
        let log2 = (mult.count_ones() == 1).then(|| mult.trailing_zeros())?;
        let shift = requant
            .shift
            .checked_sub(log2)
            .filter(|&s| s <= SHIFT_IMM_MAX)?;
        let add = add >> log2;
        let ends = [add, low.checked_add(add)?, high.checked_add(add)?];
        ends.iter()
            .all(|&v| fits(v.into(), acc_bits))
            .then_some(())?;
        shifts.push(Some((add, shift)));
    }
    let (_, usual) = shifts.iter().flatten().next().copied()?;
    let of = |c: usize| shifts[c].unwrap_or((0, usual));
    let each = || (0..bounds.len()).map(of);
    let results = |end: fn(&(i64, i64)) -> i64| {
        let values = bounds.iter().map(end).zip(each());
        values.map(|(a, (add, shift))| (a + add) >> shift)
    };
    let mut out = Vec::new();
    if each().any(|(add, _)| add != 0) {
        out.push(step(
            AluOp::Add,
            each().map(|(add, _)| add as i32).collect(),
        ));
    }
    if each().any(|(_, shift)| shift != 0) {
        let shifts = each().map(|(_, shift)| shift as i32);
        out.push(step(AluOp::Shr, shifts.collect()));
    }
    if results(|b| b.0).any(|y| y < requant.lo.into()) {
        out.push(step(AluOp::Max, vec![requant.lo]));
    }
    if results(|b| b.1).any(|y| y > requant.hi.into()) {
        out.push(step(AluOp::Min, vec![requant.hi]));
    }
    Some(out)
}

/// One channel's share of a [`Requant`].
struct Channel {
    mult: i64,
    add: i64,
    shift: u32,
    low: i64,
    high: i64,
}

impl Channel {
    fn new(requant: &Requant, c: usize, (low, high): (i64, i64)) -> Self {
        let ch = Channel {
            mult: per_channel(&requant.mult, c).into(),
            add: per_channel(&requant.add, c),
            shift: requant.shift,
            low,
            high,
        };
        let result = |a| ch.scaled(a).clamp(requant.lo.into(), requant.hi.into()) as i64;
        let (first, last) = (result(low), result(high));
        if first == last {
            // Monotone, so constant: a dead or ever saturated channel needs no range at all.
            return Channel {
                mult: 0,
                add: first << requant.shift,
                ..ch
            };
        }
        ch
    }

    /// The sum before the shift.
    fn sum(&self, a: i64) -> i128 {
        i128::from(a) * i128::from(self.mult) + i128::from(self.add)
    }

    /// The result before saturation.
    fn scaled(&self, a: i64) -> i128 {
        self.sum(a) >> self.shift
    }

    /// The part of the interval outside of which the result is saturated: the largest value
    /// that gives at most `lo` and the smallest that gives at least `hi`, within the interval.
    fn saturation(&self, requant: &Requant) -> (i64, i64) {
        if self.mult == 0 {
            return (self.low, self.high);
        }
        let (lo, hi) = (i128::from(requant.lo), i128::from(requant.hi));
        let (mult, add) = (i128::from(self.mult), i128::from(self.add));
        // scaled(a) <= lo  <=>  a * mult + add < (lo + 1) << shift.
        let below = (((lo + 1) << self.shift) - 1 - add).div_euclid(mult);
        // scaled(a) >= hi  <=>  a * mult + add >= hi << shift.
        let above = -((add - (hi << self.shift)).div_euclid(mult));
        let clip = |a: i128| a.clamp(self.low.into(), self.high.into()) as i64;
        let (below, above) = (clip(below), clip(above));
        // A map so steep that it jumps over the whole range leaves `above` under `below`.
        (below.min(above), below.max(above))
    }
}

fn per_channel<T: Copy>(v: &[T], c: usize) -> T {
    if v.len() == 1 { v[0] } else { v[c] }
}

fn fits(value: i128, bits: u32) -> bool {
    let half = 1i128 << (bits - 1);
    (-half..half).contains(&value)
}

/// The first channel whose sum before the shift can leave the register.
fn overflow(channels: &[Channel], ranges: &[(i64, i64)], bits: u32) -> Option<(usize, i128)> {
    channels
        .iter()
        .zip(ranges)
        .enumerate()
        .find_map(|(c, (ch, &(low, high)))| {
            [ch.sum(low), ch.sum(high)]
                .into_iter()
                .find(|&v| !fits(v, bits))
                .map(|v| (c, v))
        })
}

/// An operation with these values: one within the instruction if all channels agree on it.
fn step(op: AluOp, values: Vec<i32>) -> Step {
    let operand = match values.split_first() {
        Some((&first, rest))
            if i16::try_from(first).is_ok() && rest.iter().all(|&v| v == first) =>
        {
            Operand::Imm(first)
        }
        _ => Operand::Vector(values),
    };
    Step { op, operand }
}

/// The steps for accumulators that are first cut to `ranges`.
fn steps(requant: &Requant, channels: &[Channel], ranges: &[(i64, i64)]) -> Vec<Step> {
    let mut out = Vec::new();
    let mut push = |op, values| out.push(step(op, values));
    let each = || channels.iter().zip(ranges);
    if each().any(|(ch, r)| ch.low < r.0) {
        push(AluOp::Max, ranges.iter().map(|r| r.0 as i32).collect());
    }
    if each().any(|(ch, r)| ch.high > r.1) {
        push(AluOp::Min, ranges.iter().map(|r| r.1 as i32).collect());
    }
    if channels.iter().any(|ch| ch.mult != 1) {
        push(
            AluOp::Mul,
            channels.iter().map(|ch| ch.mult as i32).collect(),
        );
    }
    if channels.iter().any(|ch| ch.add != 0) {
        // Wrapping is exact: the true sum fits.
        push(
            AluOp::Add,
            channels.iter().map(|ch| ch.add as i32).collect(),
        );
    }
    let mut shift = requant.shift;
    while shift > 0 {
        let step = shift.min(SHIFT_IMM_MAX);
        push(AluOp::Shr, vec![step as i32]);
        shift -= step;
    }
    if each().any(|(ch, r)| ch.scaled(r.0) < requant.lo.into()) {
        push(AluOp::Max, vec![requant.lo]);
    }
    if each().any(|(ch, r)| ch.scaled(r.1) > requant.hi.into()) {
        push(AluOp::Min, vec![requant.hi]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrap(value: i64, bits: u32) -> i64 {
        (value << (64 - bits)) >> (64 - bits)
    }

    /// What the ALU makes of accumulator `a` of channel `c`.
    fn run(steps: &[Step], mut a: i64, c: usize, bits: u32) -> i64 {
        for step in steps {
            let operand = match &step.operand {
                Operand::Imm(v) => i64::from(*v),
                Operand::Vector(v) => wrap(v[c].into(), bits),
            };
            a = match step.op {
                AluOp::Min => a.min(operand),
                AluOp::Max => a.max(operand),
                AluOp::Add => wrap(a + operand, bits),
                AluOp::Mul => wrap(a * operand, bits),
                AluOp::Shr => a >> operand,
            };
        }
        a
    }

    fn meaning(r: &Requant, a: i64, c: usize) -> i64 {
        let sum = i128::from(a) * i128::from(per_channel(&r.mult, c))
            + i128::from(per_channel(&r.add, c));
        (sum >> r.shift).clamp(r.lo.into(), r.hi.into()) as i64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn steps_mean_the_same_over_the_whole_interval(
            channels in prop::collection::vec(
                (0i32..1 << 20, -1i64 << 34..1 << 34, -1i64 << 24..1 << 24, 0i64..1 << 24),
                1..4,
            ),
            shift in 0u32..32,
            clip in (-128i32..128, 0i32..256),
            wide in any::<bool>(),
            probes in prop::collection::vec(any::<u64>(), 20),
        ) {
            let bits = if wide { 32 } else { 16 };
            let narrow = if wide { 0 } else { 12 };
            let requant = Requant {
                mult: channels.iter().map(|c| c.0 >> narrow).collect(),
                add: channels.iter().map(|c| c.1 >> narrow).collect(),
                shift: shift >> u32::from(!wide),
                lo: clip.0,
                hi: (clip.0 + clip.1).min(127),
            };
            let bounds: Vec<(i64, i64)> = channels
                .iter()
                .map(|c| (c.2 >> narrow, (c.2 + c.3) >> narrow))
                .collect();
            if let Ok(steps) = select(&requant, &bounds, bits) {
                for (c, &(low, high)) in bounds.iter().enumerate() {
                    let inner =
                        probes.iter().map(|p| low + (p % (high - low + 1) as u64) as i64);
                    for a in inner.chain([low, high]) {
                        prop_assert_eq!(run(&steps, a, c, bits), meaning(&requant, a, c));
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn powers_of_two_take_no_multiplication(
            channels in prop::collection::vec(
                (0u32..16, -1i64 << 24..1 << 24, -1i64 << 24..1 << 24, 0i64..1 << 24),
                1..4,
            ),
            clip in (-128i32..128, 0i32..256),
            probes in prop::collection::vec(any::<u64>(), 20),
        ) {
            let requant = Requant {
                mult: channels.iter().map(|c| 1 << c.0).collect(),
                add: channels.iter().map(|c| c.1).collect(),
                shift: 15,
                lo: clip.0,
                hi: (clip.0 + clip.1).min(127),
            };
            let bounds: Vec<(i64, i64)> = channels.iter().map(|c| (c.2, c.2 + c.3)).collect();
            let steps = select(&requant, &bounds, 32).expect("it fits");
            prop_assert!(steps.len() <= 4 && steps.iter().all(|s| s.op != AluOp::Mul));
            for (c, &(low, high)) in bounds.iter().enumerate() {
                for p in &probes {
                    let a = low + (p % (high - low + 1) as u64) as i64;
                    prop_assert_eq!(run(&steps, a, c, 32), meaning(&requant, a, c));
                }
            }
        }
    }

    fn typical() -> Requant {
        // A scale of about 2^-10 with 23 bits of precision, as quantization emits it.
        Requant {
            mult: vec![8191],
            add: vec![1 << 22],
            shift: 23,
            lo: -128,
            hi: 127,
        }
    }

    #[test]
    fn a_large_sum_is_cut_before_it_is_scaled() {
        let steps = select(&typical(), &[(-9_000_000, 9_000_000)], 32).expect("it fits");
        let ops: Vec<AluOp> = steps.iter().map(|s| s.op).collect();
        use AluOp::{Add, Max, Min, Mul, Shr};
        assert_eq!(ops, [Max, Min, Mul, Add, Shr, Shr]);
    }

    #[test]
    fn clamps_go_only_on_proof() {
        let ops = |bounds| {
            let steps = select(&typical(), &[bounds], 32).expect("it fits");
            steps.iter().map(|s| s.op).collect::<Vec<_>>()
        };
        use AluOp::{Add, Min, Mul, Shr};
        assert_eq!(ops((-100_000, 100_000)), [Mul, Add, Shr, Shr]);
        assert_eq!(ops((-100_000, 140_000)), [Mul, Add, Shr, Shr, Min]);
    }

    #[test]
    fn sums_wider_than_a_register_are_refused() {
        let error = select(&typical(), &[(-40_000, 0)], 16).expect_err("16 bits");
        assert_eq!(
            error.to_string(),
            "channel 0: the accumulator can reach -40000, beyond 16 bits"
        );
    }
}
