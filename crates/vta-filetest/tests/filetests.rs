//! The harness on a command small enough to read: sums of numbers, one a line.

use std::process::ExitCode;

use vta_filetest::Suite;

fn sum(command: &str, input: &str) -> Result<String, String> {
    if command != "sum" {
        return Err(format!("no command `{command}`"));
    }
    let mut total = 0i64;
    for (index, line) in input.lines().enumerate() {
        if !line.is_empty() {
            let value: i64 = line
                .parse()
                .map_err(|e| format!("line {}: `{line}`: {e}", index + 1))?;
            total += value;
        }
    }
    Ok(total.to_string())
}

fn main() -> ExitCode {
    vta_filetest::main(&[
        Suite::new("tests/filetests", "sum", sum),
        Suite::new("tests/filetests", "hash", sum).comment("#"),
    ])
}
