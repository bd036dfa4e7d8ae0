//! A program, where it lies and the memory that it runs on.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::{Design, INSN_BYTES};
use vta_sim::{Dram, MemoryModel, Program, generate, generate_crowded};

use super::Placement;

/// What is drawn for a trial if it is left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrialOptions {
    /// Instructions that touch memory, at least.
    pub insns: Option<usize>,
    /// Latency of the memory, cycles.
    pub latency: Option<u32>,
    /// Seed of the stalls, or none of them.
    pub stalls: Option<Option<u64>>,
}

/// What all simulators are given.
#[derive(Clone, Debug)]
pub struct Trial {
    /// DRAM before the run, the stream included.
    pub image: Dram,
    /// Physical address of the stream.
    pub address: u64,
    /// Instructions in it.
    pub count: u64,
    /// The memory.
    pub memory: MemoryModel,
    /// Where the hardware has the image.
    pub placement: Placement,
    /// Seed of what the hardware runs before, if it does.
    pub before: Option<u64>,
}

impl Trial {
    /// The trial of a seed. The same arguments give the same trial.
    pub fn draw(design: &Design, seed: u64, options: &TrialOptions) -> Trial {
        // What is given is drawn all the same, so that it changes nothing else.
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        let insns = rng.random_range(1..=60);
        let insns = options.insns.unwrap_or(insns);
        let latency = [0, 0, 1, 4, 16, 16, 40, 100][rng.random_range(0..8)];
        let stalls = rng.random_bool(0.5).then_some(seed);
        let program = match rng.random_range(0..4) {
            0 => generate_crowded(design, seed, insns),
            _ => generate(design, seed, insns),
        };
        let memory = MemoryModel {
            latency: options.latency.unwrap_or(latency),
            stalls: options.stalls.unwrap_or(stalls),
        };
        let mut trial = Trial::new(program, rng.random_range(0..32), memory);
        trial.placement = Placement::draw(design, &mut rng, &trial.image);
        trial.before = Some(seed);
        trial
    }

    /// A program whose stream comes so many instructions' room after the rest of its image.
    pub fn new(program: Program, gap: usize, memory: MemoryModel) -> Trial {
        let Program { dram, insns } = program;
        let Dram { base, mut bytes } = dram;
        bytes.resize(
            bytes.len().next_multiple_of(INSN_BYTES) + gap * INSN_BYTES,
            0,
        );
        let address = base + bytes.len() as u64;
        bytes.extend(&insns);
        Trial {
            image: Dram::new(base, bytes),
            address,
            count: (insns.len() / INSN_BYTES) as u64,
            memory,
            placement: Placement::default(),
            before: None,
        }
    }

    /// The same with another stream, no longer than this one.
    pub(crate) fn with_insns(&self, insns: &[u8]) -> Trial {
        let mut trial = self.clone();
        let start = (self.address - self.image.base) as usize;
        trial.image.bytes.truncate(start);
        trial.image.bytes.extend(insns);
        trial.count = (insns.len() / INSN_BYTES) as u64;
        trial
    }
}
