//! Rescaling where every multiplier is a power of two: a shift by a vector, behind an addend that can come first.

use vta_graph::Requant;
use vta_graph::quant::SHIFT_IMM_MAX;
use vta_isa::{AluOp, Design};

use super::{Epilogue, Step, fits, per_channel, step};

/// What every accumulator holds at most whose low bits were stored, and what sums that begin at a vector begin at at least.
pub fn floor(design: &Design) -> i64 {
    (RAISES + 1) << design.out_bits()
}

/// At most so many times the values that a store tells apart are added to an addend.
const RAISES: i64 = 31;

/// Sums that begin at an addend, then `SHR MAX MIN`, if every multiplier is a power of two and nothing overflows.
pub(super) fn preset(
    requant: &Requant,
    bounds: &[(i64, i64)],
    design: &Design,
) -> Option<Epilogue> {
    let shifts = Shifts::new(requant, bounds)?;
    (0..=RAISES).find_map(|raise| {
        let raise = raise << design.out_bits();
        let raised = shifts.0.iter().map(|&(add, shift)| {
            let raised = raise.checked_mul(1 << shift)?.checked_add(add)?;
            Some((raised, shift))
        });
        let raised = raised.collect::<Option<Vec<(i64, u32)>>>()?;
        let high_enough = raised.iter().all(|&(add, _)| add >= floor(design));
        let raised = Shifts(raised);
        (high_enough && raised.fit(bounds, design.acc_bits())).then(|| Epilogue {
            preset: Some(raised.addends()),
            steps: raised.steps(requant, bounds, raise as i32, design),
            records: Vec::new(),
        })
    })
}

/// `ADD SHR MAX MIN`, if every multiplier is a power of two and nothing overflows.
pub(super) fn by_shifts(
    requant: &Requant,
    bounds: &[(i64, i64)],
    design: &Design,
) -> Option<Vec<Step>> {
    let shifts = Shifts::new(requant, bounds)?;
    if !shifts.fit(bounds, design.acc_bits()) {
        return None;
    }
    let mut out = Vec::new();
    if shifts.0.iter().any(|&(add, _)| add != 0) {
        out.push(step(AluOp::Add, shifts.addends(), design));
    }
    out.extend(shifts.steps(requant, bounds, 0, design));
    Some(out)
}

/// Addend and shift of each channel.
struct Shifts(Vec<(i64, u32)>);

impl Shifts {
    /// Those of `requant`, if every multiplier is a power of two.
    fn new(requant: &Requant, bounds: &[(i64, i64)]) -> Option<Self> {
        // None of either where nobody reads the channel.
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
            shifts.push(Some((add >> log2, shift)));
        }
        let (_, usual) = shifts.iter().flatten().next().copied()?;
        let all = shifts.into_iter().map(|s| s.unwrap_or((0, usual)));
        Some(Shifts(all.collect()))
    }

    /// Whether no sum leaves a register.
    fn fit(&self, bounds: &[(i64, i64)], acc_bits: u32) -> bool {
        let sums = self
            .0
            .iter()
            .zip(bounds)
            .flat_map(|(&(add, _), b)| [Some(add), b.0.checked_add(add), b.1.checked_add(add)]);
        let mut sums = sums;
        sums.all(|sum| sum.is_some_and(|v| fits(v.into(), acc_bits)))
    }

    fn addends(&self) -> Vec<i32> {
        self.0.iter().map(|&(add, _)| add as i32).collect()
    }

    /// `SHR MAX MIN` of sums with their addend; the result is `raise` too high.
    fn steps(
        &self,
        requant: &Requant,
        bounds: &[(i64, i64)],
        raise: i32,
        design: &Design,
    ) -> Vec<Step> {
        let results = |end: fn(&(i64, i64)) -> i64| {
            let values = bounds.iter().map(end).zip(&self.0);
            values.map(|(a, &(add, shift))| (a + add) >> shift)
        };
        let (lo, hi) = (requant.lo + raise, requant.hi + raise);
        let mut out = Vec::new();
        if self.0.iter().any(|&(_, shift)| shift != 0) {
            let shifts = self.0.iter().map(|&(_, shift)| shift as i32);
            out.push(step(AluOp::Shr, shifts.collect(), design));
        }
        if results(|b| b.0).any(|y| y < lo.into()) {
            out.push(step(AluOp::Max, vec![lo], design));
        }
        if results(|b| b.1).any(|y| y > hi.into()) {
            out.push(step(AluOp::Min, vec![hi], design));
        }
        out
    }
}
