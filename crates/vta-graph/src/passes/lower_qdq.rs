//! Turns `dequantize -> operator -> quantize` into exact integer operators.
//!
//! A layer whose operands are dequantized, and whose result (after `relu` or `clip`) goes to
//! one `quantize` alone, becomes `qconv`, `qdense`, `qadd` or `qsum_pool` with a
//! `requantize` that carries scale, rounding, zero point and the activation's bounds. An addition to the
//! result of a convolution that is not quantized in between is a `qaccumulate` to its sums.
//! Rearrangements and maxima move to the integer side of a `dequantize`. Whatever has no such
//! form stays in floats between `dequantize` and `quantize`: an [`Island`].

mod layer;

use std::collections::BTreeMap;

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::quant::{
    Addend, HARD_SIGMOID, Knots, Output, QuantTarget, SIGMOID, add_epilogue, curve, gated,
    has_one_divisor, leaky, multiply, requant, round_to,
};
use crate::{DType, Graph, GraphError, Node, Op, PoolAttrs, Quant, ValueId, Window};

/// A node that stayed in floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Island {
    /// Name of the node.
    pub node: String,
    /// Name of its operator.
    pub op: &'static str,
    /// Why it has no integer form.
    pub why: String,
}

/// Runs the pass, with multipliers and shifts that a design of these widths can carry out.
/// Returns what stayed in floats, in order.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph, target: &QuantTarget) -> Result<Vec<Island>, GraphError> {
    let mut reasons = BTreeMap::new();
    rewrite(graph, |rw, node| match &node.op {
        Op::Quantize(q, dtype) => {
            let Some(scale) = Scale::new(q, *dtype) else {
                return Ok(Rewrite::Keep);
            };
            let chain = Chain::behind(rw, node.inputs[0], scale);
            let Some(core) = chain.core.clone() else {
                return Ok(Rewrite::Keep);
            };
            let lowering = Lowering { target, chain };
            match lowering.lower(rw, node, &core)? {
                Ok(done) => Ok(done),
                Err(why) => {
                    reasons.insert(rw.graph.value(core.output).name.clone(), why);
                    Ok(Rewrite::Keep)
                }
            }
        }
        _ => to_integer_side(rw, node),
    })?;
    let float = |n: &&Node| {
        !matches!(n.op, Op::Quantize(..) | Op::Dequantize(_))
            && n.inputs
                .iter()
                .chain([&n.output])
                .any(|&v| graph.value(v).ty.dtype == DType::F32)
    };
    let island = |n: &Node| {
        let result = &graph.value(n.output).name;
        let why = reasons.get(result).cloned().unwrap_or_else(|| match n.op {
            Op::Relu | Op::Clip { .. } => "what it bounds stays in floats".into(),
            _ => "its result is not quantized, or not only".into(),
        });
        let node = if n.name.is_empty() { result } else { &n.name };
        Island {
            node: node.clone(),
            op: n.op.name(),
            why,
        }
    };
    Ok(graph.nodes.iter().filter(float).map(island).collect())
}

/// One scale and zero point for a tensor of narrow integers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    scale: f32,
    zero_point: i32,
    dtype: DType,
}

impl Scale {
    fn new(q: &Quant, dtype: DType) -> Option<Scale> {
        match (q.scale.as_slice(), q.zero_point.as_slice()) {
            (&[scale], &[zero_point]) if dtype.is_narrow() => Some(Scale {
                scale,
                zero_point,
                dtype,
            }),
            _ => None,
        }
    }

    fn quant(&self) -> Quant {
        Quant::per_tensor(self.scale, self.zero_point)
    }

    fn addend(&self) -> Addend {
        Addend {
            ratio: self.scale.into(),
            dtype: self.dtype,
            zero_point: self.zero_point,
        }
    }
}

/// The integers of a value that is their `dequantize`.
fn dequantized(rw: &Rewriter, value: ValueId) -> Option<(ValueId, Scale)> {
    let node = rw.producer(value)?;
    let Op::Dequantize(q) = &node.op else {
        return None;
    };
    let x = node.inputs[0];
    Some((x, Scale::new(q, rw.graph.value(x).ty.dtype)?))
}

/// What stands before a `quantize`: an operator, then activations that only bound its result.
struct Chain {
    /// The value that the activations bound.
    value: ValueId,
    core: Option<Node>,
    out: Output,
    scale: Scale,
}

impl Chain {
    fn behind(rw: &Rewriter, mut value: ValueId, scale: Scale) -> Chain {
        let (mut lo, mut hi) = (f32::NEG_INFINITY, f32::INFINITY);
        while let Some(node) = rw.only_producer(value) {
            let (l, h) = match node.op {
                Op::Relu => (0.0, f32::INFINITY),
                Op::Clip { lo, hi } => (lo, hi),
                _ => break,
            };
            (lo, hi) = (l.clamp(lo, hi), h.clamp(lo, hi));
            value = node.inputs[0];
        }
        let to_int = |x| round_to(x, scale.scale, scale.zero_point, scale.dtype);
        Chain {
            value,
            core: rw.producer(value).cloned(),
            out: Output {
                dtype: scale.dtype,
                zero_point: scale.zero_point,
                lo: to_int(lo),
                hi: to_int(hi),
            },
            scale,
        }
    }
}

/// The rewriting, or the reason why there is none.
type Lowered = Result<Result<Rewrite, String>, GraphError>;

const TOO_FAR_APART: &str = "the scales of operands and result are too far apart";

fn refuse(why: &str) -> Lowered {
    Ok(Err(why.into()))
}

struct Lowering<'a> {
    target: &'a QuantTarget,
    chain: Chain,
}

impl Lowering<'_> {
    fn lower(&self, rw: &mut Rewriter, quantize: &Node, core: &Node) -> Lowered {
        if let Op::Dequantize(_) = core.op {
            return self.rescale(rw);
        }
        if rw.uses(self.chain.value) > 1 {
            return refuse("its result is read in floats too, or quantized more than once");
        }
        match &core.op {
            Op::Conv(_) | Op::Dense => self.layer(rw, quantize, core),
            Op::Add => self.add(rw, core),
            Op::Sub => self.sum(rw, core, [1.0, -1.0]),
            Op::Mul => self.product(rw, core),
            Op::LeakyRelu { alpha } => self.leaky_relu(rw, core, *alpha),
            Op::Sigmoid => self.curve(rw, core, SIGMOID),
            Op::Silu => self.gated(rw, core, SIGMOID),
            Op::HardSwish => self.gated(rw, core, HARD_SIGMOID),
            Op::GlobalAvgPool => {
                let &[_, _, h, w] = rw.shape(core.inputs[0]) else {
                    return refuse("its operand is not NCHW");
                };
                let window = Window {
                    kernel: [h, w],
                    stride: [1, 1],
                    dilation: [1, 1],
                    pads: [0; 4],
                };
                let all = PoolAttrs {
                    window,
                    extra: [0, 0],
                    count_include_pad: false,
                };
                self.mean(rw, core, all)
            }
            Op::AvgPool(p) => {
                if !has_one_divisor(p) {
                    return refuse("windows at the border are divided by fewer elements");
                }
                self.mean(rw, core, p.clone())
            }
            Op::Concat { axis } => self.concat(rw, core, *axis),
            op => Ok(Err(format!("there is no integer form of {}", op.name()))),
        }
    }

    /// A `dequantize` straight to a `quantize`: nothing, or another scale or bounds.
    fn rescale(&self, rw: &mut Rewriter) -> Lowered {
        let Some((x, from)) = dequantized(rw, self.chain.value) else {
            return refuse("its operand has a scale for each channel, or is not narrow");
        };
        Ok(Ok(self.rescaled(x, from)))
    }

    fn rescaled(&self, x: ValueId, from: Scale) -> Rewrite {
        let out = self.chain.out;
        let (lo, hi) = out.dtype.range().expect("narrow");
        let unbounded = (i64::from(out.lo), i64::from(out.hi)) == (lo, hi);
        if from == self.chain.scale && unbounded {
            return Rewrite::Alias(x);
        }
        Rewrite::As(self.requantize_from(from), vec![x])
    }

    /// From one scale and zero point to those of the result.
    fn requantize_from(&self, from: Scale) -> Op {
        let out = self.chain.out;
        let ratio = f64::from(from.scale) / f64::from(self.chain.scale.scale);
        let offset = -ratio * f64::from(from.zero_point);
        Op::Requantize(requant(self.target, &[ratio], &[offset], out), out.dtype)
    }

    fn add(&self, rw: &mut Rewriter, core: &Node) -> Lowered {
        let [a, b] = [core.inputs[0], core.inputs[1]];
        for (sums, addend) in [(a, b), (b, a)] {
            let conv = rw.only_producer(sums);
            let conv = conv.filter(|n| matches!(n.op, Op::Conv(_))).cloned();
            if let (Some(conv), Some(addend)) = (conv, dequantized(rw, addend)) {
                if rw.shape(sums) == rw.shape(addend.0) {
                    return self.residual(rw, core, &conv, addend);
                }
            }
        }
        self.sum(rw, core, [1.0, 1.0])
    }

    /// `shares[0] * a + shares[1] * b`.
    fn sum(&self, rw: &mut Rewriter, core: &Node, shares: [f64; 2]) -> Lowered {
        let [mut a, mut b] = match self.operands(rw, core) {
            Ok(operands) => operands,
            Err(why) => return refuse(why),
        };
        for (operand, share) in [&mut a, &mut b].into_iter().zip(shares) {
            operand.1.ratio *= share / f64::from(self.chain.scale.scale);
        }
        if rw.shape(a.0) != rw.shape(self.chain.value) {
            (a, b) = (b, a);
        }
        match add_epilogue(self.target, a.1, b.1, self.chain.out) {
            Some(e) => Ok(Ok(Rewrite::As(
                Op::QAdd(e, self.chain.out.dtype),
                vec![a.0, b.0],
            ))),
            None => refuse(TOO_FAR_APART),
        }
    }

    fn product(&self, rw: &mut Rewriter, core: &Node) -> Lowered {
        let [mut a, mut b] = match self.operands(rw, core) {
            Ok(operands) => operands,
            Err(why) => return refuse(why),
        };
        if rw.shape(a.0) != rw.shape(self.chain.value) {
            (a, b) = (b, a);
        }
        a.1.ratio /= f64::from(self.chain.scale.scale);
        match multiply(self.target, a.1, b.1, self.chain.out) {
            Some(e) => Ok(Ok(Rewrite::As(
                Op::QMul(e, self.chain.out.dtype),
                vec![a.0, b.0],
            ))),
            None => refuse(TOO_FAR_APART),
        }
    }

    /// The integers of two operands, of which one may have one row and column for all of the other's.
    fn operands(&self, rw: &Rewriter, core: &Node) -> Result<[(ValueId, Addend); 2], &'static str> {
        let operand = |v: ValueId| -> Result<(ValueId, Addend), &'static str> {
            let (x, from) =
                dequantized(rw, v).ok_or("an operand is not quantized with one scale")?;
            Ok((x, from.addend()))
        };
        let operands = [operand(core.inputs[0])?, operand(core.inputs[1])?];
        let [a, b] = operands.map(|(x, _)| rw.shape(x));
        let spreads = |a: &[usize], b: &[usize]| matches!((a, b), ([n, c, _, _], [m, d, 1, 1]) if (n, c) == (m, d));
        if a == b || spreads(a, b) || spreads(b, a) {
            Ok(operands)
        } else {
            Err("its operands have different shapes, and none is [N, C, 1, 1]")
        }
    }

    /// What a function makes of one operand: an operator, and how often it reads that.
    fn function(
        &self,
        rw: &Rewriter,
        core: &Node,
        of: impl Fn(Addend, f64, Output) -> Option<(Op, usize)>,
    ) -> Lowered {
        let Some((x, from)) = dequantized(rw, core.inputs[0]) else {
            return refuse("its operand is not quantized with one scale");
        };
        match of(from.addend(), self.chain.scale.scale.into(), self.chain.out) {
            Some((op, reads)) => Ok(Ok(Rewrite::As(op, vec![x; reads]))),
            None => refuse(TOO_FAR_APART),
        }
    }

    /// The function `0.5 + knots(x)`.
    fn curve(&self, rw: &Rewriter, core: &Node, knots: &Knots) -> Lowered {
        self.function(rw, core, |x, unit, out| {
            let map = curve(self.target, knots, x, unit, out)?;
            Some((Op::QPiecewise(map, out.dtype), 1))
        })
    }

    /// The function `x * (0.5 + knots(x))`.
    fn gated(&self, rw: &Rewriter, core: &Node, knots: &Knots) -> Lowered {
        self.function(rw, core, |x, unit, out| {
            let product = gated(self.target, knots, x, unit, out)?;
            Some((Op::QMul(product, out.dtype), 2))
        })
    }

    fn leaky_relu(&self, rw: &Rewriter, core: &Node, alpha: f32) -> Lowered {
        self.function(rw, core, |mut x, unit, out| {
            x.ratio /= unit;
            let map = leaky(self.target, x, alpha.into(), out)?;
            Some((Op::QPiecewise(map, out.dtype), 1))
        })
    }

    fn mean(&self, rw: &mut Rewriter, core: &Node, pool: PoolAttrs) -> Lowered {
        let Some((x, from)) = dequantized(rw, core.inputs[0]) else {
            return refuse("its operand is not quantized with one scale");
        };
        let count: usize = pool.window.kernel.iter().product();
        let unit = f64::from(from.scale) / count as f64;
        let ratio = unit / f64::from(self.chain.scale.scale);
        let sums = rw.emit(&core.name, Op::QSumPool(pool, from.zero_point), &[x])?;
        let out = self.chain.out;
        let requant = requant(self.target, &[ratio], &[0.0], out);
        Ok(Ok(Rewrite::As(
            Op::Requantize(requant, out.dtype),
            vec![sums],
        )))
    }

    fn concat(&self, rw: &mut Rewriter, core: &Node, axis: usize) -> Lowered {
        let parts: Option<Vec<_>> = core.inputs.iter().map(|&v| dequantized(rw, v)).collect();
        let Some(parts) = parts else {
            return refuse("an operand is not quantized with one scale");
        };
        let mut inputs = Vec::with_capacity(parts.len());
        for (x, from) in parts {
            inputs.push(match self.rescaled(x, from) {
                Rewrite::As(op, x) => rw.emit(&core.name, op, &x)?,
                _ => x,
            });
        }
        Ok(Ok(Rewrite::As(Op::Concat { axis }, inputs)))
    }
}

/// Rearrangements, and maxima, of dequantized values: the same of the integers, dequantized.
fn to_integer_side(rw: &mut Rewriter, node: &Node) -> Result<Rewrite, GraphError> {
    let op = &node.op;
    let movable = matches!(
        op,
        Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } | Op::MaxPool(_)
    ) || matches!(op, Op::Pad { .. } | Op::Concat { .. })
        || matches!(op, Op::DepthToSpace { .. } | Op::Resize { .. });
    let Some((first, scale)) = node.inputs.first().and_then(|&v| dequantized(rw, v)) else {
        return Ok(Rewrite::Keep);
    };
    if !movable {
        return Ok(Rewrite::Keep);
    }
    let mut inputs = vec![first];
    for &v in &node.inputs[1..] {
        match dequantized(rw, v) {
            Some((x, other)) if other == scale => inputs.push(x),
            _ => return Ok(Rewrite::Keep),
        }
    }
    let op = match op {
        Op::Pad {
            before,
            after,
            value,
        } => {
            let integer = round_to(*value, scale.scale, scale.zero_point, scale.dtype);
            if (integer - scale.zero_point) as f32 * scale.scale != *value {
                return Ok(Rewrite::Keep);
            }
            Op::Pad {
                before: before.clone(),
                after: after.clone(),
                value: integer as f32,
            }
        }
        op => op.clone(),
    };
    let moved = rw.emit(&node.name, op, &inputs)?;
    Ok(Rewrite::As(Op::Dequantize(scale.quant()), vec![moved]))
}
