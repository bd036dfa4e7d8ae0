//! The memory of devices that live on the host.

use vta_isa::PAGE_BYTES;
use vta_program::{AllocError, DramAllocator};
use vta_sim::Dram;

use crate::DeviceError;

/// Size of a simulated device's memory unless it is told another.
pub const DEFAULT_MEMORY: u64 = 1 << 30;

/// An image of DRAM with its allocations.
///
/// Host memory is taken as allocations reach for it, not up front.
#[derive(Clone, Debug)]
pub struct DeviceMemory {
    dram: Dram,
    allocator: DramAllocator,
}

impl Default for DeviceMemory {
    /// [`DEFAULT_MEMORY`].
    fn default() -> Self {
        Self::new(DEFAULT_MEMORY)
    }
}

impl DeviceMemory {
    /// `bytes` of memory, in whole pages; the first page is never given out.
    pub fn new(bytes: u64) -> Self {
        DeviceMemory {
            dram: Dram::new(PAGE_BYTES as u64, Vec::new()),
            allocator: DramAllocator::new(0, bytes),
        }
    }

    /// The image, up to the last byte that was ever allocated.
    pub fn dram_mut(&mut self) -> &mut Dram {
        &mut self.dram
    }

    /// As [`Device::alloc`](crate::Device::alloc).
    pub fn alloc(&mut self, bytes: u64) -> Result<u64, DeviceError> {
        let address = self.allocator.alloc(bytes)?;
        let end = address + self.allocator.len_of(address).unwrap_or(bytes) - self.dram.base;
        let grown = usize::try_from(end).ok().filter(|&end| {
            let more = end.saturating_sub(self.dram.bytes.len());
            self.dram.bytes.try_reserve(more).is_ok()
        });
        let Some(end) = grown else {
            self.allocator.free(address)?;
            let largest = self.dram.bytes.len() as u64;
            return Err(AllocError::Exhausted {
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

    /// As [`Device::free`](crate::Device::free).
    pub fn free(&mut self, address: u64) -> Result<(), DeviceError> {
        Ok(self.allocator.free(address)?)
    }

    /// As [`Device::write`](crate::Device::write).
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.range(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// As [`Device::read`](crate::Device::read).
    pub fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        bytes.copy_from_slice(self.range(address, bytes.len())?);
        Ok(())
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
