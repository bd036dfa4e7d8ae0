//! The commands, and the arguments that they share.

mod asm;
mod check;
mod compile;
mod completions;
mod config;
mod cosim;
mod device;
mod disasm;
mod eval;
mod exec;
mod finding;
mod fuzz;
mod mutate;
mod network;
mod profile;
mod quantize;
mod run;
mod runs;
mod schedule;
mod sim;
mod streams;
mod zoo;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use finding::Finding;
use vta::Result;
use vta_isa::Design;

/// Compiler, runtime and simulator for the VTA tensor accelerator.
#[derive(Parser)]
#[command(
    name = "vta",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done; 1 something given is wrong, or `check` found something; \
                  2 wrong usage; 3 a limit was reached; 70 a bug of ours."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Eval(Box<eval::Eval>),
    Quantize(Box<quantize::Quantize>),
    Compile(Box<compile::Compile>),
    Exec(exec::Exec),
    Profile(Box<profile::ProfileCommand>),
    Schedule(schedule::Schedule),
    Zoo(zoo::Zoo),
    Asm(asm::Asm),
    Disasm(disasm::Disasm),
    Check(check::Check),
    Sim(sim::Sim),
    Cosim(cosim::Cosim),
    Mutate(mutate::Mutate),
    Fuzz(fuzz::FuzzCommand),
    Config(config::Config),
    Completions(completions::Completions),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Run(command) => done(command.run()),
            Command::Eval(command) => done(command.run()),
            Command::Quantize(command) => done(command.run()),
            Command::Compile(command) => done(command.run()),
            Command::Exec(command) => done(command.run()),
            Command::Profile(command) => done(command.run()),
            Command::Schedule(command) => done(command.run()),
            Command::Zoo(command) => done(command.run()),
            Command::Asm(command) => done(command.run()),
            Command::Disasm(command) => done(command.run()),
            Command::Check(command) => command.run(),
            Command::Sim(command) => done(command.run()),
            Command::Cosim(command) => command.run(),
            Command::Mutate(command) => command.run(),
            Command::Fuzz(command) => command.run(),
            Command::Config(command) => done(command.run()),
            Command::Completions(command) => done(command.run()),
        }
    }
}

/// The exit code of a command that only an error makes fail.
fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// Which design the command is about.
#[derive(Args)]
struct Target {
    /// The design: a preset, or a file with the keys of vta_config.json.
    #[arg(long, value_name = "NAME|FILE.json", default_value = Target::DEFAULT)]
    config: String,
}

impl Target {
    const DEFAULT: &str = "default";

    fn design(&self) -> Result<Design> {
        vta::design(&self.config)
    }
}
