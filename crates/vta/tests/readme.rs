//! The samples of the README are what its commands print: an indented line is typed, or some command prints it.
//! `VTA_BLESS=1` writes them anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use vta_rtl::RtlModel;

/// The commands that the samples are of; `$D` is the folder of the digits.
const COMMANDS: [&str; 7] = [
    "run",
    "run --device cycle",
    "run --device fsim,cycle,rtl",
    "profile --latency 0",
    "eval $D/digits.onnx --data $D/test --calib $D/calib --scale 1/255 --json",
    "compile $D/digits.onnx -o digits.vta --calib $D/calib --scale 1/255",
    "check digits.vta",
];

/// What lines begin with that are typed.
const TYPED: [&str; 7] = [
    "cargo ",
    "vta ",
    "hardware/",
    "D=",
    "import ",
    "digits = ",
    "print(",
];

const INDENT: &str = "    ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn samples_are_what_the_commands_print() {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return;
    }
    let printed: Vec<String> = COMMANDS.iter().flat_map(|args| lines_of(args)).collect();
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let fresh = refreshed(&readme, &printed);
    if std::env::var_os("VTA_BLESS").is_some() {
        std::fs::write(&path, fresh).unwrap();
        return;
    }
    let differs = |(old, new): &(&str, &str)| old != new;
    let first = readme.lines().zip(fresh.lines()).find(differs);
    let help = "README.md; VTA_BLESS=1 mends it";
    assert!(readme == fresh, "{help}: {first:#?}");
}

#[test]
#[should_panic(expected = "no command prints `4 cycles of rest`")]
fn a_line_that_no_command_prints_fails() {
    refreshed("    4 cycles of rest\n", &["4 cycles of work".to_owned()]);
}

fn lines_of(args: &str) -> Vec<String> {
    let digits = root().join("models/digits");
    let words = args.split(' ').map(|word| match word.strip_prefix("$D/") {
        Some(file) => digits.join(file),
        None => word.into(),
    });
    let mut vta = Command::new(env!("CARGO_BIN_EXE_vta"));
    vta.args(words).current_dir(env!("CARGO_TARGET_TMPDIR"));
    let out = vta.output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "vta {args}: {error}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(String::from).collect()
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    let cells = line.split("  ").map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}

/// A line without its numbers.
fn shape(line: &str) -> String {
    let is_text = |c: &char| !c.is_ascii_digit() && !".,".contains(*c);
    let text: String = line.chars().filter(is_text).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `readme` with each sample's tables and totals as `printed` has them.
fn refreshed(readme: &str, printed: &[String]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut lines = readme.lines().peekable();
    let mut last = 0;
    while let Some(line) = lines.next() {
        let Some(sample) = line.strip_prefix(INDENT) else {
            out.push(line.to_owned());
            continue;
        };
        if let Some(table) = table_of(sample, printed) {
            last = table;
            let mut keys = Vec::new();
            while let Some(row) = lines.next_if(|next| is_row(next, printed)) {
                keys.push(cells(row)[0]);
            }
            let rows = picked(cells(sample), &keys, &printed[table..]);
            out.extend(rows.into_iter().map(|row| format!("{INDENT}{row}")));
            continue;
        }
        let is_typed = TYPED.iter().any(|begin| sample.starts_with(begin));
        if is_typed || sample == "..." {
            out.push(line.to_owned());
            continue;
        }
        let words = shape(sample).split(' ').count();
        // Totals stand behind the table that they are of.
        let near = printed[last..].iter().chain(&printed[..last]);
        let total = { near }.find(|p| match cells(sample)[..] {
            [key, _] => matches!(cells(p)[..], [k, _] if k == key),
            _ => words > 2 && shape(p) == shape(sample),
        });
        let total = total.cloned().or_else(|| shortened(sample, printed));
        let total = total.unwrap_or_else(|| panic!("README.md: no command prints `{sample}`"));
        out.push(format!("{INDENT}{total}"));
    }
    out.join("\n") + "\n"
}

/// A printed line of JSON without the fields in whose place the sample has dots.
fn shortened(sample: &str, printed: &[String]) -> Option<String> {
    let key = |field: &str| field.split(':').next().map(str::to_owned);
    let of = |line: &String| {
        let mut all = line.split(',');
        let field = |field: &str| match field.starts_with("...") {
            true => Some(field.to_owned()),
            false => all.find(|f| key(f) == key(field)).map(str::to_owned),
        };
        let fields: Option<Vec<String>> = sample.split(',').map(field).collect();
        Some(fields?.join(","))
    };
    printed
        .iter()
        .filter(|line| line.starts_with('{'))
        .find_map(of)
}

/// Where the printed table begins that has the columns `header` and perhaps others.
fn table_of(header: &str, printed: &[String]) -> Option<usize> {
    let some = cells(header);
    (0..printed.len()).find(|&i| {
        let all = cells(&printed[i]);
        let begins = i == 0 || cells(&printed[i - 1]).len() < 2;
        begins
            && some.len() > 2
            && some.first() == all.first()
            && some.iter().all(|cell| all.contains(cell))
    })
}

fn is_row(line: &str, printed: &[String]) -> bool {
    line.strip_prefix(INDENT).is_some_and(|row| {
        row == "..." || (cells(row).len() > 2 && table_of(row, printed).is_none())
    })
}

/// The columns `header` of the rows `keys` of the table that `printed` begins with, aligned.
fn picked(header: Vec<&str>, keys: &[&str], printed: &[String]) -> Vec<String> {
    let all = cells(&printed[0]);
    let row = |key: &&str| {
        if *key == "..." {
            return vec!["..."];
        }
        let found = printed[1..].iter().map(|line| cells(line));
        let found = found
            .take_while(|row| !row.is_empty())
            .find(|row| row[0] == *key);
        let found = found.unwrap_or_else(|| panic!("no row `{key}` is printed"));
        // Empty cells are at the end, where no sample looks.
        header
            .iter()
            .map(|h| found[all.iter().position(|a| a == h).unwrap()])
            .collect()
    };
    let mut rows = vec![header.clone()];
    rows.extend(keys.iter().map(row));
    let is_number = |cell: &str| cell.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
    let columns: Vec<(usize, bool)> = (0..header.len())
        .map(|i| {
            let column = || rows.iter().filter_map(|row| row.get(i));
            let width = column().map(|cell| cell.len()).max().unwrap_or(0);
            (width, i > 0 && column().skip(1).all(|cell| is_number(cell)))
        })
        .collect();
    let line = |row: &Vec<&str>| {
        let cells = row
            .iter()
            .zip(&columns)
            .map(|(cell, &(width, right))| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
