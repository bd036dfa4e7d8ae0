//! Operators that only move elements, of any type.

use super::elementwise::row_offsets;
use crate::{Data, Tensor, TensorType};

/// Applies a function that is generic in the element to whichever kind of data there is.
macro_rules! same_kind {
    ($data:expr, $v:ident => $result:expr) => {
        match $data {
            Data::F32($v) => Data::F32($result),
            Data::I64($v) => Data::I64($result),
            Data::I32($v) => Data::I32($result),
            Data::I8($v) => Data::I8($result),
            Data::U8($v) => Data::U8($result),
        }
    };
}

/// Strides of a dense row-major tensor.
fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    strides
}

/// The elements at `offset` plus each index of `shape` times `strides`.
fn gather<T: Copy>(x: &[T], offset: usize, strides: &[usize], shape: &[usize]) -> Vec<T> {
    let (Some(&width), Some(&step)) = (shape.last(), strides.last()) else {
        return vec![x[offset]];
    };
    let mut y = Vec::with_capacity(shape.iter().product());
    for row in row_offsets(shape, strides) {
        let row = &x[offset + row..];
        y.extend((0..width).map(|i| row[i * step]));
    }
    y
}

pub(super) fn transpose(perm: &[usize], x: &Tensor, ty: &TensorType) -> Data {
    let strides = dense_strides(x.shape());
    let strides: Vec<usize> = perm.iter().map(|&p| strides[p]).collect();
    same_kind!(x.data(), v => gather(v, 0, &strides, &ty.shape))
}

pub(super) fn slice(start: &[usize], step: &[usize], x: &Tensor, ty: &TensorType) -> Data {
    let mut strides = dense_strides(x.shape());
    let offset = start.iter().zip(&strides).map(|(a, b)| a * b).sum();
    // A step past the end is not taken, and its product might not be representable.
    for ((stride, step), extent) in strides.iter_mut().zip(step).zip(&ty.shape) {
        *stride = if *extent == 1 { 0 } else { *stride * step };
    }
    same_kind!(x.data(), v => gather(v, offset, &strides, &ty.shape))
}

pub(super) fn im2col(
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    x: &Tensor,
    ty: &TensorType,
) -> Data {
    let [batch, channel, row, column] = dense_strides(x.shape())[..] else {
        unreachable!("rank 4")
    };
    // Where an extent is 1 no step is taken, and its product might not be representable.
    let step = |extent: usize, unit: usize, steps: usize| match extent {
        1 => 0,
        _ => unit * steps,
    };
    let [kh, kw] = kernel;
    let [oh, ow] = [ty.shape[2], ty.shape[3]];
    let strides = [
        batch,
        channel,
        step(kh, row, dilation[0]),
        step(kw, column, dilation[1]),
        step(oh, row, stride[0]),
        step(ow, column, stride[1]),
    ];
    let shape = [x.shape()[0], x.shape()[1], kh, kw, oh, ow];
    same_kind!(x.data(), v => gather(v, 0, &strides, &shape))
}

pub(super) fn pad(before: &[usize], value: f32, x: &Tensor, ty: &TensorType) -> Data {
    fn place<T: Copy>(x: &[T], from: &[usize], fill: T, before: &[usize], to: &[usize]) -> Vec<T> {
        let mut y = vec![fill; to.iter().product()];
        let strides = dense_strides(to);
        let corner: usize = before.iter().zip(&strides).map(|(a, b)| a * b).sum();
        let Some(&width) = from.last() else {
            return x.to_vec();
        };
        for (row, at) in x.chunks_exact(width).zip(row_offsets(from, &strides)) {
            y[corner + at..][..width].copy_from_slice(row);
        }
        y
    }
    let (from, to) = (x.shape(), &ty.shape);
    match x.data() {
        Data::F32(v) => Data::F32(place(v, from, value, before, to)),
        Data::I64(v) => Data::I64(place(v, from, value as i64, before, to)),
        Data::I32(v) => Data::I32(place(v, from, value as i32, before, to)),
        Data::I8(v) => Data::I8(place(v, from, value as i8, before, to)),
        Data::U8(v) => Data::U8(place(v, from, value as u8, before, to)),
    }
}

pub(super) fn depth_to_space(
    [rows, columns]: [usize; 2],
    groups: usize,
    x: &Tensor,
    ty: &TensorType,
) -> Data {
    let [n, c, h, w] = x.shape()[..] else {
        unreachable!("rank 4")
    };
    // Of a group: channels that are there, and those that stay.
    let each = c / (groups * rows * columns);
    let kept = ty.shape[1] / groups;
    let plane = h * w;
    let strides = [
        c * plane,
        rows * columns * each * plane,
        plane,
        w,
        columns * each * plane,
        1,
        each * plane,
    ];
    let shape = [n, groups, kept, h, rows, w, columns];
    same_kind!(x.data(), v => gather(v, 0, &strides, &shape))
}

pub(super) fn resize([rows, columns]: [usize; 2], x: &Tensor) -> Data {
    let [n, c, h, w] = x.shape()[..] else {
        unreachable!("rank 4")
    };
    let shape = [n * c, h, rows, w, columns];
    same_kind!(x.data(), v => gather(v, 0, &[h * w, w, 0, 1, 0], &shape))
}

fn with_capacity_like<T>(_: &[T], len: usize) -> Vec<T> {
    Vec::with_capacity(len)
}

pub(super) fn concat(axis: usize, xs: &[&Tensor]) -> Data {
    let outer: usize = xs[0].shape()[..axis].iter().product();
    let len = xs.iter().map(|x| x.ty().len()).sum();
    let mut y = same_kind!(xs[0].data(), v => with_capacity_like(v, len));
    for i in 0..outer {
        for x in xs {
            let run = x.ty().len() / outer;
            let part = i * run..(i + 1) * run;
            match (&mut y, x.data()) {
                (Data::F32(y), Data::F32(x)) => y.extend_from_slice(&x[part]),
                (Data::I64(y), Data::I64(x)) => y.extend_from_slice(&x[part]),
                (Data::I32(y), Data::I32(x)) => y.extend_from_slice(&x[part]),
                (Data::I8(y), Data::I8(x)) => y.extend_from_slice(&x[part]),
                (Data::U8(y), Data::U8(x)) => y.extend_from_slice(&x[part]),
                _ => unreachable!("inference accepts operands of one type"),
            }
        }
    }
    y
}
