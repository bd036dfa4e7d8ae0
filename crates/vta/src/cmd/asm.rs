//! `vta asm`

use std::path::PathBuf;

use clap::Args;
use vta::{Error, Result};
use vta_isa::asm;

use super::Target;
use crate::output;

/// Assemble text to a raw instruction stream.
#[derive(Args)]
pub(super) struct Asm {
    /// Assembly text; `-` is the standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// Where the stream goes, 16 bytes an instruction; `-` is the standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Where the text's micro-ops go, 4 bytes each; without it they are an error.
    #[arg(long, value_name = "FILE")]
    uops: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Asm {
    pub(super) fn run(self) -> Result<()> {
        let design = self.target.design()?;
        let place = output::place(&self.input);
        let text = String::from_utf8(output::read_input(&self.input)?).map_err(|_| {
            Error::input(format!("{place}: not a text"))
                .help("assembly text is UTF-8; `vta disasm` reads a raw stream")
        })?;
        let refused = |error: asm::AsmError| {
            Error::input(format!("{place}: {error}")).help(
                "`vta disasm` shows how each instruction is written; \
                 with --uops FILE the text may hold micro-ops",
            )
        };
        let insns = match &self.uops {
            None => asm::assemble(&design, &text).map_err(refused)?,
            Some(path) => {
                let listing = asm::assemble_listing(&design, &text).map_err(refused)?;
                vta::write(path, &listing.uops)?;
                listing.insns
            }
        };
        output::write_binary(&self.output, &insns)
    }
}
