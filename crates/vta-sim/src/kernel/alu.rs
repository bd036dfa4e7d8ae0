//! ALU operations: plain loops, compiled for each set of vector instructions. They are `for` loops and functions that
//! are always inlined: what stays a call of its own (the closure of a long `for_each`, say) is compiled for none.

use std::ops::Range;
use std::sync::atomic::{Ordering, compiler_fence};

use vta_isa::{AluOp, Uop};

use super::each;
use super::simd::{HostSimd, Vectorized};
use crate::access::{Kernel, KernelOp};
use crate::lanes::wrap;

/// Lanes that have loops of their own.
const COMMON_LANES: usize = 16;

/// Accumulators: elements of `lanes` values of `bits` bits.
pub(super) struct Accumulators<'a> {
    pub(super) values: &'a mut [i32],
    pub(super) lanes: usize,
    pub(super) bits: u32,
}

/// Calls `body` with the function of an ALU operation, so that its loops are compiled for each; and for
/// accumulators of 32 bits, of which nothing is cut off.
macro_rules! with_op {
    ($op:expr, $bits:expr, |$f:ident| $body:expr) => {{
        let bits = $bits;
        if bits == 32 {
            by_op!($op, |value: i32| value, |$f| $body)
        } else {
            by_op!($op, move |value: i32| wrap(value, bits), |$f| $body)
        }
    }};
}

/// [`with_op`] with the function that cuts results off.
macro_rules! by_op {
    ($op:expr, $cut:expr, |$f:ident| $body:expr) => {{
        let cut = $cut;
        match $op {
            AluOp::Min => {
                let $f = move |a: i32, b: i32| cut(a.min(b));
                $body
            }
            AluOp::Max => {
                let $f = move |a: i32, b: i32| cut(a.max(b));
                $body
            }
            AluOp::Add => {
                let $f = move |a: i32, b: i32| cut(a.wrapping_add(b));
                $body
            }
            AluOp::Shr => {
                let $f = move |a: i32, b: i32| cut(shift(a, b));
                $body
            }
            AluOp::Mul => {
                let $f = move |a: i32, b: i32| cut(a.wrapping_mul(b));
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
        let lanes = self.lanes;
        match runs {
            Some(runs) => {
                for (d, _) in runs.iter() {
                    change(&mut self.values[elements(&d, lanes)], &f);
                }
            }
            None => each(kernel, uops, |[d, ..]| {
                change(&mut self.values[d * lanes..][..lanes], &f);
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
            if runs.src_step == 1 {
                apply(to, from, &f);
            } else if lanes == COMMON_LANES {
                for to in to.chunks_exact_mut(COMMON_LANES) {
                    // Keeps the compiler from taking a lane of many vectors at once, and so from gathering.
                    compiler_fence(Ordering::SeqCst);
                    apply(to, &from[..COMMON_LANES], &f);
                }
            } else {
                for to in to.chunks_exact_mut(lanes) {
                    apply(to, from, &f);
                }
            }
        }
    }

    /// One step.
    #[inline(always)]
    fn pair(&mut self, d: usize, s: usize, f: &impl Fn(i32, i32) -> i32) {
        if d == s {
            change(&mut self.values[d * self.lanes..][..self.lanes], &|a| {
                f(a, a)
            });
        } else {
            let (to, from) = split(self.values, self.lanes, d..d + 1, s..s + 1);
            apply(to, from, f);
        }
    }
}

/// `to[i] = f(to[i])`.
#[inline(always)]
fn change(to: &mut [i32], f: &impl Fn(i32) -> i32) {
    for a in to {
        *a = f(*a);
    }
}

/// `to[i] = f(to[i], from[i])`.
#[inline(always)]
fn apply(to: &mut [i32], from: &[i32], f: &impl Fn(i32, i32) -> i32) {
    for (a, b) in to.iter_mut().zip(from) {
        *a = f(*a, *b);
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
///
/// Three shifts, of which at most one moves anything, instead of a decision: that would be taken lane by lane.
#[inline(always)]
fn shift(value: i32, amount: i32) -> i32 {
    let right = amount.clamp(0, 31);
    let left = -amount.clamp(-32, 0);
    (value << left.min(31) << (left / 32)) >> right
}
