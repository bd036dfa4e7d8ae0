//! Exact integer operators: the oracle.

use std::borrow::Cow;

use super::convolve::Convolution;
use super::{dims, i8s};
use crate::{
    AddEpilogue, ConvAttrs, DType, Data, MulEpilogue, Pieces, Piecewise, Requant, Tensor,
    TensorType,
};

/// `x - zero_point`: at most 255 in magnitude, so that its product with a weight fits 16 bits.
fn centred(x: &Tensor, zero_point: i32) -> Vec<i16> {
    let difference = |&v: &i8| i16::from(v) - zero_point as i16;
    i8s(x).iter().map(difference).collect()
}

pub(super) fn mac(sum: i32, x: i16, weight: i16) -> i32 {
    sum.wrapping_add(i32::from(x) * i32::from(weight))
}

pub(super) fn qconv(attrs: &ConvAttrs, zero_point: i32, x: &[&Tensor], ty: &TensorType) -> Data {
    let convolution = Convolution {
        attrs,
        x: &centred(x[0], zero_point),
        x_shape: dims(x[0].shape()),
        weight: &centred(x[1], 0),
        bias: x.get(2).map(|b| b.as_i32().expect("an i32 bias")),
    };
    let out = dims(&ty.shape);
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = super::pairs::sums(&convolution, out) {
        return Data::I32(sums);
    }
    Data::I32(convolution.sums(out, mac))
}

pub(super) fn qdense(zero_point: i32, x: &[&Tensor]) -> Data {
    let (values, weight) = (centred(x[0], zero_point), centred(x[1], 0));
    let bias = x.get(2).map(|b| b.as_i32().expect("an i32 bias"));
    let [n, k] = dims(x[1].shape());
    let mut y = Vec::with_capacity(values.len() / k * n);
    for row in values.chunks_exact(k) {
        for (i, weight) in weight.chunks_exact(k).enumerate() {
            let products = row.iter().zip(weight);
            let sum = products.fold(0, |s, (&x, &w)| mac(s, x, w));
            y.push(bias.map_or(sum, |b| b[i].wrapping_add(sum)));
        }
    }
    Data::I32(y)
}

/// Integers of at most 32 bits.
fn wide(x: &Tensor) -> Cow<'_, [i32]> {
    match x.data() {
        Data::I32(v) => Cow::Borrowed(v),
        Data::I8(v) => v.iter().map(|&v| v.into()).collect(),
        Data::U8(v) => v.iter().map(|&v| v.into()).collect(),
        Data::F32(_) | Data::I64(_) => unreachable!("inference accepts i32 and narrower"),
    }
}

/// Results that lie within the range of `dtype`, as its data.
pub(super) fn narrow(dtype: DType, values: impl Iterator<Item = i64>) -> Data {
    let values = values.map(|v| dtype.settled(v));
    match dtype {
        DType::I32 => Data::I32(values.map(|v| v as i32).collect()),
        DType::U8 => Data::U8(values.map(|v| v as u8).collect()),
        _ => Data::I8(values.map(|v| v as i8).collect()),
    }
}

/// `clamp(sum >> shift, lo, hi)`.
fn finish(sum: i128, shift: u32, lo: i32, hi: i32) -> i32 {
    (sum >> shift).clamp(lo.into(), hi.into()) as i32
}

impl Requant {
    /// The definition, for one value of channel `c`.
    pub fn apply(&self, x: i32, c: usize) -> i32 {
        let mult = self.mult[c % self.mult.len()];
        let add = self.add[c % self.add.len()];
        self.rescale(x, mult, add)
    }

    fn rescale(&self, x: i32, mult: i32, add: i64) -> i32 {
        let product = i64::from(x) * i64::from(mult);
        match product.checked_add(add) {
            Some(sum) => (sum >> self.shift).clamp(self.lo.into(), self.hi.into()) as i32,
            None => {
                let sum = i128::from(product) + i128::from(add);
                finish(sum, self.shift, self.lo, self.hi)
            }
        }
    }
}

impl AddEpilogue {
    /// The definition, for one pair of values.
    pub fn apply(&self, a: i32, b: i32) -> i32 {
        let product = |x: i32, mult: i32| i128::from(x) * i128::from(mult);
        let sum = product(a, self.mult_a) + product(b, self.mult_b) + i128::from(self.add);
        finish(sum, self.shift, self.lo, self.hi)
    }
}

impl Pieces {
    /// The definition, for one value.
    pub fn apply(&self, x: i32) -> i128 {
        let piece = |p: &crate::Piece| i128::from(p.mult) * i128::from(x.clamp(p.lo, p.hi));
        i128::from(self.add) + self.pieces.iter().map(piece).sum::<i128>()
    }
}

impl MulEpilogue {
    /// The definition, for one pair of values.
    pub fn apply(&self, a: i32, b: i32) -> i32 {
        let product = (i128::from(a) - i128::from(self.zero_point)) * self.gate.apply(b);
        finish(product + i128::from(self.add), self.shift, self.lo, self.hi)
    }
}

impl Piecewise {
    /// The definition, for one value.
    pub fn apply(&self, x: i32) -> i32 {
        finish(self.function.apply(x), self.shift, self.lo, self.hi)
    }
}

/// Channels to tell apart, of `parameters` values, and the elements of each in a row.
fn planes(x: &Tensor, parameters: usize) -> (usize, usize) {
    match x.shape() {
        [_, c, rest @ ..] if parameters > 1 => (*c, rest.iter().product()),
        shape => (1, shape.iter().product()),
    }
}

pub(super) fn requantize(r: &Requant, dtype: DType, x: &Tensor) -> Data {
    let x = (wide(x), planes(x, r.mult.len().max(r.add.len())));
    match dtype {
        DType::I32 => Data::I32(rescaled(r, x, |v| v)),
        DType::U8 => Data::U8(rescaled(r, x, |v| v as u8)),
        DType::S1 => Data::I8(rescaled(r, x, |v| DType::S1.settled(v.into()) as i8)),
        _ => Data::I8(rescaled(r, x, |v| v as i8)),
    }
}

fn rescaled<T>(
    r: &Requant,
    (x, (channels, plane)): (Cow<'_, [i32]>, (usize, usize)),
    narrow: impl Fn(i32) -> T,
) -> Vec<T> {
    let mut y = Vec::with_capacity(x.len());
    for (i, x) in x.chunks_exact(plane).enumerate() {
        let c = i % channels;
        let (mult, add) = (r.mult[c % r.mult.len()], r.add[c % r.add.len()]);
        // A product has at most 62 bits and a sign: with a small addend the sum cannot overflow.
        if add.unsigned_abs() < 1 << 62 {
            let (lo, hi) = (r.lo.into(), r.hi.into());
            y.extend(x.iter().map(|&x| {
                let sum = i64::from(x) * i64::from(mult) + add;
                narrow((sum >> r.shift).clamp(lo, hi) as i32)
            }));
        } else {
            y.extend(x.iter().map(|&x| narrow(r.rescale(x, mult, add))));
        }
    }
    y
}

pub(super) fn qaccumulate(mult: &[i32], zero_point: i32, x: &[&Tensor]) -> Data {
    let (channels, plane) = planes(x[0], mult.len());
    let sums = x[0].as_i32().expect("i32 sums");
    let x = centred(x[1], zero_point);
    let mut y = Vec::with_capacity(x.len());
    for (i, (sums, x)) in sums
        .chunks_exact(plane)
        .zip(x.chunks_exact(plane))
        .enumerate()
    {
        let mult = mult[i % channels];
        let term = |x: i16| i32::from(x).wrapping_mul(mult);
        y.extend(
            sums.iter()
                .zip(x)
                .map(|(sum, &x)| sum.wrapping_add(term(x))),
        );
    }
    Data::I32(y)
}

pub(super) fn qadd(e: &AddEpilogue, dtype: DType, a: &Tensor, b: &Tensor) -> Data {
    paired(dtype, a, b, |a, b| e.apply(a, b))
}

pub(super) fn qmul(e: &MulEpilogue, dtype: DType, a: &Tensor, b: &Tensor) -> Data {
    paired(dtype, a, b, |a, b| e.apply(a, b))
}

/// Applies `f` to the elements of two tensors, of which an element of the second may stand for a plane.
fn paired(dtype: DType, a: &Tensor, b: &Tensor, f: impl Fn(i32, i32) -> i32) -> Data {
    let (a, b) = (wide(a), wide(b));
    let plane = a.len() / b.len();
    let planes = a.chunks_exact(plane).zip(&b[..]);
    narrow(
        dtype,
        planes
            .flat_map(|(a, &b)| a.iter().map(move |&a| (a, b)))
            .map(|(a, b)| f(a, b).into()),
    )
}

pub(super) fn qpiecewise(p: &Piecewise, dtype: DType, x: &Tensor) -> Data {
    narrow(dtype, wide(x).iter().map(|&x| p.apply(x).into()))
}
