//! `dense_to_conv`: a quantized dense layer is a convolution.
//!
//! `[N, K]` is `[N, K, 1, 1]` under a 1x1 kernel. Where the dense layer reads a flattened
//! `[N, C, H, W]`, it is a convolution with an `H` by `W` kernel on the unflattened tensor, and
//! the flattening, which would undo the blocked layout, disappears.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, Graph, GraphError, Node, Op, ValueId, Window};

/// Rewrites every `qdense` of rank 2 with a constant weight whose one reader is a
/// `requantize`: the accelerator stores nothing wider.
///
/// # Errors
/// None of its own.
pub fn run(graph: &mut Graph) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Op::Requantize(..) = node.op else {
            return Ok(Rewrite::Keep);
        };
        let Some(dense) = rw.only_producer(node.inputs[0]).cloned() else {
            return Ok(Rewrite::Keep);
        };
        let Op::QDense(zero_point) = dense.op else {
            return Ok(Rewrite::Keep);
        };
        let (x, weight) = (dense.inputs[0], dense.inputs[1]);
        match (rw.shape(x).len(), rw.graph.constant(weight)) {
            (2, Some(_)) => convolve(rw, node, &dense, zero_point),
            _ => Ok(Rewrite::Keep),
        }
    })?;
    Ok(())
}

fn convolve(
    rw: &mut Rewriter,
    requantize: &Node,
    dense: &Node,
    zero_point: i32,
) -> Result<Rewrite, GraphError> {
    let flat = dense.inputs[0];
    let image = match unflattened(rw, flat) {
        Some(image) => image,
        None => {
            let shape = [rw.shape(flat), &[1, 1]].concat();
            rw.emit(
                &format!("{}.image", dense.name),
                Op::Reshape { shape },
                &[flat],
            )?
        }
    };
    let [_, c, h, w] = rw.shape(image)[..] else {
        unreachable!("an image has rank 4")
    };
    let weight = rw
        .graph
        .constant(dense.inputs[1])
        .expect("a constant weight")
        .as_ref()
        .clone();
    let outputs = weight.shape()[0];
    let name = format!("{}.kernel", rw.graph.value(dense.inputs[1]).name);
    let kernel = rw
        .graph
        .add_constant(&name, weight.reshaped([outputs, c, h, w]));
    let mut inputs = vec![image, kernel];
    inputs.extend(dense.inputs.get(2));
    let window = Window {
        kernel: [h, w],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
    };
    let op = Op::QConv(ConvAttrs { window, groups: 1 }, zero_point);
    let sums = rw.emit(&dense.name, op, &inputs)?;
    let scaled = rw.emit(&requantize.name, requantize.op.clone(), &[sums])?;
    let shape = rw.shape(requantize.output).to_vec();
    Ok(Rewrite::As(Op::Reshape { shape }, vec![scaled]))
}

/// The `[N, C, H, W]` that a reshape flattened into `[N, C*H*W]`.
fn unflattened(rw: &Rewriter, flat: ValueId) -> Option<ValueId> {
    let producer = rw.producer(flat)?;
    let image = producer.inputs[0];
    let is_image = rw.shape(image).len() == 4 && rw.shape(image)[0] == rw.shape(flat)[0];
    (matches!(producer.op, Op::Reshape { .. }) && is_image).then_some(image)
}
