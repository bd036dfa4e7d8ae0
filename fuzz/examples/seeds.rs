//! Writes inputs to begin with for the target `stream`: correct programs, one in a file.
//!
//!     cargo run --example seeds -- corpus/stream

#[path = "../../crates/vta-sim/tests/common/mod.rs"]
mod common;

use std::path::PathBuf;
use std::{env, fs, io};

use common::case::{Case, Machines};
use vta_sim::{generate, generate_crowded};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "corpus/stream".into()));
    fs::create_dir_all(&folder)?;
    for (which, design) in Machines::new().designs().iter().enumerate() {
        let programs = (0..).map(|seed| match seed % 4 {
            0 => generate_crowded(design, seed, 4),
            size => generate(design, seed, 2 << size),
        });
        let inputs = programs
            .take(16)
            .filter_map(|program| Case::bytes(which as u8, &program));
        for (at, bytes) in inputs.enumerate() {
            fs::write(folder.join(format!("program-{which}-{at}")), bytes)?;
        }
        // A program to write over, with nothing written yet.
        fs::write(
            folder.join(format!("edits-{which}")),
            [which as u8, 1, 0, 3, 0, 8, 0],
        )?;
    }
    Ok(())
}
