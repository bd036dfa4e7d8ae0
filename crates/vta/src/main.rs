//! The `vta` command.
//!
//! One file a command in `cmd`; what they share with the Python module is the library.

mod bar;
mod cmd;
mod output;
mod parse;
mod report;
mod timing;

use std::process::ExitCode;

use clap::Parser;
use vta::Kind;

fn main() -> ExitCode {
    match cmd::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error.kind() {
                Kind::Input => 1,
                Kind::Limit => 3,
                Kind::Bug => 70,
            })
        }
    }
}
