//! What values integers can take: intervals proven from weights, never from observation.

use crate::{DType, Data, Graph, GraphError, Node, NodeId, Op, Piece, Pieces, Requant, Tensor};

/// Smallest and largest value.
pub type Interval = (i64, i64);

/// The interval of every integer value, by value id; `None` for the others. Inputs take any
/// value of their type.
pub fn value_bounds(graph: &Graph) -> Vec<Option<Interval>> {
    let mut bounds: Vec<Option<Interval>> = graph
        .values
        .iter()
        .map(|v| match &v.constant {
            Some(tensor) => tensor.to_ints().and_then(|t| span(t.into_iter())),
            None => v.ty.dtype.range(),
        })
        .collect();
    for node in &graph.nodes {
        let at = |i: usize| bounds[node.inputs[i].0 as usize];
        let proven = match &node.op {
            Op::QConv(..) | Op::QDense(_) => at(0)
                .and_then(|x| sum_bounds(graph, node, x))
                .and_then(|channels| within_sums(channels.into_iter().reduce(hull)?)),
            Op::QSumPool(p, zero_point) => at(0).and_then(|(lo, hi)| {
                let count = i64::try_from(p.window.kernel.iter().product::<usize>()).ok()?;
                let z = i64::from(*zero_point);
                let (lo, hi) = ((lo - z).checked_mul(count)?, (hi - z).checked_mul(count)?);
                // Padding adds nothing, so that a window may sum fewer elements.
                let padded = p.window.pads != [0; 4] || p.extra != [0, 0];
                Some(if padded {
                    (lo.min(0), hi.max(0))
                } else {
                    (lo, hi)
                })
            }),
            Op::QAccumulate { mult, zero_point } => at(0).zip(at(1)).and_then(|(sums, x)| {
                let term = accumulated(mult, *zero_point, x).into_iter().reduce(hull)?;
                within_sums((sums.0 + term.0, sums.1 + term.1))
            }),
            Op::Requantize(r, dtype) => at(0).map(|x| {
                let (lo, hi) = requantized(r, x);
                (dtype.settled(lo), dtype.settled(hi))
            }),
            Op::QAdd(e, dtype) => at(0).zip(at(1)).map(|(a, b)| {
                let times = |(lo, hi): Interval, m: i32| {
                    let (p, q) = (
                        i128::from(lo) * i128::from(m),
                        i128::from(hi) * i128::from(m),
                    );
                    (p.min(q), p.max(q))
                };
                let (a, b) = (times(a, e.mult_a), times(b, e.mult_b));
                let y = |sum: i128| {
                    let y = (sum + i128::from(e.add)) >> e.shift;
                    dtype.settled(y.clamp(e.lo.into(), e.hi.into()) as i64)
                };
                (y(a.0 + b.0), y(a.1 + b.1))
            }),
            Op::QMul(e, dtype) => at(0).zip(at(1)).map(|(a, b)| {
                let z = i128::from(e.zero_point);
                let (low, high) = spanned(&e.gate, b);
                let ends = [i128::from(a.0) - z, i128::from(a.1) - z];
                let products = ends.into_iter().flat_map(|a| [a * low, a * high]);
                let y = |product: i128| {
                    let y = (product + i128::from(e.add)) >> e.shift;
                    dtype.settled(y.clamp(e.lo.into(), e.hi.into()) as i64)
                };
                products
                    .map(|p| (y(p), y(p)))
                    .reduce(hull)
                    .expect("four ends")
            }),
            Op::QPiecewise(p, dtype) => at(0).map(|x| {
                let (low, high) = spanned(&p.function, x);
                let y = |sum: i128| {
                    let y = (sum >> p.shift).clamp(p.lo.into(), p.hi.into());
                    dtype.settled(y as i64)
                };
                (y(low), y(high))
            }),
            Op::Clip { lo, hi } => at(0).map(|(min, max)| {
                (
                    min.clamp(*lo as i64, *hi as i64),
                    max.clamp(*lo as i64, *hi as i64),
                )
            }),
            Op::Relu => at(0).map(|(lo, hi)| (lo.max(0), hi.max(0))),
            Op::Pad { value, .. } => at(0).map(|x| hull(x, (*value as i64, *value as i64))),
            Op::Concat { .. } => {
                let all: Option<Vec<_>> = (0..node.inputs.len()).map(at).collect();
                all.and_then(|all| all.into_iter().reduce(hull))
            }
            Op::MaxPool(_)
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Im2col { .. }
            | Op::Slice { .. }
            | Op::DepthToSpace { .. }
            | Op::Resize { .. } => at(0),
            _ => None,
        };
        let bound = &mut bounds[node.output.0 as usize];
        // Never wider than the type.
        *bound = match (proven, *bound) {
            (Some((lo, hi)), Some((min, max))) if lo <= max && hi >= min => {
                Some((lo.max(min), hi.min(max)))
            }
            (_, whole) => whole,
        };
    }
    bounds
}

/// The interval of each output channel's accumulator (bias included) of a `qconv` or
/// `qdense`, from its constant weights and what is proven of its input. Padding counts as
/// the zero point, which contributes nothing.
///
/// # Errors
/// If the node is another operator, or its weight or bias is not constant.
pub fn accumulator_bounds(graph: &Graph, node: NodeId) -> Result<Vec<Interval>, GraphError> {
    let node = graph.node(node);
    let input = value_bounds(graph)[node.inputs[0].0 as usize];
    let sums = input.and_then(|x| sum_bounds(graph, node, x));
    sums.ok_or_else(|| GraphError::Node {
        node: node.name.clone(),
        op: node.op.name().to_string(),
        why: "accumulator bounds exist for qconv and qdense with constant weight and bias".into(),
    })
}

/// The same as [`accumulator_bounds`] for an input that lies in the given interval.
pub fn sum_bounds(graph: &Graph, node: &Node, (lo, hi): Interval) -> Option<Vec<Interval>> {
    let (zero_point, padded) = match &node.op {
        Op::QConv(a, z) => (i64::from(*z), a.window.pads != [0; 4]),
        Op::QDense(z) => (i64::from(*z), false),
        _ => return None,
    };
    let weight = graph.constant(node.inputs[1])?;
    let channels = *weight.shape().first()?;
    let bias = match node.inputs.get(2) {
        Some(&bias) => graph.constant(bias)?.to_ints()?,
        None => vec![0; channels],
    };
    let (mut lo, mut hi) = (lo - zero_point, hi - zero_point);
    if padded {
        (lo, hi) = (lo.min(0), hi.max(0));
    }
    let sums = signed_sums(weight, channels)?.into_iter().zip(bias);
    let reach = |((negative, positive), b)| {
        let (min, max) = (lo * positive + hi * negative, hi * positive + lo * negative);
        (b + min, b + max)
    };
    Some(sums.map(reach).collect())
}

/// Of each row of a weight the sum of what is below 0, and of what is above.
pub(crate) fn signed_sums(weight: &Tensor, rows: usize) -> Option<Vec<(i64, i64)>> {
    fn sums<T: Copy + Into<i64>>(weight: &[T], rows: usize) -> Vec<(i64, i64)> {
        let sum = |row: &[T]| {
            let w = row.iter().map(|&w| w.into());
            w.fold((0, 0), |(n, p), w: i64| (n + w.min(0), p + w.max(0)))
        };
        let each = weight.len() / rows.max(1);
        weight.chunks(each.max(1)).map(sum).collect()
    }
    match weight.data() {
        Data::I8(weight) => Some(sums(weight, rows)),
        _ => Some(sums(&weight.to_ints()?, rows)),
    }
}

/// What a `qaccumulate` adds to the sums, for each of its multipliers, if its operand lies in an interval.
pub fn accumulated(mult: &[i32], zero_point: i32, (lo, hi): Interval) -> Vec<Interval> {
    let z = i64::from(zero_point);
    mult.iter()
        .map(|&m| ((lo - z) * i64::from(m), (hi - z) * i64::from(m)))
        .collect()
}

/// The least and the greatest value of a function over an interval.
pub fn spanned(function: &Pieces, (lo, hi): Interval) -> (i128, i128) {
    let reached = |piece: &Piece| {
        let clamped = |x: i64| x.clamp(piece.lo.into(), piece.hi.into());
        let ends = [clamped(lo), clamped(hi)].map(|x| i128::from(piece.mult) * i128::from(x));
        (ends[0].min(ends[1]), ends[0].max(ends[1]))
    };
    let add = i128::from(function.add);
    let reached = function.pieces.iter().map(reached);
    reached.fold((add, add), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1))
}

/// Sums wrap: beyond 32 bits they can be anything.
fn within_sums((lo, hi): Interval) -> Option<Interval> {
    let (min, max) = DType::I32.range().expect("an integer type");
    (lo >= min && hi <= max).then_some((lo, hi))
}

/// A requantization is monotone: its ends are those of its operand, channel by channel.
fn requantized(r: &Requant, (lo, hi): Interval) -> Interval {
    let channels = r.mult.len().max(r.add.len());
    let ends = (0..channels).map(|c| {
        let mult = i128::from(r.mult[c.min(r.mult.len() - 1)]);
        let add = i128::from(r.add[c.min(r.add.len() - 1)]);
        let y = |x: i64| {
            let y = (i128::from(x) * mult + add) >> r.shift;
            y.clamp(r.lo.into(), r.hi.into()) as i64
        };
        (y(lo), y(hi))
    });
    ends.reduce(hull).unwrap_or((r.lo.into(), r.hi.into()))
}

fn hull(a: Interval, b: Interval) -> Interval {
    (a.0.min(b.0), a.1.max(b.1))
}

fn span(values: impl Iterator<Item = i64>) -> Option<Interval> {
    values.map(|v| (v, v)).reduce(hull)
}
