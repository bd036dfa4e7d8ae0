//! Micro-kernels: sequences of micro-ops, each kept once.

use std::collections::HashMap;

use vta_isa::{Design, EncodeError, UOP_BYTES, Uop};

/// A kernel of a [`KernelPool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelId(u32);

/// Where a kernel lies in the pool, in micro-ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PoolRange {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// All kernels of a program, one after the other as they will lie in DRAM.
///
/// Kernels with the same micro-ops are one kernel. A signature (any bytes that determine the
/// kernel) spares building it again.
#[derive(Clone, Debug, Default)]
pub struct KernelPool {
    words: Vec<u32>,
    kernels: Vec<PoolRange>,
    by_content: HashMap<Box<[u32]>, KernelId>,
    by_signature: HashMap<Box<[u8]>, KernelId>,
}

impl KernelPool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The kernel of these micro-ops.
    ///
    /// # Errors
    /// A micro-op whose index does not fit its field.
    pub fn intern(&mut self, design: &Design, uops: &[Uop]) -> Result<KernelId, EncodeError> {
        let words = uops.iter().map(|u| u.encode(design));
        let words = words.collect::<Result<Box<[u32]>, _>>()?;
        if let Some(&id) = self.by_content.get(&words) {
            return Ok(id);
        }
        let id = KernelId(self.kernels.len() as u32);
        self.kernels.push(PoolRange {
            start: self.words.len() as u32,
            len: words.len() as u32,
        });
        self.words.extend_from_slice(&words);
        self.by_content.insert(words, id);
        Ok(id)
    }

    /// The kernel of `signature`; `build` is called only the first time.
    ///
    /// # Errors
    /// As [`KernelPool::intern`].
    pub fn kernel(
        &mut self,
        design: &Design,
        signature: &[u8],
        build: impl FnOnce() -> Vec<Uop>,
    ) -> Result<KernelId, EncodeError> {
        if let Some(&id) = self.by_signature.get(signature) {
            return Ok(id);
        }
        let id = self.intern(design, &build())?;
        self.by_signature.insert(signature.into(), id);
        Ok(id)
    }

    /// Micro-ops of a kernel.
    pub fn uops(&self, design: &Design, id: KernelId) -> Vec<Uop> {
        let PoolRange { start, len } = self.range(id);
        let words = &self.words[start as usize..(start + len) as usize];
        words.iter().map(|&w| Uop::decode(design, w)).collect()
    }

    /// Bytes of all kernels so far, to be put into DRAM.
    pub fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// Number of [`KernelPool::bytes`].
    pub fn byte_len(&self) -> u64 {
        self.words.len() as u64 * UOP_BYTES as u64
    }

    /// Number of different kernels.
    pub fn len(&self) -> usize {
        self.kernels.len()
    }

    /// True before the first kernel.
    pub fn is_empty(&self) -> bool {
        self.kernels.is_empty()
    }

    /// Where the kernels behind one lie, in their order.
    pub(crate) fn behind(&self, id: KernelId) -> impl Iterator<Item = PoolRange> + '_ {
        self.kernels[id.0 as usize + 1..].iter().copied()
    }

    pub(crate) fn range(&self, id: KernelId) -> PoolRange {
        self.kernels[id.0 as usize]
    }
}
