//! AVX2: two products of 16 bits at once, of the even and of the odd inputs of four.

use std::arch::x86_64::*;

use super::{Block, QUAD, ROWS, Row, Vectorized};

pub(super) const LANES: usize = 8;

/// # Safety
/// The machine has AVX2; the accesses of the block's links from these rows lie inside.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn tile(block: &Block<'_>, rows: &[Row]) {
    // SAFETY: as the caller has it.
    unsafe { by_rows!(rows_of, block, rows, 1 2 3 4 5 6 7 8) }
}

#[target_feature(enable = "avx2")]
unsafe fn rows_of<const R: usize>(block: &Block<'_>, rows: &[Row; R]) {
    let width = block.columns;
    for column in (0..width).step_by(LANES) {
        // SAFETY: the caller has checked these accesses.
        unsafe {
            let unused = _mm_cvtsi32_si128(block.unused);
            let low = _mm256_set1_epi16(0xff);
            let acc = rows.map(|row| block.acc.add(row.acc + column));
            let inp = rows.map(|row| block.inp.add(row.inp));
            let mut sums = match block.keeps {
                true => acc.map(|acc| _mm256_loadu_si256(acc.cast())),
                false => [_mm256_setzero_si256(); R],
            };
            let mut correction = _mm256_setzero_si256();
            for link in block.links {
                let corrections = block.corrections.add(link.wgt * width + column);
                correction = _mm256_add_epi32(correction, _mm256_loadu_si256(corrections.cast()));
                let tile = block
                    .tiles
                    .add((link.wgt * block.quads * width + column) * QUAD);
                for quad in 0..block.quads {
                    let weights = _mm256_loadu_si256(tile.add(quad * width * QUAD).cast());
                    let odd = _mm256_srai_epi16::<8>(weights);
                    let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
                    for r in 0..R {
                        let inputs = inp[r].offset(link.inp).add(quad * QUAD);
                        let inputs = _mm256_set1_epi32(inputs.cast::<i32>().read_unaligned());
                        let evens = _mm256_madd_epi16(_mm256_and_si256(inputs, low), even);
                        let odds = _mm256_madd_epi16(_mm256_srli_epi16::<8>(inputs), odd);
                        sums[r] = _mm256_add_epi32(sums[r], _mm256_add_epi32(evens, odds));
                    }
                }
            }
            for (sum, acc) in sums.into_iter().zip(acc) {
                let sum = _mm256_sll_epi32(_mm256_add_epi32(sum, correction), unused);
                _mm256_storeu_si256(acc.cast(), _mm256_sra_epi32(sum, unused));
            }
        }
    }
}

/// # Safety
/// The machine has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<W: Vectorized>(work: W) -> W::Output {
    work.run()
}
