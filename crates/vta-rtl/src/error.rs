//! Why there is no model, or why a run on it stopped.

use std::io;
use std::path::{Path, PathBuf};

use vta_isa::{ConfigError, FaultCode, Module};

/// Why a model cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtlError {
    /// A program that building a model needs.
    #[error("there is no {program} to build the hardware model with; {remedy}")]
    Missing {
        /// What was looked for.
        program: &'static str,
        /// Where it comes from.
        remedy: &'static str,
    },
    /// The design has no hardware.
    #[error(transparent)]
    Design(#[from] ConfigError),
    /// A program did not accept what it was given.
    #[error("`{program}` failed on the hardware model:\n{output}")]
    Tool {
        /// The program.
        program: String,
        /// What it printed.
        output: String,
    },
    /// A file or a program that cannot be reached.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of the cache that cannot be written.
    #[error("{}: {error}; set VTA_CACHE to a directory that can be written", .path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The library that was built does not load.
    #[error("{}: {error}; remove it, and it is built again", .path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// Why.
        error: libloading::Error,
    },
    /// Waveforms of a model that writes none.
    #[error("this model was built without waveforms; build it with them")]
    NoWaves,
    /// The hardware stopped the run.
    #[error(
        "the hardware stopped the run{}: {} (fault {}); the functional simulator names the instruction",
        place(*.code, *.module), .code.message(), .code.code()
    )]
    Fault {
        /// Why.
        code: FaultCode,
        /// Which module found it; none for fetch, the read bus and the watchdog.
        module: Option<Module>,
    },
    /// The run was longer than allowed.
    #[error(
        "the hardware did not finish within {cycles} cycles; raise the limit, or the run hangs"
    )]
    CycleLimit {
        /// The limit.
        cycles: u64,
    },
    /// The hardware breaks a rule of its ports, or an assertion of its own.
    #[error("the hardware breaks a rule: {0}")]
    Protocol(String),
    /// The instructions do not lie in DRAM, or are more than a register counts.
    #[error("{count} instructions at {address:#x}: {problem}")]
    Stream {
        /// Physical address of the first.
        address: u64,
        /// How many.
        count: u64,
        /// What is wrong with them.
        problem: &'static str,
    },
}

impl RtlError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> RtlError {
        move |error| RtlError::Io {
            path: path.to_owned(),
            error,
        }
    }

    pub(crate) fn cache(path: &Path) -> impl FnOnce(io::Error) -> RtlError {
        move |error| RtlError::Cache {
            path: path.to_owned(),
            error,
        }
    }
}

/// Where a fault was found, as the fault register tells it.
fn place(code: FaultCode, module: Option<Module>) -> String {
    match (code, module) {
        (FaultCode::Watchdog, _) => String::new(),
        (FaultCode::Bus, None) => " on the read bus".to_owned(),
        (FaultCode::Bus, Some(_)) => " on the write bus".to_owned(),
        (_, None) => " in fetch".to_owned(),
        (_, Some(module)) => format!(" in {}", module.name()),
    }
}
