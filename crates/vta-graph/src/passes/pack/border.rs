//! Borders: what stands around a blocked tensor because an operator pads it with something that a LOAD cannot pad with.

use std::collections::BTreeMap;

use super::{Padding, is_sums, max_pool_fill, zero_padding};
use crate::quant::bounds::Interval;
use crate::{Graph, NodeId, Op, ValueId};

/// Extents of a border (top, left, bottom, right), and the value that it holds.
pub(super) type Border = ([usize; 4], i32);

/// The border of each value that some chosen operator pads with something that a LOAD cannot pad with. A chosen
/// concatenation and its operands, which are stored in one place, have one border.
///
/// # Errors
/// The chosen concatenation whose result and operands are padded with different values.
pub(super) fn borders(
    graph: &Graph,
    chosen: &[NodeId],
    ranges: &[Option<Interval>],
    padding: Padding,
) -> Result<BTreeMap<ValueId, Border>, NodeId> {
    let mut out: BTreeMap<ValueId, Border> = BTreeMap::new();
    for &id in chosen {
        let node = graph.node(id);
        let (pads, fill) = match &node.op {
            Op::MaxPool(pool) if !is_sums(graph, node) => {
                let fill = max_pool_fill(graph, node.inputs[0], ranges, padding);
                (pool.whole_window().pads, fill.unwrap_or(0))
            }
            op => zero_padding(op).unwrap_or_default(),
        };
        if pads == [0; 4] || padding == Padding::Any {
            continue;
        }
        let (border, old) = out.entry(node.inputs[0]).or_insert(([0; 4], fill));
        debug_assert_eq!(*old, fill, "a tensor has one zero point");
        *border = hull(*border, pads);
    }
    while share(graph, chosen, &mut out)? | whole_blocks(graph, chosen, &mut out) {}
    out.retain(|_, (_, fill)| !padding.is(*fill));
    Ok(out)
}

/// Gives the results and operands of concatenations the border of one another; whether any changed.
fn share(
    graph: &Graph,
    chosen: &[NodeId],
    borders: &mut BTreeMap<ValueId, Border>,
) -> Result<bool, NodeId> {
    let mut changed = false;
    for &id in chosen {
        let node = graph.node(id);
        if !matches!(node.op, Op::Concat { .. }) {
            continue;
        }
        let members = || node.inputs.iter().chain([&node.output]);
        let mut shared: Option<Border> = None;
        for &(border, fill) in members().filter_map(|v| borders.get(v)) {
            let (have, same) = shared.unwrap_or((border, fill));
            if same != fill {
                return Err(id);
            }
            shared = Some((hull(have, border), fill));
        }
        for &v in shared.iter().flat_map(|_| members()) {
            changed |= borders.insert(v, shared.expect("just seen")) != shared;
        }
    }
    Ok(changed)
}

/// Gives the results of resizings borders of whole blocks; whether any changed.
fn whole_blocks(graph: &Graph, chosen: &[NodeId], borders: &mut BTreeMap<ValueId, Border>) -> bool {
    let mut changed = false;
    for node in chosen.iter().map(|&id| graph.node(id)) {
        let (Op::DepthToSpace { block, .. } | Op::Resize { factors: block }) = &node.op else {
            continue;
        };
        if let Some((border, _)) = borders.get_mut(&node.output) {
            let whole = [0, 1, 2, 3].map(|side| border[side].next_multiple_of(block[side % 2]));
            changed |= *border != whole;
            *border = whole;
        }
    }
    changed
}

fn hull(a: [usize; 4], b: [usize; 4]) -> [usize; 4] {
    [0, 1, 2, 3].map(|side| a[side].max(b[side]))
}
