//! The sliding sum that float and integer convolution share.

use std::ops::Range;

use crate::ConvAttrs;

/// Positions of the result that are summed side by side.
const LANES: usize = 8;
/// Output channels that are summed side by side: with the lanes, as many sums as registers hold.
const ROWS: usize = 4;
/// Elements of the gathered input that stay in the second-level cache.
const GATHERED: usize = 1 << 16;

/// What a convolution multiplies and sums.
pub(super) struct Convolution<'a, T, A> {
    pub(super) attrs: &'a ConvAttrs,
    /// Elements `[N, C, H, W]`; padding reads `T::default()`.
    pub(super) x: &'a [T],
    pub(super) x_shape: [usize; 4],
    /// Elements `[O, C/groups, KH, KW]`.
    pub(super) weight: &'a [T],
    /// First value of each output channel's sums; `None` for zero.
    pub(super) bias: Option<&'a [A]>,
}

impl<T: Copy + Default, A: Copy + Default> Convolution<'_, T, A> {
    /// The sums, `[N, O, OH, OW]`. Each is taken in the order of input channel, kernel row,
    /// kernel column; `mac(sum, x, weight)` adds one product.
    pub(super) fn sums(&self, out: [usize; 4], mac: impl Fn(A, T, T) -> A + Copy) -> Vec<A> {
        let [n, o, oh, ow] = out;
        let [_, c, h, w] = self.x_shape;
        let (group_in, group_out) = (c / self.attrs.groups, o / self.attrs.groups);
        let taps = group_in * self.attrs.window.kernel.iter().product::<usize>();
        let positions = oh * ow;
        let tile = (GATHERED / taps.max(1)).max(1).next_multiple_of(LANES);
        let mut sums = vec![A::default(); n * o * positions];
        let mut gathered = vec![T::default(); taps * tile.min(positions.next_multiple_of(LANES))];
        for b in 0..n {
            for group in 0..self.attrs.groups {
                let planes = &self.x[(b * c + group * group_in) * h * w..][..group_in * h * w];
                for first in (0..positions).step_by(tile) {
                    let count = tile.min(positions - first);
                    self.gather(planes, first..first + count, ow, &mut gathered);
                    for oc in (0..group_out).step_by(ROWS) {
                        let rows = ROWS.min(group_out - oc);
                        let oc = group * group_out + oc;
                        for (i, x) in gathered[..taps * count.next_multiple_of(LANES)]
                            .chunks_exact(taps * LANES)
                            .enumerate()
                        {
                            let block = self.block(oc, rows, taps, x, mac);
                            let at = first + i * LANES;
                            let lanes = LANES.min(positions - at);
                            for (row, values) in block[..rows].iter().enumerate() {
                                let to = (b * o + oc + row) * positions + at;
                                sums[to..to + lanes].copy_from_slice(&values[..lanes]);
                            }
                        }
                    }
                }
            }
        }
        sums
    }

    /// The sums of `rows` output channels from `oc` on, at the positions of one gathered block.
    fn block(
        &self,
        oc: usize,
        rows: usize,
        taps: usize,
        x: &[T],
        mac: impl Fn(A, T, T) -> A + Copy,
    ) -> [[A; LANES]; ROWS] {
        // Spare rows repeat the last one, so that the loop below has one shape.
        let channel = |row: usize| oc + row.min(rows - 1);
        let weight: [&[T]; ROWS] =
            std::array::from_fn(|row| &self.weight[channel(row) * taps..][..taps]);
        let mut sums: [[A; LANES]; ROWS] = std::array::from_fn(|row| {
            [self.bias.map_or(A::default(), |bias| bias[channel(row)]); LANES]
        });
        for (tap, x) in x.chunks_exact(LANES).enumerate() {
            for (sums, weight) in sums.iter_mut().zip(&weight) {
                let k = weight[tap];
                for (sum, &x) in sums.iter_mut().zip(x) {
                    *sum = mac(*sum, x, k);
                }
            }
        }
        sums
    }

    /// Gathers what the windows at `positions` read, as `[position / LANES][tap][LANES]`.
    fn gather(&self, planes: &[T], positions: Range<usize>, ow: usize, to: &mut [T]) {
        let window = &self.attrs.window;
        let [_, _, h, w] = self.x_shape;
        let [kh, kw] = window.kernel;
        let taps = planes.len() / (h * w) * kh * kw;
        let blocks = positions
            .clone()
            .step_by(LANES)
            .zip(to.chunks_exact_mut(taps * LANES));
        for (first, block) in blocks {
            // Row and column of each window's corner, counted in the padded input.
            let corner: [[usize; 2]; LANES] = std::array::from_fn(|lane| {
                let at = (first + lane).min(positions.end - 1);
                [at / ow * window.stride[0], at % ow * window.stride[1]]
            });
            for (tap, lanes) in block.chunks_exact_mut(LANES).enumerate() {
                let (ky, kx) = (tap / kw % kh, tap % kw);
                let plane = &planes[tap / (kh * kw) * h * w..][..h * w];
                for (value, [y, x]) in lanes.iter_mut().zip(corner) {
                    // Above and left of the input wraps round to far below and right of it.
                    let y = (y + ky * window.dilation[0]).wrapping_sub(window.pads[0]);
                    let x = (x + kx * window.dilation[1]).wrapping_sub(window.pads[1]);
                    *value = if y < h && x < w {
                        plane[y * w + x]
                    } else {
                        T::default()
                    };
                }
            }
        }
    }
}
