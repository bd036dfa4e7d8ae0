//! GEMM and the ALU in the vector instructions of x86-64.
//!
//! Unsafe for the sake of these instructions: the portable twin of GEMM takes some ten times as long. Every access of
//! a family is checked before its tiles begin, and of a pass of the ALU before it does.
#![allow(unsafe_code)]

/// The function that handles as many rows as there are.
macro_rules! by_rows {
    ($tile:ident, $block:expr, $rows:expr, $($n:literal)*) => {
        match $rows.len() {
            $($n => $tile::<$n>($block, $rows.try_into().expect("so many rows")),)*
            _ => unreachable!("at most {ROWS} rows"),
        }
    };
}

#[cfg(avx512)]
mod alu;
mod avx2;
#[cfg(avx512)]
mod avx512;

#[cfg(avx512)]
pub(super) use alu::pass;
#[cfg(avx512)]
pub(super) use avx512::quads_of_16x16;

use super::blocks::{Family, Link, Row};
use super::gemm::Operands;
use super::simd::{HostSimd, Vectorized};
use super::weights::QUAD;

/// Rows that a tile keeps in registers, at most.
const ROWS: usize = 8;

/// Carries out a family, moved by `at`, if these instructions can.
pub(super) fn gemm(
    operands: &mut Operands<'_>,
    family: &Family,
    at: [usize; 3],
    simd: HostSimd,
) -> bool {
    let geometry = operands.geometry;
    let tile: unsafe fn(&Block<'_>, &[Row]) = match (simd, geometry.block_out) {
        #[cfg(avx512)]
        (HostSimd::Avx512, columns) if columns % avx512::LANES == 0 => avx512::tile,
        (HostSimd::Avx512 | HostSimd::Avx2, columns) if columns % avx2::LANES == 0 => avx2::tile,
        _ => return false,
    };
    if geometry.block_in % QUAD != 0 {
        return false;
    }
    let block = Block::new(operands, family, at);
    // Tiles of about one size: a last one with few rows would wait for its sums.
    let mut rows = &family.rows[..];
    for left in (1..=rows.len().div_ceil(ROWS)).rev() {
        let (now, later) = rows.split_at(rows.len().div_ceil(left));
        rows = later;
        // SAFETY: the machine has the instructions of `simd`, and `Block::new` has checked every row with every
        // link, of which the first has no distance from the row.
        unsafe { tile(&block, now) };
    }
    true
}

/// Does the work with the instructions of `simd`, which the machine has.
pub(super) fn run<W: Vectorized>(simd: HostSimd, work: W) -> W::Output {
    match simd {
        // SAFETY: the machine has these instructions.
        #[cfg(avx512)]
        HostSimd::Avx512 => unsafe { avx512::run(work) },
        // SAFETY: the same.
        HostSimd::Avx2 => unsafe { avx2::run(work) },
        _ => work.run(),
    }
}

/// A family where it lies.
struct Block<'a> {
    acc: *mut i32,
    inp: *const u8,
    tiles: *const i8,
    corrections: *const i32,
    links: &'a [Link],
    quads: usize,
    columns: usize,
    keeps: bool,
    /// High bits of 32 that an accumulator lacks.
    unused: i32,
}

impl<'a> Block<'a> {
    /// # Panics
    /// If an access lies outside: no such instruction gets here.
    fn new(operands: &'a mut Operands<'_>, family: &'a Family, at: [usize; 3]) -> Block<'a> {
        let geometry = operands.geometry;
        let [acc, inp, wgt] = at;
        let extent = family.extent();
        debug_assert!(family.lies_within(extent));
        assert!(acc + extent.acc[1] + geometry.block_out <= operands.acc.len());
        assert!(extent.wgt + wgt < operands.wgt.len());
        let [first, last] = extent.inp;
        assert!(first >= 0 && last as usize + inp + geometry.block_in <= operands.inp.len());
        Block {
            acc: operands.acc[acc..].as_mut_ptr(),
            inp: operands.inp[inp..].as_ptr(),
            tiles: operands.wgt.tiles()[wgt * operands.wgt.tile_len()..].as_ptr(),
            corrections: operands.wgt.corrections()[wgt * geometry.block_out..].as_ptr(),
            links: &family.links,
            quads: geometry.block_in / QUAD,
            columns: geometry.block_out,
            keeps: operands.keeps,
            unused: 32 - operands.acc_bits as i32,
        }
    }
}
