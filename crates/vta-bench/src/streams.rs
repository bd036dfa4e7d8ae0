//! A network's streams on the bare simulators: what time, proof and numbers cost beside the results.

use std::time::Duration;

use anyhow::{Result, anyhow};
use vta_isa::Design;
use vta_program::Program;
use vta_sim::{CheckOptions, CycleOptions, CycleSim, Dram, FuncSim, RunOptions};

/// The fastest of some rounds, all streams in each, by simulators that have seen them before.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// On the functional simulator.
    pub functional: Duration,
    /// On the cycle simulator, with data.
    pub in_cycles: Duration,
    /// The search for races alone.
    pub checked: Duration,
    /// The counters alone.
    pub counted: Duration,
}

impl Streams {
    /// Measures the streams of a program that was compiled for `design`, `repeat` rounds. Its activations are zeros
    /// at first, which no time depends on.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn measure(program: &Program, design: &Design, repeat: u32) -> Result<Streams> {
        // A stream addresses the arena as if it began at 0.
        let mut dram = Dram::new(0, program.arena());
        let (mut sim, mut clock) = (FuncSim::new(design), CycleSim::new(design));
        let (run, timing) = (RunOptions::default(), CycleOptions::default());
        let checks = CheckOptions::default();
        let mut shortest = [Duration::MAX; 4];
        // One after the other in each round, so that whatever else the machine does meets all of them.
        for _ in 0..=repeat {
            let mut times = [Duration::ZERO; 4];
            for insns in &program.streams {
                let (result, functional) = crate::best(1, || sim.run(&mut dram, insns, &run));
                let counters = result?.counters;
                let (result, in_cycles) =
                    crate::best(1, || clock.run(&mut dram, 0, insns, &timing));
                result?;
                let (result, checked) = crate::best(1, || sim.check(&dram, insns, &checks));
                result.map_err(|faults| anyhow!("{}", faults[0]))?;
                let (counted, counting) = crate::best(1, || sim.counters(insns));
                anyhow::ensure!(counted == counters, "what is counted is not what ran");
                for (sum, time) in times
                    .iter_mut()
                    .zip([functional, in_cycles, checked, counting])
                {
                    *sum += time;
                }
            }
            for (shortest, time) in shortest.iter_mut().zip(times) {
                *shortest = time.min(*shortest);
            }
        }
        let [functional, in_cycles, checked, counted] = shortest;
        Ok(Streams {
            functional,
            in_cycles,
            checked,
            counted,
        })
    }
}
