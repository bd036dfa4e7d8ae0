//! Arbitrary bytes as a stream: a result or a fault, never a panic and never a hang.

mod common;

use common::designs;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_sim::{CheckOptions, Dram, FuncSim, Order, RunOptions, check, generate};

#[test]
fn arbitrary_streams_end() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut simulators: Vec<_> = designs()
        .into_iter()
        .map(|(_, design)| FuncSim::new(&design))
        .collect();
    let mut finished = 0;
    for round in 0..10_000_u64 {
        let sim = &mut simulators[round as usize % 9];
        let design = sim.design().clone();
        // Half are bytes without sense, half are good programs with bits flipped.
        let (mut dram, mut stream) = if round % 2 == 0 {
            let mut stream = vec![0; rng.random_range(0..40)];
            rng.fill(&mut stream[..]);
            let mut dram = vec![0; 0x2000];
            rng.fill(&mut dram[..]);
            (Dram::new(rng.random_range(0..4) * 0x800, dram), stream)
        } else {
            let program = generate(&design, round, 6);
            (program.dram, program.insns)
        };
        let flips = rng.random_range(0..4);
        for _ in 0..flips {
            if !stream.is_empty() {
                let bit = rng.random_range(0..stream.len() * 8);
                stream[bit / 8] ^= 1 << (bit % 8);
            }
        }
        let options = RunOptions {
            order: Order::Seeded(round),
            step_limit: 10_000,
            ..RunOptions::default()
        };
        let checked = check(&design, &dram, &stream, &CheckOptions::default());
        let run = sim.run(&mut dram, &stream, &options);
        finished += usize::from(run.is_ok());
        if let (Ok(_), Err(fault)) = (checked, run) {
            // What the checker passes runs, but for the limits of the run.
            assert!(fault.cause.kind() == vta_sim::Kind::Limit, "{fault}");
        }
    }
    assert!(finished > 100);
}
