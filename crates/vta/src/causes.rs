//! Errors of the crates below as ones that say whose turn it is.

use vta_compiler::CompileError;
use vta_graph::GraphError;
use vta_onnx::OnnxError;
use vta_program::ContainerError;
use vta_rtl::{MutationError, RtlError};
use vta_runtime::preprocess::PreprocessError;
use vta_runtime::resize::ImageError;
use vta_runtime::{ErrorKind, NetworkError};

use crate::Error;

/// A message of these crates is "what; remedy": the remedy becomes the help.
fn split(message: &str) -> Error {
    match message.rsplit_once("; ") {
        Some((what, remedy)) => Error::input(what).help(remedy),
        None => Error::input(message),
    }
}

impl From<OnnxError> for Error {
    fn from(error: OnnxError) -> Error {
        split(&error.to_string())
    }
}

impl From<GraphError> for Error {
    fn from(error: GraphError) -> Error {
        split(&error.to_string())
    }
}

impl From<PreprocessError> for Error {
    fn from(error: PreprocessError) -> Error {
        split(&error.to_string())
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Error {
        split(&error.to_string())
    }
}

impl From<ContainerError> for Error {
    fn from(error: ContainerError) -> Error {
        split(&error.to_string())
    }
}

/// The compiler gets verified graphs only: whatever it refuses is a bug.
impl From<CompileError> for Error {
    fn from(error: CompileError) -> Error {
        Error::bug(error.to_string())
    }
}

impl From<RtlError> for Error {
    fn from(error: RtlError) -> Error {
        match &error {
            RtlError::CycleLimit { .. } => Error::limit(error.to_string()),
            RtlError::Protocol(_) => Error::bug(error.to_string()),
            _ => split(&error.to_string()),
        }
    }
}

impl From<MutationError> for Error {
    fn from(error: MutationError) -> Error {
        match error {
            MutationError::Model { of, error } => Error::from(error).at(of),
            error => split(&error.to_string()),
        }
    }
}

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Error {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Caller => split(&message),
            ErrorKind::Limit => Error::limit(message),
            ErrorKind::Fault => Error::input(message).help(
                "the program is wrong: compile the network again; if it was compiled just now, \
                 this is a bug in vta",
            ),
        }
    }
}
