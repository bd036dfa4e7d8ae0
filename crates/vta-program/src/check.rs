//! The rules that a [`Program`] keeps, checked before one is written and after one is read.

use vta_isa::{Design, INSN_BYTES, Insn};

use crate::program::{DTYPES, Program, SlotId, Step};
use crate::relocate::{dram_range, mem_insn, memory};

/// Largest arena: what a device with 32-bit addresses can hold.
pub const MAX_ARENA_BYTES: u64 = 1 << 32;
/// Most elements of all slots together.
pub const MAX_SLOT_ELEMS: usize = 1 << 28;

/// A rule that a program breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProgramError(pub(crate) String);

macro_rules! ensure {
    ($cond:expr, $($what:tt)*) => {
        if !$cond {
            return Err(ProgramError(format!($($what)*)));
        }
    };
}

impl Program {
    /// Checks every rule of a program; gives its design.
    ///
    /// - the configuration is a valid design;
    /// - image sections lie in the arena, in order, apart;
    /// - every instruction decodes, and touches no DRAM outside the arena;
    /// - every index is in range, every slot has a known type and, with the others, fewer than
    ///   [`MAX_SLOT_ELEMS`] elements;
    /// - transfers lie in the arena and have the width of the slot's type;
    /// - every slot is filled before it is read;
    /// - layers are none, or as many as placements; their instructions lie in the streams, in order, apart;
    /// - preprocessing parameters are usable ([`crate::Preprocess::check`]).
    pub fn check(&self) -> Result<Design, ProgramError> {
        let design = self.config.clone().design();
        let design = design.map_err(|e| ProgramError(format!("configuration: {e}")))?;
        ensure!(
            self.arena_bytes <= MAX_ARENA_BYTES,
            "an arena of {} bytes, the most is {MAX_ARENA_BYTES}",
            self.arena_bytes
        );
        self.check_image()?;
        for (i, stream) in self.streams.iter().enumerate() {
            self.check_stream(&design, stream)
                .map_err(|e| ProgramError(format!("stream {i}: {e}")))?;
        }
        self.check_slots()?;
        self.check_steps()?;
        self.check_layers()?;
        if let Some(preprocess) = &self.preprocess {
            let checked = preprocess.check();
            checked.map_err(|e| ProgramError(format!("preprocessing: {e}")))?;
        }
        Ok(design)
    }

    fn check_image(&self) -> Result<(), ProgramError> {
        let mut end = 0;
        for (i, section) in self.image.iter().enumerate() {
            let len = section.bytes.len() as u64;
            let section_end = section.offset.checked_add(len);
            ensure!(
                section.offset >= end && section_end.is_some_and(|e| e <= self.arena_bytes),
                "image section {i} (offset {}, {len} bytes) overlaps the one before it or leaves \
                 the arena of {} bytes",
                section.offset,
                self.arena_bytes
            );
            end = section.offset + len;
        }
        Ok(())
    }

    fn check_layers(&self) -> Result<(), ProgramError> {
        let (layers, placed) = (self.layers.len(), self.placement.len());
        ensure!(
            layers == 0 || layers == placed,
            "{layers} layers for {placed} operators: there must be one for each, or none"
        );
        let mut end = (0, 0);
        for (i, layer) in self.layers.iter().enumerate() {
            let Some(insns) = layer.insns else { continue };
            let first = u64::from(insns.first);
            let last = first + u64::from(insns.count);
            let stream = self.streams.get(insns.stream as usize);
            let len = stream.map_or(0, |stream| stream.len() / INSN_BYTES) as u64;
            ensure!(
                insns.count > 0 && last <= len && (insns.stream, first) >= end,
                "layer {i}: instructions {first} to {last} of stream {} are none, overlap those of \
                 the layer before or leave the stream of {len}",
                insns.stream
            );
            end = (insns.stream, last);
        }
        Ok(())
    }

    fn check_stream(&self, design: &Design, stream: &[u8]) -> Result<(), ProgramError> {
        ensure!(
            stream.len() % INSN_BYTES == 0,
            "{} bytes are no whole number of instructions",
            stream.len()
        );
        for (i, word) in stream.chunks_exact(INSN_BYTES).enumerate() {
            let word = word.try_into().expect("one instruction");
            let insn = Insn::decode(design, word)
                .map_err(|e| ProgramError(format!("instruction {i}: {e}")))?;
            let Some(mem) = mem_insn(&insn.body).filter(|m| !m.is_sync()) else {
                continue;
            };
            ensure!(
                memory(design, mem).is_some(),
                "instruction {i}: unknown memory type {}",
                mem.memory_type
            );
            if let Some(range) = dram_range(design, mem) {
                ensure!(
                    range.end <= self.arena_bytes,
                    "instruction {i}: DRAM bytes {:#x}..{:#x} lie outside the arena of {:#x} bytes",
                    range.start,
                    range.end,
                    self.arena_bytes
                );
            }
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), ProgramError> {
        let mut total = 0usize;
        for slot in &self.slots {
            ensure!(
                DTYPES.iter().any(|d| d.0 == slot.dtype),
                "slot `{}`: unknown element type `{}`",
                slot.name,
                slot.dtype
            );
            let sum = slot.elems().and_then(|n| total.checked_add(n));
            let sum = sum.filter(|&n| n <= MAX_SLOT_ELEMS);
            ensure!(
                sum.is_some(),
                "slot `{}`: host tensors of more than {MAX_SLOT_ELEMS} elements",
                slot.name
            );
            total = sum.unwrap_or(total);
        }
        Ok(())
    }

    fn check_steps(&self) -> Result<(), ProgramError> {
        let mut filled = vec![false; self.slots.len()];
        for &slot in &self.inputs {
            self.fill(&mut filled, slot, "the inputs")?;
        }
        for (i, step) in self.steps.iter().enumerate() {
            let place = format!("step {i}");
            match step {
                Step::Host {
                    inputs, outputs, ..
                } => {
                    for &slot in inputs {
                        self.read(&filled, slot, &place)?;
                    }
                    for &slot in outputs {
                        self.fill(&mut filled, slot, &place)?;
                    }
                }
                Step::Upload { slot, offset, bits } => {
                    self.read(&filled, *slot, &place)?;
                    self.check_transfer(*slot, *offset, *bits, &place)?;
                }
                Step::Run { stream } => ensure!(
                    (*stream as usize) < self.streams.len(),
                    "{place}: there is no stream {stream}"
                ),
                Step::Download { slot, offset, bits } => {
                    self.fill(&mut filled, *slot, &place)?;
                    self.check_transfer(*slot, *offset, *bits, &place)?;
                }
            }
        }
        for &slot in &self.outputs {
            self.read(&filled, slot, "the outputs")?;
        }
        Ok(())
    }

    fn fill(&self, filled: &mut [bool], slot: SlotId, place: &str) -> Result<(), ProgramError> {
        let state = filled.get_mut(slot as usize);
        ensure!(state.is_some(), "{place}: there is no slot {slot}");
        state.into_iter().for_each(|s| *s = true);
        Ok(())
    }

    fn read(&self, filled: &[bool], slot: SlotId, place: &str) -> Result<(), ProgramError> {
        let state = filled.get(slot as usize);
        ensure!(state.is_some(), "{place}: there is no slot {slot}");
        ensure!(
            state == Some(&true),
            "{place}: slot `{}` is read before anything fills it",
            self.slots[slot as usize].name
        );
        Ok(())
    }

    fn check_transfer(
        &self,
        slot: SlotId,
        offset: u64,
        bits: u32,
        place: &str,
    ) -> Result<(), ProgramError> {
        let slot = &self.slots[slot as usize];
        ensure!(
            DTYPES.contains(&(slot.dtype.as_str(), Some(bits))),
            "{place}: slot `{}` of {} cannot be transferred with {bits} bits an element",
            slot.name,
            slot.dtype
        );
        let len = slot
            .elems()
            .and_then(|n| crate::bits::packed_bytes(n, bits));
        let end = len.and_then(|n| offset.checked_add(n as u64));
        ensure!(
            end.is_some_and(|e| e <= self.arena_bytes),
            "{place}: slot `{}` at offset {offset} leaves the arena of {} bytes",
            slot.name,
            self.arena_bytes
        );
        Ok(())
    }
}
