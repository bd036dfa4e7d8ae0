//! How much multiplying an operator means.

use crate::{Graph, Node, Op};

impl Graph {
    /// Multiply-accumulates that a node of this graph means: those of its logical extents, with the zeros of a
    /// window's padding, without padding to blocks. 0 where no products are summed.
    pub fn macs(&self, node: &Node) -> u64 {
        let shape = |at: usize| &self.value(node.inputs[at]).ty.shape[..];
        let product = |extents: &[usize]| {
            let extents = extents.iter().map(|&extent| extent as u64);
            extents.fold(1, u64::saturating_mul)
        };
        let results = product(&self.value(node.output).ty.shape);
        match &node.op {
            Op::Conv(_) | Op::QConv(..) => results.saturating_mul(product(&shape(1)[1..])),
            // All reduce the last extent of the first operand.
            Op::Dense | Op::QDense(_) | Op::MatMul => {
                let reduced = shape(0).last().copied().unwrap_or(1);
                results.saturating_mul(reduced as u64)
            }
            Op::VtaConv(conv) => {
                // A pooling leaves fewer results than there are sums.
                let [n, c, h, w] = conv.out_shape;
                let [h, w] = conv.conv_hw().unwrap_or([h, w]);
                product(&[n, c, h, w])
                    .saturating_mul((conv.in_shape[1] / conv.groups) as u64)
                    .saturating_mul(product(&conv.window.kernel))
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{ConvAttrs, DType, Graph, Op, TensorType, Window};

    #[test]
    fn of_convolutions_and_products() {
        let mut graph = Graph::new("g");
        let mut value = |name: &str, shape: &[usize]| {
            graph.add_value(name, TensorType::new(DType::F32, shape.to_vec()))
        };
        let image = value("x", &[2, 4, 6, 6]);
        let kernels = value("w", &[8, 2, 3, 3]);
        let [rows, dense] = [value("a", &[5, 3, 7]), value("d", &[11, 7])];
        let table = value("b", &[7, 11]);
        let conv = Op::Conv(ConvAttrs {
            window: Window {
                kernel: [3, 3],
                stride: [2, 2],
                dilation: [1, 1],
                pads: [1; 4],
            },
            groups: 2,
        });
        let cases = [
            (conv, [image, kernels], 2 * 8 * 9 * (2 * 9)),
            (Op::Dense, [rows, dense], 5 * 3 * 11 * 7),
            (Op::MatMul, [rows, table], 5 * 3 * 11 * 7),
            (Op::Add, [image, image], 0),
        ];
        for (at, (op, inputs, expected)) in cases.into_iter().enumerate() {
            let name = format!("n{at}");
            graph.add_node(&name, op, &inputs, &name).unwrap();
            assert_eq!(graph.macs(&graph.nodes[at]), expected, "{name}");
        }
    }
}
