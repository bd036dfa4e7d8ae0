//! `vta sim`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use vta::{Error, Result};
use vta_sim::{Counters, FuncSim, Leftover, Order, RunOptions, TokenQueue};

use super::streams::{Source, Streams};
use super::{Finding, Target};
use crate::output::{self, grouped};
use crate::parse::number;
use crate::report::counts;

/// Run raw instruction streams on a DRAM image in the functional simulator.
///
/// Several streams run in turn: scratchpads and tokens live on from one to the next.
#[derive(Args)]
pub(super) struct Sim {
    #[command(flatten)]
    streams: Streams,
    /// Where the image goes after the run.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Let the modules take turns at random, by this seed.
    #[arg(long, value_name = "N", value_parser = number)]
    seed: Option<u64>,
    /// Give up after so many instructions of a stream.
    #[arg(long, value_name = "N", value_parser = number)]
    max_insns: Option<u64>,
    /// Give up after so many micro-op executions of a stream.
    #[arg(long, value_name = "N", value_parser = number)]
    max_steps: Option<u64>,
    #[command(flatten)]
    target: Target,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// Of all streams.
    counters: Counters,
    /// Left at the end.
    tokens: Tokens,
    streams: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    stream: String,
    counters: Counters,
    /// Left after this stream, for the next.
    tokens: Tokens,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Tokens {
    load_to_compute: usize,
    compute_to_load: usize,
    compute_to_store: usize,
    store_to_compute: usize,
}

impl From<[usize; 4]> for Tokens {
    fn from(counts: [usize; 4]) -> Tokens {
        let [
            load_to_compute,
            compute_to_load,
            compute_to_store,
            store_to_compute,
        ] = counts;
        Tokens {
            load_to_compute,
            compute_to_load,
            compute_to_store,
            store_to_compute,
        }
    }
}

impl Sim {
    pub(super) fn run(self) -> Result<()> {
        let design = self.target.design()?;
        let mut dram = self.streams.dram()?;
        let mut options = self.options();
        let mut sim = FuncSim::new(&design);
        let mut runs = Vec::new();
        let mut leftover = [0; 4];
        for stream in self.streams.streams()? {
            let report = match &stream.source {
                Source::Bytes(bytes) => sim.run(&mut dram, bytes, &options),
                Source::Image(address, count) => sim.run_at(&mut dram, *address, *count, &options),
            };
            let report = report.map_err(|fault| {
                if self.json {
                    // The error follows in words; if this cannot be written, nothing is lost.
                    let _ = output::print_json(&serde_json::json!({"fault": Finding::of(&fault)}));
                }
                Error::from(fault).at(&stream.name)
            })?;
            leftover = report.leftover;
            runs.push(Run {
                stream: stream.name,
                counters: report.counters,
                tokens: leftover.into(),
            });
            options.keep_state = true;
            options.initial_tokens = [0; 4];
        }
        if leftover != [0; 4] {
            let counts = TokenQueue::ALL.iter().zip(leftover);
            let counts: Vec<_> = counts.map(|(queue, n)| format!("{queue} {n}")).collect();
            output::warn(&format!("tokens are left over: {}", counts.join(", ")));
        }
        if let Some(path) = &self.out {
            vta::write(path, &dram.bytes)?;
        }
        self.print(runs, leftover)
    }

    fn options(&self) -> RunOptions {
        let default = RunOptions::default();
        RunOptions {
            order: self.seed.map_or(Order::RoundRobin, Order::Seeded),
            insn_limit: self.max_insns.unwrap_or(default.insn_limit),
            step_limit: self.max_steps.unwrap_or(default.step_limit),
            initial_tokens: self.streams.tokens(),
            leftover: Leftover::Warn,
            ..default
        }
    }

    fn print(&self, streams: Vec<Run>, leftover: [usize; 4]) -> Result<()> {
        let mut total = Counters::default();
        for run in &streams {
            total += run.counters;
        }
        if self.json {
            return output::print_json(&Report {
                counters: total,
                tokens: leftover.into(),
                streams,
            });
        }
        let mut headers: Vec<&str> = vec!["counter"];
        let mut columns = Vec::new();
        for run in &streams {
            headers.push(&run.stream);
            columns.push(counts(&run.counters)?);
        }
        let total = counts(&total)?;
        if streams.len() > 1 {
            headers.push("total");
            columns.push(total.clone());
        }
        let used = total.iter().enumerate().filter(|(_, (_, n))| *n > 0);
        let row = |(index, (name, _)): (usize, &(String, u64))| {
            let cells = columns.iter().map(|column| grouped(column[index].1));
            std::iter::once(name.clone()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = used.map(row).collect();
        output::print(output::table(&headers, &rows))
    }
}
