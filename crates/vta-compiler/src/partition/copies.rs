//! Whether what only moves elements runs on the accelerator: concatenations, slices, resizing.

use vta_graph::passes::pack;
use vta_graph::quant::bounds::Interval;
use vta_graph::{Graph, Node, NodeId, Op, PackedSpread, PoolAttrs, ValueId};
use vta_isa::Design;

use super::pooling::{pool, runs_pool};
use super::{borderless, four, operations, width};
use crate::ops::pool::PoolSteps;
use crate::ops::spread::{SpreadShape, SpreadSteps};
use crate::ops::tiling;

/// Whether the operands of a concatenation can be stored side by side in the first place.
pub(super) fn concat(
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

/// The copy of some of the rows and columns of an activation: sums over windows of one position.
pub(super) fn slice(
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
pub(super) fn spread(
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
