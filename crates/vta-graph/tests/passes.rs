//! `filetests/NAME/*.graph`: a graph before and after the pass of that name.
//!
//! The command is the pass, or several in turn. A file whose folder is no pass, or a pass
//! without a folder, fails.

use std::path::Path;
use std::process::ExitCode;

use vta_filetest::Suite;
use vta_graph::passes::{self, lower_qdq};
use vta_graph::quant::QuantTarget;
use vta_graph::text::{PrintOptions, parse, print};

/// The pass or passes to run; `lower_qdq`, run last, also lists what stayed in floats.
fn run(command: &str, input: &str) -> Result<String, String> {
    let mut graph = parse(input).map_err(|e| e.to_string())?;
    graph.verify().map_err(|e| e.to_string())?;
    let mut islands = Vec::new();
    for name in command.split_whitespace() {
        let pass = passes::by_name(name).ok_or_else(|| format!("no pass `{name}`"))?;
        if name == "lower_qdq" {
            islands =
                lower_qdq::run(&mut graph, &QuantTarget::default()).map_err(|e| e.to_string())?;
        } else {
            (pass.run)(&mut graph).map_err(|e| e.to_string())?;
        }
        graph.verify().map_err(|e| format!("after {name}: {e}"))?;
    }
    let mut text = print(&graph, PrintOptions::default());
    for island in islands {
        text += &format!(
            "; in floats: {} ({}): {}\n",
            island.node, island.op, island.why
        );
    }
    Ok(text)
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let untested: Vec<_> = (passes::ALL.iter().map(|p| p.name))
        .filter(|name| !folder.join(name).is_dir())
        .collect();
    if !untested.is_empty() {
        eprintln!("passes without a folder of tests: {untested:?}");
        return ExitCode::FAILURE;
    }
    vta_filetest::main(&[Suite::new("filetests", "graph", run)])
}
