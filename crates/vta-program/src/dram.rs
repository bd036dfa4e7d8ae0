//! DRAM allocation: which addresses of a device's memory belong to whom.
//!
//! Only addresses are managed here; the bytes belong to the device.

use std::collections::BTreeMap;

use vta_isa::PAGE_BYTES;

const PAGE: u64 = PAGE_BYTES as u64;

/// Why an allocator refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocError {
    /// No free range is long enough.
    #[error(
        "device memory is exhausted: {wanted} bytes asked for, largest free range is {largest} bytes; \
         free buffers or raise the memory limit"
    )]
    Exhausted {
        /// Bytes asked for, rounded up to pages.
        wanted: u64,
        /// Longest free range.
        largest: u64,
    },
    /// Nothing to allocate.
    #[error("an allocation of 0 bytes has no address; ask for at least one byte")]
    Empty,
    /// `free` of an address that no allocation starts at.
    #[error("no allocation starts at {address:#x}: it was freed before, or never given out")]
    NotAllocated {
        /// The address.
        address: u64,
    },
}

/// First-fit allocator of whole 4 KiB pages in `[base, base + bytes)`.
///
/// Every allocation starts on its own page, so that a byte address is a whole number of
/// elements of any memory and no two allocations share a page. Address 0 is never given out.
#[derive(Clone, Debug)]
pub struct DramAllocator {
    free: BTreeMap<u64, u64>,
    used: BTreeMap<u64, u64>,
}

impl DramAllocator {
    /// An allocator over the whole pages inside `[base, base + bytes)`, without the page at 0.
    pub fn new(base: u64, bytes: u64) -> Self {
        let end = base.saturating_add(bytes) / PAGE * PAGE;
        let start = base.max(1).checked_next_multiple_of(PAGE).unwrap_or(end);
        let mut free = BTreeMap::new();
        if start < end {
            free.insert(start, end - start);
        }
        DramAllocator {
            free,
            used: BTreeMap::new(),
        }
    }

    /// Address of at least `bytes` bytes, at the lowest address where they fit.
    pub fn alloc(&mut self, bytes: u64) -> Result<u64, AllocError> {
        if bytes == 0 {
            return Err(AllocError::Empty);
        }
        let wanted = bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let Some((&address, &len)) = self.free.iter().find(|&(_, &len)| len >= wanted) else {
            let largest = self.free.values().copied().max().unwrap_or(0);
            return Err(AllocError::Exhausted { wanted, largest });
        };
        self.free.remove(&address);
        if len > wanted {
            self.free.insert(address + wanted, len - wanted);
        }
        self.used.insert(address, wanted);
        Ok(address)
    }

    /// Gives back the allocation that starts at `address`; free neighbours become one range.
    pub fn free(&mut self, address: u64) -> Result<(), AllocError> {
        let Some(mut len) = self.used.remove(&address) else {
            return Err(AllocError::NotAllocated { address });
        };
        let mut start = address;
        if let Some(next) = self.free.remove(&(start + len)) {
            len += next;
        }
        if let Some((&before, &before_len)) = self.free.range(..start).next_back() {
            if before + before_len == start {
                start = before;
                len += before_len;
            }
        }
        self.free.insert(start, len);
        Ok(())
    }

    /// Bytes of the allocation that starts at `address`, whole pages.
    pub fn len_of(&self, address: u64) -> Option<u64> {
        self.used.get(&address).copied()
    }

    /// The allocation that holds `address`: its start and its length.
    pub fn containing(&self, address: u64) -> Option<(u64, u64)> {
        let (&start, &len) = self.used.range(..=address).next_back()?;
        (address - start < len).then_some((start, len))
    }

    /// Bytes given out, whole pages.
    pub fn used_bytes(&self) -> u64 {
        self.used.values().sum()
    }
}

/// Lays out sub-buffers inside one allocation, each aligned to its memory's element.
///
/// Offsets count from the start of the allocation, which lies on a page; an element is at most
/// one page and a power of two of bytes, so that an aligned offset is an aligned address.
#[derive(Clone, Debug, Default)]
pub struct SubBuffers {
    end: u64,
}

impl SubBuffers {
    /// Nothing laid out yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offset of `bytes` bytes at the next multiple of `elem_bytes`; `None` past 2^64.
    pub fn place(&mut self, bytes: u64, elem_bytes: usize) -> Option<u64> {
        let offset = self.end.checked_next_multiple_of(elem_bytes as u64)?;
        self.end = offset.checked_add(bytes)?;
        Some(offset)
    }

    /// Bytes laid out so far: the least size of the allocation.
    pub fn bytes(&self) -> u64 {
        self.end
    }
}
