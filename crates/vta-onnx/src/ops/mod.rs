//! The operators that are imported, one function each.

mod arrange;
mod elementwise;
mod linear;
mod quant;
mod shape;
mod upsample;
mod window;

use vta_graph::Op;
pub(crate) use window::ceil_extra;

use crate::import::{Importer, Known};
use crate::node::NodeView;

/// The operator of several outputs: it is imported once for each.
pub(crate) const SPLIT: &str = "Split";

/// Adds one node to the graph, or evaluates it; gives the output that is asked for, or the reason why not.
type Handler = fn(&mut Importer, &NodeView) -> Result<Known, String>;

/// Every operator of the standard set that is imported, by name.
const OPS: &[(&str, Handler)] = &[
    ("Add", |i, n| elementwise::binary(i, n, Op::Add)),
    ("AveragePool", window::average_pool),
    ("BatchNormalization", elementwise::batch_norm),
    ("Cast", shape::cast),
    ("Clip", elementwise::clip),
    ("Concat", arrange::concat),
    ("Constant", shape::constant),
    ("ConstantOfShape", shape::constant_of_shape),
    ("Conv", window::conv),
    ("ConvTranspose", upsample::conv_transpose),
    ("DepthToSpace", upsample::depth_to_space),
    ("DequantizeLinear", quant::dequantize),
    ("Div", |i, n| elementwise::binary(i, n, Op::Div)),
    ("Dropout", elementwise::dropout),
    ("Flatten", arrange::flatten),
    ("Gather", shape::gather),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", window::global_average_pool),
    ("HardSigmoid", elementwise::hard_sigmoid),
    ("HardSwish", |i, n| elementwise::unary(i, n, Op::HardSwish)),
    ("Identity", elementwise::identity),
    ("LeakyRelu", elementwise::leaky_relu),
    ("MatMul", linear::matmul),
    ("MaxPool", window::max_pool),
    ("Mul", |i, n| elementwise::binary(i, n, Op::Mul)),
    ("Pad", arrange::pad),
    ("QuantizeLinear", quant::quantize),
    ("ReduceMean", elementwise::reduce_mean),
    ("Relu", |i, n| elementwise::unary(i, n, Op::Relu)),
    ("Reshape", arrange::reshape),
    ("Resize", upsample::resize),
    ("Shape", shape::shape),
    ("Sigmoid", |i, n| elementwise::unary(i, n, Op::Sigmoid)),
    ("Sign", elementwise::sign),
    ("Slice", arrange::slice),
    ("Softmax", elementwise::softmax),
    (SPLIT, arrange::split),
    ("Squeeze", arrange::squeeze),
    ("Sub", |i, n| elementwise::binary(i, n, Op::Sub)),
    ("Transpose", arrange::transpose),
    ("Unsqueeze", arrange::unsqueeze),
    ("Upsample", upsample::resize),
];

/// The function that imports an operator.
pub(crate) fn find(op: &str) -> Option<Handler> {
    OPS.iter().find(|(name, _)| *name == op).map(|(_, h)| *h)
}

/// The names of all operators that are imported.
pub(crate) fn supported() -> String {
    let names: Vec<&str> = OPS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
