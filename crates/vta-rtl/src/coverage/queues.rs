//! What queues, windows and the memory meet, from the times of instructions and bursts.

use vta_isa::{Design, Insn, MemType, Module};
use vta_sim::{Burst, Channel, InsnTiming, MemoryModel, TokenQueue, pops, pushes, stall};

use super::{Bin, Coverage};

/// Instructions that a module has in flight at most.
fn window(module: Module) -> usize {
    match module {
        Module::Compute => 16,
        Module::Load | Module::Store => 4,
    }
}

impl Coverage {
    pub(super) fn queues(&mut self, design: &Design, insns: &[Insn], timings: &[InsnTiming]) {
        let (commands, tokens) = (
            design.config().cmd_queue_depth as usize,
            design.config().dep_queue_depth as usize,
        );
        for module in [Module::Load, Module::Compute, Module::Store] {
            let of: Vec<&InsnTiming> = timings.iter().filter(|t| t.module == module).collect();
            for (i, timing) in of.iter().enumerate() {
                let full = (i + 1).checked_sub(commands);
                let full = full.is_some_and(|oldest| of[oldest].retired > timing.queued);
                self.hit_if(full, Bin::FullCommands(module));
                let waited = i.checked_sub(window(module));
                let waited = waited.is_some_and(|oldest| timing.taken == of[oldest].retired + 1);
                self.hit_if(waited, Bin::FullWindow(module));
            }
        }
        for queue in TokenQueue::ALL {
            let times = |end: &dyn Fn(&Insn) -> bool| -> Vec<&InsnTiming> {
                let ends = insns.iter().zip(timings);
                ends.filter(|(insn, _)| end(insn))
                    .map(|(_, timing)| timing)
                    .collect()
            };
            let pushes = times(&|insn| pushes(insn.module(design), insn.deps).any(|q| q == queue));
            let pops = times(&|insn| pops(insn.module(design), insn.deps).any(|q| q == queue));
            self.hits(Bin::Token(queue), pushes.len().min(pops.len()) as u64);
            // Room for the push that finds the queue full is there from the cycle after this pop.
            let waited = |(i, push): (usize, &&InsnTiming)| {
                let pop = i.checked_sub(tokens).and_then(|older| pops.get(older));
                pop.is_some_and(|pop| pop.taken > push.taken)
            };
            let waits = pushes
                .iter()
                .enumerate()
                .filter(|&push| waited(push))
                .count();
            self.hits(Bin::FullTokens(queue), waits as u64);
        }
    }

    pub(super) fn bursts(&mut self, design: &Design, memory: &MemoryModel, bursts: &[Burst]) {
        let most = design.config().max_outstanding as usize;
        // Cycles from the first unit of a store's burst to its first whole beat, at most.
        let units = (design.bus_bytes() / design.elem_bytes(MemType::Out)).max(1) as u64;
        for channel in [Channel::Read, Channel::Write] {
            let of: Vec<&Burst> = bursts.iter().filter(|b| b.channel == channel).collect();
            for (i, burst) in of.iter().enumerate() {
                let waited = i.checked_sub(most).is_some_and(|older| match channel {
                    Channel::Read => burst.asked == of[older].last + 1,
                    Channel::Write => {
                        burst.asked + units <= of[older].last + 2 + u64::from(memory.latency)
                    }
                });
                self.hit_if(waited, Bin::FullBursts(channel));
                let stalled = memory
                    .stalls
                    .is_some_and(|seed| stall(seed, channel, i as u64) > 0);
                self.hit_if(stalled, Bin::Stall(channel));
            }
        }
    }
}
