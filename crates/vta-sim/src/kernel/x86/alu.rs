//! ALU operations in AVX-512: several vectors of accumulators stay in registers while all operations of a pass come.
//!
//! Unsafe for the sake of these registers: plain loops go through memory for each operation.
// Compiled by compilers that have it.
#![allow(clippy::incompatible_msrv)]

use std::arch::x86_64::*;

use vta_isa::AluOp;

use crate::kernel::alu::{Accumulators, value};
use crate::kernel::chain::{MOST, Range, Source, Step};
use crate::kernel::simd::HostSimd;

const LANES: usize = 16;

/// An operation on vectors, of which `from` is the first's source and `step` the lanes to the next's.
#[derive(Clone, Copy)]
struct Operation {
    does: Does,
    from: *const i32,
    step: usize,
}

#[derive(Clone, Copy)]
enum Does {
    Min,
    Max,
    Add,
    Mul,
    /// A shift of which no amount is negative.
    Right,
    Shift,
}

const NOTHING: Operation = Operation {
    does: Does::Min,
    from: std::ptr::null(),
    step: 0,
};

/// Does `steps` to a range, if these instructions can.
pub(in crate::kernel) fn pass(
    accumulators: &mut Accumulators<'_>,
    range: &Range,
    steps: &[Step],
    simd: HostSimd,
) -> bool {
    let lanes = accumulators.lanes;
    // Neighbours share a vector, where their sources are neighbours too, or the same.
    let together = |step: &Step| match step.source {
        Source::Imm(_) => true,
        Source::Acc { by, .. } => by[1] <= 1,
    };
    let shared = LANES % lanes == 0 && range.by[1] == 1 && steps.iter().all(together);
    if simd != HostSimd::Avx512 || lanes % LANES != 0 && !shared || steps.len() > MOST {
        return false;
    }
    let len = accumulators.values.len();
    let inside = |element: usize| (element + 1) * lanes <= len;
    let mut sources = steps.iter().map(|step| match step.source {
        Source::Imm(_) => true,
        Source::Acc { first, by } => inside(range.last(first, by)),
    });
    assert!(inside(range.extent()[1]) && sources.all(|inside| inside));
    for o in 0..range.count[0] {
        for column in (0..lanes).step_by(LANES) {
            // SAFETY: the machine has AVX-512, and everything lies inside.
            unsafe { row(accumulators, range, steps, o, column) };
        }
    }
    true
}

/// One iteration of the outer loop, of the lanes from `column` on in each element.
///
/// # Safety
/// The machine has AVX-512; the range and all sources lie inside.
unsafe fn row(
    accumulators: &mut Accumulators<'_>,
    range: &Range,
    steps: &[Step],
    o: usize,
    column: usize,
) {
    let (lanes, bits) = (accumulators.lanes, accumulators.bits);
    let at = |first: usize, by: usize| (first + o * by) * lanes + column;
    let stride = |by: usize| by * lanes.max(LANES);
    let base = accumulators.values.as_mut_ptr();
    let mut splats = [[0; LANES]; MOST];
    let mut operations = [NOTHING; MOST];
    for ((step, splat), operation) in steps.iter().zip(&mut splats).zip(&mut operations) {
        let mut along = None;
        match step.source {
            Source::Imm(imm) => *splat = [imm; LANES],
            Source::Acc { first, by } => {
                let from = at(first, by[0]);
                match by[1] {
                    0 => {
                        let values = &accumulators.values[from..];
                        *splat = std::array::from_fn(|lane| values[lane % lanes]);
                    }
                    by => along = Some((from, stride(by))),
                }
            }
        }
        // SAFETY: as the caller has it.
        let along = along.map(|(from, step)| (unsafe { base.add(from).cast_const() }, step));
        let shifts_right = along.is_none() && splat.iter().all(|&amount| amount >= 0);
        let (from, step_by) = along.unwrap_or((splat.as_ptr(), 0));
        *operation = Operation {
            does: match step.op {
                AluOp::Min => Does::Min,
                AluOp::Max => Does::Max,
                AluOp::Add => Does::Add,
                AluOp::Mul => Does::Mul,
                AluOp::Shr if shifts_right => Does::Right,
                AluOp::Shr => Does::Shift,
            },
            from,
            step: step_by,
        };
    }
    let first = at(range.first, range.by[0]);
    let inner = range.count[1];
    let count = match lanes < LANES {
        true => inner * lanes / LANES,
        false => inner,
    };
    // SAFETY: as the caller has it.
    unsafe {
        let vectors = Vectors {
            to: base.add(first),
            step: stride(range.by[1]),
            operations: &operations[..steps.len()],
            unused: _mm_cvtsi32_si128(32 - bits as i32),
            cuts: bits < 32,
        };
        vectors.all(count);
    }
    // What does not fill a vector.
    if lanes < LANES {
        for lane in count * LANES..inner * lanes {
            for (step, splat) in steps.iter().zip(&splats) {
                let source = match step.source {
                    Source::Acc { first, by: [by, 1] } => accumulators.values[at(first, by) + lane],
                    _ => splat[lane % LANES],
                };
                let to = &mut accumulators.values[first + lane];
                *to = value(step.op, *to, source, bits);
            }
        }
    }
}

/// Vectors of accumulators, `step` lanes apart, and what is done to them.
struct Vectors<'a> {
    to: *mut i32,
    step: usize,
    operations: &'a [Operation],
    /// High bits of 32 that an accumulator lacks, and whether there are any.
    unused: __m128i,
    cuts: bool,
}

impl Vectors<'_> {
    /// # Safety
    /// The machine has AVX-512; `count` vectors and their sources lie inside.
    #[target_feature(enable = "avx512f")]
    unsafe fn all(&self, count: usize) {
        let mut at = 0;
        // SAFETY: as the caller has it.
        unsafe {
            while count - at >= 8 {
                self.some::<8>(at);
                at += 8;
            }
            if count - at >= 4 {
                self.some::<4>(at);
                at += 4;
            }
            while at < count {
                self.some::<1>(at);
                at += 1;
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn some<const N: usize>(&self, at: usize) {
        // SAFETY: the caller has checked these accesses.
        unsafe {
            let to: [*mut i32; N] = std::array::from_fn(|i| self.to.add((at + i) * self.step));
            let mut values = [_mm512_setzero_si512(); N];
            for i in 0..N {
                values[i] = _mm512_loadu_si512(to[i].cast());
            }
            for operation in self.operations {
                let from = operation.from.add(at * operation.step);
                macro_rules! each {
                    ($f:expr) => {
                        for i in 0..N {
                            let source = _mm512_loadu_si512(from.add(i * operation.step).cast());
                            values[i] = $f(values[i], source);
                        }
                    };
                }
                match operation.does {
                    Does::Min => each!(|a, b| _mm512_min_epi32(a, b)),
                    Does::Max => each!(|a, b| _mm512_max_epi32(a, b)),
                    Does::Add => each!(|a, b| _mm512_add_epi32(a, b)),
                    Does::Mul => each!(|a, b| _mm512_mullo_epi32(a, b)),
                    Does::Right => each!(|a, b| _mm512_srav_epi32(a, b)),
                    Does::Shift => each!(|a, b| {
                        // An amount of the width or more leaves the sign, or nothing.
                        let left = _mm512_sub_epi32(_mm512_setzero_si512(), b);
                        let negative = _mm512_cmplt_epi32_mask(b, _mm512_setzero_si512());
                        let right = _mm512_srav_epi32(a, b);
                        _mm512_mask_sllv_epi32(right, negative, a, left)
                    }),
                }
                if self.cuts {
                    for value in &mut values {
                        let high = _mm512_sll_epi32(*value, self.unused);
                        *value = _mm512_sra_epi32(high, self.unused);
                    }
                }
            }
            for i in 0..N {
                _mm512_storeu_si512(to[i].cast(), values[i]);
            }
        }
    }
}
