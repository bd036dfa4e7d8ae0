//! Random programs that are correct by construction.
//!
//! A program is written in an order in which it could run, one piece after the other, while the
//! checker's books are kept ([`writer`]): where the next instruction touches what another module's may
//! still be using, tokens that order them are pushed and popped, through compute where load and store
//! meet in DRAM. Since the program could run as it is written, it deadlocks in no order.
//!
//! What the instructions do is drawn ([`draw`]) so that every corner of the instruction set comes up
//! within some hundred programs: sizes of zero, the last element of each memory, rows across pages,
//! the same accumulator in consecutive steps, bits without meaning set. What takes hundreds of
//! instructions, as full queues do, is a [`scene`] of its own.

mod draw;
mod scene;
mod writer;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::Design;

use crate::dram::Dram;
use writer::Writer;

/// A stream and the image that it runs on.
#[derive(Clone, Debug)]
pub struct Program {
    /// The image before the run.
    pub dram: Dram,
    /// The raw stream.
    pub insns: Vec<u8>,
}

/// A program of at least `insns` instructions that touch memory, and those that order them. The same arguments
/// give the same program.
pub fn generate(design: &Design, seed: u64, insns: usize) -> Program {
    let mut writer = begin(design, seed);
    for _ in 0..insns {
        writer.step();
    }
    writer.finish()
}

/// Such a program with a place where a command queue or a token queue fills, or where a loop runs its
/// longest: some thousand cycles and, with queues of some hundred, as many instructions more.
pub fn generate_crowded(design: &Design, seed: u64, insns: usize) -> Program {
    let mut writer = begin(design, seed);
    let before = writer.rng.random_range(0..=insns);
    for _ in 0..before {
        writer.step();
    }
    writer.scene();
    for _ in before..insns {
        writer.step();
    }
    writer.finish()
}

fn begin(design: &Design, seed: u64) -> Writer<'_> {
    let mut writer = Writer::new(design, ChaCha8Rng::seed_from_u64(seed));
    if writer.rng.random() {
        writer.preload();
    }
    writer
}
