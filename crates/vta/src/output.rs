//! What commands print: text, tables, JSON.

use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde::Serialize;
use vta::{Error, Result};

/// The argument that means standard input or output.
const STANDARD: &str = "-";

/// Writes to standard output. A reader that has gone away ends the command quietly.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes.as_ref());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Error::input(format!(
            "cannot write the standard output: {error}"
        ))),
        Ok(()) => Ok(()),
    }
}

/// Prints a value as JSON, over lines.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value).map_err(|e| Error::bug(e.to_string()))?;
    print(json + "\n")
}

/// Prints a value as JSON, on one line.
pub(crate) fn print_json_line(value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(value).map_err(|e| Error::bug(e.to_string()))?;
    print(json + "\n")
}

/// Something worth saying that is no failure.
pub(crate) fn warn(message: &str) {
    eprintln!("warning: {message}");
}

/// Rows under headers, the columns as wide as they need; numbers stand to the right. A cell without one may be empty.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headers)
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let numeric = |row: &Vec<String>| {
            let number = row[index].trim_end_matches(" %").replace(',', "");
            number.is_empty() || number.parse::<f64>().is_ok()
        };
        if index > 0 && rows.iter().all(numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// A cell of comma-separated values, in quotes where it needs them.
pub(crate) fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The bytes of a file, or of the standard input for `-`.
pub(crate) fn read_input(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new(STANDARD) {
        return vta::read(path);
    }
    let mut bytes = Vec::new();
    match io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::input(format!(
            "cannot read the standard input: {error}"
        ))),
    }
}

/// How errors name what [`read_input`] reads.
pub(crate) fn place(path: &Path) -> String {
    match path == Path::new(STANDARD) {
        true => "the standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// Writes binary data to a file, or to the standard output unless a person sits there.
pub(crate) fn write_binary(path: &Path, bytes: &[u8]) -> Result<()> {
    if path != Path::new(STANDARD) {
        return vta::write(path, bytes);
    }
    if io::stdout().is_terminal() {
        return Err(
            Error::input("the output is binary and would go to a terminal")
                .help("give -o FILE, or pipe it"),
        );
    }
    print(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_numbers_to_the_right() {
        let rows = [["a", "1,000", "x"], ["bcd", "2", "10"]];
        let rows = rows.map(|row| row.map(String::from).to_vec());
        let text = table(&["name", "n", "text"], &rows);
        assert_eq!(text, "name      n  text\na     1,000  x\nbcd       2  10\n");
    }

    #[test]
    fn groups_of_three() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
