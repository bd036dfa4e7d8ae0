//! Damaged files are refused or imported; they never panic, hang or ask for much memory.
//!
//! What is damaged are the files of the golden tests, which are nearly all structure, and the
//! models of the data folder where it is there (see `models`).

mod onnx_text;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};
use vta_onnx::import;

/// Files with extension `ext`, sorted.
fn files(dir: &Path, ext: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|f| f.expect("a file").path())
        .filter(|p| p.extension().is_some_and(|e| e == ext))
        .collect();
    paths.sort();
    paths
}

/// Damages `bytes` in one of a few ways.
fn damage(bytes: &mut Vec<u8>, rng: &mut TestRng) {
    let mut below = |n: usize| (rng.next_u64() % n.max(1) as u64) as usize;
    if below(8) == 0 {
        bytes.truncate(below(bytes.len()));
        return;
    }
    for _ in 0..=below(4) {
        // Nodes come first in most files, long stretches of weights later.
        let reach = if below(2) == 0 {
            bytes.len()
        } else {
            bytes.len().min(1 << 14)
        };
        let at = below(reach);
        match below(4) {
            0 => bytes[at] = [0, 1, 127, 128, 255][below(5)],
            1 => {
                bytes.remove(at);
            }
            2 => {
                let end = bytes.len().min(at + below(16));
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes[at] ^= 1 << below(8),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// Imports `rounds` damaged copies; gives how many were refused.
fn survive(name: &str, bytes: &[u8], rounds: usize) -> usize {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut refused = 0;
    for round in 0..rounds {
        let mut copy = bytes.to_vec();
        damage(&mut copy, &mut rng);
        let start = Instant::now();
        match import(&copy) {
            Ok(imported) => imported.graph.verify().expect("what is imported is sound"),
            Err(e) => {
                refused += 1;
                assert!(!e.to_string().is_empty());
            }
        }
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{name}, round {round}: {took:?}"
        );
    }
    refused
}

#[test]
fn structure() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let mut refused = 0;
    for path in files(&dir, "txt") {
        let text = fs::read_to_string(&path).expect("a text");
        let text = text.split("; ---").next().expect("a first part");
        let bytes = onnx_text::encode(text).expect("a model");
        refused += survive(&path.display().to_string(), &bytes, 1000);
    }
    println!("{refused} refused");
    assert!(refused > 0);
}

#[test]
fn models() {
    let dir = std::env::var_os("VTA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let paths = files(&dir.join("models"), "onnx");
    if paths.is_empty() {
        println!("skipped: no {}", dir.display());
    }
    for path in paths {
        let bytes = fs::read(&path).expect("a model");
        // Copying megabytes of weights tests nothing more.
        let rounds = if bytes.len() < 500_000 { 1000 } else { 50 };
        survive(&path.display().to_string(), &bytes, rounds);
    }
}
