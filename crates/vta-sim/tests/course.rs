//! A stream that ran before runs as if it never had: its order is kept, what it finds in memory is not.

mod common;

use common::designs;
use proptest::prelude::*;
use vta_sim::{FuncSim, Order, RunOptions, generate};

proptest! {
    /// Bytes change between the runs, those of micro-ops among them: results are the same, and so are faults with the
    /// queues around them. What earlier tokens and turns left to be kept does not hold for others.
    #[test]
    fn a_stream_runs_again(
        (_, design) in prop::sample::select(designs()),
        seed in any::<u64>(),
        turns in prop::collection::vec(prop::option::of(0..3_u64), 2..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
    ) {
        let program = generate(&design, seed, 30);
        let mut sim = FuncSim::new(&design);
        let mut dram = program.dram.clone();
        for turn in turns {
            let options = RunOptions {
                order: turn.map_or(Order::RoundRobin, Order::Seeded),
                step_limit: 1 << 20,
                ..RunOptions::default()
            };
            let mut fresh_dram = dram.clone();
            let mut fresh = FuncSim::new(&design);
            let once = fresh.run(&mut fresh_dram, &program.insns, &options);
            prop_assert_eq!(sim.run(&mut dram, &program.insns, &options), once);
            prop_assert_eq!(&dram, &fresh_dram);
            dram.bytes.clone_from(&program.dram.bytes);
            for (at, byte) in &changes {
                let at = at.index(dram.bytes.len());
                dram.bytes[at] = *byte;
            }
        }
    }
}
