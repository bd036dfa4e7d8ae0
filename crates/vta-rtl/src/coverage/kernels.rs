//! What GEMM and ALU meet: micro-ops, loops, and accumulators that are read soon after they are written.

use std::collections::VecDeque;

use vta_isa::{AluInsn, AluOp, Design, GemmInsn, GemmMode, MemInsn, MemType, Uop};
use vta_sim::{Dram, InsnTiming};

use super::bin::DISTANCES;
use super::{Bin, Coverage, Nothing, Reader, Second, Shift, Source, Use, loaded_uops};

/// Micro-ops inside two loops.
pub(super) struct Nest {
    kind: Kind,
    begin: u32,
    end: u32,
    iter: [u32; 2],
    dst: [u32; 2],
    src: [u32; 2],
    wgt: [u32; 2],
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Gemm(GemmMode),
    Immediate(AluOp, i32),
    Tensor(AluOp),
}

/// A slot of the pipeline: the accumulator it reads, and whether it writes it back.
struct Slot {
    reader: Option<Reader>,
    acc: u32,
    writes: bool,
}

/// The micro-op memory and what is under way, while a program is read.
pub(super) struct Kernels<'a> {
    design: &'a Design,
    uops: Vec<Uop>,
    /// What has happened to each micro-op.
    history: Vec<History>,
    /// Accumulators that the last slots wrote, the latest first.
    written: VecDeque<Option<u32>>,
    /// The cycle after the last slot so far.
    next_slot: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum History {
    Idle,
    Executed,
    Replaced,
}

impl Nest {
    pub(super) fn gemm(gemm: &GemmInsn) -> Nest {
        Nest {
            kind: Kind::Gemm(gemm.mode()),
            begin: gemm.uop_begin,
            end: gemm.uop_end,
            iter: [gemm.iter_out, gemm.iter_in],
            dst: [gemm.dst_factor_out, gemm.dst_factor_in],
            src: [gemm.src_factor_out, gemm.src_factor_in],
            wgt: [gemm.wgt_factor_out, gemm.wgt_factor_in],
        }
    }

    /// `None` if there is no such operation.
    pub(super) fn alu(alu: &AluInsn) -> Option<Nest> {
        let op = alu.op()?;
        Some(Nest {
            kind: if alu.use_imm {
                Kind::Immediate(op, alu.imm)
            } else {
                Kind::Tensor(op)
            },
            begin: alu.uop_begin,
            end: alu.uop_end,
            iter: [alu.iter_out, alu.iter_in],
            dst: [alu.dst_factor_out, alu.dst_factor_in],
            src: [alu.src_factor_out, alu.src_factor_in],
            wgt: [0; 2],
        })
    }

    fn steps(&self) -> u64 {
        let uops = self.end.saturating_sub(self.begin);
        self.iter
            .iter()
            .fold(uops.into(), |n, &iter| n * u64::from(iter))
    }

    fn nothing(&self) -> impl Iterator<Item = Nothing> {
        [
            (self.iter[0] == 0, Nothing::IterOut),
            (self.iter[1] == 0, Nothing::IterIn),
            (self.begin == self.end, Nothing::EmptyRange),
            (self.begin > self.end, Nothing::ReversedRange),
        ]
        .into_iter()
        .filter_map(|(met, why)| met.then_some(why))
    }

    /// When a tensor operand is read.
    fn source(&self) -> Source {
        if self.end - self.begin > 1 {
            Source::ByUop
        } else if self.iter[1] > 1 && self.src[1] != 0 {
            Source::ByInner
        } else if self.src[0] != 0 {
            Source::ByOuter
        } else {
            Source::Once
        }
    }

    /// Calls `f` for each step, with the iterations and the micro-op's index.
    fn each(&self, mut f: impl FnMut(u32, u32, u32)) {
        for o in 0..self.iter[0] {
            for i in 0..self.iter[1] {
                (self.begin..self.end).for_each(|u| f(o, i, u));
            }
        }
    }
}

impl<'a> Kernels<'a> {
    pub(super) fn new(design: &'a Design) -> Kernels<'a> {
        let depth = design.depth(MemType::Uop) as usize;
        Kernels {
            design,
            uops: vec![Uop::default(); depth],
            history: vec![History::Idle; depth],
            written: VecDeque::new(),
            next_slot: 0,
        }
    }

    pub(super) fn load(&mut self, dram: &Dram, mem: &MemInsn) {
        for (at, uop) in loaded_uops(self.design, dram, mem) {
            self.uops[at] = uop;
            if self.history[at] == History::Executed {
                self.history[at] = History::Replaced;
            }
        }
    }
}

impl Coverage {
    /// A GEMM or ALU that is in range.
    pub(super) fn kernel(&mut self, state: &mut Kernels, nest: Nest, timing: Option<&InsnTiming>) {
        match nest.kind {
            Kind::Gemm(GemmMode::Reset) => self.hit(Bin::Reset),
            Kind::Gemm(GemmMode::Overwrite) => self.hit(Bin::Overwrite),
            Kind::Gemm(GemmMode::Accumulate) => {}
            Kind::Tensor(op) => self.hit(Bin::Alu(op, Second::Tensor)),
            Kind::Immediate(op, imm) => {
                self.hit(Bin::Alu(op, Second::Immediate));
                let width = state.design.acc_bits() as i32;
                let shift = |met, shift| (met && op == AluOp::Shr).then_some(Bin::Shift(shift));
                let bins = [
                    shift(imm < 0, Shift::Left),
                    shift(imm >= width, Shift::AllRight),
                    shift(imm <= -width, Shift::AllLeft),
                ];
                bins.into_iter().flatten().for_each(|bin| self.hit(bin));
            }
        }
        let steps = nest.steps();
        if steps == 0 {
            nest.nothing().for_each(|why| self.hit(Bin::NoSteps(why)));
            return;
        }
        self.hit_if(steps >= 1000, Bin::LongLoop);
        self.hit_if(
            nest.iter.contains(&state.design.max_iter()),
            Bin::LongestLoop,
        );
        self.executed(state, &nest);
        self.last_elements(state, &nest);
        self.hazards(state, &nest, timing);
    }

    fn executed(&mut self, state: &mut Kernels, nest: &Nest) {
        let range = nest.begin as usize..nest.end as usize;
        self.hit_if(range.end == state.uops.len(), Bin::Last(Use::Executed));
        let Some(history) = state.history.get_mut(range) else {
            return;
        };
        self.hit_if(history.contains(&History::Replaced), Bin::Reload);
        history.fill(History::Executed);
    }

    fn last_elements(&mut self, state: &Kernels, nest: &Nest) {
        let uses: &[(Use, MemType)] = match nest.kind {
            Kind::Gemm(GemmMode::Reset) => &[(Use::GemmDst, MemType::Acc)],
            Kind::Gemm(GemmMode::Accumulate | GemmMode::Overwrite) => &[
                (Use::GemmDst, MemType::Acc),
                (Use::GemmSrc, MemType::Inp),
                (Use::GemmWgt, MemType::Wgt),
            ],
            Kind::Immediate(..) => &[(Use::AluDst, MemType::Acc)],
            Kind::Tensor(_) => &[(Use::AluDst, MemType::Acc), (Use::AluSrc, MemType::Acc)],
        };
        let uops = state.uops.get(nest.begin as usize..nest.end as usize);
        for &(used, memory) in uses {
            let (factors, index): (_, fn(&Uop) -> u32) = match used {
                Use::GemmSrc | Use::AluSrc => (nest.src, |uop| uop.src),
                Use::GemmWgt => (nest.wgt, |uop| uop.wgt),
                _ => (nest.dst, |uop| uop.dst),
            };
            // Indices grow with the loops.
            let first = uops
                .unwrap_or_default()
                .iter()
                .map(index)
                .max()
                .unwrap_or(0);
            let last = first + (nest.iter[0] - 1) * factors[0] + (nest.iter[1] - 1) * factors[1];
            self.hit_if(last + 1 == state.design.depth(memory), Bin::Last(used));
        }
    }

    fn hazards(&mut self, state: &mut Kernels, nest: &Nest, timing: Option<&InsnTiming>) {
        let started = timing.map_or(u64::MAX, |timing| timing.started);
        if started != state.next_slot {
            state.written.clear();
        }
        let source = nest.source();
        let tensor = matches!(nest.kind, Kind::Tensor(_));
        self.hit_if(tensor, Bin::Source(source));
        let mut issued = 0;
        let mut within = [[0_u64; 4]; 5];
        let mut across = [0_u64; 4];
        let mut held_written = false;
        let mut held = u32::MAX;
        let written = &mut state.written;
        let mut issue = |slot: Slot| {
            if let Some(reader) = slot.reader {
                // The latest write is the one that counts.
                let back = written.iter().position(|&acc| acc == Some(slot.acc));
                if let Some(back) = back {
                    within[reader as usize][back] += 1;
                    across[back] += u64::from(back as u64 >= issued);
                }
            }
            written.push_front(slot.writes.then_some(slot.acc));
            written.truncate(*DISTANCES.end());
            issued += 1;
        };
        let reader = match nest.kind {
            Kind::Gemm(GemmMode::Reset) => None,
            Kind::Gemm(GemmMode::Accumulate) => Some(Reader::Gemm),
            Kind::Gemm(GemmMode::Overwrite) => Some(Reader::Overwrite),
            Kind::Immediate(..) => Some(Reader::AluImmediate),
            Kind::Tensor(_) => Some(Reader::AluDst),
        };
        let uops = &state.uops;
        nest.each(|o, i, u| {
            let uop = uops.get(u as usize).copied().unwrap_or_default();
            let dst = uop.dst + o * nest.dst[0] + i * nest.dst[1];
            let src = uop.src + o * nest.src[0] + i * nest.src[1];
            let reads_source = match source {
                Source::ByUop | Source::ByInner => true,
                Source::ByOuter => i == 0,
                Source::Once => o == 0 && i == 0,
            };
            if tensor && reads_source {
                held = src;
                issue(Slot {
                    reader: Some(Reader::AluSrc),
                    acc: src,
                    writes: false,
                });
            }
            held_written |=
                tensor && held == dst && !matches!(source, Source::ByUop | Source::ByInner);
            issue(Slot {
                reader,
                acc: dst,
                writes: true,
            });
        });
        state.next_slot = started.saturating_add(issued);
        self.hit_if(held_written, Bin::HeldSourceWritten);
        for reader in [
            Reader::Gemm,
            Reader::Overwrite,
            Reader::AluImmediate,
            Reader::AluDst,
            Reader::AluSrc,
        ] {
            for distance in DISTANCES {
                self.hits(
                    Bin::Hazard(reader, distance),
                    within[reader as usize][distance - 1],
                );
            }
        }
        for distance in DISTANCES {
            self.hits(Bin::HazardAcross(distance), across[distance - 1]);
        }
    }
}
