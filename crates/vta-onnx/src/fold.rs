//! Operators on constants, evaluated while importing.
//!
//! Exporters compute shapes inside the graph (`Shape`, `Gather`, `Concat`, `Reshape`) and
//! rearrange weights there; both vanish here.

use vta_graph::{DType, Data, Op, Quant, Tensor, TensorType};

/// The value of `op` on constants and its shape, if `op` is one that is folded.
///
/// `charge` is asked for the number of elements before anything is allocated.
pub(crate) fn fold(
    op: &Op,
    inputs: &[&Tensor],
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Option<Result<Tensor, String>> {
    let result = match (op, inputs) {
        (Op::Add | Op::Sub | Op::Mul | Op::Div, [a, b]) => arithmetic(op, a, b, charge),
        (Op::Reshape { shape }, [x]) if x.ty().len() == shape.iter().product() => {
            charge(shape).map(|()| (*x).clone().reshaped(shape.clone()))
        }
        (Op::Transpose { perm }, [x]) if perm.len() == x.shape().len() => {
            transpose(x, perm, charge)
        }
        (Op::Slice { start, end, step }, [x]) => slice(x, start, end, step, charge),
        (Op::Concat { axis }, xs) => concat(*axis, xs, charge),
        _ => return None,
    };
    Some(result)
}

/// Row-major strides of a shape, in elements.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut s = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        s[i - 1] = s[i] * shape[i];
    }
    s
}

/// The tensor of `shape` whose element at index `i` is element `base + i . strides` of `x`.
fn gather_strided(x: &Tensor, shape: &[usize], base: usize, strides: &[usize]) -> Tensor {
    let mut index = vec![0; shape.len()];
    let mut at = base;
    let len = shape.iter().product();
    let offsets = (0..len).map(|_| {
        let here = at;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
        here
    });
    take(x, shape, offsets)
}

/// The tensor of `shape` made of the elements of `x` at `offsets`.
fn take(x: &Tensor, shape: &[usize], offsets: impl Iterator<Item = usize>) -> Tensor {
    let data = match x.data() {
        Data::F32(v) => Data::F32(offsets.map(|i| v[i]).collect()),
        Data::I64(v) => Data::I64(offsets.map(|i| v[i]).collect()),
        Data::I32(v) => Data::I32(offsets.map(|i| v[i]).collect()),
        Data::I8(v) => Data::I8(offsets.map(|i| v[i]).collect()),
        Data::U8(v) => Data::U8(offsets.map(|i| v[i]).collect()),
    };
    Tensor::new(TensorType::new(x.dtype(), shape), data)
}

fn transpose(
    x: &Tensor,
    perm: &[usize],
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Result<Tensor, String> {
    let from = strides(x.shape());
    let shape: Vec<usize> = perm.iter().map(|&p| x.shape()[p]).collect();
    charge(&shape)?;
    let by: Vec<usize> = perm.iter().map(|&p| from[p]).collect();
    Ok(gather_strided(x, &shape, 0, &by))
}

fn slice(
    x: &Tensor,
    start: &[usize],
    end: &[usize],
    step: &[usize],
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Result<Tensor, String> {
    let from = strides(x.shape());
    let shape: Vec<usize> = (0..start.len())
        .map(|i| end[i].saturating_sub(start[i]).div_ceil(step[i]))
        .collect();
    charge(&shape)?;
    let base = start.iter().zip(&from).map(|(a, s)| a * s).sum();
    // A step past the end is never taken twice, so it need not be exact.
    let by: Vec<usize> = step
        .iter()
        .zip(&from)
        .zip(&shape)
        .map(|((a, s), &n)| if n > 1 { a * s } else { 0 })
        .collect();
    Ok(gather_strided(x, &shape, base, &by))
}

fn concat(
    axis: usize,
    xs: &[&Tensor],
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Result<Tensor, String> {
    let first = xs.first().ok_or("no inputs")?;
    let mut shape = first.shape().to_vec();
    if axis >= shape.len() {
        return Err(format!("axis {axis} of {}", first.ty()));
    }
    shape[axis] = 0;
    for x in xs {
        let same_but_axis = x.shape().len() == shape.len()
            && (0..shape.len()).all(|i| i == axis || x.shape()[i] == shape[i]);
        if !same_but_axis || x.dtype() != first.dtype() {
            return Err(format!(
                "{} and {} do not fit side by side",
                first.ty(),
                x.ty()
            ));
        }
        shape[axis] += x.shape()[axis];
    }
    charge(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    macro_rules! join {
        ($kind:ident) => {{
            let mut out = Vec::with_capacity(shape.iter().product());
            for row in 0..outer {
                for x in xs {
                    let n = x.shape()[axis] * inner;
                    if let Data::$kind(v) = x.data() {
                        out.extend_from_slice(&v[row * n..][..n]);
                    }
                }
            }
            Data::$kind(out)
        }};
    }
    let data = match first.data() {
        Data::F32(_) => join!(F32),
        Data::I64(_) => join!(I64),
        Data::I32(_) => join!(I32),
        Data::I8(_) => join!(I8),
        Data::U8(_) => join!(U8),
    };
    Ok(Tensor::new(TensorType::new(first.dtype(), shape), data))
}

/// The shape that two shapes broadcast to, by NumPy's rule.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// `x` repeated to `shape`, which it broadcasts to.
pub(crate) fn expand(x: &Tensor, shape: &[usize]) -> Tensor {
    let from = strides(x.shape());
    let lead = shape.len() - x.shape().len();
    let by: Vec<usize> = (0..shape.len())
        .map(|i| {
            if i < lead || x.shape()[i - lead] == 1 {
                0
            } else {
                from[i - lead]
            }
        })
        .collect();
    gather_strided(x, shape, 0, &by)
}

fn arithmetic(
    op: &Op,
    a: &Tensor,
    b: &Tensor,
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Result<Tensor, String> {
    let shape = broadcast(a.shape(), b.shape())
        .ok_or_else(|| format!("{} and {} do not broadcast", a.ty(), b.ty()))?;
    charge(&shape)?;
    let (a, b) = (expand(a, &shape), expand(b, &shape));
    let data = match (a.data(), b.data()) {
        (Data::F32(a), Data::F32(b)) => {
            let f: fn(f32, f32) -> f32 = match op {
                Op::Add => |a, b| a + b,
                Op::Sub => |a, b| a - b,
                Op::Mul => |a, b| a * b,
                _ => |a, b| a / b,
            };
            Data::F32(a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect())
        }
        (Data::I64(a), Data::I64(b)) => {
            let f: fn(i64, i64) -> Option<i64> = match op {
                Op::Add => i64::checked_add,
                Op::Sub => i64::checked_sub,
                Op::Mul => i64::checked_mul,
                _ => i64::checked_div,
            };
            let v: Option<Vec<i64>> = a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect();
            Data::I64(v.ok_or("overflow or division by zero in a constant")?)
        }
        _ => {
            return Err(format!(
                "constants of {} and {}; only f32 and i64 are folded",
                a.dtype(),
                b.dtype()
            ));
        }
    };
    Ok(Tensor::new(TensorType::new(a.dtype(), shape), data))
}

/// Elements of `x` along `axis` at `indices`, which may count from the end.
pub(crate) fn gather(
    x: &Tensor,
    indices: &Tensor,
    axis: usize,
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Result<Tensor, String> {
    let extent = x.shape()[axis];
    let list = indices.to_ints().ok_or("indices are not integers")?;
    let picks: Vec<usize> = list
        .iter()
        .map(|&i| {
            let i = if i < 0 {
                i.checked_add(extent as i64)?
            } else {
                i
            };
            usize::try_from(i).ok().filter(|&i| i < extent)
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("an index is outside axis {axis} of {}", x.ty()))?;
    let mut shape = x.shape()[..axis].to_vec();
    shape.extend(indices.shape());
    shape.extend(&x.shape()[axis + 1..]);
    charge(&shape)?;
    let outer: usize = x.shape()[..axis].iter().product();
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let offsets = (0..outer).flat_map(|o| {
        let picks = &picks;
        picks
            .iter()
            .flat_map(move |&p| (0..inner).map(move |i| (o * extent + p) * inner + i))
    });
    Ok(take(x, &shape, offsets))
}

/// `x` in another element type: floats are cut towards zero, integers must fit.
pub(crate) fn cast(x: &Tensor, dtype: DType) -> Result<Tensor, String> {
    let shape = x.shape().to_vec();
    if dtype == x.dtype() {
        return Ok(x.clone());
    }
    let ints = match x.as_f32() {
        Some(v) => v.iter().map(|&f| f as i64).collect(),
        None => x.to_ints().ok_or("neither float nor integer")?,
    };
    match (dtype, dtype.range()) {
        (DType::F32, _) => Ok(Tensor::f32(shape, ints.iter().map(|&i| i as f32).collect())),
        (DType::Bool, _) => {
            let truth: Vec<u8> = match x.as_f32() {
                Some(v) => v.iter().map(|&f| u8::from(f != 0.0)).collect(),
                None => ints.iter().map(|&i| u8::from(i != 0)).collect(),
            };
            Ok(Tensor::new(TensorType::new(dtype, shape), Data::U8(truth)))
        }
        (_, Some((lo, hi))) if ints.iter().all(|i| (lo..=hi).contains(i)) => {
            Ok(Tensor::from_ints(dtype, shape, &ints))
        }
        _ => Err(format!("a constant does not fit {dtype}")),
    }
}

/// `saturate(round_half_even(x / scale) + zero_point)`; `dtype` is an integer type.
pub(crate) fn quantize(x: &Tensor, quant: &Quant, dtype: DType) -> Result<Tensor, String> {
    let (lo, hi) = dtype.range().ok_or("a quantized type is an integer type")?;
    let v = x.as_f32().ok_or_else(|| format!("{} is not f32", x.ty()))?;
    let (extent, inner) = match quant.scale.len() {
        1 => (1, 1),
        n => (n, x.shape()[quant.axis + 1..].iter().product()),
    };
    let ints: Vec<i64> = v
        .iter()
        .enumerate()
        .map(|(i, &f)| {
            let channel = i / inner % extent;
            let zero_point = quant.zero_point[channel % quant.zero_point.len()];
            let q = (f / quant.scale[channel]).round_ties_even() as i64;
            q.saturating_add(zero_point.into()).clamp(lo, hi)
        })
        .collect();
    Ok(Tensor::from_ints(dtype, x.shape().to_vec(), &ints))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        Tensor::i64(shape.to_vec(), (0..n as i64).collect())
    }

    fn ints(op: Op, xs: &[&Tensor]) -> (Vec<usize>, Vec<i64>) {
        let t = fold(&op, xs, |_| Ok(())).unwrap().unwrap();
        (t.shape().to_vec(), t.to_ints().unwrap())
    }

    #[test]
    fn arrangement() {
        let x = ramp(&[2, 3]);
        let perm = vec![1, 0];
        let t = ints(Op::Transpose { perm }, &[&x]);
        assert_eq!(t, (vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        let (start, end, step) = (vec![0, 0], vec![2, 3], vec![1, 2]);
        let t = ints(Op::Slice { start, end, step }, &[&x]);
        assert_eq!(t, (vec![2, 2], vec![0, 2, 3, 5]));
        let t = ints(Op::Concat { axis: 1 }, &[&x, &ramp(&[2, 1])]);
        assert_eq!(t, (vec![2, 4], vec![0, 1, 2, 0, 3, 4, 5, 1]));
        let t = ints(Op::Add, &[&x, &ramp(&[2, 1])]);
        assert_eq!(t, (vec![2, 3], vec![0, 1, 2, 4, 5, 6]));
        let t = gather(&x, &Tensor::i64([2], vec![-1, 0]), 1, |_| Ok(())).unwrap();
        assert_eq!(
            (t.shape(), t.to_ints().unwrap()),
            (&[2, 2][..], vec![2, 0, 5, 3])
        );
    }

    #[test]
    fn quantization_rounds_half_to_even_and_saturates() {
        let x = Tensor::f32([2, 3], vec![0.5, 1.5, 1e9, 1.0, -3.0, f32::NEG_INFINITY]);
        let quant = Quant {
            scale: vec![1.0, 2.0],
            zero_point: vec![0, 1],
            axis: 0,
        };
        let q = quantize(&x, &quant, DType::I8).unwrap();
        assert_eq!(q.to_ints().unwrap(), [0, 2, 127, 1, -1, -128]);
    }

    #[test]
    fn a_refused_charge_stops_before_allocating() {
        let x = ramp(&[1024, 1]);
        let y = ramp(&[1, 1024]);
        let refuse = |shape: &[usize]| Err(format!("{shape:?}"));
        let why = fold(&Op::Mul, &[&x, &y], refuse).unwrap().unwrap_err();
        assert_eq!(why, "[1024, 1024]");
    }
}
