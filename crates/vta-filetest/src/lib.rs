//! Golden tests that are files a person can read.
//!
//! For: whatever has a text form (assembly, graphs, loop nests, error messages). A test
//! is one file: a comment that names the command, the input, a rule, and the output that
//! is expected, for instance `tests/filetests/upper/word.txt`:
//!
//! ```text
//! ; test: upper
//! a word
//! ; ---
//! A WORD
//! ```
//!
//! The crate under test lists its folders in a test target without the standard harness
//! (`[[test]]`, `name = "filetests"`, `harness = false`):
//!
//! ```no_run
//! use vta_filetest::Suite;
//!
//! fn upper(command: &str, input: &str) -> Result<String, String> {
//!     match command {
//!         "upper" => Ok(input.to_uppercase()),
//!         _ => Err(format!("no command `{command}`")),
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     vta_filetest::main(&[Suite::new("tests/filetests", "txt", upper)])
//! }
//! ```
//!
//! An `Err(message)` is an outcome like any other: it is compared as `error: message`, so
//! that error messages have goldens too. With `VTA_BLESS=1` in the environment each file's
//! expectation is rewritten to what its command gave.
//!
//! Not for: assertions about values that have no text form, and property tests.

mod case;
mod diff;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use case::Case;
use libtest_mimic::{Arguments, Failed, Trial};

/// Runs one test file: the command line (what follows `test:`) and the input text.
///
/// The input starts with an empty line in place of the command's comment, so that line
/// numbers in messages are those of the file.
pub type Run = fn(command: &str, input: &str) -> Result<String, String>;

/// The test files of one folder, subfolders included, that end in one extension.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    folder: &'static str,
    extension: &'static str,
    comment: &'static str,
    run: Run,
}

impl Suite {
    /// The files `*.extension` under `folder`, a path from the crate's root. Comments
    /// start with `;`.
    pub const fn new(folder: &'static str, extension: &'static str, run: Run) -> Self {
        Suite {
            folder,
            extension,
            comment: ";",
            run,
        }
    }

    /// The same with another comment marker, such as `//` or `#`.
    pub const fn comment(self, comment: &'static str) -> Self {
        Suite { comment, ..self }
    }

    fn trials(self, bless: bool) -> io::Result<Vec<Trial>> {
        let mut files = Vec::new();
        walk(Path::new(self.folder), self.extension, &mut files)?;
        if files.is_empty() {
            return Err(io::Error::other(format!("no `.{}` file", self.extension)));
        }
        files.sort();
        let trial = |path: PathBuf| {
            let name = path.strip_prefix(self.folder).unwrap_or(&path);
            let name = name.to_string_lossy().replace('\\', "/");
            Trial::test(name, move || self.check(&path, bless).map_err(Failed::from))
        };
        Ok(files.into_iter().map(trial).collect())
    }

    fn check(self, path: &Path, bless: bool) -> Result<(), String> {
        let at = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let text = fs::read_to_string(path).map_err(|e| at(&e))?;
        let case = Case::parse(&text, self.comment).map_err(|e| at(&e))?;
        let actual = case::outcome((self.run)(case.command, &case.input));
        if case.expected == Some(actual.as_str()) {
            return Ok(());
        }
        if bless {
            return fs::write(path, case.blessed(&actual)).map_err(|e| at(&e));
        }
        let expected = case.expected.unwrap_or_default();
        Err(format!(
            "{}: the outcome differs from what the file expects (-expected, +actual)\n{}\
             to accept it: VTA_BLESS=1 cargo test\n",
            path.display(),
            diff::lines(expected, &actual),
        ))
    }
}

fn walk(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, extension, files)?;
        } else if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    Ok(())
}

/// Runs every file of every suite as one test, with the arguments and the output of the
/// standard test harness (so `cargo test` and `cargo nextest` both know it). A suite
/// without a file is an error: a test that cannot fail is none.
pub fn main(suites: &[Suite]) -> ExitCode {
    let arguments = Arguments::from_args();
    let bless = env::var_os("VTA_BLESS").is_some_and(|value| value == "1");
    let mut trials = Vec::new();
    for suite in suites {
        match suite.trials(bless) {
            Ok(more) => trials.extend(more),
            Err(error) => {
                eprintln!("error: {}: {error}", suite.folder);
                return ExitCode::FAILURE;
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(_: &str, input: &str) -> Result<String, String> {
        Ok(input.to_uppercase())
    }

    #[test]
    fn a_wrong_file_fails_until_it_is_blessed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "; test: upper\na\n; ---\nB\n").unwrap();
        let suite = Suite::new("", "txt", upper);
        let message = suite.check(&path, false).unwrap_err();
        assert!(message.contains("- B\n+ A\n"), "{message}");
        suite.check(&path, true).unwrap();
        suite.check(&path, false).unwrap();
        let blessed = fs::read_to_string(&path).unwrap();
        assert_eq!(blessed, "; test: upper\na\n; ---\nA\n");
    }
}
