//! What LOAD and STORE meet.

use vta_isa::{Design, MemInsn, MemType, PAGE_BYTES};

use crate::Placement;

use super::{Bin, Coverage, Row, Side, Stored, Use};

impl Coverage {
    /// A STORE with rows.
    fn stored(&mut self, design: &Design, mem: &MemInsn) {
        let entry = mem.requant.then_some(mem.entry);
        self.hit(Bin::Stored(match entry {
            Some(_) => Stored::Rescaled,
            None => Stored::LowBits,
        }));
        let last = entry.is_some_and(|entry| entry + 1 == design.requant_entries());
        self.hit_if(last, Bin::Last(Use::Entry));
        if let Some(before) = self.last_entry.replace(entry) {
            self.hit_if(
                before.is_some() != entry.is_some(),
                Bin::Stored(Stored::Changed),
            );
            let both = before.zip(entry);
            let other = both.is_some_and(|(before, entry)| before != entry);
            self.hit_if(other, Bin::Stored(Stored::OtherEntry));
        }
    }

    /// A transfer that is in range and moves something, or only writes padding.
    pub(super) fn transfer(&mut self, design: &Design, placement: &Placement, mem: &MemInsn) {
        let Some(memory) = mem.mem() else { return };
        let width = mem.x_pad_0 + mem.x_size + mem.x_pad_1;
        let height = mem.y_pad_0 + mem.y_size + mem.y_pad_1;
        if width * height > 0 && mem.sram_base + width * height == design.depth(memory) {
            let used = match memory {
                MemType::Out => Use::Store,
                memory => Use::Load(memory),
            };
            self.hit(Bin::Last(used));
        }
        for (side, zeros) in [
            (Side::Above, mem.y_pad_0),
            (Side::Below, mem.y_pad_1),
            (Side::Before, mem.x_pad_0 * mem.y_size),
            (Side::After, mem.x_pad_1 * mem.y_size),
        ] {
            self.hit_if(zeros > 0, Bin::Pad(memory, side));
        }
        let padding = width * height - mem.x_size * mem.y_size;
        self.hit_if(padding > 0 && mem.pad_value != 0, Bin::PadValue(memory));
        if mem.y_size == 0 {
            self.hit(Bin::NoRows { padded: height > 0 });
            return;
        }
        self.hit(Bin::Moves(memory));
        self.hit_if(placement.pointer(memory) != 0, Bin::Pointer(memory));

        if memory == MemType::Out {
            self.stored(design, mem);
        }

        let elem = design.elem_bytes(memory) as u64;
        let (beat, block) = (design.bus_bytes() as u64, design.burst_bytes() as u64);
        let pitch = u64::from(mem.x_stride) * elem;
        let row = |index: u32| {
            let first = u64::from(mem.dram_base) * elem + u64::from(index) * pitch;
            first..first + u64::from(mem.x_size) * elem
        };
        let any = |condition: &dyn Fn(std::ops::Range<u64>) -> bool| {
            (0..mem.y_size).any(|i| condition(row(i)))
        };
        let crosses = |size: u64| any(&|row| row.start / size != (row.end - 1) / size);
        let several = mem.y_size > 1;
        for (kind, met) in [
            (Row::InsideBeat, any(&|row| row.start % beat != 0)),
            (Row::OddStride, several && pitch % beat != 0),
            (Row::Overlap, several && mem.x_stride < mem.x_size),
            (Row::OverBurst, crosses(block)),
            (Row::OverPage, crosses(PAGE_BYTES as u64)),
            (Row::LargeElements, elem > block),
        ] {
            self.hit_if(met, Bin::Row(memory, kind));
        }
    }
}
