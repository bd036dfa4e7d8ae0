//! Smooth functions as straight pieces of integers, and products.
//!
//! The logistic function is 0.5 plus an odd function, which rises in straight pieces between its [`SIGMOID`]
//! knots and is flat beyond the last. A piece that rises from one knot to the next with another slope than the
//! next is a clamp of the argument on both sides, so that the whole is a sum of `slope * clamp(x, -knot, knot)`.

use super::QuantTarget;
use super::bounds::{Interval, spanned};
use super::rescale::{Addend, IMM_MAX, Output, exp2, half};
use crate::{MulEpilogue, Piece, Pieces, Piecewise};

/// An odd function: its values at positive arguments, straight in between, flat beyond.
pub(crate) type Knots = [(f64, f64)];

/// `1 / (1 + exp(-x)) - 0.5`, at most [`SIGMOID_ERROR`] away: the knots at which the error of four
/// pieces is the same for all and least.
pub(crate) const SIGMOID: &Knots = &[
    (0.986_252, 0.232_795),
    (1.854_502, 0.369_103),
    (2.903_154, 0.452_451),
    (4.713_109, 0.495_552),
];

/// How far the straight pieces of the logistic function are off at most.
pub const SIGMOID_ERROR: f64 = 0.0045;

/// `clip(x / 6 + 0.5, 0, 1) - 0.5`.
pub(crate) const HARD_SIGMOID: &Knots = &[(3.0, 0.5)];

/// One slope and where it ends on both sides of zero, in steps of the argument.
struct Slope {
    /// For each step.
    by: f64,
    steps: i64,
}

/// The slopes whose clamped sum has the value of `knots` at each of them moved to a whole step of `scale`.
fn slopes(knots: &Knots, scale: f64) -> Vec<Slope> {
    let value = |x: f64| {
        let mut from = (0.0, 0.0);
        for &(to, v) in knots {
            if x < to {
                return from.1 + (v - from.1) * (x - from.0) / (to - from.0);
            }
            from = (to, v);
        }
        from.1
    };
    let last = knots.len() - 1;
    let mut places: Vec<(i64, f64)> = Vec::new();
    for (i, &(knot, v)) in knots.iter().enumerate() {
        let steps = ((knot / scale).round() as i64).max(1);
        let v = if i == last {
            v
        } else {
            value(steps as f64 * scale)
        };
        if places.last().is_some_and(|place| place.0 == steps) {
            places.pop();
        }
        places.push((steps, v));
    }
    let mut from = (0, 0.0);
    let rising = places.iter().map(|&(steps, v)| {
        let by = (v - from.1) / (steps - from.0) as f64;
        from = (steps, v);
        by
    });
    let rising: Vec<f64> = rising.chain([0.0]).collect();
    let each = places.iter().zip(rising.windows(2));
    each.map(|(&(steps, _), by)| Slope {
        by: by[0] - by[1],
        steps,
    })
    .collect()
}

/// `factor * (0.5 + knots(x))` of integers like `x`, in whole numbers.
fn pieces(knots: &Knots, scale: f64, x: Addend, factor: f64) -> Pieces {
    let (least, most) = x.dtype.range().expect("narrow");
    let zero = i64::from(x.zero_point);
    let mut add = (0.5 * factor).round() as i64;
    let pieces = slopes(knots, scale).into_iter().map(|slope| {
        let mult = whole(slope.by * factor);
        add -= i64::from(mult) * zero;
        let within = |v: i64| v.clamp(least, most) as i32;
        Piece {
            mult,
            lo: within(zero - slope.steps),
            hi: within(zero + slope.steps),
        }
    });
    let pieces = pieces.collect();
    Pieces { pieces, add }
}

/// The nearest multiplier; one beyond 32 bits is as large as they allow, which no instruction holds.
fn whole(x: f64) -> i32 {
    x.round().clamp(f64::from(-i32::MAX), f64::from(i32::MAX)) as i32
}

/// Whether the instructions can hold the pieces, and accumulators their sum; gives the values that it takes.
fn reach(function: &Pieces, x: Interval, target: &QuantTarget) -> Option<(i128, i128)> {
    let limit = i128::from(target.acc_max());
    let immediate = |p: &Piece| i64::from(p.mult).abs() <= IMM_MAX;
    let (low, high) = spanned(function, x);
    let fits = function.pieces.iter().all(immediate) && -limit <= low && high <= limit;
    fits.then_some((low, high))
}

/// `round((0.5 + knots(x)) / y)`, where `x.ratio` is the scale of `x` and `unit` that of the result; `None` where no
/// shift keeps the pieces within what instructions hold.
pub(crate) fn curve(
    target: &QuantTarget,
    knots: &Knots,
    x: Addend,
    unit: f64,
    out: Output,
) -> Option<Piecewise> {
    (0..=target.single_shift(out.dtype))
        .rev()
        .find_map(|shift| {
            let mut function = pieces(knots, x.ratio, x, exp2(shift) / unit);
            function.add += half(shift) + (i64::from(out.zero_point) << shift);
            reach(&function, x.dtype.range()?, target)?;
            Some(rescaled(function, shift, out))
        })
}

/// `round(ratio * (slope * min(x, 0) + max(x, 0)))`, where `x.ratio` is the scale of `x` in units of the result's.
pub(crate) fn leaky(target: &QuantTarget, x: Addend, slope: f64, out: Output) -> Option<Piecewise> {
    let (lo, hi) = x.dtype.range().expect("narrow");
    let zero = i64::from(x.zero_point);
    (0..=target.single_shift(out.dtype))
        .rev()
        .find_map(|shift| {
            let mult = |share: f64| i64::from(whole(share * x.ratio * exp2(shift)));
            let (below, more) = (mult(slope), mult(1.0 - slope));
            let piece = |mult: i64, lo: i64| Piece {
                mult: mult as i32,
                lo: lo as i32,
                hi: hi as i32,
            };
            let add = half(shift) + (i64::from(out.zero_point) << shift) - (below + more) * zero;
            let function = Pieces {
                pieces: vec![piece(below, lo), piece(more, zero)],
                add,
            };
            reach(&function, (lo, hi), target)?;
            Some(rescaled(function, shift, out))
        })
}

fn rescaled(function: Pieces, shift: u32, out: Output) -> Piecewise {
    Piecewise {
        function,
        shift,
        lo: out.lo,
        hi: out.hi,
    }
}

/// `round(a * gate(b))` for a gate that `of` gives in units of the result's times `2^shift`; with the largest shift for
/// which products fit.
fn product(
    target: &QuantTarget,
    [a, b]: [Addend; 2],
    out: Output,
    of: impl Fn(u32) -> Pieces,
) -> Option<MulEpilogue> {
    let (lo, hi) = a.dtype.range().expect("narrow");
    let zero = i64::from(a.zero_point);
    let most = i128::from((hi - zero).max(zero - lo));
    (0..=target.max_shift(out.dtype)).rev().find_map(|shift| {
        let gate = of(shift);
        let (low, high) = reach(&gate, b.dtype.range()?, target)?;
        let add = half(shift) + (i64::from(out.zero_point) << shift);
        let sum = most * (-low).max(high).max(0) + i128::from(add.abs());
        (sum <= i128::from(target.acc_max())).then_some(MulEpilogue {
            zero_point: a.zero_point,
            gate,
            add,
            shift,
            lo: out.lo,
            hi: out.hi,
        })
    })
}

/// `round(a * b)`, where the product of both ratios is in units of the result's.
pub(crate) fn multiply(
    target: &QuantTarget,
    a: Addend,
    b: Addend,
    out: Output,
) -> Option<MulEpilogue> {
    let (lo, hi) = b.dtype.range().expect("narrow");
    product(target, [a, b], out, |shift| {
        let mult = (a.ratio * b.ratio * exp2(shift)).round() as i64;
        let mult = mult.clamp(1, i64::from(i32::MAX));
        let piece = Piece {
            mult: mult as i32,
            lo: lo as i32,
            hi: hi as i32,
        };
        Pieces {
            pieces: vec![piece],
            add: -mult * i64::from(b.zero_point),
        }
    })
}

/// `round(x * (0.5 + knots(x)) / y)`, where `x.ratio` is the scale of `x` and `unit` that of the result.
pub(crate) fn gated(
    target: &QuantTarget,
    knots: &Knots,
    x: Addend,
    unit: f64,
    out: Output,
) -> Option<MulEpilogue> {
    product(target, [x, x], out, |shift| {
        pieces(knots, x.ratio, x, x.ratio / unit * exp2(shift))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn four_pieces_are_as_near_to_the_logistic_function_as_stated() {
        for scale in [1e-3, 0.01, 0.03] {
            let slopes = slopes(SIGMOID, scale);
            let off = (-8000..8000).map(|i| {
                let x = f64::from(i) / 1000.0;
                let y = slopes.iter().map(|s| {
                    let end = s.steps as f64;
                    s.by * (x / scale).clamp(-end, end)
                });
                (y.sum::<f64>() + 0.5 - 1.0 / (1.0 + (-x).exp())).abs()
            });
            let off = off.fold(0.0, f64::max);
            assert!(
                off <= SIGMOID_ERROR + scale / 40.0,
                "{off} at a step of {scale}"
            );
        }
    }

    /// What `apply` is off from `f`, in steps of the result, over all of `i8`.
    fn off(
        scale: f64,
        unit: f64,
        zero: i32,
        apply: impl Fn(i32) -> i32,
        f: impl Fn(f64) -> f64,
    ) -> f64 {
        let each = (-128..128).map(|q| {
            let x = f64::from(q - zero) * scale;
            let y = (f(x) / unit + f64::from(zero)).clamp(-128.0, 127.0);
            (f64::from(apply(q)) - y).abs()
        });
        each.fold(0.0, f64::max)
    }

    #[test]
    fn functions_of_integers_are_as_near_as_the_page_says() {
        let target = QuantTarget::default();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for (scale, zero) in [(0.01, 0), (0.02, -70), (0.03, 12), (0.05, -90)] {
            let x = Addend {
                ratio: scale,
                dtype: DType::I8,
                zero_point: zero,
            };
            let out = Output {
                dtype: DType::I8,
                zero_point: zero,
                lo: -128,
                hi: 127,
            };
            let unit = 1.0 / 200.0;
            let p = curve(&target, SIGMOID, x, unit, out).expect("it fits");
            let worst = off(scale, unit, zero, |q| p.apply(q), sigmoid);
            assert!(
                worst <= 0.5 + (SIGMOID_ERROR + scale / 40.0) / unit + 0.1,
                "sigmoid {worst}"
            );

            let m = gated(&target, SIGMOID, x, scale, out).expect("it fits");
            let worst = off(scale, scale, zero, |q| m.apply(q, q), |x| x * sigmoid(x));
            assert!(
                worst <= 0.5 + 198.0 * (SIGMOID_ERROR + scale / 40.0) + 0.1,
                "silu {worst}"
            );

            let m = gated(&target, HARD_SIGMOID, x, scale, out).expect("it fits");
            let hard = |x: f64| x * (x / 6.0 + 0.5).clamp(0.0, 1.0);
            let worst = off(scale, scale, zero, |q| m.apply(q, q), hard);
            assert!(worst <= 0.8, "hard_swish {worst}");
        }
    }
}
