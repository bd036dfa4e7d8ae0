//! ALU operations: plain loops, compiled for each set of vector instructions. They are `for` loops and functions that
//! are always inlined: what stays a call of its own (the closure of a long `for_each`, say) is compiled for none.

use vta_isa::{AluOp, Uop};

use super::chain::{Range, Source, Step};
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

/// The steps of an instruction, in order.
struct InOrder<'a, 'b> {
    accumulators: &'a mut Accumulators<'b>,
    kernel: &'a Kernel,
    uops: &'a [Uop],
}

impl Vectorized for InOrder<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.accumulators.steps(self.kernel, self.uops);
    }
}

/// Operations on all of a range, one after the other.
struct Pass<'a, 'b> {
    accumulators: &'a mut Accumulators<'b>,
    range: &'a Range,
    steps: &'a [Step],
}

impl Vectorized for Pass<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for step in self.steps {
            with_op!(step.op, self.accumulators.bits, |f| {
                self.accumulators.all(self.range, step.source, f)
            });
        }
    }
}

impl Accumulators<'_> {
    /// Carries out a kernel of the ALU, or a reset by GEMM, whose indices are in range.
    pub(super) fn in_order(&mut self, kernel: &Kernel, uops: &[Uop], simd: HostSimd) {
        simd.run(InOrder {
            accumulators: self,
            kernel,
            uops,
        });
    }

    /// Does `steps` to a range that is apart from all that they read.
    pub(super) fn pass(&mut self, range: &Range, steps: &[Step], simd: HostSimd) {
        #[cfg(avx512)]
        if super::x86::pass(self, range, steps, simd) {
            return;
        }
        simd.run(Pass {
            accumulators: self,
            range,
            steps,
        });
    }

    #[inline(always)]
    fn steps(&mut self, kernel: &Kernel, uops: &[Uop]) {
        match kernel.op {
            KernelOp::Gemm(_) => each(kernel, uops, |[d, ..]| self.change(d, 1, &|_| 0)),
            KernelOp::AluImm(op, imm) => with_op!(op, self.bits, |f| {
                each(kernel, uops, |[d, ..]| self.change(d, 1, &|a| f(a, imm)))
            }),
            KernelOp::AluAcc(op) => with_op!(op, self.bits, |f| {
                each(kernel, uops, |[d, s, _]| match d == s {
                    true => self.change(d, 1, &|a| f(a, a)),
                    false => self.apply(d, s, 1, &f),
                })
            }),
        }
    }

    /// One operation on a range.
    #[inline(always)]
    fn all(&mut self, range: &Range, source: Source, f: impl Fn(i32, i32) -> i32) {
        let [outer, inner] = range.count;
        for o in 0..outer {
            let d = range.first + o * range.by[0];
            // Neighbours are as good as one long element.
            let (runs, len) = match (range.by[1], source) {
                (1, Source::Imm(_)) | (1, Source::Acc { by: [_, 1], .. }) => (1, inner),
                _ => (inner, 1),
            };
            for i in 0..runs {
                let d = d + i * range.by[1];
                match source {
                    Source::Imm(imm) => self.change(d, len, &|a| f(a, imm)),
                    Source::Acc { first, by } => {
                        self.apply(d, first + o * by[0] + i * by[1], len, &f);
                    }
                }
            }
        }
    }

    /// `acc[d] = f(acc[d])` for `len` elements.
    #[inline(always)]
    fn change(&mut self, d: usize, len: usize, f: &impl Fn(i32) -> i32) {
        for a in &mut self.values[d * self.lanes..(d + len) * self.lanes] {
            *a = f(*a);
        }
    }

    /// `acc[d] = f(acc[d], acc[s])`, lane by lane, for `len` elements that are apart.
    #[inline(always)]
    fn apply(&mut self, d: usize, s: usize, len: usize, f: &impl Fn(i32, i32) -> i32) {
        let [d, s, len] = [d, s, len].map(|elements| elements * self.lanes);
        let (low, high) = self.values.split_at_mut(d.max(s));
        let (to, from) = match d < s {
            true => (&mut low[d..d + len], &high[..len]),
            false => (&mut high[..len], &low[s..s + len]),
        };
        for (a, b) in to.iter_mut().zip(from) {
            *a = f(*a, *b);
        }
    }
}

/// What an operation makes of one lane.
#[cfg(avx512)]
pub(super) fn value(op: AluOp, a: i32, b: i32, bits: u32) -> i32 {
    with_op!(op, bits, |f| f(a, b))
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
