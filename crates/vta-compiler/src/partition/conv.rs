//! Whether a convolution runs on the accelerator: its padding, what joins its sums, and what follows them.

use vta_graph::passes::pack;
use vta_graph::quant::bounds::{self, Interval};
use vta_graph::{ConvAttrs, DType, Graph, Node, NodeId, Op, PackedConv, Requant, ValueId};
use vta_isa::Design;

use super::pooling::pooling;
use super::{borderless, four, operations, padded_alike, requantized, weight, width};
use crate::epilogue::Epilogue;
use crate::ops::conv::ConvShape;
use crate::ops::entry::Entry;
use crate::ops::tiling;

pub(super) fn conv(
    graph: &Graph,
    node: &Node,
    readers: &[NodeId],
    consumers: &[Vec<NodeId>],
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<(Option<NodeId>, NodeId, Epilogue), String> {
    let Op::QConv(attrs, zero_point) = &node.op else {
        unreachable!("a qconv")
    };
    let [x, w] = node.inputs[..] else {
        return Err("its bias is not constant, or too large to fold".to_string());
    };
    let weight = graph.constant(w).ok_or("its weight is not constant")?;
    // What stands between the sums and their requantization, and what that reads.
    let between = match readers {
        [reader] if is_sums(graph, *reader) && !graph.outputs.contains(&node.output) => {
            Some(*reader)
        }
        _ => None,
    };
    let (sums_node, readers) = match between {
        Some(id) => {
            let sums = graph.node(id);
            (sums, &consumers[sums.output.0 as usize][..])
        }
        None => (node, readers),
    };
    let (requantize, requant) = requantized(graph, sums_node, readers, design)?;
    width("input", graph.value(x).ty.dtype, design)?;
    padded_alike(graph, x, design)?;
    padded_with_values(graph, x, attrs.window.pads, *zero_point)?;
    let dtype = self::weight(design);
    if weight.dtype() != dtype {
        let values = weight.to_ints().ok_or("its weight is not integer")?;
        if let Some(odd) = values.iter().find(|&&v| !dtype.holds(v)) {
            return Err(format!(
                "of its weights {odd} is no {dtype}, which is what the design takes"
            ));
        }
    }
    // What stands in lanes without a channel, times signs that are no 0.
    let lane = match dtype {
        DType::S1 => sign_lanes(graph, node, attrs, design)?,
        _ => 0,
    };
    let sums = pack::channel_sums(weight);
    let channels = ranges[x.0 as usize]
        .and_then(|range| bounds::sum_bounds(graph, node, range))
        .ok_or("its sums have no proven interval")?;
    // The accelerator sums stored values, of which the zero point is a constant part.
    let mut raw: Vec<Interval> = channels
        .iter()
        .zip(&sums)
        .map(|((low, high), sum)| {
            let part = i64::from(*zero_point) * sum;
            (low + part, high + part)
        })
        .collect();
    let fold = |requant: &Requant, sums: &[i64], zero_point| {
        pack::fold_zero_point(requant, sums, zero_point, design.block_out(), &node.name)
            .map_err(|e| e.to_string())
    };
    let mut folded = fold(requant, &sums, *zero_point)?;
    let mut passes = 0;
    if let Op::QAccumulate { mult, zero_point } = &sums_node.op {
        let factors = pack::each(mult, sums.len());
        let range = addend(graph, sums_node.inputs[1], ranges, design)?;
        for (sum, &factor) in raw.iter_mut().zip(&factors) {
            *sum = (sum.0 + range.0 * factor, sum.1 + range.1 * factor);
        }
        folded = fold(&folded, &factors, *zero_point)?;
        passes = pack::passes(&factors, dtype);
    }
    folded = fold(&folded, &vec![lane; sums.len()], 1)?;
    raw.iter_mut()
        .for_each(|sum| *sum = (sum.0 + lane, sum.1 + lane));
    let rest = unread_sums(graph, node, ranges, design)?;
    raw.resize(folded.mult.len(), rest);
    let pooled = matches!(sums_node.op, Op::MaxPool(_));
    let out_layout = borderless(design, design.block_out());
    let pool = match &sums_node.op {
        Op::MaxPool(pool) => {
            pooling(graph, node.output, pool)
                .filter(|_| attrs.groups == 1)
                .ok_or("the windows that its sums are pooled in have no form that runs")?;
            Some(pool.whole_window())
        }
        _ => None,
    };
    let packed = PackedConv {
        in_shape: four(graph, x)?,
        out_shape: four(graph, graph.node(requantize).output)?,
        window: attrs.window.clone(),
        pad: 0,
        groups: attrs.groups,
        in_layout: borderless(design, design.block_in()),
        residual: (passes > 0).then(|| out_layout.clone()),
        pool,
        out_layout,
        requant: folded,
    };
    let shape = ConvShape::conv(&packed, passes);
    let fits = |epilogue: &Epilogue| tiling::conv_fits(&shape, epilogue.vectors(), design);
    let mut epilogue = Epilogue::new(&packed.requant, &raw, design).map_err(|e| e.to_string())?;
    if !pooled {
        // Its vector may be one more, or wider than an immediate, and find no place.
        let early = epilogue.before_sums(&packed.requant, &raw, design);
        epilogue = early.filter(fits).unwrap_or(epilogue);
    }
    operations(epilogue.operations(), design)?;
    if !fits(&epilogue) {
        return Err("not even one register of its result fits the scratchpads".to_string());
    }
    Ok((between, requantize, epilogue))
}

/// Whether the padding of `x` with a zero point can be stored: signs have no 0.
pub(super) fn padded_with_values(
    graph: &Graph,
    x: ValueId,
    pads: [usize; 4],
    zero_point: i32,
) -> Result<(), String> {
    let dtype = graph.value(x).ty.dtype;
    if pads == [0; 4] || dtype.holds(zero_point.into()) {
        return Ok(());
    }
    Err(format!("it pads with {zero_point}, which is no {dtype}"))
}

/// What sums of signs times activations have of lanes without a channel, where [`pack`] cannot have them cancel out.
pub(super) fn sign_lanes(
    graph: &Graph,
    node: &Node,
    attrs: &ConvAttrs,
    design: &Design,
) -> Result<i64, String> {
    let Op::QConv(_, zero_point) = &node.op else {
        unreachable!("a qconv")
    };
    let (x, channels) = (node.inputs[0], four(graph, node.inputs[0])?[1]);
    let [_, outputs, ..] = four(graph, node.output)?;
    let apart = |channels: usize, lanes: usize| channels / attrs.groups % lanes != 0;
    if attrs.groups > 1
        && (apart(channels, design.block_in()) || apart(outputs, design.block_out()))
    {
        return Err(
            "channels of different groups share blocks, and signs have no 0 to keep them apart"
                .into(),
        );
    }
    let taps = pack::odd_lane(&attrs.window, channels, design.block_in());
    if taps == 0 {
        return Ok(0);
    }
    let dtype = graph.value(x).ty.dtype;
    let lane = dtype.settled(0);
    let producer = graph.nodes.iter().find(|n| n.output == x);
    let holds = match producer.map(|n| &n.op) {
        Some(Op::Requantize(r, _)) => dtype.settled(0.clamp(r.lo, r.hi).into()) == lane,
        Some(op) => matches!(op, Op::Quantize(..) | Op::Im2col { .. }),
        None => true,
    };
    if !holds || attrs.window.pads != [0; 4] && i64::from(*zero_point) != lane {
        return Err(format!(
            "an odd number of lanes has none of its {channels} channels, and signs have no 0 for them"
        ));
    }
    Ok(taps * lane)
}

/// The interval of the sums of output lanes without a channel.
pub(super) fn unread_sums(
    graph: &Graph,
    node: &Node,
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<Interval, String> {
    if weight(design) != DType::S1 {
        return Ok((0, 0));
    }
    let Op::QConv(attrs, zero_point) = &node.op else {
        unreachable!("a qconv")
    };
    let z = i64::from(*zero_point);
    let (low, high) = ranges[node.inputs[0].0 as usize].unwrap_or((z, z));
    let most = low.abs().max(high.abs()).max(z.abs()).max(1);
    let lanes =
        (four(graph, node.inputs[0])?[1] / attrs.groups).next_multiple_of(design.block_in());
    let weights = (lanes * attrs.window.kernel.iter().product::<usize>()) as i64;
    Ok((-most * weights, most * weights))
}

/// Whether an operator takes sums to sums.
pub(super) fn is_sums(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).op {
        Op::QAccumulate { .. } => true,
        Op::MaxPool(_) => graph.value(graph.node(id).output).ty.dtype == DType::I32,
        _ => false,
    }
}

/// Steps of the usual epilogue behind the sums, which after pooling run on fewer registers.
pub(super) const STEPS: usize = 3;

/// The interval of a residual that weights of the diagonal can add to sums.
pub(super) fn addend(
    graph: &Graph,
    x: ValueId,
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<Interval, String> {
    width("residual", graph.value(x).ty.dtype, design)?;
    if graph.constant(x).is_some() {
        return Err("its residual is constant".to_string());
    }
    if !Entry::has_identity(design) {
        return Err("the design has no diagonal weights to add a residual with".to_string());
    }
    ranges[x.0 as usize].ok_or("its residual has no proven interval".to_string())
}
