//! Pooling: a value for each window of each plane.

use super::{dims, f32s, i8s};
use crate::{Data, PoolAttrs, Tensor, TensorType};

pub(super) fn max(p: &PoolAttrs, x: &Tensor, ty: &TensorType) -> Data {
    fn greatest<T: Copy + PartialOrd>(taps: &[T], _padded: usize) -> T {
        let greater = |a, &b| if b > a { b } else { a };
        taps[1..].iter().fold(taps[0], greater)
    }
    match x.data() {
        Data::F32(v) => Data::F32(slide(p, v, x.shape(), ty, greatest)),
        Data::I64(v) => Data::I64(slide(p, v, x.shape(), ty, greatest)),
        Data::I32(v) => Data::I32(slide(p, v, x.shape(), ty, greatest)),
        Data::I8(v) => Data::I8(slide(p, v, x.shape(), ty, greatest)),
        Data::U8(v) => Data::U8(slide(p, v, x.shape(), ty, greatest)),
    }
}

pub(super) fn average(p: &PoolAttrs, x: &Tensor, ty: &TensorType) -> Data {
    Data::F32(slide(p, f32s(x), x.shape(), ty, |taps, padded| {
        let count = if p.count_include_pad {
            padded
        } else {
            taps.len()
        };
        taps.iter().sum::<f32>() / count as f32
    }))
}

pub(super) fn sum(p: &PoolAttrs, zero_point: i32, x: &Tensor, ty: &TensorType) -> Data {
    Data::I32(slide(p, i8s(x), x.shape(), ty, |taps, _| {
        let differences = taps.iter().map(|&v| i32::from(v) - zero_point);
        differences.fold(0, i32::wrapping_add)
    }))
}

/// Applies `f` to the elements under each window, row by row, and to the number of positions
/// that fall on the input or its padding, `extra` excepted.
fn slide<T: Copy, U>(
    p: &PoolAttrs,
    x: &[T],
    shape: &[usize],
    ty: &TensorType,
    f: impl Fn(&[T], usize) -> U,
) -> Vec<U> {
    let [_, _, h, w] = dims(shape);
    let [_, _, oh, ow] = dims(&ty.shape);
    let rows: Vec<Span> = (0..oh).map(|o| Span::new(p, 0, h, o)).collect();
    let columns: Vec<Span> = (0..ow).map(|o| Span::new(p, 1, w, o)).collect();
    let mut taps = Vec::new();
    let mut y = Vec::with_capacity(ty.len());
    for plane in x.chunks_exact(h * w) {
        for row in &rows {
            for column in &columns {
                taps.clear();
                for iy in row.input() {
                    let x = &plane[iy * w..][..w];
                    taps.extend(column.input().map(|ix| x[ix]));
                }
                y.push(f(&taps, row.padded * column.padded));
            }
        }
    }
    y
}

/// One window along one axis.
struct Span {
    /// First position on the input, one past the last, and the step between positions.
    begin: usize,
    end: usize,
    step: usize,
    /// Positions on the input or its padding.
    padded: usize,
}

impl Span {
    fn new(p: &PoolAttrs, axis: usize, extent: usize, out: usize) -> Self {
        let window = &p.window;
        let (pad, step) = (window.pads[axis], window.dilation[axis]);
        let origin = out * window.stride[axis];
        // Kernel positions before a coordinate of the padded input.
        let before = |at: usize| {
            let positions = at.saturating_sub(origin).div_ceil(step);
            positions.min(window.kernel[axis])
        };
        let input = |position: usize| origin + position * step - pad;
        let (first, past) = (before(pad), before(pad + extent));
        Span {
            begin: input(first),
            end: input(past - 1) + 1,
            step,
            padded: before(pad + extent + window.pads[axis + 2]),
        }
    }

    fn input(&self) -> impl Iterator<Item = usize> {
        (self.begin..self.end).step_by(self.step)
    }
}
