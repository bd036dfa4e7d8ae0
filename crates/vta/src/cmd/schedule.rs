//! `vta schedule`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vta::{Error, Result, Spent, Trial, Tried};
use vta_tir::schedule::Script;

use super::Target;
use super::device::Memory;
use crate::output::{self, grouped, table};
use crate::parse::number;

/// Try a schedule: apply the primitives of a file to its loop nest, and run the nest after each step.
///
/// The file holds a nest, the line `schedule`, and primitives, one a line; a line `step TITLE` makes one step of the
/// lines behind it (docs/tir.md). After each step the nest computes what it did before all of them, which the loop-nest
/// interpreter proves on seeded values. Once it consists of instructions, its stream passes the race detector and runs
/// on both simulators, and the table says what it took: cycles; the slots that GEMM, resets and ALU issue, below which
/// it cannot come; the share of the cycles that those are, and that GEMM multiplies in; bytes; and the cycles in which
/// compute waited for load or store.
#[derive(Args)]
pub(super) struct Schedule {
    /// The nest and its schedule; - is the standard input.
    file: PathBuf,
    /// Print the table alone, not the nests.
    #[arg(short, long)]
    quiet: bool,
    /// Make a step of every line.
    #[arg(long)]
    each: bool,
    /// Seed of the parameters' values.
    #[arg(long, value_name = "N", default_value = "1", value_parser = number)]
    seed: u64,
    /// Let each command wait for all that other modules began.
    #[arg(long)]
    serial: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    memory: Memory,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const HEADERS: [&str; 8] = [
    "step",
    "cycles",
    "cap",
    "% of cap",
    "% of peak",
    "read",
    "written",
    "waits",
];

impl Schedule {
    pub(super) fn run(self) -> Result<()> {
        let place = output::place(&self.file);
        let bytes = output::read_input(&self.file)?;
        let text =
            String::from_utf8(bytes).map_err(|_| Error::input("it is not text").at(&place))?;
        let script = Script::parse(&text).map_err(|e| Error::input(e.to_string()).at(&place))?;
        let script = match self.each {
            true => script.by_line(),
            false => script,
        };
        let trial = Trial {
            design: self.target.design()?,
            memory: self.memory.model(),
            seed: self.seed,
            latency_hiding: !self.serial,
        };
        let steps = trial.run(&script).map_err(|e| e.at(&place))?;
        if self.json {
            return output::print_json(&json!({
                "program": script.naive.name,
                "latency": trial.memory.latency,
                "steps": steps,
            }));
        }
        let mut text = String::new();
        if !self.quiet {
            text.extend(steps.iter().map(shown));
        }
        let rows: Vec<_> = steps.iter().map(row).collect();
        text += &table(&HEADERS, &rows);
        if let Some(Tried {
            step,
            not_yet: Some(why),
            ..
        }) = steps.last()
        {
            text += &format!("\nafter `{step}` it does not run yet: {why}\n");
        }
        output::print(text)
    }
}

/// The nest after a step, under what was done and what came of it.
fn shown(step: &Tried) -> String {
    let mut text = format!("// step {}\n", step.step);
    text.extend(step.lines.iter().map(|line| format!("// {line}\n")));
    match (&step.spent, &step.not_yet) {
        (Some(spent), _) => text += &format!("// {} cycles\n", grouped(spent.cycles)),
        (None, Some(why)) => text += &format!("// it does not run yet: {why}\n"),
        (None, None) => {}
    }
    text + &format!("{}\n", step.nest)
}

fn row(step: &Tried) -> Vec<String> {
    let Some(spent) = &step.spent else {
        let mut cells = vec![step.step.clone()];
        cells.resize(HEADERS.len(), String::new());
        return cells;
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let Spent {
        cycles,
        cap,
        read_bytes,
        written_bytes,
        compute,
        ..
    } = *spent;
    vec![
        step.step.clone(),
        grouped(cycles),
        grouped(cap),
        percent(spent.of_cap()),
        percent(spent.of_peak()),
        grouped(read_bytes),
        grouped(written_bytes),
        grouped(compute.token),
    ]
}
