//! The Python package, built into an environment of its own and tested there.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::Workspace;
use crate::step::{Outcome, cargo, run_command};

/// What the package's tests import.
const REQUIREMENTS: &[&str] = &["numpy", "maturin>=1.7,<2", "pytest"];

/// Installs the package of the workspace's root from source and runs `python/tests`.
pub(crate) fn test(workspace: &Workspace) -> Result<Outcome> {
    let skipped = |reason: &str| Ok(Outcome::Skipped(reason.to_owned()));
    if !workspace.root.join("pyproject.toml").exists() {
        return skipped("there is no pyproject.toml");
    }
    if !succeeds(Command::new("python3").arg("--version")) {
        return skipped("there is no python3");
    }
    let environment = workspace.metadata.target_directory.join("venv");
    let python = environment.join("bin/python");
    if !succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(&environment);
        run_command(&mut create)?;
    }
    // The tests compare the package with the command line.
    run_command(&mut cargo("build --package vta --locked --quiet"))?;
    let program = workspace.metadata.target_directory.join("debug/vta");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.env("VTA_BIN", &program);
        // A pip that asks, or that looks for its own successor, has no place in CI.
        command.env("PIP_NO_INPUT", "1");
        command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        // The profile that the other tests have built already.
        command.env("MATURIN_PEP517_ARGS", "--profile dev");
        run_command(command.arg("-m").args(arguments))
    };
    let install = ["pip", "install", "--quiet"];
    run(&[&install[..], REQUIREMENTS].concat())?;
    run(&[&install[..], &["--no-build-isolation", "--no-deps", "."]].concat())?;
    let tests = Path::new("python").join("tests");
    run(&["pytest", "--quiet", &tests.to_string_lossy()])?;
    Ok(Outcome::Done)
}

fn succeeds(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
