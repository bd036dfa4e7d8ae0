//! What a set of programs has met: a count for each [`Bin`].

mod bin;
mod kernels;
mod queues;
mod text;
mod transfers;

use std::collections::BTreeMap;

use vta_isa::{Body, Design, INSN_BYTES, Insn, MemType, Module, UOP_BYTES, Uop};
use vta_sim::{CycleReport, Dram};

use crate::Trial;

pub use bin::{Bin, Flag, Nothing, Reader, Row, Second, Shift, Side, Source, Stored, Use};

/// How often each bin was met.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<Bin, u64>,
    /// By which rescalings the program's last STORE was, if there was one.
    last_entry: Option<Option<u32>>,
}

impl Coverage {
    /// Nothing met yet, of what programs of this design can meet.
    pub fn new(design: &Design) -> Coverage {
        Coverage {
            counts: Bin::all(design).into_iter().map(|bin| (bin, 0)).collect(),
            last_entry: None,
        }
    }

    /// Counts what a trial met, according to its traced run.
    pub fn observe(&mut self, design: &Design, trial: &Trial, report: &CycleReport) {
        let timings = &report.timings;
        let insns: Vec<Insn> = trial
            .insns()
            .chunks_exact(INSN_BYTES)
            .filter_map(|bytes| Insn::decode(design, bytes.try_into().ok()?).ok())
            .collect();
        let mut kernels = kernels::Kernels::new(design);
        self.last_entry = None;
        for (index, insn) in insns.iter().enumerate() {
            self.instruction(design, insn);
            match &insn.body {
                Body::Load(mem) | Body::Store(mem) if mem.is_sync() => {
                    self.hit(Bin::Sync(insn.module(design)));
                }
                Body::Load(mem) => {
                    self.transfer(design, &trial.placement, mem);
                    if mem.mem() == Some(MemType::Uop) {
                        kernels.load(&trial.image, mem);
                    }
                }
                Body::Store(mem) => self.transfer(design, &trial.placement, mem),
                Body::Gemm(gemm) => {
                    self.kernel(&mut kernels, kernels::Nest::gemm(gemm), timings.get(index));
                }
                Body::Alu(alu) => {
                    if let Some(nest) = kernels::Nest::alu(alu) {
                        self.kernel(&mut kernels, nest, timings.get(index));
                    }
                }
                Body::Finish => {}
            }
        }
        self.queues(design, &insns, timings);
        self.bursts(design, &trial.memory, &report.bursts);
    }

    fn instruction(&mut self, design: &Design, insn: &Insn) {
        let (module, opcode, deps) = (insn.module(design), insn.body.opcode(), insn.deps);
        self.hit(Bin::Opcode(opcode));
        for flag in Flag::ALL {
            self.hit_if(flag.is_set(deps), Bin::Flag(module, opcode, flag));
        }
        for (first, second) in Flag::pairs(module) {
            let both = first.is_set(deps) && second.is_set(deps);
            self.hit_if(both, Bin::Pair(module, first, second));
        }
        let all = Flag::ALL.iter().all(|flag| flag.is_set(deps));
        self.hit_if(all && module == Module::Compute, Bin::AllFlags);
        self.hit_if(insn.rsv != 0, Bin::IgnoredBits);
    }

    /// Adds the counts of other programs, perhaps of another design.
    pub fn merge(&mut self, other: &Coverage) {
        for (bin, count) in other.counts() {
            *self.counts.entry(bin).or_default() += count;
        }
    }

    /// The bins with their counts, in the order of the table.
    pub fn counts(&self) -> impl Iterator<Item = (Bin, u64)> + '_ {
        self.counts.iter().map(|(&bin, &count)| (bin, count))
    }

    /// How often a bin was met; `None` if no design so far can meet it.
    pub fn count(&self, bin: Bin) -> Option<u64> {
        self.counts.get(&bin).copied()
    }

    fn hit(&mut self, bin: Bin) {
        self.hits(bin, 1);
    }

    fn hit_if(&mut self, met: bool, bin: Bin) {
        self.hits(bin, met.into());
    }

    fn hits(&mut self, bin: Bin, times: u64) {
        if let Some(count) = self.counts.get_mut(&bin) {
            *count += times;
        }
    }
}

/// The micro-ops that a LOAD brings in, row by row: positions in the micro-op memory, with the words.
fn loaded_uops(design: &Design, dram: &Dram, mem: &vta_isa::MemInsn) -> Vec<(usize, Uop)> {
    let width = mem.x_pad_0 + mem.x_size + mem.x_pad_1;
    let height = mem.y_pad_0 + mem.y_size + mem.y_pad_1;
    let word = |row: u32, column: u32| {
        let element =
            u64::from(mem.dram_base) + u64::from(row) * u64::from(mem.x_stride) + u64::from(column);
        let bytes = dram.get(element * UOP_BYTES as u64, UOP_BYTES)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut uops = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let row = y.checked_sub(mem.y_pad_0).filter(|&row| row < mem.y_size);
            let column = x
                .checked_sub(mem.x_pad_0)
                .filter(|&column| column < mem.x_size);
            let value = row.zip(column).and_then(|(row, column)| word(row, column));
            let at = mem.sram_base + y * width + x;
            uops.push((at as usize, Uop::decode(design, value.unwrap_or(0))));
        }
    }
    uops
}
