//! The functional simulator as a device.

use vta_isa::{Design, PAGE_BYTES};
use vta_program::DramAllocator;
use vta_sim::{Counters, Dram, FuncSim, Leftover, Order, RunOptions};

use crate::{Device, DeviceError, RunLimits};

/// Size of a [`SimDevice`]'s memory unless it is told another.
pub const DEFAULT_MEMORY: u64 = 1 << 30;

/// A simulated accelerator with memory of its own.
///
/// Host memory is taken as allocations reach for it, not up front.
#[derive(Clone, Debug)]
pub struct SimDevice {
    sim: FuncSim,
    dram: Dram,
    allocator: DramAllocator,
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
            dram: Dram::new(PAGE_BYTES as u64, Vec::new()),
            allocator: DramAllocator::new(0, bytes),
            order: Order::default(),
            counters: Counters::default(),
        }
    }

    /// In which order the modules take turns where the tokens leave a choice.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    /// The bytes of a range inside one allocation.
    fn range(&mut self, address: u64, len: usize) -> Result<&mut [u8], DeviceError> {
        let outside = DeviceError::Access {
            address,
            len: len as u64,
        };
        let inside = self.allocator.containing(address);
        let inside = inside.is_some_and(|(start, held)| len as u64 <= held - (address - start));
        let range = self.dram.get_mut(address, len).filter(|_| inside);
        range.ok_or(outside)
    }
}

impl Device for SimDevice {
    fn design(&self) -> &Design {
        self.sim.design()
    }

    fn alloc(&mut self, bytes: u64) -> Result<u64, DeviceError> {
        let address = self.allocator.alloc(bytes)?;
        let end = address + self.allocator.len_of(address).unwrap_or(bytes) - self.dram.base;
        let grown = usize::try_from(end).ok().filter(|&end| {
            let more = end.saturating_sub(self.dram.bytes.len());
            self.dram.bytes.try_reserve(more).is_ok()
        });
        let Some(end) = grown else {
            self.allocator.free(address)?;
            let largest = self.dram.bytes.len() as u64;
            return Err(vta_program::AllocError::Exhausted {
                wanted: bytes,
                largest,
            }
            .into());
        };
        let old = self.dram.bytes.len();
        let reused = (address - self.dram.base) as usize..end.min(old);
        if !reused.is_empty() {
            self.dram.bytes[reused].fill(0);
        }
        self.dram.bytes.resize(old.max(end), 0);
        Ok(address)
    }

    fn free(&mut self, address: u64) -> Result<(), DeviceError> {
        Ok(self.allocator.free(address)?)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.range(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        bytes.copy_from_slice(self.range(address, bytes.len())?);
        Ok(())
    }

    fn run(
        &mut self,
        address: u64,
        count: u64,
        limits: &RunLimits,
    ) -> Result<Counters, DeviceError> {
        let options = RunOptions {
            order: self.order,
            insn_limit: limits.insns,
            step_limit: limits.steps,
            keep_state: limits.keep_state,
            leftover: if limits.keep_state {
                Leftover::Warn
            } else {
                Leftover::Fault
            },
            ..RunOptions::default()
        };
        let report = self.sim.run_at(&mut self.dram, address, count, &options)?;
        self.counters += report.counters;
        Ok(report.counters)
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
