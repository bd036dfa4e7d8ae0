//! `vta disasm`

use std::path::PathBuf;

use clap::Args;
use vta::{Error, Result};
use vta_isa::asm;

use super::Target;
use crate::output;

/// Print a raw instruction stream as text, from which `vta asm` makes the same bytes.
#[derive(Args)]
pub(super) struct Disasm {
    /// The stream, 16 bytes an instruction; `-` is the standard input.
    #[arg(value_name = "STREAM", default_value = "-")]
    input: PathBuf,
    /// The file holds micro-ops, 4 bytes each.
    #[arg(long)]
    uops: bool,
    /// Where the text goes, instead of the standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Disasm {
    pub(super) fn run(self) -> Result<()> {
        let design = self.target.design()?;
        let bytes = output::read_input(&self.input)?;
        let text = match self.uops {
            true => asm::disassemble_uops(&design, &bytes),
            false => asm::disassemble(&design, &bytes),
        };
        let text = text.map_err(|error| {
            Error::input(error.to_string())
                .at(output::place(&self.input))
                .help("give a raw stream, whole and without a header")
        })?;
        match &self.output {
            Some(path) => vta::write(path, text.as_bytes()),
            None => output::print(text),
        }
    }
}
