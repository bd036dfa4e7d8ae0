//! A box of a tensor in DRAM as the fewest two-dimensional blocks.
//!
//! The scratchpad side of a transfer is always consecutive, so only the DRAM side has strides.

use vta_program::{Block2d, Pads};

/// One dimension of the box: `before` zeros, `size` elements `stride` apart, `after` zeros.
#[derive(Clone, Copy, Debug)]
struct Dim {
    before: u64,
    size: u64,
    after: u64,
    stride: u64,
}

impl Dim {
    fn extent(&self) -> u64 {
        self.before + self.size + self.after
    }

    fn padded(&self) -> bool {
        self.before + self.after > 0
    }
}

/// The blocks of the box `origin .. origin + extent` of a row-major tensor of `shape` elements;
/// whatever lies outside of the tensor is zero padding. Addresses count from the start of the
/// box in the scratchpad and of the tensor in DRAM.
///
/// Blocks come in the order of the scratchpad and cover the box exactly once.
pub fn blocks(shape: &[u64], origin: &[i64], extent: &[u64]) -> Vec<Block2d> {
    let mut strides = vec![1u64; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    let mut dram = 0;
    let mut dims = Vec::with_capacity(shape.len());
    for d in 0..shape.len() {
        let end = origin[d] + extent[d] as i64;
        let first = origin[d].clamp(0, shape[d] as i64);
        let last = end.clamp(first, shape[d] as i64);
        let size = (last - first) as u64;
        let before = if size == 0 {
            extent[d]
        } else {
            (first - origin[d]) as u64
        };
        dram += first as u64 * strides[d];
        dims.push(Dim {
            before,
            size,
            after: extent[d] - before - size,
            stride: strides[d],
        });
    }
    let mut out = Vec::new();
    if dims.iter().any(|d| d.size == 0) {
        zeros(0, extent.iter().product(), &mut out);
    } else {
        split(&merge(&dims), 0, dram, &mut out);
    }
    out
}

/// Joins neighbouring dimensions whose elements follow one another without a gap.
fn merge(dims: &[Dim]) -> Vec<Dim> {
    let mut out: Vec<Dim> = Vec::new();
    for &inner in dims.iter().filter(|d| d.extent() != 1) {
        match out.last_mut() {
            Some(outer)
                if !inner.padded()
                    && !outer.padded()
                    && outer.stride == inner.size * inner.stride =>
            {
                *outer = Dim {
                    size: outer.size * inner.size,
                    stride: inner.stride,
                    ..*outer
                };
            }
            _ => out.push(inner),
        }
    }
    out
}

/// Appends the blocks of `dims`: the last two dimensions are a plane, and every index of those
/// before is a plane of its own.
fn split(dims: &[Dim], sram: u64, dram: u64, out: &mut Vec<Block2d>) {
    let unit = Dim {
        before: 0,
        size: 1,
        after: 0,
        stride: 1,
    };
    // A last dimension with gaps has its elements as rows.
    let (rows, x) = match dims.split_last() {
        None => (&[][..], unit),
        Some((last, rest)) if last.stride == 1 => (rest, *last),
        Some(_) => (dims, unit),
    };
    let y = match rows {
        [] => unit,
        [y] => *y,
        [outer, rest @ ..] => {
            let inner: u64 = rest.iter().chain([&x]).map(Dim::extent).product();
            zeros(sram, outer.before * inner, out);
            for i in 0..outer.size {
                let sram = sram + (outer.before + i) * inner;
                split(&dims[1..], sram, dram + i * outer.stride, out);
            }
            return zeros(
                sram + (outer.before + outer.size) * inner,
                outer.after * inner,
                out,
            );
        }
    };
    out.push(Block2d {
        sram_base: sram as u32,
        dram_elem: dram,
        x_size: x.size as u32,
        y_size: y.size as u32,
        x_stride: y.stride as u32,
        pads: Pads {
            y0: y.before as u32,
            y1: y.after as u32,
            x0: x.before as u32,
            x1: x.after as u32,
            ..Pads::NONE
        },
    });
}

/// Appends a block of `count` zeros.
fn zeros(sram: u64, count: u64, out: &mut Vec<Block2d>) {
    if count > 0 {
        out.push(Block2d {
            sram_base: sram as u32,
            x_size: count as u32,
            pads: Pads {
                y0: 1,
                ..Pads::NONE
            },
            ..Block2d::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the blocks leave in the scratchpad, for a tensor whose element `i` holds `i + 1`.
    fn simulate(blocks: &[Block2d], total: usize) -> Vec<u64> {
        let mut sram = vec![u64::MAX; total];
        for b in blocks {
            let Pads { y0, y1, x0, x1, .. } = b.pads;
            let mut at = b.sram_base as usize;
            for y in 0..y0 + b.y_size + y1 {
                for x in 0..x0 + b.x_size + x1 {
                    let row = (y >= y0 && y < y0 + b.y_size).then(|| u64::from(y - y0));
                    let col = (x >= x0 && x < x0 + b.x_size).then(|| u64::from(x - x0));
                    assert_eq!(sram[at], u64::MAX, "written twice");
                    sram[at] = match (row, col) {
                        (Some(r), Some(c)) => b.dram_elem + r * u64::from(b.x_stride) + c + 1,
                        _ => 0,
                    };
                    at += 1;
                }
            }
        }
        sram
    }

    fn reference(shape: &[u64], origin: &[i64], extent: &[u64]) -> Vec<u64> {
        let total: u64 = extent.iter().product();
        (0..total)
            .map(|mut i| {
                let (mut address, mut scale, mut inside) = (0u64, 1u64, true);
                for d in (0..shape.len()).rev() {
                    let at = origin[d] + (i % extent[d]) as i64;
                    i /= extent[d];
                    inside &= (0..shape[d] as i64).contains(&at);
                    address += at.max(0) as u64 * scale;
                    scale *= shape[d];
                }
                if inside { address + 1 } else { 0 }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn covers_the_box_exactly(
            dims in prop::collection::vec((1u64..7, -20i64..8, 1u64..24), 1..5),
        ) {
            let shape: Vec<u64> = dims.iter().map(|d| d.0).collect();
            let origin: Vec<i64> = dims.iter().map(|d| d.1).collect();
            let extent: Vec<u64> = dims.iter().map(|d| d.2).collect();
            let total = extent.iter().product::<u64>() as usize;
            let got = simulate(&blocks(&shape, &origin, &extent), total);
            prop_assert_eq!(got, reference(&shape, &origin, &extent));
        }
    }

    #[test]
    fn whole_planes_are_one_transfer() {
        // Rows of a 56x56 image in four channel blocks, with a column of padding each side.
        assert_eq!(blocks(&[4, 56, 56], &[0, 7, -1], &[4, 10, 58]).len(), 4);
        // Whole rows follow one another.
        let b = blocks(&[4, 56, 56], &[1, 8, 0], &[2, 10, 56]);
        assert_eq!(b.len(), 1);
        assert_eq!((b[0].y_size, b[0].x_size, b[0].x_stride), (2, 560, 3136));
    }
}
