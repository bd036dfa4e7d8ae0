//! Which indices an operand of a kernel takes.

use std::ops::Range;

use vta_isa::Uop;

use crate::access::{Kernel, index};
use crate::fault::Operand;

/// The set of indices that an operand of a kernel takes.
#[derive(Default)]
pub(super) struct Indices {
    /// A bit for each index from `64 * first` on.
    words: Vec<u64>,
    first: usize,
    shifted: Vec<u64>,
}

impl Indices {
    /// Becomes the indices of `operand`, which were checked to be in range; there is at least one.
    pub(super) fn cover(&mut self, kernel: &Kernel, operand: Operand, uops: &[Uop]) {
        let factors = kernel.factors(operand);
        let (mut least, mut most) = (usize::MAX, 0);
        for uop in uops {
            let index = index(uop, operand) as usize;
            (least, most) = (least.min(index), most.max(index));
        }
        let loops = [(kernel.iter_out, factors[0]), (kernel.iter_in, factors[1])]
            .map(|(n, factor)| (n as usize, factor as usize));
        let last: usize = loops.iter().map(|&(n, factor)| (n - 1) * factor).sum();
        self.first = least / 64;
        self.words.clear();
        self.words.resize((most + last) / 64 + 1 - self.first, 0);
        for uop in uops {
            let index = index(uop, operand) as usize;
            self.words[index / 64 - self.first] |= 1 << (index % 64);
        }
        // Doubling: the indices of 2n iterations are those of n and those of n moved by n factors.
        for (n, factor) in loops {
            let mut have = 1;
            while factor > 0 && have < n {
                let step = have.min(n - have);
                self.add_shifted(step * factor);
                have += step;
            }
        }
    }

    fn add_shifted(&mut self, by: usize) {
        let (words, bits) = (by / 64, by % 64);
        self.shifted.clone_from(&self.words);
        for to in (words..self.words.len()).rev() {
            let from = to - words;
            let low = if bits == 0 || from == 0 {
                0
            } else {
                self.shifted[from - 1] >> (64 - bits)
            };
            self.words[to] |= self.shifted[from] << bits | low;
        }
    }

    /// Them, neighbours together, in order.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Range<usize>> {
        let (base, end) = (64 * self.first, 64 * self.words.len());
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, 0)?;
            at = self.next(start, u64::MAX).unwrap_or(end);
            Some(base + start..base + at)
        })
    }

    /// The first bit from `at` on that differs from `flip`'s.
    fn next(&self, at: usize, flip: u64) -> Option<usize> {
        let mut word = at / 64;
        let mut bits = (self.words.get(word)? ^ flip) & (u64::MAX << (at % 64));
        while bits == 0 {
            word += 1;
            bits = self.words.get(word)? ^ flip;
        }
        Some(64 * word + bits.trailing_zeros() as usize)
    }
}
