use vta_graph::GraphError;

/// Why a file cannot be imported or a graph not exported, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are no ONNX file.
    #[error("not an ONNX model: {0}; check that the file is complete")]
    NotOnnx(String),
    /// The model as a whole: operator set, inputs, outputs, size.
    #[error("model: {0}")]
    Model(String),
    /// A constant of the file.
    #[error("tensor `{name}`: {why}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// The reason and the remedy.
        why: String,
    },
    /// An operator that nothing here can run.
    #[error(
        "node `{node}`: operator `{op}` is not supported; supported are {}",
        crate::ops::supported()
    )]
    UnsupportedOp {
        /// Name of the node.
        node: String,
        /// Type of the operator, with its domain if it is not a standard one.
        op: String,
    },
    /// A supported operator in a form that is wrong or not supported.
    #[error("node `{node}` ({op}): {why}")]
    Node {
        /// Name of the node.
        node: String,
        /// Type of the operator.
        op: String,
        /// The reason and the remedy.
        why: String,
    },
    /// The graph refuses what the file says, or is no graph that ONNX can hold.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
