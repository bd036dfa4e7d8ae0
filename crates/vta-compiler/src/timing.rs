//! How long commands take, by the cycle simulator: what schedules are ranked by.

use std::ops::Range;

use vta_isa::{Design, Module};
use vta_program::CommandStream;
use vta_sim::{CycleOptions, CycleSim, InsnTiming, MemoryModel};

use crate::lower::{self, LowerError};
use crate::tokens::Ordered;

/// Latency of the memory in cycles: between that of a memory beside the accelerator and that of a busy board.
pub(crate) const LATENCY: u32 = 32;

/// Steps as instructions, and their cycles.
pub(crate) struct Timed {
    /// The instructions of each step.
    pub(crate) spans: Vec<Range<usize>>,
    /// Every instruction.
    pub(crate) insns: Vec<InsnTiming>,
}

impl Timed {
    /// Times a stream of `steps` whose micro-ops lie behind the first `end` bytes.
    ///
    /// # Errors
    /// Bugs of the compiler.
    pub(crate) fn new(steps: &[Ordered], end: u64, design: &Design) -> Result<Self, LowerError> {
        let mut stream = CommandStream::new(design);
        lower::announce(steps.iter().filter_map(|s| s.command.as_ref()), &mut stream)?;
        let mut spans = Vec::with_capacity(steps.len());
        for step in steps {
            let first = stream.insns().len();
            lower::append([step], &mut stream)?;
            spans.push(first..stream.insns().len());
        }
        let bytes = stream.finish()?.encode(design, end)?;
        let options = CycleOptions {
            memory: MemoryModel {
                latency: LATENCY,
                stalls: None,
            },
            trace: true,
            ..CycleOptions::default()
        };
        let report = CycleSim::new(design).time(0, &bytes, &options);
        let report = report.map_err(|fault| LowerError::Time(fault.to_string()))?;
        let insns = report.timings;
        Ok(Timed { spans, insns })
    }

    /// The cycle in which the last computation of these steps retires.
    pub(crate) fn computed(&self, steps: Range<usize>) -> u64 {
        let insns = self.spans[steps].iter().cloned().flatten();
        let compute = insns
            .map(|i| &self.insns[i])
            .filter(|t| t.module == Module::Compute);
        compute.map(|t| t.retired).max().unwrap_or(0)
    }
}
