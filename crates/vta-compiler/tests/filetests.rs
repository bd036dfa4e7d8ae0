//! Golden tests of the compiler: an integer graph in, one level of the result out.
//!
//! `; test: graph|tensor|schedule|stream|placement [KEY=VALUE ...]` compiles the graph for the
//! default design with the given keys changed and prints the packed graph, the naive nests, the
//! scheduled nests, the assembly of every stream, or where each node runs.

use std::fmt::Write;
use std::process::ExitCode;

use vta_compiler::{Compiled, compile};
use vta_filetest::Suite;
use vta_graph::text::{self, PrintOptions};
use vta_isa::{Design, HwConfig, asm};

fn main() -> ExitCode {
    vta_filetest::main(&[Suite::new("filetests", "graph", run).comment(";")])
}

fn run(command: &str, input: &str) -> Result<String, String> {
    let mut words = command.split_whitespace();
    let level = words.next().unwrap_or_default();
    let design = design(words)?;
    let graph = text::parse(input).map_err(|e| e.to_string())?;
    let compiled = compile(&graph, &design).map_err(|e| e.to_string())?;
    print(level, &compiled, &design)
}

/// The default design with some keys changed: to a number, or to a list of words.
fn design<'a>(changes: impl Iterator<Item = &'a str>) -> Result<Design, String> {
    let json = HwConfig::default().to_json();
    let mut keys: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&json).map_err(|e| e.to_string())?;
    for change in changes {
        let (key, value) = change.split_once('=').ok_or("KEY=VALUE is expected")?;
        let value = match value.parse::<u32>() {
            Ok(number) => number.into(),
            Err(_) => value.split(',').collect(),
        };
        keys.insert(key.to_string(), value);
    }
    let json = serde_json::to_string(&keys).map_err(|e| e.to_string())?;
    HwConfig::from_json(&json)
        .and_then(HwConfig::design)
        .map_err(|e| e.to_string())
}

fn print(level: &str, compiled: &Compiled, design: &Design) -> Result<String, String> {
    let mut out = String::new();
    match level {
        "graph" => out = text::print(&compiled.packed, PrintOptions { data: false }),
        "tensor" => {
            for (_, nest) in &compiled.nests {
                writeln!(out, "{}", nest.script.naive).expect("a string");
            }
        }
        "schedule" => {
            for (_, nest) in &compiled.nests {
                writeln!(out, "{}", nest.scheduled).expect("a string");
            }
        }
        "stream" => {
            for stream in &compiled.program.streams {
                out += &asm::disassemble(design, stream).map_err(|e| e.to_string())?;
            }
        }
        "placement" => {
            for p in &compiled.program.placement {
                let device = format!("{:?}", p.device).to_lowercase();
                writeln!(out, "{} {} {device} {}", p.node, p.op, p.reason).expect("a string");
            }
        }
        _ => return Err(format!("no level `{level}`")),
    }
    Ok(out)
}
