//! `vta check`

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use vta::{Error, Result};
use vta_sim::{CheckOptions, Fault, Leftover, check};

use super::streams::Streams;
use super::{Finding, Target};
use crate::output;
use crate::parse::number;

/// Prove that a raw instruction stream gives one result in every order that its tokens
/// allow, or say what is wrong: races, deadlocks, tokens left over, indices out of range.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    streams: Streams,
    /// Let tokens be left over, for a later stream.
    #[arg(long)]
    allow_leftover: bool,
    /// Stop after so many findings.
    #[arg(long, value_name = "N", default_value = "20", value_parser = number)]
    max_findings: u64,
    #[command(flatten)]
    target: Target,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    correct: bool,
    instructions: u64,
    findings: Vec<Finding>,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode> {
        let design = self.target.design()?;
        let dram = self.streams.dram()?;
        let streams = self.streams.streams()?;
        let [stream] = &streams[..] else {
            return Err(Error::input(format!("{} streams to check", streams.len()))
                .help("check one at a time, with the --tokens that it starts with"));
        };
        let insns = stream.bytes(&dram).map_err(|e| e.at(&stream.name))?;
        let options = CheckOptions {
            initial_tokens: self.streams.tokens(),
            leftover: match self.allow_leftover {
                true => Leftover::Warn,
                false => Leftover::Fault,
            },
            max_findings: usize::try_from(self.max_findings).unwrap_or(usize::MAX),
        };
        let faults = check(&design, &dram, insns, &options)
            .err()
            .unwrap_or_default();
        let instructions = (insns.len() / vta_isa::INSN_BYTES) as u64;
        if self.json {
            output::print_json(&Report {
                correct: faults.is_empty(),
                instructions,
                findings: faults.iter().map(Finding::of).collect(),
            })?;
        } else {
            output::print(text(&stream.name, instructions, &faults))?;
        }
        Ok(match faults.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

fn text(name: &str, instructions: u64, faults: &[Fault]) -> String {
    if faults.is_empty() {
        return format!("{name}: {instructions} instructions, correct\n");
    }
    let finding = |fault: &Fault| format!("{}\n", Error::from(fault.clone()).at(name));
    faults.iter().map(finding).collect()
}
