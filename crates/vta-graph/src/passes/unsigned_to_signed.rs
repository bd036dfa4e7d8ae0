//! Makes unsigned quantized bytes signed: values and zero points move by 128.
//!
//! Quantized models often have `u8` activations; the accelerator's are signed. The change is
//! exact. An input or output of the graph keeps its type, next to which the move happens.

use super::rewrite::{Rewrite, rewrite};
use crate::{DType, Data, Graph, GraphError, Node, Op, Quant, Requant, Tensor, ValueId};

/// From the middle of `u8` to that of `i8`.
const MOVE: i32 = 128;

/// Runs the pass. A graph in which an operator gives `u8` a meaning of its own stays as it is.
///
/// # Errors
/// None on a verified graph.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    let mut unsigned: Vec<bool> = graph
        .values
        .iter()
        .map(|v| v.ty.dtype == DType::U8)
        .collect();
    let touches =
        |n: &Node| unsigned[n.output.0 as usize] || n.inputs.iter().any(|v| unsigned[v.0 as usize]);
    if !graph.nodes.iter().any(touches) || !graph.nodes.iter().filter(|n| touches(n)).all(movable) {
        return Ok(());
    }
    move_constants(graph);
    detach_outputs(graph);
    attach_inputs(graph);
    // The values added are those between the conversions.
    unsigned.resize(graph.values.len(), true);
    let unsigned = |v: ValueId| unsigned[v.0 as usize];
    rewrite(graph, |_, node| {
        let from_unsigned = node.inputs.iter().any(|&v| unsigned(v));
        let to_unsigned = unsigned(node.output);
        Ok(match &node.op {
            Op::Quantize(q, DType::U8) => {
                Rewrite::As(Op::Quantize(moved(q), DType::I8), node.inputs.clone())
            }
            Op::Dequantize(q) if from_unsigned => {
                Rewrite::As(Op::Dequantize(moved(q)), node.inputs.clone())
            }
            Op::Pad {
                before,
                after,
                value,
            } if to_unsigned => {
                let op = Op::Pad {
                    before: before.clone(),
                    after: after.clone(),
                    value: value - MOVE as f32,
                };
                Rewrite::As(op, node.inputs.clone())
            }
            Op::Clip { lo, hi } if to_unsigned => {
                let op = Op::Clip {
                    lo: lo - MOVE as f32,
                    hi: hi - MOVE as f32,
                };
                Rewrite::As(op, node.inputs.clone())
            }
            _ => Rewrite::Keep,
        })
    })?;
    Ok(())
}

/// Operators that mean the same on values moved together with their zero points.
fn movable(node: &Node) -> bool {
    matches!(
        node.op,
        Op::Quantize(..)
            | Op::Dequantize(_)
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Slice { .. }
            | Op::DepthToSpace { .. }
            | Op::Resize { .. }
            | Op::Pad { .. }
            | Op::Clip { .. }
            | Op::MaxPool(_)
    )
}

fn moved(q: &Quant) -> Quant {
    Quant {
        zero_point: q.zero_point.iter().map(|z| z - MOVE).collect(),
        ..q.clone()
    }
}

fn move_constants(graph: &mut Graph) {
    for i in 0..graph.values.len() {
        let id = ValueId(i as u32);
        let value = &mut graph.values[i];
        if graph.outputs.contains(&id) {
            continue;
        }
        let Some(Data::U8(bytes)) = value.constant.as_ref().map(|t| t.data()) else {
            continue;
        };
        if value.ty.dtype == DType::U8 {
            let signed = bytes.iter().map(|&b| (i32::from(b) - MOVE) as i8).collect();
            let tensor = Tensor::i8(value.ty.shape.clone(), signed);
            value.ty = tensor.ty().clone();
            value.constant = Some(tensor.into());
        }
    }
}

/// A move by `by`, saturating nothing.
fn conversion(by: i32, to: DType) -> Op {
    let (lo, hi) = to.range().expect("a byte");
    let requant = Requant {
        mult: vec![1],
        add: vec![by.into()],
        shift: 0,
        lo: lo as i32,
        hi: hi as i32,
    };
    Op::Requantize(requant, to)
}

/// Puts a conversion between each unsigned output and whatever computes it.
fn detach_outputs(graph: &mut Graph) {
    for output in graph.outputs.clone() {
        let value = graph.value(output);
        let computed = graph.nodes.iter().any(|n| n.output == output);
        if value.ty.dtype != DType::U8 || !computed {
            continue;
        }
        let (name, ty) = (value.name.clone(), value.ty.clone());
        let inner = graph.add_value(&format!("{name}.signed"), ty);
        for node in &mut graph.nodes {
            let mentions = node.inputs.iter_mut().chain([&mut node.output]);
            mentions.filter(|v| **v == output).for_each(|v| *v = inner);
        }
        graph.nodes.push(Node {
            name,
            op: conversion(MOVE, DType::U8),
            inputs: vec![inner],
            output,
        });
    }
}

/// Puts a conversion behind each unsigned input.
fn attach_inputs(graph: &mut Graph) {
    for input in graph.inputs.clone() {
        let value = graph.value(input);
        if value.ty.dtype != DType::U8 {
            continue;
        }
        let name = format!("{}.signed", value.name);
        let mut ty = value.ty.clone();
        ty.dtype = DType::I8;
        let inner = graph.add_value(&name, ty);
        for node in &mut graph.nodes {
            let mentions = node.inputs.iter_mut().filter(|v| **v == input);
            mentions.for_each(|v| *v = inner);
        }
        let node = Node {
            name,
            op: conversion(-MOVE, DType::I8),
            inputs: vec![input],
            output: inner,
        };
        graph.nodes.insert(0, node);
    }
}
