//! Operators against definitions of their elements, one at a time, by index, in `f64` (exact for small numbers).

use vta_graph::interp::eval;
use vta_graph::{Data, Op, Tensor, Window};

/// A tensor read by index; `None` outside.
pub(crate) struct Nd {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

impl Nd {
    pub(crate) fn new(t: &Tensor) -> Self {
        let data = match t.data() {
            Data::F32(v) => v.iter().map(|&v| v.into()).collect(),
            _ => t.to_ints().unwrap().iter().map(|&v| v as f64).collect(),
        };
        Nd {
            shape: t.shape().to_vec(),
            data,
        }
    }

    pub(crate) fn get(&self, index: &[i64]) -> Option<f64> {
        let mut at = 0;
        for (&i, &extent) in index.iter().zip(&self.shape) {
            at = at * extent + usize::try_from(i).ok().filter(|i| *i < extent)?;
        }
        Some(self.data[at])
    }

    pub(crate) fn at(&self, index: &[usize]) -> f64 {
        let index: Vec<i64> = index.iter().map(|&i| i as i64).collect();
        self.get(&index).expect("an index inside")
    }

    /// The element that broadcasting puts at `index`.
    pub(crate) fn broadcast_at(&self, index: &[usize]) -> f64 {
        let index = &index[index.len() - self.shape.len()..];
        let clipped = index
            .iter()
            .zip(&self.shape)
            .map(|(&i, &d)| if d == 1 { 0 } else { i });
        self.at(&clipped.collect::<Vec<_>>())
    }
}

/// Compares a result with a definition of each of its elements.
pub(crate) fn check(
    op: &Op,
    operands: &[Tensor],
    tolerance: f64,
    define: impl Fn(&[usize]) -> f64,
) {
    let y = eval(op, &operands.iter().collect::<Vec<_>>()).unwrap();
    let got = Nd::new(&y);
    let mut index = vec![0; y.shape().len()];
    for (i, &got) in got.data.iter().enumerate() {
        let mut rest = i;
        for (index, &extent) in index.iter_mut().zip(y.shape()).rev() {
            *index = rest % extent;
            rest /= extent;
        }
        let want = define(&index);
        let close = got == want || (got - want).abs() <= tolerance * want.abs().max(1.0);
        assert!(close, "{op:?} at {index:?}: {got}, defined as {want}");
    }
}

/// The position under kernel element `k` of output element `o` along one axis.
pub(crate) fn position(w: &Window, axis: usize, o: usize, k: usize) -> i64 {
    (o * w.stride[axis] + k * w.dilation[axis]) as i64 - w.pads[axis] as i64
}

/// `clamp(floor(sum / 2^shift), lo, hi)`.
pub(crate) fn rescale(sum: i128, shift: u32, lo: i32, hi: i32) -> f64 {
    sum.div_euclid(1 << shift).clamp(lo.into(), hi.into()) as f64
}
