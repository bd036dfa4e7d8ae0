//! Whether pooling runs on the accelerator, by itself or with the sums of the convolution before it.

use std::collections::BTreeSet;

use vta_graph::passes::pack;
use vta_graph::quant::bounds::Interval;
use vta_graph::{Graph, Node, NodeId, Op, PackedConv, PackedPool, PoolAttrs, Requant, ValueId};
use vta_isa::{Design, MemType};

use super::conv::{STEPS, padded_with_values};
use super::{Partition, borderless, four, operations, padded_alike, padding, requantized, width};
use crate::ops::conv::ConvShape;
use crate::ops::pool::PoolSteps;
use crate::ops::pooled::Pooling;
use crate::ops::tiling;

/// The pooling of `sums`, the result of a convolution, if it can be fused with it.
pub(super) fn pooling(graph: &Graph, sums: ValueId, pool: &PoolAttrs) -> Option<Pooling> {
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

pub(super) fn sum_pool(
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

pub(super) fn max_pool(
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
pub(super) fn pool(
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

/// Whether the design has the operations of a pooling, and room for a tile of it.
pub(super) fn runs_pool(
    packed: &PackedPool,
    steps: &PoolSteps,
    design: &Design,
) -> Result<(), String> {
    operations(steps.operations(), design)?;
    if tiling::pool(&ConvShape::pool(packed), steps, design, false).is_empty() {
        return Err(window_too_large(packed.window.kernel));
    }
    Ok(())
}

pub(super) fn window_too_large([kh, kw]: [usize; 2]) -> String {
    format!("the values under one of its {kh}x{kw} windows do not fit the scratchpads")
}
