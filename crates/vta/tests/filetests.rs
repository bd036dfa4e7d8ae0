//! The commands at a shell: one folder a command, one transcript a file.
//!
//! The input is commands, each after `$ ` with the lines of its here-document, if any. They
//! run in turn in an empty folder, and the outcome is the transcript: each command, what it
//! printed (both streams), and its exit status unless that is 0. `$DIGITS` is the folder of the
//! digits network.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fmt};

use vta_filetest::Suite;

fn main() -> ExitCode {
    vta_filetest::main(&[Suite::new("tests/filetests", "console", transcript).comment("#")])
}

fn transcript(command: &str, input: &str) -> Result<String, String> {
    if command != "shell" {
        return Err(format!("no command `{command}`; there is `shell`"));
    }
    let folder = tempfile::tempdir().map_err(text)?;
    let mut transcript = String::new();
    for script in scripts(input)? {
        let output = run(&script, folder.path())?;
        transcript += &format!("$ {script}\n{output}");
    }
    Ok(transcript)
}

/// The commands of the input, without the prompt.
fn scripts(input: &str) -> Result<Vec<String>, String> {
    let mut scripts: Vec<String> = Vec::new();
    for line in input.lines() {
        match (line.strip_prefix("$ "), scripts.last_mut()) {
            (Some(script), _) => scripts.push(script.to_owned()),
            (None, Some(script)) => *script += &format!("\n{line}"),
            (None, None) if line.is_empty() => {}
            (None, None) => return Err(format!("`{line}`: a command starts with `$ `")),
        }
    }
    Ok(scripts)
}

fn run(script: &str, folder: &Path) -> Result<String, String> {
    let programs = Path::new(env!("CARGO_BIN_EXE_vta")).parent();
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = programs.into_iter().map(Path::to_owned);
    let path = env::join_paths(path.chain(env::split_paths(&inherited))).map_err(text)?;
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("exec 2>&1\n{script}"))
        .current_dir(folder)
        .env("PATH", path)
        .env("DIGITS", digits)
        .stdin(Stdio::null())
        .output()
        .map_err(text)?;
    let mut printed = String::from_utf8(output.stdout).map_err(text)?;
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => printed += &format!("[exit status {code}]\n"),
        None => printed += "[killed]\n",
    }
    Ok(printed)
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
