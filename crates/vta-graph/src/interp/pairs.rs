//! Integer convolution with the products of two input channels at once, as x86-64 has them.
//!
//! Written for that instruction because plain loops over the same layout, compiled for the same processor, take five
//! times as long. [`super::convolve`] is its twin: for machines without AVX2, and in the tests.
//!
//! Inputs are arranged as planes of pairs, with the padding around them, so that a tap of eight windows side by side is
//! a load of eight pairs. Where windows step over columns, columns of one remainder lie side by side.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::convolve::Convolution;
use crate::op::gcd;

/// Positions of a vector: as many 32-bit sums as a register holds.
const LANES: usize = 8;
/// Vectors and output channels of a tile: with inputs and a weight, as many as there are registers.
const VECTORS: usize = 3;
const ROWS: usize = 4;
/// How many times the input, and a little, its arrangement may take. Strange strides and padding would take more.
const GROWTH: usize = 8;
const LITTLE: usize = 1 << 16;

/// Values of two input channels, or the weights for them.
type Pair = [i16; 2];

/// The sums `[N, O, OH, OW]` of a convolution of inputs of at most 255 with weights of at most 128 in magnitude; `None`
/// on machines without AVX2, and where the arrangement would take too much memory.
pub(super) fn sums(
    convolution: &Convolution<'_, i16, i32>,
    [n, o, oh, ow]: [usize; 4],
) -> Option<Vec<i32>> {
    if !is_x86_feature_detected!("avx2") {
        return None;
    }
    let layout = Layout::new(convolution, [oh, ow])?;
    let planes = layout.planes(convolution);
    let weights = layout.weights(convolution.weight);
    let (taps, vectors) = (layout.taps(), layout.vectors());
    let groups = convolution.attrs.groups;
    let (group_out, positions) = (o / groups, oh * ow);
    let parts = n * groups;
    let reach = (taps.iter().max().zip(vectors.iter().map(|v| v.from).max()))
        .map_or(0, |(tap, from)| tap + from + LANES);
    assert!((parts - 1) * layout.group_len() + reach <= planes.len());
    let mut sums = vec![0; n * o * positions];
    for (part, sums) in sums.chunks_exact_mut(group_out * positions).enumerate() {
        for vectors in vectors.chunks(VECTORS) {
            // Spare vectors repeat the last one.
            let from = std::array::from_fn(|v| {
                part * layout.group_len() + vectors[v.min(vectors.len() - 1)].from
            });
            for first in (0..group_out).step_by(ROWS) {
                let rows = ROWS.min(group_out - first);
                let channel = part % groups * group_out + first;
                let weights = &weights[channel * taps.len()..][..rows * taps.len()];
                let bias = convolution.bias.map(|bias| &bias[channel..]);
                let tile = match rows {
                    1 => tile::<1>,
                    2 => tile::<2>,
                    3 => tile::<3>,
                    _ => tile::<ROWS>,
                };
                // SAFETY: the machine has AVX2; the last vector lies within the planes with the farthest tap.
                let tile = unsafe { tile(&planes, from, &taps, weights, bias) };
                for (row, tile) in tile[..rows].iter().enumerate() {
                    for (vector, values) in vectors.iter().zip(tile) {
                        let to = &mut sums[(first + row) * positions + vector.to..];
                        match vector.lanes {
                            LANES => to[..LANES].copy_from_slice(values),
                            lanes => to[..lanes].copy_from_slice(&values[..lanes]),
                        }
                    }
                }
            }
        }
    }
    Some(sums)
}

/// Positions side by side in a row of the result.
struct Vector {
    /// Where their windows begin, in the planes of a group.
    from: usize,
    /// Where the first of them lies, in a plane of the result.
    to: usize,
    lanes: usize,
}

/// Where everything lies.
struct Layout {
    /// Of the input and the result; those of a product of matrices are one row.
    hw: [usize; 2],
    out: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Above and to the left.
    pads: [usize; 2],
    /// Input channels of a group.
    channels: usize,
    /// Rows of a plane.
    rows: usize,
    /// Columns of one remainder in a row.
    columns: usize,
    /// How many remainders the columns have that taps read: those of the first taps, which then come again.
    remainders: usize,
}

impl Layout {
    fn new(convolution: &Convolution<'_, i16, i32>, out: [usize; 2]) -> Option<Layout> {
        let window = &convolution.attrs.window;
        let [n, c, h, w] = convolution.x_shape;
        let mut pads = [window.pads[0], window.pads[1]];
        let (mut hw, mut out) = ([h, w], out);
        let (mut kernel, mut stride, mut dilation) =
            (window.kernel, window.stride, window.dilation);
        if kernel == [1, 1] && stride == [1, 1] && pads == [0, 0] && hw == out {
            (hw, out) = ([1, h * w], [1, h * w]);
        } else if [w, out[1], kernel[1], pads[1]] == [1, 1, 1, 0] {
            // One column lies in memory as one row does.
            for pair in [
                &mut hw,
                &mut out,
                &mut kernel,
                &mut stride,
                &mut dilation,
                &mut pads,
            ] {
                pair.reverse();
            }
        }
        let [kh, kw] = kernel;
        let layout = Layout {
            hw,
            out,
            kernel,
            stride,
            dilation,
            pads,
            channels: c / convolution.attrs.groups,
            rows: (out[0] - 1) * stride[0] + (kh - 1) * dilation[0] + 1,
            columns: out[1] + (kw - 1) * dilation[1] / stride[1],
            remainders: kw.min(stride[1] / gcd(stride[1], dilation[1])),
        };
        let extents = [
            n,
            convolution.attrs.groups,
            layout.pairs(),
            layout.rows,
            layout.row(),
        ];
        let len = extents.into_iter().try_fold(2usize, usize::checked_mul)?;
        (len <= convolution
            .x
            .len()
            .saturating_mul(GROWTH)
            .saturating_add(LITTLE))
        .then_some(layout)
    }

    /// Pairs of channels in a group; where the channels are odd, the last pair has one.
    fn pairs(&self) -> usize {
        self.channels.div_ceil(2)
    }

    /// Length of a row.
    fn row(&self) -> usize {
        self.remainders * self.columns
    }

    /// Length of a plane.
    fn plane(&self) -> usize {
        self.rows * self.row()
    }

    /// Length of the planes of a group.
    fn group_len(&self) -> usize {
        self.pairs() * self.plane()
    }

    /// The input, `[N, groups, pairs, rows, remainders, columns]`, and a vector more.
    fn planes(&self, convolution: &Convolution<'_, i16, i32>) -> Vec<Pair> {
        let [h, w] = self.hw;
        let input = convolution.x.chunks_exact(self.channels * h * w);
        let mut planes = vec![[0; 2]; input.len() * self.group_len() + LANES];
        let zeros = vec![0; w];
        for (group, to) in input.zip(planes.chunks_exact_mut(self.group_len())) {
            let pairs = group.chunks(2 * h * w);
            for (pair, to) in pairs.zip(to.chunks_exact_mut(self.plane())) {
                let (a, b) = pair.split_at(h * w);
                for (y, to) in to.chunks_exact_mut(self.row()).enumerate() {
                    let Some(y) = y.checked_sub(self.pads[0]).filter(|&y| y < h) else {
                        continue;
                    };
                    let [a, b] = [a, b].map(|plane| match plane.is_empty() {
                        true => &zeros[..],
                        false => &plane[y * w..][..w],
                    });
                    for (kx, to) in to.chunks_exact_mut(self.columns).enumerate() {
                        self.columns_of(kx * self.dilation[1] % self.stride[1], a, b, to);
                    }
                }
            }
        }
        planes
    }

    /// The columns of one remainder in a row of two channels.
    fn columns_of(&self, remainder: usize, a: &[i16], b: &[i16], to: &mut [Pair]) {
        let (left, step) = (self.pads[1], self.stride[1]);
        // The first column that is not padding.
        let first = left.saturating_sub(remainder).div_ceil(step);
        let Some(to) = to.get_mut(first..) else {
            return;
        };
        let begin = first * step + remainder - left;
        let (Some(a), Some(b)) = (a.get(begin..), b.get(begin..)) else {
            return;
        };
        match step {
            1 => to
                .iter_mut()
                .zip(a.iter().zip(b))
                .for_each(|(to, (&a, &b))| *to = [a, b]),
            _ => {
                let (a, b) = (a.iter().step_by(step), b.iter().step_by(step));
                to.iter_mut()
                    .zip(a.zip(b))
                    .for_each(|(to, (&a, &b))| *to = [a, b]);
            }
        }
    }

    /// Where each tap of a window lies, from where the window begins.
    fn taps(&self) -> Vec<usize> {
        let [kh, kw] = self.kernel;
        let columns: Vec<usize> = (0..kw)
            .map(|kx| kx % self.remainders * self.columns + kx * self.dilation[1] / self.stride[1])
            .collect();
        let mut taps = Vec::with_capacity(self.pairs() * kh * kw);
        for pair in 0..self.pairs() {
            for ky in 0..kh {
                let row = pair * self.plane() + ky * self.dilation[0] * self.row();
                taps.extend(columns.iter().map(|column| row + column));
            }
        }
        taps
    }

    /// Weights in the order of the taps, output channel by output channel.
    fn weights(&self, weight: &[i16]) -> Vec<Pair> {
        let window = self.kernel.iter().product::<usize>();
        let channels = weight.chunks_exact(self.channels * window);
        let mut weights = Vec::with_capacity(channels.len() * self.pairs() * window);
        for channel in channels {
            match window {
                1 => weights.extend(channel.chunks(2).map(|w| [w[0], *w.get(1).unwrap_or(&0)])),
                _ => {
                    for pair in channel.chunks(2 * window) {
                        let (a, b) = pair.split_at(window);
                        let b = b.iter().copied().chain(std::iter::repeat(0));
                        weights.extend(a.iter().zip(b).map(|(&a, b)| [a, b]));
                    }
                }
            }
        }
        weights
    }

    /// All positions of a plane of the result. Of a row that does not end with a vector the last ones come twice.
    fn vectors(&self) -> Vec<Vector> {
        let [oh, ow] = self.out;
        let lanes = LANES.min(ow);
        let mut vectors = Vec::new();
        for y in 0..oh {
            vectors.extend((0..ow).step_by(LANES).map(|x| {
                let x = x.min(ow - lanes);
                Vector {
                    from: y * self.stride[0] * self.row() + x,
                    to: y * ow + x,
                    lanes,
                }
            }));
        }
        vectors
    }
}

/// The sums of `R` output channels at the positions of the vectors that begin at `from`; zeros for further channels.
///
/// # Safety
/// The machine has AVX2; `planes` holds a vector at each of `from` plus each tap.
#[target_feature(enable = "avx2")]
unsafe fn tile<const R: usize>(
    planes: &[Pair],
    from: [usize; VECTORS],
    taps: &[usize],
    weights: &[Pair],
    bias: Option<&[i32]>,
) -> [[[i32; LANES]; VECTORS]; ROWS] {
    let weights: [&[Pair]; R] =
        std::array::from_fn(|row| &weights[row * taps.len()..][..taps.len()]);
    let first: [i32; R] = std::array::from_fn(|row| bias.map_or(0, |bias| bias[row]));
    let mut sums = [[[0; LANES]; VECTORS]; ROWS];
    // SAFETY: as the caller has it; there is a weight for every tap, and sums are vectors of `LANES`.
    unsafe {
        let mut acc = first.map(|first| [_mm256_set1_epi32(first); VECTORS]);
        let from = from.map(|from| planes.as_ptr().add(from));
        let weights = weights.map(<[Pair]>::as_ptr);
        for (i, &tap) in taps.iter().enumerate() {
            let x = from.map(|from| _mm256_loadu_si256(from.add(tap).cast()));
            for (acc, weights) in acc.iter_mut().zip(weights) {
                let weight = _mm256_set1_epi32(weights.add(i).cast::<i32>().read_unaligned());
                for (acc, x) in acc.iter_mut().zip(x) {
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, weight));
                }
            }
        }
        for (sums, acc) in sums.iter_mut().zip(acc) {
            for (sums, acc) in sums.iter_mut().zip(acc) {
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), acc);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::interp::integer::mac;
    use crate::{ConvAttrs, Window};

    proptest! {
        /// Windows of every kind, groups of every size, values of all magnitudes and sums that wrap round.
        #[test]
        fn sums_are_those_of_the_sliding_sum(
            (n, groups, group_in, group_out) in (1usize..3, 1usize..4, 1usize..6, 1usize..7),
            kernel in [1usize..4, 1usize..4],
            stride in [1usize..4, 1usize..4],
            dilation in [1usize..4, 1usize..4],
            pads in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
            (h, w) in (1usize..12, 1usize..40),
            (shape, biased, seed) in (0..4, any::<bool>(), any::<u32>()),
        ) {
            let (mut window, mut w) = (Window { kernel, stride, dilation, pads }, w);
            match shape {
                0 => (window.kernel, window.stride, window.pads) = ([1, 1], [1, 1], [0; 4]),
                1 => (window.kernel[1], window.pads[1], window.pads[3], w) = (1, 0, 0, 1),
                _ => {}
            }
            let Some([oh, ow]) = window.out_hw(h, w) else {
                return Ok(());
            };
            let mut state = seed;
            let mut draw = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as i32
            };
            let mut values = |len: usize, bound: i32| -> Vec<i16> {
                (0..len).map(|_| (draw() % (2 * bound + 1) - bound) as i16).collect()
            };
            let (c, o) = (groups * group_in, groups * group_out);
            let x = values(n * c * h * w, 255);
            let weight = values(o * group_in * kernel[0] * kernel[1], 128);
            let bias: Vec<i32> = (0..o).map(|_| draw().wrapping_mul(257)).collect();
            let convolution = Convolution {
                attrs: &ConvAttrs { window, groups },
                x: &x,
                x_shape: [n, c, h, w],
                weight: &weight,
                bias: biased.then_some(&bias[..]),
            };
            let out = [n, o, oh, ow];
            if is_x86_feature_detected!("avx2") {
                prop_assert_eq!(sums(&convolution, out), Some(convolution.sums(out, mac)));
            }
        }
    }

    /// What would take a hundred times the memory of its input is left to the sliding sum.
    #[test]
    fn padding_without_end_is_not_arranged() {
        let far = 40_000;
        let window = Window {
            kernel: [1, 1],
            stride: [far, far],
            dilation: [1, 1],
            pads: [far; 4],
        };
        let convolution = Convolution {
            attrs: &ConvAttrs { window, groups: 1 },
            x: &[7],
            x_shape: [1, 1, 1, 1],
            weight: &[-3],
            bias: None,
        };
        assert_eq!(sums(&convolution, [1, 1, 3, 3]), None);
        assert_eq!(convolution.sums([1, 1, 3, 3], mac)[4], -21);
    }
}
