//! The DRAM image that a stream reads and writes.

/// Bytes at the physical addresses `base..base + bytes.len()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dram {
    /// Physical address of the first byte.
    pub base: u64,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Dram {
    /// An image of `bytes` at physical address `base`.
    pub fn new(base: u64, bytes: Vec<u8>) -> Dram {
        Dram { base, bytes }
    }

    /// `len` bytes at physical address `addr`; `None` unless all of them lie in the image.
    pub fn get(&self, addr: u64, len: usize) -> Option<&[u8]> {
        let start = self.offset(addr)?;
        self.bytes.get(start..start.checked_add(len)?)
    }

    /// `len` writable bytes at physical address `addr`; `None` unless all of them lie in the image.
    pub fn get_mut(&mut self, addr: u64, len: usize) -> Option<&mut [u8]> {
        let start = self.offset(addr)?;
        self.bytes.get_mut(start..start.checked_add(len)?)
    }

    /// The first physical address after the image.
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.bytes.len() as u64)
    }

    fn offset(&self, addr: u64) -> Option<usize> {
        usize::try_from(addr.checked_sub(self.base)?).ok()
    }
}
