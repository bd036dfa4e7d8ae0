//! The walk-through of schedules: what its page says is what the command prints.
//!
//! Blocks of ```` ```console ```` are commands, run from the root of the repository, with what they print; `VTA_BLESS=1` writes it
//! there. Blocks of ```` ```tir ```` are lines of the files that the page is about. A number of the text with its thousands
//! apart is one that some command printed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const FENCE: &str = "```";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command of the page prints.
fn printed(command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("vta"), "{command}");
    let output = Command::new(env!("CARGO_BIN_EXE_vta"))
        .args(words)
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The page with its commands run, its text without blocks, and the lines of each block of a file.
fn run(page: &str) -> (String, String, Vec<Vec<String>>) {
    let (mut whole, mut text, mut excerpts) = (String::new(), String::new(), Vec::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        whole += &format!("{line}\n");
        let Some(language) = line.strip_prefix(FENCE) else {
            text += &format!("{line}\n");
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != FENCE).collect();
        match language {
            "console" => {
                let command = block[0].strip_prefix("$ ").expect("a command");
                whole += &format!("$ {command}\n{}", printed(command));
            }
            _ => {
                let block: Vec<String> = block.iter().map(|line| line.to_string()).collect();
                whole.extend(block.iter().map(|line| format!("{line}\n")));
                excerpts.push(block);
            }
        }
        whole += &format!("{FENCE}\n");
    }
    (whole, text, excerpts)
}

#[test]
fn the_page_says_what_the_command_prints() {
    let path = root().join("docs/schedules.md");
    let page = fs::read_to_string(&path).unwrap();
    let (whole, text, excerpts) = run(&page);
    if env::var_os("VTA_BLESS").is_some() {
        fs::write(&path, &whole).unwrap();
    } else {
        assert!(page == whole, "VTA_BLESS=1 accepts:\n{whole}");
    }
    let mut files = Vec::new();
    for file in fs::read_dir(root().join("docs/schedules")).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            whole.contains(&format!("$ vta schedule docs/schedules/{name}")),
            "{name}"
        );
        files.push(fs::read_to_string(file).unwrap());
    }
    for excerpt in excerpts {
        let excerpt = excerpt.join("\n");
        assert!(
            files.iter().any(|file| file.contains(&excerpt)),
            "{excerpt}"
        );
    }
    let is_number = |c: char| c.is_ascii_digit() || c == ',';
    for word in text.split(|c| !is_number(c)).map(|w| w.trim_matches(',')) {
        assert!(
            !word.contains(',') || whole.matches(word).count() > 1,
            "{word}"
        );
    }
}
