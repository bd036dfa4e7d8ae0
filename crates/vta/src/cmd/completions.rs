//! `vta completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use vta::Result;

use super::Cli;
use crate::output;

/// Print the completions of a shell.
///
/// For bash: `vta completions bash > ~/.local/share/bash-completion/completions/vta`
#[derive(Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "vta", &mut script);
        output::print(script)
    }
}
