//! The functional simulator as a device.

use vta_isa::Design;
use vta_sim::{Counters, FuncSim, Order, RunOptions};

use crate::device::forward_memory;
use crate::{DEFAULT_MEMORY, Device, DeviceError, DeviceMemory, RunLimits, StreamRun};

/// A simulated accelerator with memory of its own, which knows no time.
#[derive(Clone, Debug)]
pub struct SimDevice {
    sim: FuncSim,
    memory: DeviceMemory,
    order: Order,
    counters: Counters,
}

impl SimDevice {
    /// A device with [`DEFAULT_MEMORY`].
    pub fn new(design: &Design) -> Self {
        Self::with_memory(design, DEFAULT_MEMORY)
    }

    /// A device with `bytes` of memory, in whole pages; the first page is never given out.
    pub fn with_memory(design: &Design, bytes: u64) -> Self {
        SimDevice {
            sim: FuncSim::new(design),
            memory: DeviceMemory::new(bytes),
            order: Order::default(),
            counters: Counters::default(),
        }
    }

    /// In which order the modules take turns where the tokens leave a choice.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
    }
}

impl Device for SimDevice {
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
        let options = RunOptions {
            order: self.order,
            ..limits.options()
        };
        let dram = self.memory.dram_mut();
        let report = self.sim.run_at(dram, address, count, &options)?;
        self.counters += report.counters;
        Ok(StreamRun {
            counters: report.counters,
            ..StreamRun::default()
        })
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
