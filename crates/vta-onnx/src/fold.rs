//! Operators on constants, evaluated while importing.
//!
//! Exporters compute shapes inside the graph (`Shape`, `Gather`, `Concat`, `Reshape`) and
//! rearrange weights there; both vanish here. What the graph has an operator for is left to
//! its interpreter; arithmetic on shapes, which the graph has not, is here.

use vta_graph::interp::eval;
use vta_graph::{DType, Data, Op, Tensor, TensorType};

/// The value of `op` on constants, if `op` is one that is folded.
///
/// `charge` is asked for the shape of the result before anything is allocated.
pub(crate) fn fold(
    op: &Op,
    inputs: &[&Tensor],
    charge: impl FnOnce(&[usize]) -> Result<(), String>,
) -> Option<Result<Tensor, String>> {
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Div => match inputs {
            [a, b] if a.dtype() == DType::I64 => return Some(arithmetic(op, a, b, charge)),
            _ => {}
        },
        Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } | Op::Concat { .. } => {}
        Op::Quantize(..) => {}
        _ => return None,
    }
    let types: Vec<&TensorType> = inputs.iter().map(|t| t.ty()).collect();
    let result = op.infer(&types).and_then(|ty| {
        charge(&ty.shape)?;
        eval(op, inputs)
    });
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

/// The tensor of `shape` whose element at index `i` is element `i . strides` of `x`.
fn gather_strided(x: &Tensor, shape: &[usize], strides: &[usize]) -> Tensor {
    let mut index = vec![0; shape.len()];
    let mut at = 0;
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
    gather_strided(x, shape, &by)
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
    let (Data::I64(a), Data::I64(b)) = (a.data(), b.data()) else {
        return Err(format!("{} with {}; give both one type", a.ty(), b.ty()));
    };
    let f: fn(i64, i64) -> Option<i64> = match op {
        Op::Add => i64::checked_add,
        Op::Sub => i64::checked_sub,
        Op::Mul => i64::checked_mul,
        _ => i64::checked_div,
    };
    let v: Option<Vec<i64>> = a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect();
    let v = v.ok_or("overflow or division by zero in a constant")?;
    Ok(Tensor::i64(shape, v))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        Tensor::i64(shape.to_vec(), (0..n as i64).collect())
    }

    #[test]
    fn integers_broadcast_and_overflow_is_refused() {
        let (x, y) = (ramp(&[2, 3]), ramp(&[2, 1]));
        let sum = fold(&Op::Add, &[&x, &y], |_| Ok(())).unwrap().unwrap();
        assert_eq!(sum, Tensor::i64([2, 3], vec![0, 1, 2, 4, 5, 6]));
        let why = |op| fold(&op, &[&x, &y], |_| Ok(())).unwrap().unwrap_err();
        assert!(why(Op::Div).contains("division by zero"));
    }

    #[test]
    fn gathering_keeps_the_shape_of_the_indices() {
        let picked = gather(&ramp(&[2, 3]), &Tensor::i64([2, 1], vec![-1, 0]), 1, |_| {
            Ok(())
        });
        assert_eq!(picked.unwrap(), Tensor::i64([2, 2, 1], vec![2, 0, 5, 3]));
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
