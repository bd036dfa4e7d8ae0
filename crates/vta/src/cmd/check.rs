//! `vta check`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use vta::{Error, Module, Result};
use vta_isa::{Design, INSN_BYTES};
use vta_sim::{CheckOptions, Dram, Fault, Leftover, check};

use super::streams::Streams;
use super::{Finding, Target};
use crate::output;
use crate::parse::number;

/// Prove that a raw instruction stream, or each of a compiled network, gives one result in every order that its tokens
/// allow, or say what is wrong: races, deadlocks, tokens left over, indices out of range.
#[derive(Args)]
#[command(
    mut_arg("dram", |dram| dram.required(false).required_unless_present("program")),
    mut_arg("insns", |insns| insns.required_unless_present_any(["insn_addr", "program"])),
)]
pub(super) struct Check {
    /// The compiled network, a .vta file.
    #[arg(value_name = "PROGRAM.vta", conflicts_with = "Streams")]
    program: Option<PathBuf>,
    #[command(flatten)]
    streams: Option<Streams>,
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
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    stream: String,
    #[serde(flatten)]
    finding: Finding,
}

/// A stream and what was found in it.
struct Checked {
    name: String,
    instructions: u64,
    faults: Vec<Fault>,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode> {
        let checked = match (&self.program, &self.streams) {
            (Some(path), _) => self.program(path)?,
            (None, Some(streams)) => vec![self.stream(streams)?],
            (None, None) => {
                return Err(Error::input("there is nothing to check")
                    .help("give a PROGRAM.vta, or --dram IMAGE and --insns STREAM"));
            }
        };
        let correct = checked.iter().all(|stream| stream.faults.is_empty());
        if self.json {
            output::print_json(&Report {
                correct,
                instructions: checked.iter().map(|stream| stream.instructions).sum(),
                findings: checked.iter().flat_map(Checked::findings).collect(),
            })?;
        } else {
            output::print(checked.iter().map(Checked::text).collect::<String>())?;
        }
        Ok(match correct {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn stream(&self, streams: &Streams) -> Result<Checked> {
        let design = self.target.design()?;
        let dram = streams.dram()?;
        let all = streams.streams()?;
        let [stream] = &all[..] else {
            return Err(Error::input(format!("{} streams to check", all.len()))
                .help("check one at a time, with the --tokens that it starts with"));
        };
        let insns = stream.bytes(&dram).map_err(|e| e.at(&stream.name))?;
        let options = CheckOptions {
            initial_tokens: streams.tokens(),
            ..self.options()
        };
        Ok(checked(&stream.name, &design, &dram, insns, &options))
    }

    /// All streams of a program, for its own design, on its memory before the first inference.
    fn program(&self, path: &Path) -> Result<Vec<Checked>> {
        let program = Module::read_program(path)?;
        let design = program.config.clone().design()?;
        let dram = Dram::new(0, program.arena());
        let streams = program.streams.iter().enumerate();
        let name = |index| format!("{}, stream {index}", path.display());
        let options = self.options();
        let check = |(index, insns): (usize, &Vec<u8>)| {
            checked(&name(index), &design, &dram, insns, &options)
        };
        Ok(streams.map(check).collect())
    }

    fn options(&self) -> CheckOptions {
        CheckOptions {
            leftover: match self.allow_leftover {
                true => Leftover::Warn,
                false => Leftover::Fault,
            },
            max_findings: usize::try_from(self.max_findings).unwrap_or(usize::MAX),
            ..CheckOptions::default()
        }
    }
}

fn checked(
    name: &str,
    design: &Design,
    dram: &Dram,
    insns: &[u8],
    options: &CheckOptions,
) -> Checked {
    Checked {
        name: name.to_owned(),
        instructions: (insns.len() / INSN_BYTES) as u64,
        faults: check(design, dram, insns, options)
            .err()
            .unwrap_or_default(),
    }
}

impl Checked {
    fn findings(&self) -> impl Iterator<Item = Found> + '_ {
        self.faults.iter().map(|fault| Found {
            stream: self.name.clone(),
            finding: Finding::of(fault),
        })
    }

    fn text(&self) -> String {
        let Checked {
            name,
            instructions,
            faults,
        } = self;
        if faults.is_empty() {
            return format!("{name}: {instructions} instructions, correct\n");
        }
        let finding = |fault: &Fault| format!("{}\n", Error::from(fault.clone()).at(name));
        faults.iter().map(finding).collect()
    }
}
