//! What the simulator's speed is held against: matrix products of 8-bit values that know nothing of an accelerator,
//! and a simulator that takes one micro-op after the other.
//!
//! The plain product is the best that a loop over registers gets out of this machine, with operands that lie ready:
//! nothing is loaded, stored in tiles or rescaled. The step by step one does what behavioural simulators of this
//! accelerator have done since 2018: for each micro-op 16 sums of 16 products, in the order of the instruction.
// Vector instructions have no safe form in the compilers that the project supports.
#![allow(unsafe_code)]

/// A product of `[m, k]` unsigned and `[n, k]` signed values.
pub struct Plain {
    size: [usize; 3],
    /// `[m][k]`
    left: Vec<u8>,
    /// `[n / 16][k / 4][16][4]`
    right: Vec<i8>,
    /// `[m][n]`
    sums: Vec<i32>,
}

/// Columns that lie side by side.
const PANEL: usize = 16;

impl Plain {
    /// Operands for `size = [m, n, k]`, `m` a multiple of 8, `n` of 32, `k` of 4; their values do not matter.
    pub fn new(size: [usize; 3]) -> Plain {
        let [m, n, k] = size;
        assert!(m % 8 == 0 && n % (2 * PANEL) == 0 && k % 4 == 0, "{size:?}");
        Plain {
            size,
            left: (0..m * k).map(|i| ((i * 7) >> 3) as u8).collect(),
            right: (0..n * k).map(|i| ((i * 5) >> 2) as i8).collect(),
            sums: vec![0; m * n],
        }
    }

    /// The product, with the best instructions that this machine has and the compiler knew; their name.
    pub fn run(&mut self) -> &'static str {
        #[cfg(avx512)]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the machine has these instructions; `new` has checked the sizes.
            unsafe { self.vnni() };
            return "AVX-512 VNNI";
        }
        self.portable();
        "plain loops"
    }

    #[cfg(avx512)]
    #[allow(clippy::incompatible_msrv)] // By compilers that have it.
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn vnni(&mut self) {
        use std::arch::x86_64::*;
        let [m, n, k] = self.size;
        for columns in (0..n).step_by(2 * PANEL) {
            let panels = [columns, columns + PANEL].map(|c| self.right[c * k..].as_ptr());
            for row in (0..m).step_by(8) {
                let left: [*const u8; 8] =
                    std::array::from_fn(|r| self.left[(row + r) * k..].as_ptr());
                let mut sums = [[_mm512_setzero_si512(); 2]; 8];
                for at in (0..k).step_by(4) {
                    // SAFETY: of `k` values in a row, four from `at` on; of `16 k` in a panel, 64 from `16 at` on.
                    unsafe {
                        let w =
                            panels.map(|panel| _mm512_loadu_si512(panel.add(at * PANEL).cast()));
                        for (sums, left) in sums.iter_mut().zip(left) {
                            let x = _mm512_set1_epi32(left.add(at).cast::<i32>().read_unaligned());
                            sums[0] = _mm512_dpbusd_epi32(sums[0], x, w[0]);
                            sums[1] = _mm512_dpbusd_epi32(sums[1], x, w[1]);
                        }
                    }
                }
                for (r, sums) in sums.into_iter().enumerate() {
                    let to = &mut self.sums[(row + r) * n + columns..][..2 * PANEL];
                    for (to, sums) in to.chunks_exact_mut(PANEL).zip(sums) {
                        // SAFETY: 16 sums.
                        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), sums) };
                    }
                }
            }
        }
    }

    fn portable(&mut self) {
        let [_, n, k] = self.size;
        for (left, sums) in self.left.chunks_exact(k).zip(self.sums.chunks_exact_mut(n)) {
            for (panel, sums) in self
                .right
                .chunks_exact(PANEL * k)
                .zip(sums.chunks_exact_mut(PANEL))
            {
                let mut row = [0i32; PANEL];
                for (x, w) in left.chunks_exact(4).zip(panel.chunks_exact(4 * PANEL)) {
                    for (sum, w) in row.iter_mut().zip(w.chunks_exact(4)) {
                        let products = x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w));
                        *sum += products.sum::<i32>();
                    }
                }
                sums.copy_from_slice(&row);
            }
        }
    }

    /// A left value.
    pub fn left(&self, row: usize, at: usize) -> u8 {
        self.left[row * self.size[2] + at]
    }

    /// A right value.
    pub fn right(&self, column: usize, at: usize) -> i8 {
        let panel = &self.right[column / PANEL * PANEL * self.size[2]..];
        panel[(at / 4 * PANEL + column % PANEL) * 4 + at % 4]
    }

    /// Sums, `[m][n]` row-major.
    pub fn sums(&self) -> &[i32] {
        &self.sums
    }
}

/// A product for the default design, tile by tile in scratchpads, with one micro-op after the other.
pub struct StepByStep {
    inp: Vec<i8>,
    wgt: Vec<i8>,
    acc: Vec<i32>,
    /// Accumulator, input, weight.
    uops: Vec<[u32; 3]>,
}

impl StepByStep {
    /// Rows, columns in blocks and what is summed over in blocks of a tile: the scratchpads are full.
    const TILE: [usize; 3] = [32, 16, 64];
    const BLOCK: usize = 16;

    /// Scratchpads with something in them.
    pub fn new() -> StepByStep {
        let [rows, columns, depth] = Self::TILE;
        StepByStep {
            inp: (0..rows * depth * Self::BLOCK).map(|i| i as i8).collect(),
            wgt: (0..columns * depth * Self::BLOCK * Self::BLOCK)
                .map(|i| (i * 3) as i8)
                .collect(),
            acc: vec![0; rows * columns * Self::BLOCK],
            uops: (0..depth as u32).map(|k| [0, k, k]).collect(),
        }
    }

    /// Multiply-accumulates of one instruction.
    pub fn macs(&self) -> u64 {
        let [rows, columns, depth] = Self::TILE;
        (rows * columns * depth * Self::BLOCK * Self::BLOCK) as u64
    }

    /// One instruction: all of a tile.
    pub fn run(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            unsafe { self.with_avx2() };
            return;
        }
        self.steps();
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn with_avx2(&mut self) {
        self.steps();
    }

    #[inline(always)]
    fn steps(&mut self) {
        const B: usize = StepByStep::BLOCK;
        let [rows, columns, depth] = Self::TILE;
        for row in 0..rows {
            for column in 0..columns {
                for [d, s, w] in &self.uops {
                    let d = *d as usize + row * columns + column;
                    let s = *s as usize + row * depth;
                    let w = *w as usize + column * depth;
                    let inp = &self.inp[s * B..][..B];
                    let tile = &self.wgt[w * B * B..][..B * B];
                    for (sum, weights) in
                        self.acc[d * B..][..B].iter_mut().zip(tile.chunks_exact(B))
                    {
                        let products = inp
                            .iter()
                            .zip(weights)
                            .map(|(&x, &w)| i32::from(x) * i32::from(w));
                        *sum = sum.wrapping_add(products.sum());
                    }
                }
            }
        }
    }

    /// The accumulators.
    pub fn acc(&self) -> &[i32] {
        &self.acc
    }
}

impl Default for StepByStep {
    fn default() -> Self {
        Self::new()
    }
}
