//! GEMM.

use vta_isa::Uop;

use super::blocks::{Blocks, Family, Geometry};
use super::each;
use super::simd::HostSimd;
use super::weights::{QUAD, Weights};
use crate::access::Kernel;
use crate::lanes::wrap;

/// What GEMM reads and writes.
pub(super) struct Operands<'a> {
    pub(super) geometry: Geometry,
    pub(super) acc_bits: u32,
    /// Each value plus 128.
    pub(super) inp: &'a [u8],
    pub(super) wgt: &'a Weights,
    pub(super) acc: &'a mut [i32],
    /// Whether sums begin at what the accumulators hold.
    pub(super) keeps: bool,
}

/// Room that GEMM needs, kept from one instruction to the next.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    blocks: Blocks,
    seen: Seen,
}

/// By row of accumulators, in which question it was last seen.
#[derive(Debug, Default)]
struct Seen {
    at: Vec<u32>,
    now: u32,
}

/// A copy needs room of its own, not what lies in it.
impl Clone for Workspace {
    fn clone(&self) -> Workspace {
        Workspace::default()
    }
}

impl Seen {
    fn begin(&mut self, rows: usize) {
        if self.now == u32::MAX || self.at.len() != rows {
            self.at.clear();
            self.at.resize(rows, 0);
            self.now = 0;
        }
        self.now += 1;
    }

    /// Notes a row; whether it is new.
    fn is_new(&mut self, row: usize) -> bool {
        std::mem::replace(&mut self.at[row], self.now) != self.now
    }
}

impl Workspace {
    /// Carries out a GEMM whose indices are in range.
    pub(super) fn run(
        &mut self,
        kernel: &Kernel,
        uops: &[Uop],
        operands: &mut Operands<'_>,
        simd: HostSimd,
    ) {
        if simd != HostSimd::StepByStep && self.arrange(kernel, uops, operands) {
            self.blocks
                .each(|family, at| operands.family(family, at, simd));
        } else {
            operands.step_by_step(kernel, uops);
        }
    }

    /// Arranges the steps in blocks, of rows that differ, unless their order matters.
    fn arrange(&mut self, kernel: &Kernel, uops: &[Uop], operands: &Operands<'_>) -> bool {
        let Operands {
            geometry, keeps, ..
        } = operands;
        let rows = operands.acc.len() / geometry.block_out;
        let seen = &mut self.seen;
        if !keeps {
            // More steps than accumulators: some come twice.
            let mut distinct = kernel.steps() <= (rows / geometry.batch) as u64;
            seen.begin(rows);
            if distinct {
                each(kernel, uops, |[d, ..]| {
                    distinct &= seen.is_new(d * geometry.batch);
                });
            }
            if !distinct {
                return false;
            }
        }
        self.blocks.arrange(kernel, uops, *geometry, true);
        let distinct = self.blocks.families().iter().all(|family| {
            if family.is_distinct() {
                return true;
            }
            seen.begin(rows);
            let mut rows = family.rows.iter().map(|row| row.acc / geometry.block_out);
            rows.all(|row| seen.is_new(row))
        });
        if !distinct {
            self.blocks.arrange(kernel, uops, *geometry, false);
        }
        true
    }
}

impl Operands<'_> {
    /// The rows of a family, moved by `at`.
    fn family(&mut self, family: &Family, at: [usize; 3], simd: HostSimd) {
        #[cfg(target_arch = "x86_64")]
        if super::x86::gemm(self, family, at, simd) {
            return;
        }
        let _ = simd;
        self.portable(family, at);
    }

    fn portable(&mut self, family: &Family, [acc, inp, wgt]: [usize; 3]) {
        let columns = self.geometry.block_out;
        let len = self.wgt.tile_len();
        for row in &family.rows {
            let sums = &mut self.acc[row.acc + acc..][..columns];
            if !self.keeps {
                sums.fill(0);
            }
            for link in &family.links {
                let inputs = &self.inp[(row.inp + inp).wrapping_add_signed(link.inp)..];
                let inputs = &inputs[..self.geometry.block_in];
                let tile = &self.wgt.tiles()[(link.wgt + wgt) * len..][..len];
                let quads = tile.chunks_exact(columns * QUAD);
                for (inputs, weights) in inputs.chunks(QUAD).zip(quads) {
                    let mut x = [0i32; QUAD];
                    for (x, &input) in x.iter_mut().zip(inputs) {
                        *x = i32::from(input) - 128;
                    }
                    for (sum, w) in sums.iter_mut().zip(weights.chunks_exact(QUAD)) {
                        let products = (0..QUAD).map(|k| x[k] * i32::from(w[k]));
                        *sum = sum.wrapping_add(products.sum());
                    }
                }
            }
            sums.iter_mut()
                .for_each(|sum| *sum = wrap(*sum, self.acc_bits));
        }
    }

    fn step_by_step(&mut self, kernel: &Kernel, uops: &[Uop]) {
        let Geometry {
            batch,
            block_in,
            block_out,
        } = self.geometry;
        let len = self.wgt.tile_len();
        each(kernel, uops, |[d, s, w]| {
            let tile = &self.wgt.tiles()[w * len..][..len];
            for b in 0..batch {
                let inputs = &self.inp[(s * batch + b) * block_in..][..block_in];
                let sums = &mut self.acc[(d * batch + b) * block_out..][..block_out];
                for (column, sum) in sums.iter_mut().enumerate() {
                    let weight = |k: usize| tile[(k / QUAD * block_out + column) * QUAD + k % QUAD];
                    let products = inputs
                        .iter()
                        .enumerate()
                        .map(|(k, &x)| (i32::from(x) - 128) * i32::from(weight(k)));
                    let start = if self.keeps { *sum } else { 0 };
                    *sum = wrap(products.fold(start, i32::wrapping_add), self.acc_bits);
                }
            }
        });
    }
}
