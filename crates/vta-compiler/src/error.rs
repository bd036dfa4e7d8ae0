//! What a compilation reports.

use vta_graph::GraphError;
use vta_program::StreamError;

use crate::lower::LowerError;

/// Why a network does not compile.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The graph is wrong.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An operator of the accelerator has no instructions: a bug of the compiler.
    #[error("node `{node}`: {source} (this is a bug of the compiler)")]
    Lower {
        /// The node.
        node: String,
        /// The cause.
        source: LowerError,
    },
    /// A stream cannot be finished: a bug of the compiler.
    #[error("stream {stream}: {source} (this is a bug of the compiler)")]
    Stream {
        /// Index of the stream.
        stream: usize,
        /// The cause.
        source: StreamError,
    },
    /// The checker found a race, a deadlock or tokens left over: a bug of the compiler.
    #[error("stream {stream} is wrong (this is a bug of the compiler): {findings}")]
    Check {
        /// Index of the stream.
        stream: usize,
        /// What the checker says.
        findings: String,
    },
}
