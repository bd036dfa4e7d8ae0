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
//! The addition can come first, where sums begin ([`Epilogue::before_sums`]): an accumulator that begins at `d` needs no reset if
//! `MAX` with `d` makes it so, as it does where what it held is known to be less. So that this is known, addends are raised by
//! a multiple of what the store cuts off, of which the clamps are told.
//!
//! Where activations are signs, no scaling matters: a sum is compared with a threshold, `ADD SHR`.
//!
//! A design whose stores rescale needs none of it: [`Epilogue`] has a record for each channel instead.
//!
//! `MUL` and `ADD` may wrap in between: if the true sum fits `A` bits, the wrapped one is it.
//! A clamp that the interval proves idle is dropped, by proof and never by observation.

mod select;
mod shifts;

use vta_graph::Requant;
use vta_graph::quant::SHIFT_IMM_MAX;
use vta_isa::{AluOp, ChannelRequant, Design, Feature};
use vta_tir::intrinsics::ADDEND_LIMIT;

pub use select::select;
pub use shifts::floor;

/// The second operand of an ALU step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// One value for all channels, in the instruction ([`Design::imm_range`]).
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
    /// What the accumulators of each channel begin at, at least [`floor`]; 0 if there is nothing here.
    pub preset: Option<Vec<i32>>,
    /// Operations on the accumulators.
    pub steps: Vec<Step>,
    /// What the store rescales each channel by; empty if it does not.
    pub records: Vec<ChannelRequant>,
}

impl Epilogue {
    /// What realizes `requant` on accumulators within `bounds`, one interval a channel: the store of a design that rescales,
    /// or the steps of [`select`]. Where activations are signs the result is -1 or 0, of which 0 is stored as +1.
    ///
    /// # Errors
    /// Those of [`select`].
    pub fn new(
        requant: &Requant,
        bounds: &[(i64, i64)],
        design: &Design,
    ) -> Result<Self, EpilogueError> {
        accumulators_fit(bounds, design.acc_bits())?;
        let sign = design.has(Feature::SignInp);
        let signs = sign.then(|| thresholds(requant, bounds));
        let requant = signs.as_ref().unwrap_or(requant);
        let rescales = design.has(Feature::RequantStore);
        match rescales.then(|| records(requant, bounds.len())).flatten() {
            Some(records) => Ok(Epilogue {
                records,
                ..Epilogue::default()
            }),
            None => Ok(Epilogue {
                steps: select(requant, bounds, design)?,
                ..Epilogue::default()
            }),
        }
    }

    /// What means the same where the sums stay in the accumulators that they begin in, and these can begin at an addend. It
    /// takes a vector, which this may not.
    pub fn before_sums(
        &self,
        requant: &Requant,
        bounds: &[(i64, i64)],
        design: &Design,
    ) -> Option<Self> {
        // What is added to a sign has to stay: a raise changes it.
        let sign = design.has(Feature::SignInp);
        let operations = [AluOp::Add, AluOp::Max]
            .iter()
            .all(|&op| design.has_alu(op));
        let begins = self.records.is_empty() && operations && !sign;
        begins
            .then(|| shifts::preset(requant, bounds, design))
            .flatten()
    }

    /// How many vectors it reads.
    pub fn vectors(&self) -> usize {
        self.columns().count()
    }

    /// The values of each vector that it reads, one a channel: what accumulators begin at, then those of the steps.
    pub fn columns(&self) -> impl Iterator<Item = &Vec<i32>> {
        let steps = self.steps.iter().filter_map(|step| match &step.operand {
            Operand::Vector(values) => Some(values),
            Operand::Imm(_) => None,
        });
        self.preset.iter().chain(steps)
    }

    /// The operations that it may take.
    pub fn operations(&self) -> impl Iterator<Item = AluOp> {
        let begin = self.preset.iter().flat_map(|_| [AluOp::Add, AluOp::Max]);
        begin.chain(self.steps.iter().map(|step| step.op))
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

/// The sign of `requant`, as -1 below 0 and else 0: that of a sum with the addend at which it changes. The shift leaves nothing
/// but the sign of sums that are small enough.
fn thresholds(requant: &Requant, bounds: &[(i64, i64)]) -> Requant {
    let add = bounds.iter().enumerate().map(|(c, &(low, high))| {
        let (mult, add) = (per_channel(&requant.mult, c), per_channel(&requant.add, c));
        // Beyond these the sign is the same for all sums.
        let (never, always) = (-high - 1, -low);
        match mult {
            _ if requant.hi < 0 => never,
            _ if requant.lo >= 0 => always,
            0 if add < 0 => never,
            0 => always,
            _ => add.div_euclid(mult.into()).clamp(never, always),
        }
    });
    Requant {
        mult: vec![1],
        add: add.collect(),
        shift: SHIFT_IMM_MAX,
        lo: -1,
        hi: 0,
    }
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

fn per_channel<T: Copy>(v: &[T], c: usize) -> T {
    if v.len() == 1 { v[0] } else { v[c] }
}

fn fits(value: i128, bits: u32) -> bool {
    let half = 1i128 << (bits - 1);
    (-half..half).contains(&value)
}

/// An operation with these values: one within the instruction if all channels agree on it.
fn step(op: AluOp, values: Vec<i32>, design: &Design) -> Step {
    let (least, most) = design.imm_range();
    let first = values
        .first()
        .copied()
        .filter(|v| (least..=most).contains(v));
    let operand = match first {
        Some(first) if values.iter().all(|&v| v == first) => Operand::Imm(first),
        _ => Operand::Vector(values),
    };
    Step { op, operand }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vta_isa::HwConfig;

    use super::*;

    /// The default design with accumulators of 16 or 32 bits.
    fn design(acc_bits: u32) -> Design {
        let config = HwConfig {
            log_acc_width: acc_bits.ilog2(),
            log_acc_buff_size: 14,
            ..HwConfig::default()
        };
        config.design().unwrap()
    }

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
            if let Ok(steps) = select(&requant, &bounds, &design(bits)) {
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
            let design = Design::default();
            let steps = select(&requant, &bounds, &design).expect("it fits");
            prop_assert!(steps.len() <= 4 && steps.iter().all(|s| s.op != AluOp::Mul));
            let late = Epilogue::new(&requant, &bounds, &design).expect("it fits");
            let early = late.before_sums(&requant, &bounds, &design).unwrap_or(late);
            for (c, &(low, high)) in bounds.iter().enumerate() {
                for p in &probes {
                    let a = low + (p % (high - low + 1) as u64) as i64;
                    prop_assert_eq!(run(&steps, a, c, 32), meaning(&requant, a, c));
                    let Some(preset) = &early.preset else { continue };
                    prop_assert!(i64::from(preset[c]) >= floor(&design));
                    let held = run(&early.steps, a + i64::from(preset[c]), c, 32);
                    prop_assert!(held <= floor(&design));
                    prop_assert_eq!(wrap(held, 8), meaning(&requant, a, c));
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
        let steps = select(&typical(), &[(-9_000_000, 9_000_000)], &design(32)).expect("it fits");
        let ops: Vec<AluOp> = steps.iter().map(|s| s.op).collect();
        use AluOp::{Add, Max, Min, Mul, Shr};
        assert_eq!(ops, [Max, Min, Mul, Add, Shr, Shr]);
    }

    #[test]
    fn clamps_go_only_on_proof() {
        let ops = |bounds| {
            let steps = select(&typical(), &[bounds], &design(32)).expect("it fits");
            steps.iter().map(|s| s.op).collect::<Vec<_>>()
        };
        use AluOp::{Add, Min, Mul, Shr};
        assert_eq!(ops((-100_000, 100_000)), [Mul, Add, Shr, Shr]);
        assert_eq!(ops((-100_000, 140_000)), [Mul, Add, Shr, Shr, Min]);
    }

    #[test]
    fn sums_wider_than_a_register_are_refused() {
        let error = select(&typical(), &[(-40_000, 0)], &design(16)).expect_err("16 bits");
        assert_eq!(
            error.to_string(),
            "channel 0: the accumulator can reach -40000, beyond 16 bits"
        );
    }
}
