//! Partition: which operators of an integer graph the accelerator runs, and why the others
//! stay on the host.
//!
//! There is nothing to name: every operator that has a schedule, fits the design and is proven not to
//! overflow goes to the accelerator, unless it is of a kind that is not offloaded.

use std::collections::{BTreeMap, BTreeSet};

use vta_graph::passes::pack;
use vta_graph::quant::QuantTarget;
use vta_graph::quant::bounds::{self, Interval};
use vta_graph::{
    BlockedLayout, ConvAttrs, DType, Graph, Node, NodeId, Op, PackedConv, PackedPair, PackedPool,
    PackedSpread, PoolAttrs, Requant, ValueId,
};
use vta_isa::{AluOp, Design, Feature, MemType};

use crate::epilogue::Epilogue;
use crate::ops::conv::ConvShape;
use crate::ops::elementwise::{ElementShape, ElementSteps};
use crate::ops::entry::Entry;
use crate::ops::pool::PoolSteps;
use crate::ops::pooled::Pooling;
use crate::ops::spread::{SpreadShape, SpreadSteps};
use crate::ops::tiling;
use crate::options::CompileOptions;

/// The arithmetic selected for an operator of the accelerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// A convolution: what follows the sums.
    Conv(Epilogue),
    /// A sum, a product, a function.
    Elementwise(ElementSteps),
    /// A maximum or a sum over windows.
    Pool(PoolSteps),
    /// A copy to the positions of blocks.
    Spread(SpreadSteps),
}

/// Where each node of a graph runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Nodes of the accelerator.
    pub chosen: Vec<NodeId>,
    /// The arithmetic, by the node that produces the operator's result.
    pub selected: BTreeMap<NodeId, Selected>,
    /// Why a node stays on the host, by node.
    pub host: BTreeMap<NodeId, String>,
}

/// The registers of a design.
pub fn registers(design: &Design) -> pack::Registers {
    pack::Registers {
        batch: design.batch(),
        block_in: design.block_in(),
        block_out: design.block_out(),
        weight: weight(design),
        padding: padding(design),
    }
}

/// The type of a design's activations.
pub(crate) fn activation(design: &Design) -> DType {
    quant_target(design).activation().expect("a design's width")
}

/// The type of a design's weights.
fn weight(design: &Design) -> DType {
    quant_target(design).weight().expect("a design's width")
}

/// What a LOAD of the design pads with.
fn padding(design: &Design) -> pack::Padding {
    if design.has(Feature::LoadPad) {
        return pack::Padding::Any;
    }
    // Of cleared bits, which among signs are +1.
    pack::Padding::Fixed(activation(design).settled(0) as i32)
}

/// What quantization for a design has to know of it.
pub fn quant_target(design: &Design) -> QuantTarget {
    QuantTarget {
        inp_bits: design.inp_bits(),
        wgt_bits: design.wgt_bits(),
        acc_bits: design.acc_bits(),
        sign_inp: design.has(Feature::SignInp),
        sign_wgt: design.has(Feature::SignWgt),
        residuals: Entry::has_identity(design) && design.acc_bits() == 32,
    }
}

/// Decides where each node of `graph` runs.
pub fn partition(graph: &Graph, design: &Design, options: &CompileOptions) -> Partition {
    let consumers = graph.consumers();
    let ranges = bounds::value_bounds(graph);
    let mut out = Partition::default();
    for (i, node) in graph.nodes.iter().enumerate() {
        let id = NodeId(i as u32);
        if out.chosen.contains(&id) {
            continue;
        }
        if let Some(why) = options.offload.refusal(&node.op) {
            out.host.insert(id, why.to_owned());
            continue;
        }
        match &node.op {
            Op::QConv(..) => {
                let readers = &consumers[node.output.0 as usize];
                match conv(graph, node, readers, &consumers, &ranges, design) {
                    Ok((between, requantize, steps)) => {
                        out.chosen.push(id);
                        out.chosen.extend(between);
                        out.chosen.push(requantize);
                        out.selected.insert(requantize, Selected::Conv(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            Op::QSumPool(..) => {
                let readers = &consumers[node.output.0 as usize];
                match sum_pool(graph, node, readers, &ranges, design) {
                    Ok((requantize, steps)) => {
                        out.chosen.extend([id, requantize]);
                        out.selected.insert(requantize, Selected::Pool(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            Op::MaxPool(..) => match max_pool(graph, node, &ranges, design) {
                Ok(steps) => {
                    out.chosen.push(id);
                    out.selected.insert(id, Selected::Pool(steps));
                }
                Err(why) => {
                    out.host.insert(id, why);
                }
            },
            Op::Concat { axis } => match concat(graph, node, *axis, &out.chosen, design) {
                Ok(()) => out.chosen.push(id),
                Err(why) => {
                    out.host.insert(id, why);
                }
            },
            Op::Slice { .. } => match slice(graph, node, &out.chosen, &ranges, design) {
                Ok(steps) => {
                    out.chosen.push(id);
                    out.selected.insert(id, Selected::Pool(steps));
                }
                Err(why) => {
                    out.host.insert(id, why);
                }
            },
            &Op::Resize { factors: block } | &Op::DepthToSpace { block, .. } => {
                match spread(graph, node, block, &out.chosen, &ranges, design) {
                    Ok(steps) => {
                        out.chosen.push(id);
                        out.selected.insert(id, Selected::Spread(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            Op::QAdd(..) | Op::QMul(..) | Op::QPiecewise(..) => {
                match elementwise(graph, node, &ranges, design) {
                    Ok(steps) => {
                        out.chosen.push(id);
                        out.selected.insert(id, Selected::Elementwise(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            op => {
                out.host.insert(id, host_reason(op).to_string());
            }
        }
    }
    while let Some(id) = pack::unshareable(graph, &out.chosen, padding(design)) {
        out.chosen.retain(|&c| c != id);
        let why = "its result and its operands are padded with different values";
        out.host.insert(id, why.to_string());
    }
    out
}

/// Why an operator that is no convolution, addition or pooling runs on the host.
pub fn host_reason(op: &Op) -> &'static str {
    match op {
        Op::Quantize(..) | Op::Dequantize(_) => "conversion between float and integers",
        Op::Pack(_) | Op::Unpack { .. } => "change between the host's and the blocked layout",
        Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Im2col { .. } => "arrangement of elements has no accelerator schedule",
        Op::QDense(_) => "its sums are not requantized alone, or its shape is not rank 2",
        Op::Requantize(..) | Op::QAccumulate { .. } => "it follows an operator of the host",
        _ => "float arithmetic",
    }
}

fn conv(
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
    let values = weight.to_ints().ok_or("its weight is not integer")?;
    if let Some(odd) = values.iter().find(|&&v| !dtype.holds(v)) {
        return Err(format!(
            "of its weights {odd} is no {dtype}, which is what the design takes"
        ));
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
fn padded_with_values(
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
fn sign_lanes(
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
fn unread_sums(
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
fn is_sums(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).op {
        Op::QAccumulate { .. } => true,
        Op::MaxPool(_) => graph.value(graph.node(id).output).ty.dtype == DType::I32,
        _ => false,
    }
}

/// The pooling of `sums`, the result of a convolution, if it can be fused with it.
fn pooling(graph: &Graph, sums: ValueId, pool: &PoolAttrs) -> Option<Pooling> {
    let [_, _, h, w] = four(graph, sums).ok()?;
    let window = pool.whole_window();
    Pooling::new(&window, [h, w], window.out_hw(h, w)?)
}

/// Vectors of an epilogue that has all the steps there are.
const MOST_VECTORS: usize = 4;

/// Whether it takes fewer cycles to pool the sums of a convolution before the epilogue than to write the whole result, to be
/// read and pooled by an operator of its own.
pub fn pools_sums(graph: &Graph, conv: &Node, pool: &PoolAttrs, design: &Design) -> bool {
    let fused = || {
        let Op::QConv(attrs, _) = &conv.op else {
            return None;
        };
        if attrs.groups != 1 {
            return None;
        }
        let pooling = pooling(graph, conv.output, pool)?;
        let [n, channels, ..] = four(graph, conv.output).ok()?;
        let packed = PackedConv {
            in_shape: four(graph, conv.inputs[0]).ok()?,
            out_shape: [n, channels, pooling.output[0], pooling.output[1]],
            window: attrs.window.clone(),
            pad: 0,
            groups: 1,
            in_layout: borderless(design, design.block_in()),
            out_layout: borderless(design, design.block_out()),
            requant: Requant {
                mult: vec![1],
                add: vec![0],
                shift: 0,
                lo: 0,
                hi: 0,
            },
            residual: None,
            pool: Some(pool.whole_window()),
        };
        let shape = ConvShape::conv(&packed, 0);
        let tile = tiling::pooled(&shape, &pooling, MOST_VECTORS, design, true);
        let fused = tiling::pooled_cycles(&shape, &pooling, &tile.first()?.tile, design);
        let [n, co, oh, ow] = shape.output;
        let taps: usize = shape.input[1] * attrs.window.kernel.iter().product::<usize>();
        let [ph, pw] = pooling.output;
        // A pooling of its own loads each register under its windows, and takes its maximum.
        let window: usize = pooling.kernel.iter().product();
        let load = design.elem_bytes(MemType::Out).div_ceil(design.bus_bytes());
        let apart = oh * ow * (taps + 1 + STEPS + load) + ph * pw * window;
        Some((fused as usize) < n * co * apart)
    };
    fused().unwrap_or(false)
}

/// The names of convolutions on the host of whose sums a maximum is taken.
pub fn pooled_on_host(graph: &Graph, partition: &Partition) -> BTreeSet<String> {
    let producers = graph.producers();
    let pools = graph.nodes.iter().filter_map(|node| match node.op {
        Op::MaxPool(_) => producers[node.inputs[0].0 as usize],
        _ => None,
    });
    pools
        .filter(|&id| matches!(graph.node(id).op, Op::QConv(..)) && !partition.chosen.contains(&id))
        .map(|id| graph.node(id).name.clone())
        .collect()
}

/// Steps of the usual epilogue behind the sums, which after pooling run on fewer registers.
const STEPS: usize = 3;

/// The interval of a residual that weights of the diagonal can add to sums.
fn addend(
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

/// Whether the operands of a concatenation can be stored side by side in the first place.
fn concat(
    graph: &Graph,
    node: &Node,
    axis: usize,
    chosen: &[NodeId],
    design: &Design,
) -> Result<(), String> {
    let [n, ..] = four(graph, node.output)?;
    width("result", graph.value(node.output).ty.dtype, design)?;
    if axis != 1 {
        return Err("it joins another axis than channels".to_string());
    }
    if n > design.batch() {
        return Err(format!(
            "the images of its batch of {n} do not lie in the {} rows of one register",
            design.batch()
        ));
    }
    let whole = |v: &ValueId| graph.value(*v).ty.shape[1] % design.block_out() == 0;
    let (_, first) = node.inputs.split_last().expect("an operand at least");
    if !first.iter().all(whole) {
        return Err(format!(
            "the channels of an operand do not fill whole blocks of {}",
            design.block_out()
        ));
    }
    if node.inputs.iter().any(|&v| graph.constant(v).is_some()) {
        return Err("an operand is constant".to_string());
    }
    let mut made = chosen.iter().map(|&id| graph.node(id).output);
    if !made.any(|v| node.inputs.contains(&v)) {
        return Err("its operands are made on the host".to_string());
    }
    Ok(())
}

fn elementwise(
    graph: &Graph,
    node: &Node,
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<ElementSteps, String> {
    let result = four(graph, node.output)?;
    width("output", graph.value(node.output).ty.dtype, design)?;
    let mut operands = Vec::new();
    for &v in &node.inputs {
        width("operand", graph.value(v).ty.dtype, design)?;
        if graph.constant(v).is_some() {
            return Err("an operand is constant".to_string());
        }
        operands.push(ranges[v.0 as usize].ok_or("an operand has no proven interval")?);
    }
    let layout = borderless(design, design.block_out());
    let shape = match node.inputs[..] {
        [_, b] => ElementShape::pair(&PackedPair {
            in_shapes: [result, four(graph, b)?],
            in_layouts: [layout.clone(), layout.clone()],
            out_layout: layout,
        }),
        _ => ElementShape::single(result, &layout, &layout),
    };
    let lanes = shape.extents[1] * design.block_out();
    let steps = match (&node.op, &operands[..]) {
        (Op::QAdd(add, _), &[a, b]) => ElementSteps::sum(add, [a, b], lanes, design),
        (Op::QMul(mul, _), &[a, b]) => ElementSteps::product(mul, [a, b], lanes, design),
        (Op::QPiecewise(map, _), &[x]) => ElementSteps::function(map, x, lanes, design),
        _ => unreachable!("an operator on elements"),
    }?;
    operations(steps.operations(), design)?;
    if tiling::elementwise(&shape, &steps, design, false).is_empty() {
        return Err("not even one register of its operands fits the scratchpad".to_string());
    }
    Ok(steps)
}

/// The requantization that alone reads the sums of `node`.
fn requantized<'a>(
    graph: &'a Graph,
    node: &Node,
    readers: &[NodeId],
    design: &Design,
) -> Result<(NodeId, &'a Requant), String> {
    let requantize = match readers {
        [reader] if !graph.outputs.contains(&node.output) => *reader,
        _ => return Err("its sums are read by more than a requantization".to_string()),
    };
    let Op::Requantize(requant, out) = &graph.node(requantize).op else {
        return Err("its sums are not requantized".to_string());
    };
    width("output", *out, design)?;
    Ok((requantize, requant))
}

fn sum_pool(
    graph: &Graph,
    node: &Node,
    readers: &[NodeId],
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<(NodeId, PoolSteps), String> {
    let Op::QSumPool(attrs, zero_point) = &node.op else {
        unreachable!("a qsum_pool")
    };
    let (requantize, requant) = requantized(graph, node, readers, design)?;
    padded_alike(graph, node.inputs[0], design)?;
    let pads = attrs.whole_window().pads;
    padded_with_values(graph, node.inputs[0], pads, *zero_point)?;
    let (packed, (low, high)) = pool(graph, node, attrs, ranges, design)?;
    let [_, channels, ..] = packed.out_shape;
    let folded = pack::sum_pool_requant(
        requant,
        &packed.window,
        channels,
        *zero_point,
        design.block_out(),
        &node.name,
    )
    .map_err(|e| e.to_string())?;
    let positions = packed.window.kernel.iter().product::<usize>() as i64;
    // Where the window lies on padding it sums the zero point.
    let z = i64::from(*zero_point);
    let sums = (low.min(z) * positions, high.max(z) * positions);
    let steps = PoolSteps::sum(&folded, &vec![sums; folded.mult.len()], design)?;
    runs_pool(&packed, &steps, design)?;
    Ok((requantize, steps))
}

fn max_pool(
    graph: &Graph,
    node: &Node,
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<PoolSteps, String> {
    let Op::MaxPool(attrs) = &node.op else {
        unreachable!("a max_pool")
    };
    let (packed, (low, high)) = pool(graph, node, attrs, ranges, design)?;
    let padded = packed.window.pads != [0; 4];
    if padded && pack::max_pool_fill(graph, node.inputs[0], ranges, padding(design)).is_none() {
        return Err("another operator pads its input with a value that could win".to_string());
    }
    let channels = four(graph, node.output)?[1].next_multiple_of(design.block_out());
    let steps = PoolSteps::max((low, high), channels, design)?;
    runs_pool(&packed, &steps, design)?;
    Ok(steps)
}

/// The pooling of `node` over blocked tensors, and the interval of its input.
fn pool(
    graph: &Graph,
    node: &Node,
    attrs: &PoolAttrs,
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<(PackedPool, Interval), String> {
    let x = node.inputs[0];
    width("input", graph.value(x).ty.dtype, design)?;
    if graph.constant(x).is_some() {
        return Err("its input is constant".to_string());
    }
    let range = ranges[x.0 as usize].ok_or("its input has no proven interval")?;
    let depth = [MemType::Inp, MemType::Acc].map(|mem| design.depth(mem) as usize);
    let ([kh, kw], [_, _, rows, _]) = (attrs.window.kernel, four(graph, x)?);
    // A window within the input may come in by rows.
    let held = if kh <= rows {
        kw
    } else {
        kh.saturating_mul(kw)
    };
    if held > depth[0].max(depth[1]) {
        return Err(window_too_large(attrs.window.kernel));
    }
    let layout = borderless(design, design.block_out());
    let packed = PackedPool {
        in_shape: four(graph, x)?,
        out_shape: four(graph, node.output)?,
        window: attrs.whole_window(),
        pad: 0,
        in_layout: layout.clone(),
        out_layout: layout,
    };
    Ok((packed, range))
}

/// The copy of some of the rows and columns of an activation: sums over windows of one position.
fn slice(
    graph: &Graph,
    node: &Node,
    chosen: &[NodeId],
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<PoolSteps, String> {
    let (Op::Slice { start, end, step }, x) = (&node.op, node.inputs[0]) else {
        unreachable!("a slice")
    };
    let [n, c, ..] = four(graph, x)?;
    let whole = |axis: usize, extent: usize| (start[axis], end[axis], step[axis]) == (0, extent, 1);
    if !whole(0, n) || !whole(1, c) {
        return Err("it takes some of the images or channels".to_string());
    }
    if !chosen.iter().any(|&id| graph.node(id).output == x) {
        return Err("its operand is made on the host".to_string());
    }
    let mut attrs = PoolAttrs::unit();
    attrs.window.stride = [step[2], step[3]];
    let (mut packed, range) = pool(graph, node, &attrs, ranges, design)?;
    (packed.in_shape[2], packed.in_shape[3]) = (end[2] - start[2], end[3] - start[3]);
    let same = pack::copy_requant(graph.value(x).ty.dtype, c, design.block_out());
    let steps = PoolSteps::sum(&same, &vec![range; same.mult.len()], design)?;
    runs_pool(&packed, &steps, design)?;
    Ok(steps)
}

/// The copy of each element to one position of a block, or to all of them.
fn spread(
    graph: &Graph,
    node: &Node,
    block: [usize; 2],
    chosen: &[NodeId],
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<SpreadSteps, String> {
    let (x, lanes) = (node.inputs[0], design.block_out());
    width("input", graph.value(x).ty.dtype, design)?;
    if !chosen.iter().any(|&id| graph.node(id).output == x) {
        return Err("its operand is made on the host".to_string());
    }
    let range = ranges[x.0 as usize].ok_or("its input has no proven interval")?;
    let (in_shape, out_shape) = (four(graph, x)?, four(graph, node.output)?);
    if let Op::DepthToSpace { groups, .. } = node.op {
        let whole = out_shape[1].next_multiple_of(lanes) * block[0] * block[1];
        if (groups, in_shape[1]) != (1, whole) {
            return Err(format!(
                "the channels of a position do not fill whole blocks of {lanes}"
            ));
        }
    }
    let layout = borderless(design, lanes);
    let shape = SpreadShape::new(&PackedSpread {
        in_shape,
        out_shape,
        block,
        in_layout: layout.clone(),
        out_layout: layout,
    });
    let steps = SpreadSteps::new(range, shape.extents[1] * lanes, design)?;
    operations(steps.operations(), design)?;
    if tiling::spread(&shape, &steps, design, false).is_empty() {
        return Err("not even one register of its operand fits the scratchpads".to_string());
    }
    Ok(steps)
}

/// Whether the design has the operations of a pooling, and room for a tile of it.
fn runs_pool(packed: &PackedPool, steps: &PoolSteps, design: &Design) -> Result<(), String> {
    operations(steps.operations(), design)?;
    if tiling::pool(&ConvShape::pool(packed), steps, design, false).is_empty() {
        return Err(window_too_large(packed.window.kernel));
    }
    Ok(())
}

fn window_too_large([kh, kw]: [usize; 2]) -> String {
    format!("the values under one of its {kh}x{kw} windows do not fit the scratchpads")
}

/// Whether all that pads `x` does it with one value.
fn padded_alike(graph: &Graph, x: ValueId, design: &Design) -> Result<(), String> {
    if pack::is_padded_alike(graph, x, padding(design)) {
        return Ok(());
    }
    Err("its input is padded with different zero points, and a tensor has one border".to_string())
}

/// The layout of a tensor without a border, in blocks of `lanes` channels.
fn borderless(design: &Design, lanes: usize) -> BlockedLayout {
    BlockedLayout {
        batch: design.batch(),
        lanes,
        border: [0; 4],
        fill: 0,
    }
}

fn operations(mut needed: impl Iterator<Item = AluOp>, design: &Design) -> Result<(), String> {
    match needed.find(|&op| !design.has_alu(op)) {
        None => Ok(()),
        Some(op) => Err(format!(
            "it needs the ALU operation {op}, which the design lacks"
        )),
    }
}

fn width(what: &str, dtype: DType, design: &Design) -> Result<(), String> {
    let wanted = activation(design);
    if wanted == dtype {
        return Ok(());
    }
    Err(format!(
        "its {what} is {dtype}, and the design takes {wanted}"
    ))
}

fn four(graph: &Graph, v: ValueId) -> Result<[usize; 4], String> {
    let ty = &graph.value(v).ty;
    ty.shape[..]
        .try_into()
        .map_err(|_| format!("a tensor of {ty} has no NCHW shape"))
}
