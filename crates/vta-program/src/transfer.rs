//! Two-dimensional transfers between DRAM and a scratchpad, and their instructions.

use std::ops::Range;

use vta_isa::{Design, MemInsn, MemType};

use crate::StreamError;

/// Padding around a loaded block, in elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pads {
    /// Rows above.
    pub y0: u32,
    /// Rows below.
    pub y1: u32,
    /// Elements before each row.
    pub x0: u32,
    /// Elements after each row.
    pub x1: u32,
    /// Each value of the padding, wrapped to its width; not 0 only in designs with `load_pad`.
    pub value: i32,
}

impl Pads {
    /// No padding.
    pub const NONE: Pads = Pads {
        y0: 0,
        y1: 0,
        x0: 0,
        x1: 0,
        value: 0,
    };
}

/// A block of `y_size` rows of `x_size` elements. In DRAM the rows are `x_stride` elements apart;
/// in the scratchpad they are, with their padding, consecutive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Block2d {
    /// First element in the scratchpad (of the padding, where there is some).
    pub sram_base: u32,
    /// First element in DRAM, counted from the start of the arena in elements of this memory.
    pub dram_elem: u64,
    /// Elements of a row.
    pub x_size: u32,
    /// Rows.
    pub y_size: u32,
    /// Elements from a row to the next in DRAM; without meaning for one row.
    pub x_stride: u32,
    /// Padding; none for a store.
    pub pads: Pads,
}

impl Block2d {
    /// `len` consecutive elements.
    pub fn run(sram_base: u32, dram_elem: u64, len: u32) -> Self {
        Block2d {
            sram_base,
            dram_elem,
            x_size: len,
            y_size: 1,
            x_stride: len,
            pads: Pads::NONE,
        }
    }

    /// The elements on chip, padding included.
    pub fn on_chip(&self) -> Range<usize> {
        let (columns, rows) = self.padded();
        let first = self.sram_base as usize;
        first..first + (columns * rows) as usize
    }

    /// Elements of a row with its padding, and rows with theirs.
    fn padded(&self) -> (u64, u64) {
        let sum = |a: u32, b: u32, c: u32| u64::from(a) + u64::from(b) + u64::from(c);
        (
            sum(self.pads.x0, self.x_size, self.pads.x1),
            sum(self.pads.y0, self.y_size, self.pads.y1),
        )
    }
}

/// The instructions that together transfer `block`, in order; none for a block without elements.
///
/// One instruction where the fields allow. Otherwise padding wider than its field becomes
/// zero fills of its own, and rows longer or further apart than their fields allow are transferred
/// one by one, in parts.
pub(crate) fn split(
    design: &Design,
    mem: MemType,
    block: &Block2d,
) -> Result<Vec<MemInsn>, StreamError> {
    let (width, height) = block.padded();
    let depth = u64::from(design.depth(mem));
    let base = u64::from(block.sram_base);
    let end = width.checked_mul(height).and_then(|n| n.checked_add(base));
    if end.is_none_or(|end| end > depth) {
        return Err(StreamError::Scratchpad {
            mem,
            base: block.sram_base,
            width,
            height,
            depth: design.depth(mem),
        });
    }
    let max_pad = design.max_pad();
    let mut pieces = Pieces {
        mem,
        max_x_size: design.max_x_size(),
        pad_value: block.pads.value,
        sram: block.sram_base,
        insns: Vec::new(),
    };
    let Pads { y0, y1, x0, x1, .. } = block.pads;
    if block.x_size == 0 || block.y_size == 0 {
        pieces.zeros(width * height);
        return Ok(pieces.insns);
    }
    let one_block = x0.max(x1) <= max_pad
        && (block.y_size == 1 || block.x_stride <= design.max_x_stride())
        && block.x_size <= design.max_x_size()
        && block.y_size <= design.max_y_size();
    if one_block && y0.max(y1) <= max_pad {
        pieces.block(block, block.pads)?;
        return Ok(pieces.insns);
    }
    pieces.zeros(width * u64::from(y0));
    if one_block {
        pieces.block(
            block,
            Pads {
                x0,
                x1,
                ..Pads::NONE
            },
        )?;
    } else {
        for row in 0..block.y_size {
            pieces.zeros(x0.into());
            pieces.row(
                block.dram_elem + u64::from(row) * u64::from(block.x_stride),
                block.x_size,
            )?;
            pieces.zeros(x1.into());
        }
    }
    pieces.zeros(width * u64::from(y1));
    Ok(pieces.insns)
}

/// Instructions that fill a scratchpad from `sram` on. Sums are within the scratchpad's depth.
struct Pieces {
    mem: MemType,
    max_x_size: u32,
    pad_value: i32,
    sram: u32,
    insns: Vec<MemInsn>,
}

impl Pieces {
    fn push(&mut self, insn: MemInsn, elems: u32) {
        self.insns.push(MemInsn {
            memory_type: self.mem.code(),
            sram_base: self.sram,
            pad_value: self.pad_value,
            ..insn
        });
        self.sram += elems;
    }

    fn zeros(&mut self, count: u64) {
        let mut left = u32::try_from(count).expect("within the scratchpad");
        while left > 0 {
            let x_size = left.min(self.max_x_size);
            let rows = MemInsn {
                x_size,
                x_stride: x_size,
                y_pad_0: 1,
                ..MemInsn::default()
            };
            self.push(rows, x_size);
            left -= x_size;
        }
    }

    /// Consecutive elements.
    fn row(&mut self, mut dram_elem: u64, mut len: u32) -> Result<(), StreamError> {
        while len > 0 {
            let part = len.min(self.max_x_size);
            self.block(&Block2d::run(self.sram, dram_elem, part), Pads::NONE)?;
            dram_elem += u64::from(part);
            len -= part;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block2d, pads: Pads) -> Result<(), StreamError> {
        let dram_base = u32::try_from(block.dram_elem).map_err(|_| StreamError::Address {
            mem: self.mem,
            elem: block.dram_elem,
        })?;
        let (width, height) = Block2d { pads, ..*block }.padded();
        let one_row = block.y_size == 1;
        let insn = MemInsn {
            dram_base,
            y_size: block.y_size,
            x_size: block.x_size,
            x_stride: if one_row {
                block.x_size
            } else {
                block.x_stride
            },
            y_pad_0: pads.y0,
            y_pad_1: pads.y1,
            x_pad_0: pads.x0,
            x_pad_1: pads.x1,
            ..MemInsn::default()
        };
        self.push(insn, (width * height) as u32);
        Ok(())
    }
}
