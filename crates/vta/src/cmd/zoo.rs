//! `vta zoo`

use std::path::PathBuf;

use clap::Args;
use vta::{Error, Result};

use crate::output;
use crate::parse::number;

/// Write a standard network with seeded weights as ONNX, or list the networks.
#[derive(Args)]
pub(super) struct Zoo {
    /// The network.
    #[arg(value_name = "NAME", requires = "output")]
    name: Option<String>,
    /// Seed of the weights.
    #[arg(long, value_name = "N", default_value = "0", requires = "name", value_parser = number)]
    seed: u64,
    /// Where the network goes; - is the standard output.
    #[arg(short, long, value_name = "FILE", requires = "name")]
    output: Option<PathBuf>,
    /// Print the list as JSON.
    #[arg(long, conflicts_with = "name")]
    json: bool,
}

impl Zoo {
    pub(super) fn run(self) -> Result<()> {
        let (Some(name), Some(path)) = (&self.name, &self.output) else {
            return match self.json {
                true => output::print_json(&vta_zoo::NAMES),
                false => output::print(vta_zoo::NAMES.join("\n") + "\n"),
            };
        };
        let graph = vta_zoo::build(name, self.seed).map_err(|_| {
            Error::input(format!("no network is called `{name}`"))
                .help(format!("there are {}", vta_zoo::NAMES.join(", ")))
        })?;
        let onnx = vta_onnx::export(&graph).map_err(|e| Error::bug(e.to_string()))?;
        output::write_binary(path, &onnx)
    }
}
