//! The project's chores, one command each, the same in CI and at a desk.
//!
//! Not a build system: whatever plain `cargo` does alone is not repeated here.

mod edges;
mod msrv;
mod python;
mod step;
mod tools;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use step::{Outcome, Step, cargo};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test       install what the tests need, then run them
  lint       what is read rather than run: format, lints, crate dependencies, documentation
  validate   both: all that must hold before a commit
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["test"] => run(test),
        ["lint"] => run(lint),
        ["validate"] => run(validate),
        ["help" | "-h" | "--help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the steps look at.
struct Workspace {
    root: PathBuf,
    metadata: Metadata,
}

fn run(chore: fn(&Workspace) -> Result<()>) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    env::set_current_dir(root).with_context(|| format!("{}", root.display()))?;
    let metadata = MetadataCommand::new()
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("cargo metadata --locked (is Cargo.lock current?)")?;
    chore(&Workspace {
        root: root.to_owned(),
        metadata,
    })
}

fn validate(workspace: &Workspace) -> Result<()> {
    lint(workspace)?;
    test(workspace)
}

fn lint(workspace: &Workspace) -> Result<()> {
    step::run(&[
        Step::new("crate dependencies", || {
            found(edges::check(&workspace.metadata))
        }),
        Step::new("rust version", || found(msrv::check(&workspace.metadata))),
        Step::command("format", cargo("fmt --all --check")).remedy("cargo fmt --all"),
        Step::command(
            "lints",
            cargo("clippy --workspace --all-targets --locked -- -D warnings"),
        ),
        Step::command("documentation", {
            let mut doc = cargo("doc --workspace --no-deps --locked --quiet");
            doc.env("RUSTDOCFLAGS", "-D warnings");
            doc
        }),
    ])
}

/// Nextest comes last, so that its summary line ends the output.
fn test(workspace: &Workspace) -> Result<()> {
    step::run(&[
        Step::new("tools", tools::install_nextest),
        Step::command(
            "documentation tests",
            cargo("test --workspace --doc --locked --quiet"),
        ),
        Step::new("python", || python::test(workspace)),
        nextest(),
    ])
}

/// Generated files are compared with their generators by tests, so this covers them too.
fn nextest() -> Step<'static> {
    Step::command("tests", cargo("nextest run --workspace --locked"))
}

fn found(problems: Vec<String>) -> Result<Outcome> {
    if problems.is_empty() {
        return Ok(Outcome::Done);
    }
    bail!("{}", problems.join("\n       "))
}
