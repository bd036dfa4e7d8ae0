//! Draws what instructions do, and the image that they do it on.

use std::ops::Range;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use vta_isa::{
    AluInsn, AluOp, Body, ChannelRequant, Design, Feature, GemmInsn, MemInsn, MemType, PAGE_BYTES,
    UOP_BYTES, Uop,
};

use super::writer::Writer;
use crate::access::index;
use crate::fault::Operand;

/// Left below the end of the addresses for whoever places the stream.
const STREAM: u64 = 1 << 20;

/// Physical address of an image of so many bytes.
pub(super) fn base(design: &Design, rng: &mut ChaCha8Rng, bytes: usize) -> u64 {
    let page = PAGE_BYTES as u64;
    if rng.random() {
        return page;
    }
    // An address is a 32-bit element index; the smallest element does not reach further.
    let smallest = design.memories().map(|memory| design.elem_bytes(memory));
    let end = match design.addr_bits() {
        64 => smallest.min().unwrap_or(1) as u64 * (1 << 32),
        _ => 1 << 32,
    };
    page * rng.random_range(1..(end - STREAM - bytes as u64) / page)
}

/// Random bytes, with runs of the extreme values of every width.
pub(super) fn values(rng: &mut ChaCha8Rng, bytes: &mut [u8]) {
    rng.fill(bytes);
    for run in bytes.chunks_mut(64) {
        if rng.random_bool(0.2) {
            let extremes = [0x00, 0x7f, 0x80, 0xff];
            run.fill_with(|| extremes[rng.random_range(0..4)]);
        }
    }
}

/// Bytes at the start of an image that are rescalings, where the design has them.
pub(super) const RECORDS: usize = PAGE_BYTES;

/// Rescalings, most of which bring accumulators of the usual sizes near the range of outputs, some with
/// extremes or any bits at all.
pub(super) fn records(design: &Design, rng: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let highest = (1 << (design.out_bits() - 1)) - 1;
    for bytes in bytes.chunks_exact_mut(ChannelRequant::BYTES) {
        let magnitude = rng.random_range(0..31);
        let mult = rng.random_range(-(1 << magnitude)..=1 << magnitude);
        let shift: u8 = match rng.random_range(0..8) {
            0 => rng.random_range(0..=ChannelRequant::MAX_SHIFT),
            1 => 63,
            _ => magnitude as u8 + rng.random_range(0..=design.acc_bits() as u8 - 8),
        };
        let far = 1i64 << rng.random_range(0..63);
        let record = ChannelRequant {
            add: match rng.random_range(0..8) {
                0 => i64::MAX - rng.random_range(0..3),
                1 => i64::MIN + rng.random_range(0..3),
                2 => rng.random_range(-far..=far),
                _ => (1 << shift >> 1) + (rng.random_range(-20..20) << shift.min(56)),
            },
            mult: match rng.random_range(0..8) {
                0 => [i32::MIN, i32::MAX, 0, -1][rng.random_range(0..4)],
                _ => mult,
            },
            shift,
            lo: [-highest - 1, 0, rng.random_range(-highest - 1..=highest)][rng.random_range(0..3)]
                as i8,
            hi: [highest, highest, rng.random_range(-highest - 1..=highest)][rng.random_range(0..3)]
                as i8,
        };
        if rng.random_bool(0.9) {
            bytes.copy_from_slice(&record.to_bytes());
        }
    }
}

/// The same transfer without padding.
pub(super) fn unpadded(mem: MemInsn) -> MemInsn {
    MemInsn {
        y_pad_0: 0,
        y_pad_1: 0,
        x_pad_0: 0,
        x_pad_1: 0,
        ..mem
    }
}

/// Micro-ops of one kind: anywhere, near the start of every scratchpad, on the same few accumulators
/// over and over, on the accumulators that they read, or at the ends.
pub(super) fn uops(design: &Design, rng: &mut ChaCha8Rng, words: &mut [u8]) {
    let near = [2, 4, 32, 32, 32, u32::MAX][rng.random_range(0..6)];
    let (alias, end) = (rng.random_bool(0.3), rng.random_bool(0.1));
    let free = !design.uop_layout().covered as u32;
    for word in words.chunks_exact_mut(UOP_BYTES) {
        let mut index = |memory| {
            let depth = design.depth(memory);
            if end && rng.random_bool(0.5) {
                depth - 1
            } else {
                rng.random_range(0..depth.min(near))
            }
        };
        let mut uop = Uop {
            dst: index(MemType::Acc),
            src: index(MemType::Inp).min(index(MemType::Acc)),
            wgt: index(MemType::Wgt),
        };
        if alias {
            let below = rng.random_range(0..3).min(uop.dst);
            uop.src = (uop.dst - below).min(design.depth(MemType::Inp) - 1);
        }
        let bits = uop.encode(design).expect("every index is below its depth");
        let ignored = rng.random::<u32>() & free;
        word.copy_from_slice(&(bits | ignored).to_le_bytes());
    }
}

impl Writer<'_> {
    /// The body of an instruction, probably one that the program can have.
    pub(super) fn propose(&mut self) -> Body {
        let table = self.design.has_memory(MemType::Rqt);
        match self.rng.random_range(0..if table { 18 } else { 15 }) {
            0 | 1 => self.load(MemType::Inp),
            2 => self.load(MemType::Wgt),
            3 => self.load(MemType::Acc),
            4 if self.design.has_acc8() => self.load(MemType::Acc8),
            4 | 5 => self.load(MemType::Uop),
            6..=8 => self.gemm(),
            9..=11 => self.alu(),
            15 | 16 => self.load(MemType::Rqt),
            17 => self.requant(),
            _ if table && self.rng.random() => self.requant(),
            _ => Body::Store(self.transfer(MemType::Out, [0; 4])),
        }
    }

    /// A STORE that rescales, mostly by the start of the table, where instructions meet.
    fn requant(&mut self) -> Body {
        let entries = self.design.requant_entries();
        let entry = match self.rng.random_range(0..10) {
            0 => entries - 1,
            1 | 2 => self.rng.random_range(0..entries),
            _ => self.rng.random_range(0..entries.min(4)),
        };
        Body::Store(MemInsn {
            requant: true,
            entry,
            ..self.transfer(MemType::Out, [0; 4])
        })
    }

    /// A value of the padding, where the design has it.
    pub(super) fn draw_pad_value(&mut self, mem: &mut MemInsn) {
        if self.design.has(Feature::LoadPad) {
            mem.pad_value = self.rng.random_range(-128..=127);
        }
    }

    fn load(&mut self, memory: MemType) -> Body {
        let mut pads = [0; 4];
        let padded = if memory == MemType::Rqt { 0.6 } else { 0.3 };
        if self.rng.random_bool(padded) {
            let most = if self.rng.random_bool(0.1) {
                self.design.max_pad()
            } else {
                2
            };
            pads.fill_with(|| self.rng.random_range(0..=most));
        }
        let mut mem = self.transfer(memory, pads);
        self.draw_pad_value(&mut mem);
        Body::Load(mem)
    }

    /// A transfer, mostly of few elements and near the start of the scratchpad, so that instructions meet.
    fn transfer(&mut self, memory: MemType, pads: [u32; 4]) -> MemInsn {
        let elem = self.design.elem_bytes(memory) as u64;
        let depth = self.design.depth(memory);
        let (from, to) = self.area(memory);
        let (y_size, x_size) = match self.rng.random_range(0..20) {
            0 | 1 => (self.rng.random_range(0..24), self.rng.random_range(1..=24)),
            2 => {
                let page = (PAGE_BYTES as u64 / elem).clamp(1, 400) as u32;
                (
                    self.rng.random_range(1..=2),
                    self.rng.random_range(1..=page),
                )
            }
            _ => (self.rng.random_range(0..5), self.rng.random_range(1..=5)),
        };
        let row = u64::from(x_size) * elem;
        let mut addr = self.rng.random_range(from..to);
        if self.rng.random_bool(0.2) {
            // Across the end of a page, or up to it.
            let before = self.rng.random_range(0..=row);
            addr = addr
                .next_multiple_of(PAGE_BYTES as u64)
                .saturating_sub(before);
        }
        let x_stride = match self.rng.random_range(0..8) {
            0 => x_size,
            1 => self.rng.random_range(0..80),
            _ => self.rng.random_range(0..12),
        };
        let [y_pad_0, y_pad_1, x_pad_0, x_pad_1] = pads;
        let count = (y_pad_0 + y_size + y_pad_1) * (x_pad_0 + x_size + x_pad_1);
        let sram_base = match self.rng.random_range(0..10) {
            0 => depth.saturating_sub(count),
            1 => self.rng.random_range(0..depth),
            _ => self.rng.random_range(0..depth.min(48)),
        };
        MemInsn {
            memory_type: memory.code(),
            sram_base: sram_base.min(self.design.max_sram_base()),
            dram_base: (addr / elem) as u32,
            y_size,
            x_size,
            x_stride,
            y_pad_0,
            y_pad_1,
            x_pad_0,
            x_pad_1,
            ..MemInsn::default()
        }
    }

    /// Where in DRAM the elements of a memory are.
    pub(super) fn area(&self, memory: MemType) -> (u64, u64) {
        match memory {
            MemType::Uop => (self.uop_area, self.dram.end()),
            MemType::Rqt => (self.dram.base, self.dram.base + RECORDS as u64),
            _ => (self.dram.base, self.uop_area),
        }
    }

    fn gemm(&mut self) -> Body {
        let (nest, design) = (self.nest(), self.design);
        let reset = self.rng.random_bool(0.2);
        let overwrite = design.has(Feature::GemmOverwrite) && self.rng.random_bool(0.4);
        let [dst, src, wgt] = [
            (Operand::Dst, MemType::Acc, design.max_factor_dst(), true),
            (Operand::Src, MemType::Inp, design.max_factor_src(), !reset),
            (Operand::Wgt, MemType::Wgt, design.max_factor_wgt(), !reset),
        ]
        .map(|(operand, memory, largest, used)| {
            self.factors(&nest, operand, memory, largest, used)
        });
        Body::Gemm(GemmInsn {
            reset,
            overwrite,
            uop_begin: nest.uops.start,
            uop_end: nest.uops.end,
            iter_out: nest.iter[0],
            iter_in: nest.iter[1],
            dst_factor_out: dst[0],
            dst_factor_in: dst[1],
            src_factor_out: src[0],
            src_factor_in: src[1],
            wgt_factor_out: wgt[0],
            wgt_factor_in: wgt[1],
        })
    }

    fn alu(&mut self) -> Body {
        let (nest, design) = (self.nest(), self.design);
        let use_imm = self.rng.random_bool(0.4);
        let (dst_largest, src_largest) = (design.max_factor_dst(), design.max_factor_alu_src());
        let dst = self.factors(&nest, Operand::Dst, MemType::Acc, dst_largest, true);
        let src = self.factors(&nest, Operand::Src, MemType::Acc, src_largest, !use_imm);
        let ops: Vec<AluOp> = AluOp::ALL
            .iter()
            .copied()
            .filter(|&op| design.has_alu(op))
            .collect();
        if ops.is_empty() {
            return self.gemm();
        }
        let (low, high) = design.imm_range();
        Body::Alu(AluInsn {
            reset: self.rng.random(),
            uop_begin: nest.uops.start,
            uop_end: nest.uops.end,
            iter_out: nest.iter[0],
            iter_in: nest.iter[1],
            dst_factor_out: dst[0],
            dst_factor_in: dst[1],
            src_factor_out: src[0],
            src_factor_in: src[1],
            alu_opcode: ops[self.rng.random_range(0..ops.len())].code(),
            use_imm,
            imm: if self.rng.random() {
                self.rng.random_range(-40..=40)
            } else {
                self.rng.random_range(low..=high)
            },
        })
    }

    fn nest(&mut self) -> Nest {
        let (depth, most_iter) = (self.uops.len() as u32, self.design.max_iter());
        let most = match self.rng.random_range(0..40) {
            0 => 40,
            1 | 2 => 12,
            _ => 4,
        };
        let mut iter = [0; 2].map(|_: u32| self.rng.random_range(1..=most));
        let begin = self.rng.random_range(0..depth.min(48));
        let longest = (depth - begin).min(if self.rng.random_bool(0.3) { 1 } else { 8 });
        let mut uops = begin..begin + self.rng.random_range(1..=longest);
        match self.rng.random_range(0..40) {
            0 | 1 => uops = depth.saturating_sub(self.rng.random_range(1..=4))..depth,
            // Nothing happens, whatever the other fields say.
            2 => uops.end = uops.start,
            3 => uops.end = self.rng.random_range(0..=uops.start),
            4 | 5 => {
                uops = self.rng.random_range(0..depth)..self.rng.random_range(0..2 * depth);
                iter = [0, self.rng.random_range(0..=most_iter)];
                if self.rng.random() {
                    iter.reverse();
                }
            }
            _ => {}
        }
        Nest { uops, iter }
    }

    /// Factors that keep an operand in its memory; any if it is not used.
    fn factors(
        &mut self,
        nest: &Nest,
        operand: Operand,
        memory: MemType,
        largest: u32,
        used: bool,
    ) -> [u32; 2] {
        if !used || nest.steps() == 0 {
            return [0; 2].map(|_: u32| self.rng.random_range(0..=largest));
        }
        let range = nest.uops.start as usize..nest.uops.end as usize;
        let max = self
            .uops
            .get(range)
            .unwrap_or_default()
            .iter()
            .map(|uop| index(uop, operand))
            .max()
            .unwrap_or(0) as u32;
        let room = (self.design.depth(memory) - 1).saturating_sub(max);
        if self.rng.random_bool(0.1) {
            // One loop, which ends at the last element if a factor takes it there.
            let to_end = |n: u32| (room / (n - 1).max(1)).min(largest);
            return match nest.iter {
                [n, 1] if n > 1 => [to_end(n), 0],
                [_, n] => [0, to_end(n)],
            };
        }
        nest.iter.map(|n| {
            let most = (room / 2 / n.saturating_sub(1).max(1)).min(largest);
            match self.rng.random_range(0..10) {
                0 => self.rng.random_range(0..=most),
                1..=3 => 0,
                _ => self.rng.random_range(0..=most.min(6)),
            }
        })
    }
}

/// The loops of a GEMM or ALU.
pub(super) struct Nest {
    pub(super) uops: Range<u32>,
    pub(super) iter: [u32; 2],
}

impl Nest {
    fn steps(&self) -> u64 {
        self.uops.len() as u64 * self.iter.map(u64::from).iter().product::<u64>()
    }
}
