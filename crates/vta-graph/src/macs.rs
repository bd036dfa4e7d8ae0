//! How much multiplying an operator means.

use crate::{Graph, Node, Op};

impl Graph {
    /// Multiply-accumulates that a node means: those of its logical extents, zeros of a window's padding
    /// included, without padding to blocks. 0 for what multiplies no matrices.
    pub fn macs(&self, node: &Node) -> u64 {
        let shape = |at: usize| &self.value(node.inputs[at]).ty.shape[..];
        let product = |extents: &[usize]| {
            let extents = extents.iter().map(|&extent| extent as u64);
            extents.fold(1, u64::saturating_mul)
        };
        let results = product(&self.value(node.output).ty.shape);
        match &node.op {
            Op::Conv(_) | Op::QConv(..) => results.saturating_mul(product(&shape(1)[1..])),
            Op::Dense | Op::QDense(_) | Op::MatMul => {
                let reduced = match (&node.op, shape(1)) {
                    (Op::MatMul, [.., k, _] | [k]) => *k,
                    (_, [.., k]) => *k,
                    (_, []) => 1,
                };
                results.saturating_mul(reduced as u64)
            }
            Op::VtaConv(conv) => product(&conv.out_shape)
                .saturating_mul(conv.in_shape[1] as u64)
                .saturating_mul(product(&conv.window.kernel)),
            _ => 0,
        }
    }
}
