//! Steps in order, each announced, timed, and the last one that runs when it fails.

use std::cell::RefCell;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// How a step ended, unless it failed.
pub(crate) enum Outcome {
    Done,
    /// Nothing was tried, for this reason.
    Skipped(String),
}

/// One thing that must succeed.
pub(crate) struct Step<'a> {
    name: &'static str,
    remedy: Option<String>,
    work: Box<dyn Fn() -> Result<Outcome> + 'a>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(name: &'static str, work: impl Fn() -> Result<Outcome> + 'a) -> Self {
        Step {
            name,
            remedy: None,
            work: Box::new(work),
        }
    }

    /// A program whose exit status is the result; the program itself is the remedy: run
    /// alone, it says what is wrong.
    pub(crate) fn command(name: &'static str, command: Command) -> Self {
        let line = line(&command);
        let command = RefCell::new(command);
        let work = move || run_command(&mut command.borrow_mut()).map(|()| Outcome::Done);
        Step::new(name, work).remedy(&line)
    }

    /// What to run after a failure.
    pub(crate) fn remedy(self, remedy: &str) -> Self {
        Step {
            remedy: Some(remedy.to_owned()),
            ..self
        }
    }
}

/// Runs the steps up to the first failure.
pub(crate) fn run(steps: &[Step]) -> Result<()> {
    for (index, step) in steps.iter().enumerate() {
        eprintln!("[{}/{}] {}", index + 1, steps.len(), step.name);
        let start = Instant::now();
        let outcome = (step.work)().with_context(|| match &step.remedy {
            Some(remedy) => format!("step `{}` failed; run: {remedy}", step.name),
            None => format!("step `{}` failed", step.name),
        })?;
        let last = index + 1 == steps.len();
        match outcome {
            Outcome::Done if last => {}
            Outcome::Done => eprintln!("      {:.1} s", start.elapsed().as_secs_f64()),
            Outcome::Skipped(reason) => eprintln!("      skipped: {reason}"),
        }
    }
    Ok(())
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run_command(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// The cargo that runs us, with these space-separated arguments.
pub(crate) fn cargo(arguments: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments.split_whitespace());
    command
}

/// The command as one types it.
fn line(command: &Command) -> String {
    let mut text = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            text += &format!("{}='{}' ", name.to_string_lossy(), value.to_string_lossy());
        }
    }
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    text += &name.to_string_lossy();
    for argument in command.get_args() {
        text += &format!(" {}", argument.to_string_lossy());
    }
    text
}
