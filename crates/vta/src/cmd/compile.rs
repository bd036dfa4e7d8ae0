//! `vta compile`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use vta::dump::Dump;
use vta::{Error, Result};
use vta_compiler::Watch;
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
    #[arg(short, long, value_name = "FILE.vta", required_unless_present_any = ["dump_after", "emit"])]
    output: Option<PathBuf>,
    /// Print what the network is after a step, in a text that parses again, instead of the report; `list` names
    /// the steps.
    #[arg(long, value_name = "STEP", conflicts_with_all = ["emit", "json"])]
    dump_after: Option<String>,
    /// Print what is compiled at a level: the packed graph, the scheduled loop nests, the primitives of their schedules as
    /// `vta schedule` runs them, or the instructions.
    #[arg(long, value_name = "LEVEL", conflicts_with = "json")]
    emit: Option<Emit>,
    /// Of what is printed, the operator of this name alone: the name of its loop nest.
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    #[command(flatten)]
    compilation: Compilation,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Emit {
    /// As `--dump-after pack`.
    Graph,
    /// As `--dump-after schedule`.
    Tensor,
    /// As `--dump-after script`.
    Script,
    /// As `--dump-after tokens`.
    Stream,
}

impl Compile {
    pub(super) fn run(self) -> Result<()> {
        let step = self
            .dump_after
            .as_deref()
            .or(self.emit.map(|level| match level {
                Emit::Graph => "pack",
                Emit::Tensor => "schedule",
                Emit::Script => "script",
                Emit::Stream => "tokens",
            }));
        let bar = Bar::default();
        if let (Some(_), None | Some("list")) = (&self.operator, step) {
            return Err(Error::input("--operator is of what is printed")
                .help("add --emit script, or --dump-after with a step of loop nests"));
        }
        let dump = Dump::new(&self.compilation.design()?, step);
        let mut dump = dump.of_operator(self.operator.as_deref());
        let watch: &mut dyn Watch = match step {
            Some(_) => &mut dump,
            None => &mut (),
        };
        let job = self.compilation.open_watched(&self.model, watch)?;
        let program = job.compile_watched(&bar, watch)?.program;
        drop(bar);
        let file = vta::to_bytes(&program)?;
        if let Some(path) = &self.output {
            vta::write(path, &file)?;
        }
        if let Some(step) = step {
            return print(&dump, step);
        }
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

fn print(dump: &Dump, step: &str) -> Result<()> {
    if step == "list" {
        let names: String = dump.steps().map(|(name, _)| format!("{name}\n")).collect();
        return output::print(names);
    }
    output::print(dump.texts()?.join("\n"))
}
