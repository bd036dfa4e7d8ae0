//! Rescaling by multiplication: scale, then clamp, or the other way about.

use vta_graph::Requant;
use vta_graph::quant::SHIFT_IMM_MAX;
use vta_isa::{AluOp, Design};

use super::shifts::by_shifts;
use super::{EpilogueError, Step, accumulators_fit, fits, per_channel, step};

/// The ALU steps that realize `requant` on the accumulators of `design`, given the proven
/// interval of the accumulator for each channel.
///
/// `bounds` has one `(low, high)` a channel, `low <= high`; vectors of the result have the
/// same length.
pub fn select(
    requant: &Requant,
    bounds: &[(i64, i64)],
    design: &Design,
) -> Result<Vec<Step>, EpilogueError> {
    let acc_bits = design.acc_bits();
    accumulators_fit(bounds, acc_bits)?;
    let channels: Vec<Channel> = bounds
        .iter()
        .enumerate()
        .map(|(c, &interval)| Channel::new(requant, c, interval))
        .collect();
    if let Some(steps) = by_shifts(requant, bounds, design) {
        return Ok(steps);
    }
    let whole: Vec<(i64, i64)> = channels.iter().map(|ch| (ch.low, ch.high)).collect();
    if overflow(&channels, &whole, acc_bits).is_none() {
        return Ok(steps(requant, &channels, &whole, design));
    }
    let cut: Vec<(i64, i64)> = channels.iter().map(|ch| ch.saturation(requant)).collect();
    match overflow(&channels, &cut, acc_bits) {
        None => Ok(steps(requant, &channels, &cut, design)),
        Some((channel, value)) => Err(EpilogueError::Scaled {
            channel,
            value,
            bits: acc_bits,
        }),
    }
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

/// The steps for accumulators that are first cut to `ranges`.
fn steps(
    requant: &Requant,
    channels: &[Channel],
    ranges: &[(i64, i64)],
    design: &Design,
) -> Vec<Step> {
    let mut out = Vec::new();
    let mut push = |op, values| out.push(step(op, values, design));
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
