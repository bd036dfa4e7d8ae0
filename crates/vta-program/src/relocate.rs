//! Moving streams: they are compiled for an arena at address 0 and run wherever it lies.

use std::ops::Range;

use vta_isa::{Body, Design, INSN_BYTES, Insn, MemInsn, MemType, PAGE_BYTES};

/// Why a stream cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelocateError {
    /// The base is not on a page.
    #[error("base address {0:#x} is not a multiple of {PAGE_BYTES}; allocate the arena on a page")]
    Unaligned(u64),
    /// An address no longer fits the 32-bit field.
    #[error(
        "instruction {index}: with base {base:#x}, dram_base does not fit its 32 bits; \
         load the program at a lower address"
    )]
    Overflow {
        /// Index of the instruction.
        index: usize,
        /// The base address.
        base: u64,
    },
    /// Bytes that are no instruction.
    #[error("instruction {index}: {why}")]
    Decode {
        /// Index of the instruction.
        index: usize,
        /// The reason.
        why: String,
    },
}

/// The fields of a LOAD or STORE.
pub fn mem_insn(body: &Body) -> Option<&MemInsn> {
    match body {
        Body::Load(m) | Body::Store(m) => Some(m),
        _ => None,
    }
}

/// The memory of a LOAD or STORE that moves something, if the design has it.
pub(crate) fn memory(design: &Design, mem: &MemInsn) -> Option<MemType> {
    mem.mem().filter(|&memory| design.has_memory(memory))
}

/// The DRAM bytes between the first and the last that a LOAD or STORE touches; `None` where it
/// touches none (it synchronises only, writes padding only, or names an unknown memory).
pub fn dram_range(design: &Design, mem: &MemInsn) -> Option<Range<u64>> {
    if mem.is_sync() || mem.y_size == 0 {
        return None;
    }
    let elem = design.elem_bytes(memory(design, mem)?) as u64;
    let start = u64::from(mem.dram_base);
    let rows = u64::from(mem.y_size - 1) * u64::from(mem.x_stride);
    let end = start + rows + u64::from(mem.x_size);
    Some(start * elem..end * elem)
}

/// Adds `base` (a byte address on a page) to the DRAM address of every LOAD and STORE of an
/// encoded stream, in place. On an error the stream is left as it was.
pub fn relocate(design: &Design, stream: &mut [u8], base: u64) -> Result<(), RelocateError> {
    if base % PAGE_BYTES as u64 != 0 {
        return Err(RelocateError::Unaligned(base));
    }
    let moved = stream.chunks_exact(INSN_BYTES).enumerate();
    let moved = moved.map(|(index, word)| moved_insn(design, index, word, base));
    let moved = moved.collect::<Result<Vec<_>, _>>()?;
    for (word, moved) in stream.chunks_exact_mut(INSN_BYTES).zip(&moved) {
        word.copy_from_slice(moved);
    }
    Ok(())
}

fn moved_insn(
    design: &Design,
    index: usize,
    word: &[u8],
    base: u64,
) -> Result<[u8; INSN_BYTES], RelocateError> {
    let word: [u8; INSN_BYTES] = word.try_into().expect("one instruction");
    let decode = |why: String| RelocateError::Decode { index, why };
    let mut insn = Insn::decode(design, &word).map_err(|e| decode(e.to_string()))?;
    let (Body::Load(mem) | Body::Store(mem)) = &mut insn.body else {
        return Ok(word);
    };
    if mem.is_sync() {
        return Ok(word);
    }
    let kind = memory(design, mem);
    let kind = kind.ok_or_else(|| decode(format!("unknown memory type {}", mem.memory_type)))?;
    let moved = u64::from(mem.dram_base) + elements(design, kind, base);
    mem.dram_base = u32::try_from(moved).map_err(|_| RelocateError::Overflow { index, base })?;
    insn.encode(design).map_err(|e| decode(e.to_string()))
}

/// An aligned byte address as a count of elements of `kind`.
fn elements(design: &Design, kind: MemType, address: u64) -> u64 {
    address / design.elem_bytes(kind) as u64
}
