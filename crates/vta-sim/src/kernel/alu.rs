//! ALU operations: plain loops, compiled for each set of vector instructions.

use std::ops::Range;

use vta_isa::{AluOp, Uop};

use super::each;
use super::simd::{HostSimd, Vectorized};
use crate::access::{Kernel, KernelOp};
use crate::lanes::wrap;

/// Accumulators: elements of `lanes` values of `bits` bits.
pub(super) struct Accumulators<'a> {
    pub(super) values: &'a mut [i32],
    pub(super) lanes: usize,
    pub(super) bits: u32,
}

/// Calls `body` with the function of an ALU operation, so that its loops are compiled for each.
macro_rules! with_op {
    ($op:expr, $bits:expr, |$f:ident| $body:expr) => {{
        let bits = $bits;
        match $op {
            AluOp::Min => {
                let $f = move |a: i32, b: i32| wrap(a.min(b), bits);
                $body
            }
            AluOp::Max => {
                let $f = move |a: i32, b: i32| wrap(a.max(b), bits);
                $body
            }
            AluOp::Add => {
                let $f = move |a: i32, b: i32| wrap(a.wrapping_add(b), bits);
                $body
            }
            AluOp::Shr => {
                let $f = move |a: i32, b: i32| wrap(shift(a, b), bits);
                $body
            }
            AluOp::Mul => {
                let $f = move |a: i32, b: i32| wrap(a.wrapping_mul(b), bits);
                $body
            }
        }
    }};
}

/// The steps of an instruction, run by run where they make runs.
struct Steps<'a, 'b> {
    accumulators: &'a mut Accumulators<'b>,
    kernel: &'a Kernel,
    uops: &'a [Uop],
    runs: Option<Runs>,
}

impl Vectorized for Steps<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.accumulators.steps(self.kernel, self.uops, self.runs);
    }
}

impl Accumulators<'_> {
    /// Carries out a kernel of the ALU, or a reset by GEMM, whose indices are in range.
    pub(super) fn carry_out(&mut self, kernel: &Kernel, uops: &[Uop], simd: HostSimd) {
        simd.run(Steps {
            accumulators: self,
            kernel,
            uops,
            runs: Runs::of(kernel, uops).filter(|_| simd != HostSimd::StepByStep),
        });
    }

    #[inline(always)]
    fn steps(&mut self, kernel: &Kernel, uops: &[Uop], runs: Option<Runs>) {
        match kernel.op {
            KernelOp::Gemm(_) => self.in_place(kernel, uops, runs, |_| 0),
            KernelOp::AluImm(op, imm) => with_op!(op, self.bits, |f| {
                self.in_place(kernel, uops, runs, move |a| f(a, imm))
            }),
            KernelOp::AluAcc(op) => with_op!(op, self.bits, |f| self.pairs(kernel, uops, runs, f)),
        }
    }

    /// `acc[d] = f(acc[d])`.
    #[inline(always)]
    fn in_place(
        &mut self,
        kernel: &Kernel,
        uops: &[Uop],
        runs: Option<Runs>,
        f: impl Fn(i32) -> i32,
    ) {
        let apply = |to: &mut [i32]| to.iter_mut().for_each(|a| *a = f(*a));
        let lanes = self.lanes;
        match runs {
            Some(runs) => {
                for (d, _) in runs.iter() {
                    apply(&mut self.values[elements(&d, lanes)]);
                }
            }
            None => each(kernel, uops, |[d, ..]| {
                apply(&mut self.values[d * lanes..][..lanes]);
            }),
        }
    }

    /// `acc[d] = f(acc[d], acc[s])`, lane by lane.
    #[inline(always)]
    fn pairs(
        &mut self,
        kernel: &Kernel,
        uops: &[Uop],
        runs: Option<Runs>,
        f: impl Fn(i32, i32) -> i32,
    ) {
        let lanes = self.lanes;
        let Some(runs) = runs else {
            each(kernel, uops, |[d, s, _]| self.pair(d, s, &f));
            return;
        };
        for (d, s) in runs.iter() {
            let sources = match runs.src_step {
                0 => s..s + 1,
                _ => s..s + d.len(),
            };
            if runs.src_step > 1 || d.start < sources.end && sources.start < d.end {
                // One step may read what another writes.
                for (i, d) in d.enumerate() {
                    self.pair(d, s + i * runs.src_step, &f);
                }
                continue;
            }
            let (to, from) = split(self.values, lanes, d, sources);
            for (i, to) in to.chunks_exact_mut(lanes).enumerate() {
                let from = &from[i * lanes * runs.src_step..][..lanes];
                to.iter_mut().zip(from).for_each(|(a, b)| *a = f(*a, *b));
            }
        }
    }

    /// One step.
    #[inline(always)]
    fn pair(&mut self, d: usize, s: usize, f: &impl Fn(i32, i32) -> i32) {
        if d == s {
            let to = &mut self.values[d * self.lanes..][..self.lanes];
            to.iter_mut().for_each(|a| *a = f(*a, *a));
        } else {
            let (to, from) = split(self.values, self.lanes, d..d + 1, s..s + 1);
            to.iter_mut().zip(from).for_each(|(a, b)| *a = f(*a, *b));
        }
    }
}

/// The lanes of a range of elements.
fn elements(range: &Range<usize>, lanes: usize) -> Range<usize> {
    range.start * lanes..range.end * lanes
}

/// Two ranges of elements that share nothing, the first to be written.
fn split(
    values: &mut [i32],
    lanes: usize,
    to: Range<usize>,
    from: Range<usize>,
) -> (&mut [i32], &[i32]) {
    let [to, from] = [to, from].map(|range| elements(&range, lanes));
    if to.end <= from.start {
        let (low, high) = values.split_at_mut(from.start);
        (&mut low[to], &high[..from.len()])
    } else {
        let (low, high) = values.split_at_mut(to.start);
        (&mut high[..to.len()], &low[from])
    }
}

/// One micro-op whose inner loop goes from an accumulator to the next.
struct Runs {
    outer: usize,
    len: usize,
    dst: usize,
    src: usize,
    /// From one iteration of the outer loop to the next.
    by: [usize; 2],
    /// From one step of the inner loop to the next.
    src_step: usize,
}

impl Runs {
    fn of(kernel: &Kernel, uops: &[Uop]) -> Option<Runs> {
        let [uop] = uops else { return None };
        let [dst, src] = [kernel.dst, kernel.src].map(|f| f.map(|f| f as usize));
        let runs = |outer: u32, len: u32, o: usize, i: usize| Runs {
            outer: outer as usize,
            len: len as usize,
            dst: uop.dst as usize,
            src: uop.src as usize,
            by: [dst[o], src[o]],
            src_step: src[i],
        };
        if dst[1] == 1 {
            Some(runs(kernel.iter_out, kernel.iter_in, 0, 1))
        } else if kernel.iter_in == 1 && dst[0] == 1 {
            Some(runs(1, kernel.iter_out, 1, 0))
        } else {
            None
        }
    }

    /// Each run of accumulators with its first source, in order.
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        (0..self.outer).map(|o| {
            let [d, s] = [self.dst + o * self.by[0], self.src + o * self.by[1]];
            (d..d + self.len, s)
        })
    }
}

/// Arithmetic shift right, left for a negative amount. An amount of the width or more leaves
/// nothing but the sign to the right, and zero to the left.
#[inline(always)]
fn shift(value: i32, amount: i32) -> i32 {
    if amount >= 0 {
        value >> amount.min(31)
    } else {
        value.checked_shl(amount.unsigned_abs()).unwrap_or(0)
    }
}
