//! The sliding sum that float and integer convolution share.

use crate::ConvAttrs;

/// Columns of the result that are summed together: their sums stay in the first-level cache.
const TILE: usize = 512;

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
        let window = &self.attrs.window;
        let [n, c, h, w] = self.x_shape;
        let [_, o, mut oh, mut ow] = out;
        let [kh, kw] = window.kernel;
        let mut rows = Rows::new(window.stride[1]);
        let mut x_hw = [h, w];
        if window.kernel == [1, 1] && window.stride == [1, 1] && window.pads == [0; 4] {
            // A product of matrices: all positions make one row.
            (x_hw, oh, ow) = ([1, h * w], 1, h * w);
        }
        let (group_in, group_out) = (c / self.attrs.groups, o / self.attrs.groups);
        let mut sums = vec![A::default(); n * o * oh * ow];
        for b in 0..n {
            for group in 0..self.attrs.groups {
                let channels = (b * c + group * group_in) * h * w;
                let planes = &self.x[channels..channels + group_in * h * w];
                for oy in 0..oh {
                    rows.fill(planes, x_hw, window, oy);
                    for tile in (0..ow).step_by(TILE) {
                        let width = TILE.min(ow - tile);
                        for oc in group * group_out..(group + 1) * group_out {
                            let at = ((b * o + oc) * oh + oy) * ow + tile;
                            let sums = &mut sums[at..at + width];
                            if let Some(bias) = self.bias {
                                sums.fill(bias[oc]);
                            }
                            let taps = kh * kw;
                            let weight = &self.weight[oc * group_in * taps..][..group_in * taps];
                            for (row, weights) in weight.chunks_exact(kw).enumerate() {
                                for (kx, &k) in weights.iter().enumerate() {
                                    let x = rows
                                        .shifted(row, kx * window.dilation[1] + tile * rows.stride);
                                    for (s, &x) in sums.iter_mut().zip(x) {
                                        *s = mac(*s, x, k);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        sums
    }
}

/// The input rows under one output row: for each channel and kernel row, a padded row whose
/// elements are sorted by their position modulo the stride, so that every kernel column reads
/// a contiguous run.
struct Rows<T> {
    stride: usize,
    /// Elements of one phase of one row.
    phase_len: usize,
    data: Vec<T>,
}

impl<T: Copy + Default> Rows<T> {
    fn new(stride: usize) -> Self {
        Rows {
            stride,
            phase_len: 0,
            data: Vec::new(),
        }
    }

    fn fill(&mut self, planes: &[T], [h, w]: [usize; 2], window: &crate::Window, oy: usize) {
        let [top, left, _, right] = window.pads;
        self.phase_len = (left + w + right).div_ceil(self.stride);
        let row_len = self.phase_len * self.stride;
        let kh = window.kernel[0];
        self.data.clear();
        self.data
            .resize(planes.len() / (h * w) * kh * row_len, T::default());
        for (row, to) in self.data.chunks_exact_mut(row_len).enumerate() {
            let (channel, ky) = (row / kh, row % kh);
            let y = oy * window.stride[0] + ky * window.dilation[0];
            let Some(y) = y.checked_sub(top).filter(|y| *y < h) else {
                continue;
            };
            let from = &planes[(channel * h + y) * w..][..w];
            if self.stride == 1 {
                to[left..left + w].copy_from_slice(from);
                continue;
            }
            for (i, &x) in from.iter().enumerate() {
                let i = left + i;
                to[i % self.stride * self.phase_len + i / self.stride] = x;
            }
        }
    }

    /// Every `stride`-th element of a padded row, from `offset` on.
    fn shifted(&self, row: usize, offset: usize) -> &[T] {
        let phase = row * self.stride + offset % self.stride;
        &self.data[phase * self.phase_len..][offset / self.stride..self.phase_len]
    }
}
