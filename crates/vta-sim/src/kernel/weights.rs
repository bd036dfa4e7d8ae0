//! Weight tiles in the order in which products are taken.

use std::ops::Range;

use super::{Aligned, HostSimd};

/// Inputs whose products a kernel adds at once.
pub(super) const QUAD: usize = 4;

/// The weight scratchpad: tiles `[block_in / 4][block_out][4]`, so that four inputs meet a vector of weights for
/// them in every column. What fills up the last four is zero.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    tiles: Aligned<i8>,
    /// `[tile][block_out]`: the sum of a column's weights, times -128. Kernels multiply inputs plus 128.
    corrections: Aligned<i32>,
    block_in: usize,
    block_out: usize,
}

impl Weights {
    pub(super) fn new(tiles: usize, [block_in, block_out]: [usize; 2], value: i8) -> Weights {
        let tile = block_in.next_multiple_of(QUAD) * block_out;
        let mut weights = Weights {
            tiles: Aligned::new(0, tiles * tile),
            corrections: Aligned::new(0, tiles * block_out),
            block_in,
            block_out,
        };
        weights.fill(0..tiles, value);
        weights
    }

    /// One value for all weights of some tiles.
    pub(crate) fn fill(&mut self, tiles: Range<usize>, value: i8) {
        let Range { start, end } = tiles;
        if start == end {
            return;
        }
        let tile = vec![value as u8; self.block_in * self.block_out];
        self.set(start, &tile, HostSimd::Portable);
        let (len, columns) = (self.tile_len(), self.block_out);
        for tile in start + 1..end {
            self.tiles
                .copy_within(start * len..(start + 1) * len, tile * len);
            self.corrections
                .copy_within(start * columns..(start + 1) * columns, tile * columns);
        }
    }

    /// Values of a tile, filled up.
    pub(super) fn tile_len(&self) -> usize {
        self.block_in.next_multiple_of(QUAD) * self.block_out
    }

    /// Tiles that there are.
    pub(crate) fn len(&self) -> usize {
        self.corrections.len() / self.block_out
    }

    pub(super) fn tiles(&self) -> &[i8] {
        &self.tiles
    }

    pub(super) fn corrections(&self) -> &[i32] {
        &self.corrections
    }

    /// Writes tiles `[block_out][block_in]`, whose bytes are signed, from tile `first` on.
    pub(crate) fn set(&mut self, first: usize, values: &[u8], simd: HostSimd) {
        let (block_in, block_out, len) = (self.block_in, self.block_out, self.tile_len());
        let tiles = self.tiles[first * len..].chunks_exact_mut(len);
        let corrections = self.corrections[first * block_out..].chunks_exact_mut(block_out);
        let sources = values.chunks_exact(block_in * block_out);
        for ((tile, corrections), source) in tiles.zip(corrections).zip(sources) {
            #[cfg(avx512)]
            if super::x86::quads_of_16x16(tile, corrections, source, simd) {
                continue;
            }
            let _ = simd;
            arrange(tile, corrections, source, block_in);
        }
    }

    /// Reads a tile as [`Weights::set`] takes it.
    pub(crate) fn get(&self, tile: usize, values: &mut [i8]) {
        let tile = &self.tiles[tile * self.tile_len()..][..self.tile_len()];
        for (column, row) in values.chunks_exact_mut(self.block_in).enumerate() {
            for (quad, weights) in row.chunks_mut(QUAD).enumerate() {
                let at = (quad * self.block_out + column) * QUAD;
                weights.copy_from_slice(&tile[at..at + weights.len()]);
            }
        }
    }
}

/// A tile `[block_out][block_in]` in its quads, and what corrects its columns.
fn arrange(tile: &mut [i8], corrections: &mut [i32], source: &[u8], block_in: usize) {
    let columns = corrections.len();
    let rows = source.chunks_exact(block_in);
    for (column, (row, correction)) in rows.zip(corrections).enumerate() {
        *correction = -128 * row.iter().map(|&w| i32::from(w as i8)).sum::<i32>();
        let mut whole = row.chunks_exact(QUAD);
        let mut quads = tile[column * QUAD..].chunks_mut(columns * QUAD);
        for (weights, quad) in whole.by_ref().zip(quads.by_ref()) {
            // Of a fixed length, and so without a call.
            let quad: &mut [i8; QUAD] = (&mut quad[..QUAD]).try_into().expect("four");
            *quad = [0, 1, 2, 3].map(|k| weights[k] as i8);
        }
        if let Some(quad) = quads.next() {
            let rest = whole.remainder();
            quad.iter_mut().zip(rest).for_each(|(to, &w)| *to = w as i8);
        }
    }
}
