//! Convolution and dense layers.

use super::{Lowered, Lowering, Scale, dequantized, refuse};
use crate::passes::rewrite::{Rewrite, Rewriter};
use crate::quant::{RESIDUAL_MIN, requant, requant_shift};
use crate::{DType, Node, Op, Tensor, ValueId};

/// Steps of the result to one of the sum from which rounding a bias to the latter shows.
const COARSE: f64 = 1.0 / 16.0;

/// Constant weights and what their integers stand for.
struct Weight {
    value: ValueId,
    /// One scale, or one for each output channel.
    scale: Vec<f64>,
    channels: usize,
}

/// The integer sums of a layer.
struct Sums {
    op: Op,
    inputs: Vec<ValueId>,
    /// What one is worth: one number, or one for each output channel.
    unit: Vec<f64>,
    /// What makes the result of them.
    requantize: Op,
}

impl Lowering<'_> {
    fn sums(&self, rw: &mut Rewriter, core: &Node) -> Result<Sums, &'static str> {
        let (x, from) =
            dequantized(rw, core.inputs[0]).ok_or("its input is not quantized with one scale")?;
        let weight = weight(rw, core.inputs[1])?;
        let bias = match core.inputs.get(2) {
            None => vec![0.0; weight.channels],
            Some(&bias) => real_bias(rw, bias).ok_or("its bias is not constant")?,
        };
        let out = self.chain.out;
        let (bias, requant) = self.epilogue(from, &weight, &bias);
        let mut inputs = vec![x, weight.value];
        if bias.iter().any(|&b| b != 0) {
            let bias = Tensor::i32([bias.len()], bias);
            let name = format!("{}.bias", rw.name(core));
            inputs.push(rw.graph.add_constant(&name, bias));
        }
        let op = match &core.op {
            Op::Conv(attrs) => Op::QConv(attrs.clone(), from.zero_point),
            _ => Op::QDense(from.zero_point),
        };
        let scales = weight.scale.iter();
        Ok(Sums {
            op,
            inputs,
            unit: scales.map(|s| f64::from(from.scale) * s).collect(),
            requantize: Op::Requantize(requant, out.dtype),
        })
    }

    /// A convolution to whose sums `addend` is added before they are rounded.
    pub(super) fn residual(
        &self,
        rw: &mut Rewriter,
        core: &Node,
        conv: &Node,
        (addend, from): (ValueId, Scale),
    ) -> Lowered {
        let sums = match self.sums(rw, conv) {
            Ok(sums) => sums,
            Err(why) => return refuse(why),
        };
        let mult: Vec<i32> = (sums.unit.iter())
            .map(|unit| (f64::from(from.scale) / unit).round() as i32)
            .collect();
        if mult.iter().any(|&m| m < RESIDUAL_MIN) {
            return refuse("its residual is too fine for the unit of the sums that it is added to");
        }
        let zero_point = from.zero_point;
        let exact = rw.emit(&conv.name, sums.op, &sums.inputs)?;
        let accumulate = Op::QAccumulate { mult, zero_point };
        let total = rw.emit(&core.name, accumulate, &[exact, addend])?;
        Ok(Ok(Rewrite::As(sums.requantize, vec![total])))
    }

    pub(super) fn layer(&self, rw: &mut Rewriter, quantize: &Node, core: &Node) -> Lowered {
        let Sums {
            op,
            mut inputs,
            requantize,
            ..
        } = match self.sums(rw, core) {
            Ok(sums) => sums,
            Err(why) => return refuse(why),
        };
        let x = inputs[0];
        // Channels of a requantization are on axis 1: leading extents become one.
        let shape = rw.shape(quantize.output).to_vec();
        if !matches!(core.op, Op::Dense) || shape.len() == 2 {
            let sums = rw.emit(&core.name, op, &inputs)?;
            return Ok(Ok(Rewrite::As(requantize, vec![sums])));
        }
        let (&n, leading) = shape
            .split_last()
            .expect("a dense layer has rank 1 at least");
        let rows: usize = leading.iter().product();
        let k = rw.shape(x).last().copied().unwrap_or(1);
        let flat = Op::Reshape {
            shape: vec![rows, k],
        };
        inputs[0] = rw.emit(&core.name, flat, &[x])?;
        let sums = rw.emit(&core.name, op, &inputs)?;
        debug_assert_eq!(rw.shape(sums), [rows, n]);
        let result = rw.emit(&core.name, requantize, &[sums])?;
        Ok(Ok(Rewrite::As(Op::Reshape { shape }, vec![result])))
    }

    /// The integer bias, and the requantization after the sums.
    ///
    /// A channel whose multiplier would keep few bits has next to no influence on the result,
    /// and a bias in its tiny unit would be huge: there the bias goes into the addend. Where the
    /// unit is coarse instead, the addend takes what rounding leaves of the bias.
    fn epilogue(&self, from: Scale, weight: &Weight, bias: &[f64]) -> (Vec<i32>, crate::Requant) {
        let out = self.chain.out;
        let result = f64::from(self.chain.scale.scale);
        let unit = |c: usize| f64::from(from.scale) * weight.scale[c.min(weight.scale.len() - 1)];
        let ratio: Vec<f64> = (0..weight.scale.len()).map(|c| unit(c) / result).collect();
        let shift = requant_shift(self.target, &ratio, &[0.0], out);
        let (lo, hi) = out.dtype.range().expect("narrow");
        let (reach, zero) = ((hi - lo) as f64, f64::from(out.zero_point));
        let few_bits = f64::from(shift / 3).exp2();
        let mut offset = vec![0.0; bias.len()];
        let mut integers = vec![0; bias.len()];
        for (c, &b) in bias.iter().enumerate() {
            let sum = (b / unit(c)).round();
            let mult = unit(c) / result * f64::from(shift).exp2();
            // Where a sign changes is exact in the addend.
            let lost = out.dtype == DType::S1
                || mult < few_bits && shift == self.target.max_shift(out.dtype);
            if lost || sum.abs() > (self.target.acc_max() / 2) as f64 {
                // Beyond this the result saturates in any case.
                offset[c] = match out.dtype {
                    DType::S1 => b / result,
                    _ => (b / result).clamp(-reach - zero, reach - zero),
                };
            } else {
                integers[c] = sum as i32;
                if unit(c) > COARSE * result {
                    offset[c] = (b - sum * unit(c)) / result;
                }
            }
        }
        (integers, requant(self.target, &ratio, &offset, out))
    }
}

fn weight(rw: &Rewriter, value: ValueId) -> Result<Weight, &'static str> {
    const NOT_CONSTANT: &str = "its weight is not a dequantized constant";
    let node = rw.producer(value).ok_or(NOT_CONSTANT)?;
    let Op::Dequantize(q) = &node.op else {
        return Err(NOT_CONSTANT);
    };
    let value = node.inputs[0];
    let tensor = rw.graph.constant(value).ok_or(NOT_CONSTANT)?;
    if !tensor.dtype().is_narrow() {
        return Err("its weight is wider than 8 bits");
    }
    if q.zero_point.iter().any(|&z| z != 0) {
        return Err("its weight has a zero point that is not 0: quantize weights symmetrically");
    }
    if q.scale.len() > 1 && q.axis != 0 {
        return Err("its weight's scales are not one for each output channel");
    }
    Ok(Weight {
        value,
        scale: q.scale.iter().map(|&s| s.into()).collect(),
        channels: tensor.shape()[0],
    })
}

/// A constant bias, dequantized or float, by channel.
fn real_bias(rw: &Rewriter, value: ValueId) -> Option<Vec<f64>> {
    if let Some(bias) = rw.f32s(value) {
        return Some(bias.iter().map(|&b| b.into()).collect());
    }
    let node = rw.producer(value)?;
    let Op::Dequantize(q) = &node.op else {
        return None;
    };
    let integers = rw.graph.constant(node.inputs[0])?.to_ints()?;
    let at = |c: usize| {
        let zero_point = i64::from(q.zero_point[c.min(q.zero_point.len() - 1)]);
        (integers[c] - zero_point) as f64 * f64::from(q.scale[c.min(q.scale.len() - 1)])
    };
    Some((0..integers.len()).map(at).collect())
}
