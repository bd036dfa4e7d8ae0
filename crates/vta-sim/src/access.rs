//! What an instruction touches, checked whole before anything of it happens.
//!
//! An instruction is an [`Action`], whose every access lies inside its memory once [`Action::check`] has passed it;
//! if not, that names the first that does not. The simulator carries actions out, the checker takes their
//! footprint.

use std::ops::Range;

use vta_isa::{
    AluInsn, AluOp, Body, Design, GemmInsn, GemmMode, Insn, MemInsn, MemType, UOP_BYTES, Uop,
};

use crate::dram::Dram;
use crate::fault::{Cause, Direction, Operand};

/// An instruction whose accesses are known to be in range.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Only tokens.
    Sync,
    Load(Transfer),
    Store(Transfer),
    Kernel(Kernel),
    Finish,
}

/// A two-dimensional move; positions and sizes of the scratchpad side count elements.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) memory: MemType,
    /// First scratchpad element.
    pub(crate) sram: usize,
    /// Rows moved, elements in each.
    pub(crate) rows: usize,
    pub(crate) x_size: usize,
    /// Physical address of the first row, bytes in a row, bytes from row to row.
    addr: u64,
    pub(crate) row_bytes: usize,
    pitch: u64,
    pub(crate) y_pad: [usize; 2],
    pub(crate) x_pad: [usize; 2],
    /// What the values of the padding are, before they are wrapped to their width.
    pub(crate) pad_value: i32,
    /// The records by which a STORE rescales.
    pub(crate) requant: Option<Range<usize>>,
}

impl Transfer {
    /// Bytes moved.
    pub(crate) fn bytes(&self) -> u64 {
        self.rows as u64 * self.row_bytes as u64
    }

    /// Scratchpad elements of a row, padding included.
    pub(crate) fn width(&self) -> usize {
        self.x_pad[0] + self.x_size + self.x_pad[1]
    }

    /// All scratchpad elements written or read.
    pub(crate) fn span(&self) -> Range<usize> {
        self.sram..self.sram + (self.y_pad[0] + self.rows + self.y_pad[1]) * self.width()
    }

    /// The first scratchpad element that moves in a row.
    pub(crate) fn row_start(&self, row: usize) -> usize {
        self.sram + (self.y_pad[0] + row) * self.width() + self.x_pad[0]
    }

    /// Physical address of a row.
    pub(crate) fn addr(&self, row: usize) -> u64 {
        self.addr + row as u64 * self.pitch
    }

    fn of(design: &Design, mem: &MemInsn, memory: MemType) -> Result<Transfer, Cause> {
        let elem = design.elem_bytes(memory);
        let [sram, rows, x_size, y0, y1, x0, x1] = [
            mem.sram_base,
            mem.y_size,
            mem.x_size,
            mem.y_pad_0,
            mem.y_pad_1,
            mem.x_pad_0,
            mem.x_pad_1,
        ]
        .map(u64::from);
        let (first, count) = (sram, (y0 + rows + y1) * (x0 + x_size + x1));
        let depth = design.depth(memory);
        if count > 0 && first + count > depth.into() {
            return Err(Cause::Sram {
                memory,
                first,
                end: first + count,
                depth,
            });
        }
        // From here on every size is bounded by the depth, or nothing moves.
        Ok(Transfer {
            memory,
            sram: sram as usize,
            rows: rows as usize,
            x_size: x_size as usize,
            addr: u64::from(mem.dram_base) * elem as u64,
            row_bytes: x_size as usize * elem,
            pitch: u64::from(mem.x_stride) * elem as u64,
            y_pad: [y0 as usize, y1 as usize],
            x_pad: [x0 as usize, x1 as usize],
            pad_value: mem.pad_value,
            requant: None,
        })
    }

    /// Whether every row lies in the image.
    fn check(&self, dram: &Dram, direction: Direction) -> Result<(), Cause> {
        let outside = |&row: &usize| dram.get(self.addr(row), self.row_bytes).is_none();
        // Addresses only grow: if the first and the last row lie inside, so does every other.
        if self.rows > 0 && (outside(&0) || outside(&(self.rows - 1))) {
            let row = (0..self.rows).find(outside).unwrap_or_default();
            return Err(Cause::DramAddress {
                direction,
                row: row as u64,
                addr: self.addr(row),
                bytes: self.row_bytes as u64,
                base: dram.base,
                end: dram.end(),
            });
        }
        Ok(())
    }

    /// The elements of the padding.
    pub(crate) fn padding(&self) -> usize {
        self.span().len() - self.rows * self.x_size
    }

    /// Writes `pad` to the padding and, by `unpack`, the rows to their elements of `lanes` values.
    #[inline(always)]
    pub(crate) fn fill<T: Clone>(
        &self,
        dram: &Dram,
        lanes: usize,
        memory: &mut [T],
        pad: T,
        mut unpack: impl FnMut(&[u8], &mut [T]),
    ) {
        let span = self.span();
        if self.padding() > 0 {
            memory[span.start * lanes..span.end * lanes].fill(pad);
        }
        self.each_row(dram, |start, bytes| {
            unpack(bytes, &mut memory[start * lanes..][..self.x_size * lanes]);
        });
    }

    /// Calls `f` with the first element and the bytes of each row.
    #[inline(always)]
    pub(crate) fn each_row(&self, dram: &Dram, mut f: impl FnMut(usize, &[u8])) {
        for row in 0..self.rows {
            let from = dram.get(self.addr(row), self.row_bytes);
            f(self.row_start(row), from.expect("every row was checked"));
        }
    }

    /// [`Transfer::fill`] for micro-ops.
    pub(crate) fn load_uops(&self, design: &Design, dram: &Dram, memory: &mut [Uop]) {
        self.fill(dram, 1, memory, Uop::default(), |bytes, uops| {
            for (uop, word) in uops.iter_mut().zip(bytes.chunks_exact(UOP_BYTES)) {
                *uop = Uop::decode(
                    design,
                    u32::from_le_bytes([word[0], word[1], word[2], word[3]]),
                );
            }
        });
    }
}

/// Micro-ops inside two loops.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) op: KernelOp,
    pub(crate) uops: Range<u32>,
    pub(crate) iter_out: u32,
    pub(crate) iter_in: u32,
    /// Factors of the outer and the inner loop; 0 for an operand that is not used.
    pub(crate) dst: [u32; 2],
    pub(crate) src: [u32; 2],
    pub(crate) wgt: [u32; 2],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum KernelOp {
    Gemm(GemmMode),
    AluImm(AluOp, i32),
    AluAcc(AluOp),
}

impl Kernel {
    /// How many micro-ops it executes.
    pub(crate) fn steps(&self) -> u64 {
        u64::from(self.iter_out) * u64::from(self.iter_in) * self.uops.len() as u64
    }

    /// The micro-ops in their memory.
    pub(crate) fn uop_range(&self) -> Range<usize> {
        self.uops.start as usize..self.uops.end as usize
    }

    /// The operands that this operation uses, each with its memory.
    pub(crate) fn operands(&self) -> &'static [(Operand, MemType)] {
        match self.op {
            KernelOp::Gemm(GemmMode::Reset) | KernelOp::AluImm(..) => {
                &[(Operand::Dst, MemType::Acc)]
            }
            KernelOp::AluAcc(_) => &[(Operand::Dst, MemType::Acc), (Operand::Src, MemType::Acc)],
            KernelOp::Gemm(GemmMode::Accumulate | GemmMode::Overwrite) => &[
                (Operand::Dst, MemType::Acc),
                (Operand::Src, MemType::Inp),
                (Operand::Wgt, MemType::Wgt),
            ],
        }
    }

    /// Factors of an operand.
    pub(crate) fn factors(&self, operand: Operand) -> [u32; 2] {
        match operand {
            Operand::Dst => self.dst,
            Operand::Src => self.src,
            Operand::Wgt => self.wgt,
        }
    }

    /// Whether its micro-ops lie in their memory, as the fields alone tell.
    fn ranged(self, design: &Design) -> Result<Action, Cause> {
        let (Range { start, end }, depth) = (self.uops.clone(), design.depth(MemType::Uop));
        if self.steps() > 0 && end > depth {
            return Err(Cause::UopRange {
                begin: start,
                end,
                depth,
            });
        }
        Ok(Action::Kernel(self))
    }

    /// Whether every index lies in its memory.
    fn check(&self, design: &Design, uops: &[Uop]) -> Result<(), Cause> {
        if self.steps() == 0 {
            return Ok(());
        }
        let range = &uops[self.uop_range()];
        let firsts = self.operands().iter().filter_map(|&(operand, memory)| {
            let depth = design.depth(memory);
            Some((
                self.first_past(operand, depth, range)?,
                operand,
                memory,
                depth,
            ))
        });
        let Some(((iter_out, iter_in, at), operand, memory, depth)) =
            firsts.min_by_key(|first| first.0)
        else {
            return Ok(());
        };
        let [f_out, f_in] = self.factors(operand).map(u64::from);
        let index =
            index(&range[at], operand) + u64::from(iter_out) * f_out + u64::from(iter_in) * f_in;
        Err(Cause::Index {
            operand,
            memory,
            index,
            depth,
            uop: self.uops.start + at as u32,
            iter_out,
            iter_in,
        })
    }

    /// The first iterations, and the position in `range`, with an index past `depth`.
    ///
    /// Indices only grow with the loops, so the largest micro-op decides for a whole loop nest, and a
    /// division finds the iteration.
    fn first_past(&self, operand: Operand, depth: u32, range: &[Uop]) -> Option<(u32, u32, usize)> {
        let [f_out, f_in] = self.factors(operand).map(u64::from);
        let (last_out, last_in) = (u64::from(self.iter_out - 1), u64::from(self.iter_in - 1));
        let depth = u64::from(depth);
        let max = range.iter().map(|uop| index(uop, operand)).max()?;
        if max + last_out * f_out + last_in * f_in < depth {
            return None;
        }
        // The first iteration of a loop of factor `f` that brings `index` to `depth`.
        let first = |index: u64, f: u64| {
            if f == 0 {
                0
            } else {
                depth.saturating_sub(index).div_ceil(f)
            }
        };
        let outer = first(max + last_in * f_in, f_out);
        let inner = first(max + outer * f_out, f_in);
        let offset = outer * f_out + inner * f_in;
        let at = range
            .iter()
            .position(|uop| index(uop, operand) + offset >= depth)?;
        Some((outer as u32, inner as u32, at))
    }
}

/// The index of an operand before the loops' factors are added.
pub(crate) fn index(uop: &Uop, operand: Operand) -> u64 {
    u64::from(match operand {
        Operand::Dst => uop.dst,
        Operand::Src => uop.src,
        Operand::Wgt => uop.wgt,
    })
}

impl Action {
    /// Checks against the image and the micro-ops that are loaded.
    pub(crate) fn check(&self, design: &Design, dram: &Dram, uops: &[Uop]) -> Result<(), Cause> {
        match self {
            Action::Load(transfer) => transfer.check(dram, Direction::Read),
            Action::Store(transfer) => transfer.check(dram, Direction::Write),
            Action::Kernel(kernel) => kernel.check(design, uops),
            Action::Sync | Action::Finish => Ok(()),
        }
    }

    /// What an instruction does, checked against the design as far as its fields tell.
    pub(crate) fn of(design: &Design, insn: &Insn) -> Result<Action, Cause> {
        match &insn.body {
            Body::Load(mem) | Body::Store(mem) if mem.is_sync() => Ok(Action::Sync),
            Body::Load(mem) => {
                let memory = match mem.mem() {
                    None | Some(MemType::Out) => return Err(no_load(mem)),
                    Some(MemType::Rqt) if !design.has_memory(MemType::Rqt) => {
                        return Err(no_load(mem));
                    }
                    Some(MemType::Acc8) if !design.has_acc8() => {
                        return Err(Cause::NoAcc8 {
                            acc_bits: design.acc_bits(),
                            inp_bits: design.inp_bits(),
                        });
                    }
                    Some(memory) => memory,
                };
                Transfer::of(design, mem, memory).map(Action::Load)
            }
            Body::Store(mem) => {
                if mem.mem() != Some(MemType::Out) {
                    return Err(Cause::MemoryType {
                        opcode: "STORE",
                        value: mem.memory_type,
                    });
                }
                let pads = [mem.y_pad_0, mem.y_pad_1, mem.x_pad_0, mem.x_pad_1];
                if pads != [0; 4] {
                    return Err(Cause::PaddedStore { pads });
                }
                let transfer = Transfer::of(design, mem, MemType::Out)?;
                let requant = mem.requant.then(|| records(design, mem)).transpose()?;
                Ok(Action::Store(Transfer {
                    requant,
                    ..transfer
                }))
            }
            Body::Gemm(gemm) => gemm_kernel(gemm).ranged(design),
            Body::Alu(alu) => alu_kernel(design, alu)?.ranged(design),
            Body::Finish => Ok(Action::Finish),
        }
    }
}

fn no_load(mem: &MemInsn) -> Cause {
    Cause::MemoryType {
        opcode: "LOAD",
        value: mem.memory_type,
    }
}

/// The records that a rescaling STORE names, one for each column of its elements.
fn records(design: &Design, mem: &MemInsn) -> Result<Range<usize>, Cause> {
    let entries = design.requant_entries();
    if mem.entry >= entries {
        return Err(Cause::RequantEntry {
            entry: mem.entry,
            entries,
        });
    }
    let first = mem.entry as usize * design.block_out();
    Ok(first..first + design.block_out())
}

fn gemm_kernel(gemm: &GemmInsn) -> Kernel {
    let multiplies = u32::from(!gemm.reset);
    Kernel {
        op: KernelOp::Gemm(gemm.mode()),
        uops: gemm.uop_begin..gemm.uop_end,
        iter_out: gemm.iter_out,
        iter_in: gemm.iter_in,
        dst: [gemm.dst_factor_out, gemm.dst_factor_in],
        src: [gemm.src_factor_out, gemm.src_factor_in].map(|f| f * multiplies),
        wgt: [gemm.wgt_factor_out, gemm.wgt_factor_in].map(|f| f * multiplies),
    }
}

fn alu_kernel(design: &Design, alu: &AluInsn) -> Result<Kernel, Cause> {
    let op = alu.op().ok_or(Cause::AluOpcode {
        value: alu.alu_opcode,
    })?;
    if !design.has_alu(op) {
        let design = design.config().alu_ops.join(", ");
        return Err(Cause::NoAlu { op, design });
    }
    Ok(Kernel {
        op: if alu.use_imm {
            KernelOp::AluImm(op, alu.imm)
        } else {
            KernelOp::AluAcc(op)
        },
        uops: alu.uop_begin..alu.uop_end,
        iter_out: alu.iter_out,
        iter_in: alu.iter_in,
        dst: [alu.dst_factor_out, alu.dst_factor_in],
        src: [alu.src_factor_out, alu.src_factor_in].map(|f| f * u32::from(!alu.use_imm)),
        wgt: [0; 2],
    })
}
