//! AVX-512 with VNNI: four products at once of inputs plus 128 and weights, which [`Weights`] corrects.
//!
//! [`Weights`]: crate::kernel::Weights
// Compiled by compilers that have it.
#![allow(clippy::incompatible_msrv)]

use std::arch::x86_64::*;
use std::sync::atomic::{Ordering, compiler_fence};

use super::{Block, HostSimd, QUAD, ROWS, Row, Vectorized};

pub(super) const LANES: usize = 16;

/// # Safety
/// The machine has AVX-512 with VNNI; the accesses of the block's links from these rows lie inside.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn tile(block: &Block<'_>, rows: &[Row]) {
    // SAFETY: as the caller has it.
    unsafe { by_rows!(rows_of, block, rows, 1 2 3 4 5 6 7 8) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn rows_of<const R: usize>(block: &Block<'_>, rows: &[Row; R]) {
    for column in (0..block.columns).step_by(LANES) {
        // SAFETY: the columns are those of the block.
        unsafe {
            match (block.quads, block.columns) {
                (4, 16) => columns::<R>(block, rows, column, 4, 16),
                (quads, width) => columns::<R>(block, rows, column, quads, width),
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
unsafe fn columns<const R: usize>(
    block: &Block<'_>,
    rows: &[Row; R],
    column: usize,
    quads: usize,
    width: usize,
) {
    // SAFETY: the caller has checked these accesses.
    unsafe {
        let acc = rows.map(|row| block.acc.add(row.acc + column));
        let inp = rows.map(|row| block.inp.add(row.inp));
        let mut sums = match block.keeps {
            true => acc.map(|acc| _mm512_loadu_si512(acc.cast())),
            false => [_mm512_setzero_si512(); R],
        };
        let mut correction = _mm512_setzero_si512();
        for link in block.links {
            let corrections = block.corrections.add(link.wgt * width + column);
            correction = _mm512_add_epi32(correction, _mm512_loadu_si512(corrections.cast()));
            let tile = block.tiles.add((link.wgt * quads * width + column) * QUAD);
            for quad in 0..quads {
                // Keeps the compiler from loading the inputs of all quads before the first product, which
                // is more than there are registers.
                compiler_fence(Ordering::SeqCst);
                let weights = _mm512_loadu_si512(tile.add(quad * width * QUAD).cast());
                for r in 0..R {
                    let inputs = inp[r].offset(link.inp).add(quad * QUAD);
                    let inputs = _mm512_set1_epi32(inputs.cast::<i32>().read_unaligned());
                    sums[r] = _mm512_dpbusd_epi32(sums[r], inputs, weights);
                }
            }
        }
        let unused = _mm_cvtsi32_si128(block.unused);
        for (sum, acc) in sums.into_iter().zip(acc) {
            let sum = _mm512_sll_epi32(_mm512_add_epi32(sum, correction), unused);
            _mm512_storeu_si512(acc.cast(), _mm512_sra_epi32(sum, unused));
        }
    }
}

/// # Safety
/// The machine has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn run<W: Vectorized>(work: W) -> W::Output {
    work.run()
}

/// A tile of 16 by 16 weights in its quads, with what corrects its columns; `false` for other tiles and
/// machines.
pub(in crate::kernel) fn quads_of_16x16(
    tile: &mut [i8],
    corrections: &mut [i32],
    source: &[u8],
    simd: HostSimd,
) -> bool {
    let sizes = (tile.try_into(), corrections.try_into(), source.try_into());
    let (HostSimd::Avx512, (Ok(tile), Ok(corrections), Ok(source))) = (simd, sizes) else {
        return false;
    };
    // SAFETY: the machine has these instructions.
    unsafe { quads(tile, corrections, source) };
    true
}

#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn quads(tile: &mut [i8; 256], corrections: &mut [i32; 16], source: &[u8; 256]) {
    // SAFETY: 64 bytes each, of 256.
    unsafe {
        let rows = [0, 64, 128, 192].map(|at| _mm512_loadu_si512(source[at..].as_ptr().cast()));
        // A transpose of 16 rows of 4 groups of 4 bytes: two halves of 8 rows, then both.
        let half = |a, b, low: bool| {
            let first = if low { 0 } else { 2 };
            let lanes = |i: i32| (i % 4) * 4 + i / 8 + first + (i / 4 % 2) * 16;
            let index: [i32; 16] = std::array::from_fn(|i| lanes(i as i32));
            _mm512_permutex2var_epi32(a, _mm512_loadu_si512(index.as_ptr().cast()), b)
        };
        let mut sums = _mm512_setzero_si512();
        for (pair, low) in [true, false].into_iter().enumerate() {
            let (top, bottom) = (half(rows[0], rows[1], low), half(rows[2], rows[3], low));
            let quads = [
                _mm512_shuffle_i32x4::<0b01_00_01_00>(top, bottom),
                _mm512_shuffle_i32x4::<0b11_10_11_10>(top, bottom),
            ];
            for (k, quad) in quads.into_iter().enumerate() {
                let to = tile[(pair * 2 + k) * 64..].as_mut_ptr();
                _mm512_storeu_si512(to.cast(), quad);
                sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(-128), quad);
            }
        }
        let sums = _mm512_sub_epi32(_mm512_setzero_si512(), sums);
        _mm512_storeu_si512(corrections.as_mut_ptr().cast(), sums);
    }
}
