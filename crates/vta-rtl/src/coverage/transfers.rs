//! What LOAD and STORE meet.

use vta_isa::{Design, MemInsn, MemType, PAGE_BYTES};

use crate::Placement;

use super::{Bin, Coverage, Row, Side, Use};

impl Coverage {
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
        if mem.y_size == 0 {
            self.hit(Bin::NoRows { padded: height > 0 });
            return;
        }
        self.hit(Bin::Moves(memory));
        self.hit_if(placement.pointer(memory) != 0, Bin::Pointer(memory));

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
