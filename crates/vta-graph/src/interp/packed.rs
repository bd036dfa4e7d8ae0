//! Packed operators, element by element over blocked tensors.

use std::iter::StepBy;
use std::ops::RangeFrom;

use super::{dims, i8s};
use crate::{
    BlockedLayout, Data, PackedConv, PackedPair, PackedPool, PackedSpread, Piecewise, Requant,
    Tensor, TensorType, Window,
};

/// Index arithmetic of a tensor in a [`BlockedLayout`].
struct Blocked {
    /// `[N blocks, C blocks, H, W, batch, lanes]`, border included.
    extents: [usize; 6],
    top: usize,
    left: usize,
}

impl Blocked {
    fn new(layout: &BlockedLayout, shape: [usize; 4]) -> Self {
        Blocked {
            extents: layout.packed_shape(shape).expect("a checked layout"),
            top: layout.border[0],
            left: layout.border[1],
        }
    }

    /// First element of a block: `n` and `c` count blocks, `y` and `x` count from the corner
    /// of the border.
    fn block(&self, n: usize, c: usize, y: usize, x: usize) -> usize {
        let [_, cs, h, w, batch, lanes] = self.extents;
        (((n * cs + c) * h + y) * w + x) * batch * lanes
    }

    /// Row and column, from the corner of the border, that position `k` of the window of output
    /// `o` falls on; `None` beyond the border.
    fn tap(&self, window: &Window, o: [usize; 2], k: [usize; 2]) -> Option<[usize; 2]> {
        let [_, _, h, w, ..] = self.extents;
        let along = |axis: usize, origin: usize, extent: usize| {
            let at = o[axis] * window.stride[axis] + k[axis] * window.dilation[axis] + origin;
            at.checked_sub(window.pads[axis]).filter(|&i| i < extent)
        };
        Some([along(0, self.top, h)?, along(1, self.left, w)?])
    }

    /// Where the elements of each row of a logical tensor lie, row after row.
    fn rows(&self, [n, c, h, _]: [usize; 4]) -> impl Iterator<Item = StepBy<RangeFrom<usize>>> {
        let [.., batch, lanes] = self.extents;
        indices([n, c, h, 1]).map(move |[n, c, y, _]| {
            let block = self.block(n / batch, c / lanes, y + self.top, self.left);
            let first = block + n % batch * lanes + c % lanes;
            (first..).step_by(batch * lanes)
        })
    }
}

/// All indices of a logical tensor, row-major.
fn indices([n, c, h, w]: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    (0..n * c * h * w).map(move |i| [i / (c * h * w), i / (h * w) % c, i / w % h, i % w])
}

/// An output tensor: `fill` on the border, zero within, or +1 among signs.
fn blank(layout: &BlockedLayout, shape: [usize; 4], ty: &TensorType) -> Vec<i8> {
    let at = Blocked::new(layout, shape);
    let [nb, cb, ..] = at.extents;
    let [_, _, h, w] = shape;
    let mut y = vec![layout.fill as i8; ty.len()];
    let run = w * layout.batch * layout.lanes;
    for (n, c, row) in indices([nb, cb, h, 1]).map(|[n, c, row, _]| (n, c, row)) {
        y[at.block(n, c, row + at.top, at.left)..][..run].fill(ty.dtype.settled(0) as i8);
    }
    y
}

pub(super) fn pack(layout: &BlockedLayout, x: &Tensor, ty: &TensorType) -> Data {
    let shape = dims(x.shape());
    let at = Blocked::new(layout, shape);
    let mut y = blank(layout, shape, ty);
    for (row, at) in i8s(x).chunks_exact(shape[3]).zip(at.rows(shape)) {
        row.iter().zip(at).for_each(|(&v, at)| y[at] = v);
    }
    Data::I8(y)
}

pub(super) fn unpack(layout: &BlockedLayout, shape: [usize; 4], x: &Tensor) -> Data {
    let (at, x) = (Blocked::new(layout, shape), i8s(x));
    let mut y = Vec::with_capacity(shape.iter().product());
    for row in at.rows(shape) {
        y.extend(row.take(shape[3]).map(|at| x[at]));
    }
    Data::I8(y)
}

pub(super) fn vta_conv(c: &PackedConv, operands: &[&Tensor], ty: &TensorType) -> Data {
    let from = Blocked::new(&c.in_layout, c.in_shape);
    let to = Blocked::new(&c.out_layout, c.out_shape);
    let [nb, blocks_in, _, _, batch, bi] = from.extents;
    let [group_in, group_out] = c.group_blocks();
    let [_, ob, _, _, _, bo] = to.extents;
    let [_, _, oh, ow] = c.out_shape;
    let [kh, kw] = c.window.kernel;
    let widen = |t: &Tensor| -> Vec<i16> { i8s(t).iter().map(|&v| v.into()).collect() };
    let (x, weight) = (widen(operands[0]), widen(operands[1]));
    let residual = c.residual.as_ref().map(|layout| {
        let at = Blocked::new(layout, c.out_shape);
        (at, widen(operands[2]), widen(operands[3]))
    });
    let beyond = vec![c.pad as i16; batch * bi];
    let mut y = blank(&c.out_layout, c.out_shape, ty);
    // The sums at one position of the convolution's result.
    let sums = |acc: &mut Vec<i32>, n: usize, o: usize, [oy, ox]: [usize; 2]| {
        acc.clear();
        acc.resize(batch * bo, 0);
        let first = o / group_out * group_in;
        let reads = group_in.min(blocks_in - first);
        for [i, ky, kx, _] in indices([reads, kh, kw, 1]) {
            let x = match from.tap(&c.window, [oy, ox], [ky, kx]) {
                Some([iy, ix]) => &x[from.block(n, first + i, iy, ix)..][..batch * bi],
                None => &beyond,
            };
            let k = ((o * group_in + i) * kh + ky) * kw + kx;
            accumulate(acc, x, &weight[k * bo * bi..][..bo * bi], bi);
        }
        if let Some((from, x, weight)) = &residual {
            let x = &x[from.block(n, o, oy + from.top, ox + from.left)..][..batch * bo];
            let passes = weight.len() / (ob * bo * bo);
            let weight = weight[o * passes * bo * bo..].chunks_exact(bo * bo);
            for weight in weight.take(passes) {
                accumulate(acc, x, weight, bo);
            }
        }
    };
    let (mut acc, mut tap) = (Vec::new(), Vec::new());
    for [n, o, oy, ox] in indices([nb, ob, oh, ow]) {
        match &c.pool {
            None => sums(&mut acc, n, o, [oy, ox]),
            Some(pool) => {
                let conv = c.conv_hw().expect("a checked window");
                acc.clear();
                acc.resize(batch * bo, i32::MIN);
                for position in positions(pool, [oy, ox], conv) {
                    sums(&mut tap, n, o, position);
                    for (acc, &tap) in acc.iter_mut().zip(&tap) {
                        *acc = tap.max(*acc);
                    }
                }
            }
        }
        let block = to.block(n, o, oy + to.top, ox + to.left);
        for (i, (y, &acc)) in y[block..].iter_mut().zip(&acc).enumerate() {
            let result = c.requant.apply(acc, o * bo + i % bo);
            *y = ty.dtype.settled(result.into()) as i8;
        }
    }
    Data::I8(y)
}

/// The positions within `hw` on which a window falls for output `o`.
fn positions(
    window: &Window,
    o: [usize; 2],
    hw: [usize; 2],
) -> impl Iterator<Item = [usize; 2]> + '_ {
    let along = move |axis: usize, k: usize| {
        let at = o[axis] * window.stride[axis] + k * window.dilation[axis];
        at.checked_sub(window.pads[axis]).filter(|&i| i < hw[axis])
    };
    let [kh, kw] = window.kernel;
    indices([kh, kw, 1, 1]).filter_map(move |[ky, kx, ..]| Some([along(0, ky)?, along(1, kx)?]))
}

/// Adds the products of the rows of a block, `bi` lanes each, with a tile of weights.
fn accumulate(acc: &mut [i32], x: &[i16], weight: &[i16], bi: usize) {
    let bo = weight.len() / bi;
    for (acc, x) in acc.chunks_exact_mut(bo).zip(x.chunks_exact(bi)) {
        for (acc, weight) in acc.iter_mut().zip(weight.chunks_exact(bi)) {
            *acc = x.iter().zip(weight).fold(*acc, |acc, (&x, &k)| {
                acc.wrapping_add(i32::from(x) * i32::from(k))
            });
        }
    }
}

/// Applies `f` to the elements of two blocked tensors, of which the second may have one row and column for all.
pub(super) fn vta_pair(
    p: &PackedPair,
    x: &[&Tensor],
    ty: &TensorType,
    f: impl Fn(i32, i32) -> i32,
) -> Data {
    let [from_a, from_b] = [0, 1].map(|i| Blocked::new(&p.in_layouts[i], p.in_shapes[i]));
    let [shape, [.., rows, columns]] = p.in_shapes;
    let to = Blocked::new(&p.out_layout, shape);
    let (a, b) = (i8s(x[0]), i8s(x[1]));
    let mut y = blank(&p.out_layout, shape, ty);
    let [nb, cb, ..] = to.extents;
    let [_, _, h, w] = shape;
    let len = p.out_layout.batch * p.out_layout.lanes;
    for [n, c, row, column] in indices([nb, cb, h, w]) {
        let block =
            |t: &Blocked, [row, column]: [usize; 2]| t.block(n, c, row + t.top, column + t.left);
        let a = &a[block(&from_a, [row, column])..];
        let b = &b[block(&from_b, [row.min(rows - 1), column.min(columns - 1)])..];
        let y = &mut y[block(&to, [row, column])..][..len];
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = ty.dtype.settled(f(a.into(), b.into()).into()) as i8;
        }
    }
    Data::I8(y)
}

pub(super) fn vta_piecewise(
    shape: [usize; 4],
    [from, to]: [&BlockedLayout; 2],
    map: &Piecewise,
    x: &Tensor,
    ty: &TensorType,
) -> Data {
    let mut y = blank(to, shape, ty);
    let (from, to, x) = (Blocked::new(from, shape), Blocked::new(to, shape), i8s(x));
    let [nb, cb, _, _, batch, lanes] = to.extents;
    let [_, _, h, w] = shape;
    for [n, c, row, column] in indices([nb, cb, h, w]) {
        let x = &x[from.block(n, c, row + from.top, column + from.left)..];
        let y = &mut y[to.block(n, c, row + to.top, column + to.left)..][..batch * lanes];
        for (y, &x) in y.iter_mut().zip(x) {
            *y = ty.dtype.settled(map.apply(x.into()).into()) as i8;
        }
    }
    Data::I8(y)
}

pub(super) fn vta_max_pool(p: &PackedPool, x: &Tensor, ty: &TensorType) -> Data {
    let greatest = |taps: &mut dyn Iterator<Item = i32>, _: usize| taps.max();
    pooled(p, x, ty, greatest)
}

pub(super) fn vta_sum_pool(p: &PackedPool, requant: &Requant, x: &Tensor, ty: &TensorType) -> Data {
    let sum = |taps: &mut dyn Iterator<Item = i32>, c: usize| {
        Some(requant.apply(taps.fold(0, i32::wrapping_add), c))
    };
    pooled(p, x, ty, sum)
}

/// Applies `f` to the values under each window, row by row, and to the channel.
fn pooled(
    p: &PackedPool,
    x: &Tensor,
    ty: &TensorType,
    f: impl Fn(&mut dyn Iterator<Item = i32>, usize) -> Option<i32>,
) -> Data {
    let from = Blocked::new(&p.in_layout, p.in_shape);
    let to = Blocked::new(&p.out_layout, p.out_shape);
    let [nb, cb, _, _, batch, lanes] = to.extents;
    let [_, _, oh, ow] = p.out_shape;
    let [kh, kw] = p.window.kernel;
    let x = i8s(x);
    let mut y = blank(&p.out_layout, p.out_shape, ty);
    for [n, c, oy, ox] in indices([nb, cb, oh, ow]) {
        let block = to.block(n, c, oy + to.top, ox + to.left);
        for (i, y) in y[block..][..batch * lanes].iter_mut().enumerate() {
            let mut taps = indices([kh, kw, 1, 1]).map(|[ky, kx, ..]| {
                let at = from.tap(&p.window, [oy, ox], [ky, kx]);
                at.map_or(p.pad, |[row, column]| {
                    x[from.block(n, c, row, column) + i].into()
                })
            });
            let value = f(&mut taps, c * lanes + i % lanes);
            let value = value.expect("a window has a position");
            *y = ty.dtype.settled(value.into()) as i8;
        }
    }
    Data::I8(y)
}

pub(super) fn vta_spread(p: &PackedSpread, x: &Tensor, ty: &TensorType) -> Data {
    let from = Blocked::new(&p.in_layout, p.in_shape);
    let to = Blocked::new(&p.out_layout, p.out_shape);
    let [nb, cb, _, _, batch, lanes] = to.extents;
    let [_, _, oh, ow] = p.out_shape;
    let [rows, columns] = p.block;
    let [blocks, _] = p.channel_blocks();
    let x = i8s(x);
    let mut y = blank(&p.out_layout, p.out_shape, ty);
    for [n, c, oy, ox] in indices([nb, cb, oh, ow]) {
        let position = oy % rows * columns + ox % columns;
        let part = if blocks == cb { 0 } else { position * cb };
        let block = from.block(n, part + c, oy / rows + from.top, ox / columns + from.left);
        y[to.block(n, c, oy + to.top, ox + to.left)..][..batch * lanes]
            .copy_from_slice(&x[block..][..batch * lanes]);
    }
    Data::I8(y)
}
