//! The cycle simulator as a device.

use vta_isa::Design;
use vta_sim::{Counters, CycleOptions, CycleSim, MemoryModel};

use crate::device::forward_memory;
use crate::{Device, DeviceError, DeviceMemory, RunLimits, StreamRun};

/// A simulated accelerator with memory of its own, which tells how long everything takes.
#[derive(Clone, Debug)]
pub struct CycleDevice {
    sim: CycleSim,
    memory: DeviceMemory,
    model: MemoryModel,
    trace: bool,
    counters: Counters,
}

impl CycleDevice {
    /// A device whose memory answers like `model`.
    pub fn new(design: &Design, model: MemoryModel) -> Self {
        CycleDevice {
            sim: CycleSim::new(design),
            memory: DeviceMemory::default(),
            model,
            trace: false,
            counters: Counters::default(),
        }
    }

    /// Whether runs report the cycles of every instruction.
    pub fn set_trace(&mut self, trace: bool) {
        self.trace = trace;
    }
}

impl Device for CycleDevice {
    fn design(&self) -> &Design {
        self.sim.design()
    }

    forward_memory!(memory);

    fn run(
        &mut self,
        address: u64,
        count: u64,
        limits: &RunLimits,
    ) -> Result<StreamRun, DeviceError> {
        let options = CycleOptions {
            memory: self.model,
            trace: self.trace,
            run: limits.options(),
        };
        let dram = self.memory.dram_mut();
        let report = self.sim.run_at(dram, address, count, &options)?;
        self.counters += report.counters;
        Ok(StreamRun {
            counters: report.counters,
            cycles: Some(report.cycles),
            report: Some(report),
        })
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
