//! ALU instructions as passes over a range of accumulators, and neighbours among them as one pass.
//!
//! Most instructions change each accumulator of an affine range once and read nothing that they write. Then the order of
//! their steps does not matter, and the steps of the next instruction over the same range may come at
//! once: accumulators stay in registers. So such instructions are not carried out but put off, until another
//! range, or anything else that has to do with accumulators, comes.

use vta_isa::{AluOp, Uop};

use super::alu::Accumulators;
use super::simd::HostSimd;
use crate::access::{Kernel, KernelOp};

/// Steps put off, at most.
pub(super) const MOST: usize = 16;

/// Accumulators (elements) in two loops, the outer first, each of them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: usize,
    pub(super) count: [usize; 2],
    pub(super) by: [usize; 2],
}

/// The second operand of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Imm(i32),
    /// An element, and how far the loops of the range move it.
    Acc {
        first: usize,
        by: [usize; 2],
    },
}

/// One operation on all of a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) op: AluOp,
    pub(super) source: Source,
}

/// What has been put off.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    range: Option<Range>,
    steps: Vec<Step>,
}

impl Chain {
    /// Takes an instruction whose indices are in range, once what was put off and does not go with it is done;
    /// `false` if it cannot be put off.
    pub(super) fn takes(
        &mut self,
        kernel: &Kernel,
        uops: &[Uop],
        accumulators: &mut Accumulators<'_>,
        simd: HostSimd,
    ) -> bool {
        let op = match kernel.op {
            KernelOp::AluImm(op, _) | KernelOp::AluAcc(op) => op,
            KernelOp::Gemm(_) => return false,
        };
        let one = uops.iter().all(|uop| uop.dst == uops[0].dst);
        let Some((range, src)) = Range::of(kernel, uops[0].dst).filter(|_| one) else {
            return false;
        };
        let written = range.extent();
        let apart = |first: usize| {
            let last = range.last(first, src);
            last < written[0] || written[1] < first
        };
        let reads = matches!(kernel.op, KernelOp::AluAcc(_));
        if reads && !uops.iter().all(|uop| apart(uop.src as usize)) {
            return false;
        }
        for uop in uops {
            if self.range != Some(range) || self.steps.len() == MOST {
                self.settle(accumulators, simd);
                self.range = Some(range);
            }
            let source = match kernel.op {
                KernelOp::AluImm(_, imm) => Source::Imm(imm),
                _ => Source::Acc {
                    first: uop.src as usize,
                    by: src,
                },
            };
            self.steps.push(Step { op, source });
        }
        true
    }

    /// Does what was put off.
    pub(super) fn settle(&mut self, accumulators: &mut Accumulators<'_>, simd: HostSimd) {
        if let Some(range) = self.range.take() {
            accumulators.pass(&range, &self.steps, simd);
            self.steps.clear();
        }
    }

    /// Whether nothing is put off.
    pub(super) fn is_settled(&self) -> bool {
        self.range.is_none()
    }
}

impl Range {
    /// The accumulators that a kernel's loops make of one, if they differ, with what moves the sources.
    fn of(kernel: &Kernel, first: u32) -> Option<(Range, [usize; 2])> {
        let count = [kernel.iter_out, kernel.iter_in].map(|n| n as usize);
        let [dst, src] = [kernel.dst, kernel.src].map(|f| f.map(|f| f as usize));
        // A loop of one iteration moves nothing.
        let mut loops = [0, 1].map(|i| match count[i] {
            1 => (1, 0, 0),
            n => (n, dst[i], src[i]),
        });
        loops.sort_unstable_by_key(|&(count, dst, _)| (count > 1, std::cmp::Reverse(dst)));
        let [outer, inner] = &mut loops;
        let whole = (inner.0 * inner.1, inner.0 * inner.2);
        if outer.0 > 1 && (outer.1, outer.2) == whole {
            inner.0 *= std::mem::replace(outer, (1, 0, 0)).0;
        }
        let distinct = |(count, by, _): (usize, usize, usize), within| count == 1 || by > within;
        if !distinct(*inner, 0) || !distinct(*outer, (inner.0 - 1) * inner.1) {
            return None;
        }
        let range = Range {
            first: first as usize,
            count: [outer.0, inner.0],
            by: [outer.1, inner.1],
        };
        Some((range, [outer.2, inner.2]))
    }

    /// Where the loops bring an element that they move.
    pub(super) fn last(&self, first: usize, by: [usize; 2]) -> usize {
        first + (self.count[0] - 1) * by[0] + (self.count[1] - 1) * by[1]
    }

    /// The first and the last accumulator.
    pub(super) fn extent(&self) -> [usize; 2] {
        [self.first, self.last(self.first, self.by)]
    }
}
