//! `vta compile`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vta::Result;
use vta_isa::INSN_BYTES;

use super::network::Compilation;
use crate::bar::Bar;
use crate::output::{self, grouped};
use crate::report;

/// Compile a network to a program for `exec`. The same network and options give the same file.
#[derive(Args)]
pub(super) struct Compile {
    /// The network, an ONNX file.
    model: PathBuf,
    /// Where the program goes.
    #[arg(short, long, value_name = "FILE.vta")]
    output: PathBuf,
    #[command(flatten)]
    compilation: Compilation,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Compile {
    pub(super) fn run(self) -> Result<()> {
        let bar = Bar::default();
        let program = self.compilation.open(&self.model)?.compile(&bar)?.program;
        drop(bar);
        let file = vta::to_bytes(&program)?;
        vta::write(&self.output, &file)?;
        let streams = program.streams.iter();
        let sizes = [
            ("streams", program.streams.len()),
            ("instructions", streams.map(|s| s.len() / INSN_BYTES).sum()),
            (
                "constant bytes",
                program.image.iter().map(|s| s.bytes.len()).sum(),
            ),
            ("device memory bytes", program.arena_bytes as usize),
            ("file bytes", file.len()),
        ];
        if self.json {
            let mut value = report::program_json(&program);
            let sizes = sizes.map(|(what, n)| (what.replace(' ', "_"), json!(n)));
            value["sizes"] = sizes.into_iter().collect();
            return output::print_json(&value);
        }
        let rows = sizes.map(|(what, n)| vec![what.to_owned(), grouped(n as u64)]);
        let sizes = output::table(&["size", "count"], &rows);
        let (header, placement) = (report::header(&program), report::placement(&program));
        output::print(format!("{header}\n{placement}\n{sizes}"))
    }
}
