//! `part_padding`: no tensor is padded with different values.
//!
//! Where a LOAD pads with one value only, another one stands around the tensor in memory, and a tensor has one
//! border. A maximum over windows of one position is a copy.

use std::collections::BTreeMap;

use super::pack::zero_padding;
use super::rewrite::{Rewrite, rewrite};
use crate::{Graph, GraphError, Op, PoolAttrs, ValueId};

/// Copies what a `qconv` or a sum over windows pads with another value than the first that pads it, once for each value.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    let mut first: BTreeMap<ValueId, i32> = BTreeMap::new();
    let mut copies: BTreeMap<(ValueId, i32), ValueId> = BTreeMap::new();
    rewrite(graph, |rw, node| {
        let Some((pads, value)) = zero_padding(&node.op) else {
            return Ok(Rewrite::Keep);
        };
        let x = node.inputs[0];
        if pads == [0; 4] || *first.entry(x).or_insert(value) == value {
            return Ok(Rewrite::Keep);
        }
        let copy = match copies.get(&(x, value)) {
            Some(&copy) => copy,
            None => {
                let name = format!("{}.part", rw.name(node));
                rw.emit(&name, Op::MaxPool(PoolAttrs::unit()), &[x])?
            }
        };
        copies.insert((x, value), copy);
        let mut inputs = node.inputs.clone();
        inputs[0] = copy;
        Ok(Rewrite::As(node.op.clone(), inputs))
    })?;
    Ok(())
}
