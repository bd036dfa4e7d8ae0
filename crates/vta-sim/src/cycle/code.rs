//! A stream, decoded once into what its timing depends on.

use vta_isa::{Design, MemType, Module};

use super::memory::{Bus, Piece};
use crate::access::{Action, Kernel, KernelOp, Transfer};
use crate::decoded::{Decoded, DecodedInsn};
use crate::fault::Cause;
use crate::func::RunOptions;
use crate::tokens::{pops, pushes, slot};

/// An instruction, as far as time is concerned.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Position in the stream.
    pub(super) index: u32,
    /// Token queues, a bit for each.
    pub(super) pops: u8,
    pub(super) pushes: u8,
    pub(super) work: Work,
}

/// What an instruction keeps its module busy with.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A LOAD or STORE that moves nothing.
    Nothing,
    Finish,
    /// GEMM or ALU: the slots of the sequencer.
    Slots(u64),
    Move(Move),
    /// Its fields are wrong, which is a fault once it is taken.
    Wrong,
}

/// A transfer that has rows or padding.
#[derive(Clone, Debug)]
pub(super) struct Move {
    addr: u64,
    pitch: u64,
    row_bytes: u32,
    rows: u32,
    /// Elements of the padding.
    pub(super) padding: u32,
    /// log2 of the bytes of a unit.
    log_unit: u8,
    /// Whether GEMM and ALU must have written their last result before: a LOAD of accumulators.
    pub(super) drains: bool,
}

impl Move {
    fn new(bus: Bus, design: &Design, transfer: &Transfer) -> Move {
        let log_elem = design.elem_bytes(transfer.memory).ilog2();
        let log_unit = match transfer.memory {
            MemType::Uop => bus.log_beat,
            _ => log_elem.min(bus.log_beat),
        };
        Move {
            addr: transfer.addr(0),
            pitch: transfer.addr(1) - transfer.addr(0),
            row_bytes: transfer.row_bytes as u32,
            rows: transfer.rows as u32,
            padding: transfer.padding() as u32,
            log_unit: log_unit as u8,
            drains: matches!(transfer.memory, MemType::Acc | MemType::Acc8),
        }
    }

    /// Its bursts, in order.
    pub(super) fn bursts(&self, bus: Bus) -> Bursts {
        Bursts {
            bus,
            log_unit: self.log_unit.into(),
            row: self.addr,
            pitch: self.pitch,
            row_bytes: self.row_bytes.into(),
            rows: self.rows.into(),
            at: self.addr,
            left: self.row_bytes.into(),
        }
    }
}

/// The bursts of a transfer that are still to come.
#[derive(Clone, Debug)]
pub(super) struct Bursts {
    bus: Bus,
    log_unit: u32,
    /// Address of the row, of the next row from it, bytes in each, rows from this one on.
    row: u64,
    pitch: u64,
    row_bytes: u64,
    rows: u64,
    /// The next burst's address, and what is left of the row.
    at: u64,
    left: u64,
}

impl Iterator for Bursts {
    type Item = Piece;

    #[inline]
    fn next(&mut self) -> Option<Piece> {
        if self.rows == 0 {
            return None;
        }
        let block = 1 << self.bus.log_block;
        let bytes = self.left.min(block - (self.at & (block - 1)));
        let piece = self.piece(bytes);
        self.at += bytes;
        self.left -= bytes;
        if self.left == 0 {
            self.rows -= 1;
            self.row += self.pitch;
            (self.at, self.left) = (self.row, self.row_bytes);
        }
        Some(piece)
    }
}

impl Bursts {
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    #[inline]
    fn piece(&self, bytes: u64) -> Piece {
        let beat = 1 << self.bus.log_beat;
        if self.log_unit == self.bus.log_beat {
            return Piece {
                bytes,
                duration: self.bus.beats(self.at, bytes),
                first: 1,
            };
        }
        let in_first = bytes.min(beat - (self.at & (beat - 1)));
        Piece {
            bytes,
            duration: bytes >> self.log_unit,
            first: in_first >> self.log_unit,
        }
    }
}

/// A decoded stream, up to its end, its first FINISH or its first undefined opcode.
#[derive(Debug)]
pub(crate) struct Code {
    /// The module of each instruction, in the order of the stream.
    pub(super) modules: Vec<Module>,
    /// The instructions of each module.
    pub(super) records: [Vec<Record>; 3],
    /// Why the instruction after these is none.
    pub(super) undefined: Option<String>,
}

impl Code {
    pub(crate) fn new(design: &Design, decoded: &Decoded) -> Code {
        let (bus, insns) = (Bus::new(design), decoded.insns());
        let mut code = Code {
            modules: Vec::with_capacity(insns.len()),
            records: Default::default(),
            undefined: None,
        };
        for index in 0..insns.len() as u32 {
            let insn = match decoded.get(design, index) {
                Ok(insn) => insn,
                Err(Cause::Decode { message }) => {
                    code.undefined = Some(message);
                    break;
                }
                Err(_) => unreachable!("only an opcode can be undefined"),
            };
            let DecodedInsn { module, deps, .. } = *insn;
            let mask = |queues: &mut dyn Iterator<Item = crate::TokenQueue>| {
                queues.fold(0, |mask, queue| mask | 1 << queue as u8)
            };
            let record = Record {
                index,
                pops: mask(&mut pops(module, deps)),
                pushes: mask(&mut pushes(module, deps)),
                work: work(design, bus, &insn.action),
            };
            code.modules.push(module);
            code.records[slot(module)].push(record);
        }
        code
    }

    /// The instruction that exceeds a limit of a run, if all of it is executed, and which limit.
    pub(super) fn excess(
        &self,
        design: &Design,
        decoded: &Decoded,
        options: &RunOptions,
    ) -> Option<(u32, Cause)> {
        let mut limits = decoded.meter(design).limits(options)?;
        let insns = decoded.insns()[..self.modules.len()].iter().flatten();
        (0..).zip(insns).find_map(|(index, insn)| {
            let action = insn.action.as_ref().ok()?;
            Some((index, limits.count(design, action).err()?))
        })
    }
}

fn work(design: &Design, bus: Bus, action: &Result<Action, Cause>) -> Work {
    match action {
        Err(_) => Work::Wrong,
        Ok(Action::Sync) => Work::Nothing,
        Ok(Action::Finish) => Work::Finish,
        Ok(Action::Load(transfer) | Action::Store(transfer)) => {
            Work::Move(Move::new(bus, design, transfer))
        }
        Ok(Action::Kernel(kernel)) => Work::Slots(slots(kernel)),
    }
}

/// Slots of the sequencer: one a step, and one to read the source of an ALU operation wherever the fields
/// say that it may have changed.
fn slots(kernel: &Kernel) -> u64 {
    let steps = kernel.steps();
    let sources = match kernel.op {
        KernelOp::Gemm(_) | KernelOp::AluImm(..) => 0,
        KernelOp::AluAcc(_) => {
            let [factor_out, factor_in] = kernel.src;
            if kernel.uops.len() > 1 || (kernel.iter_in > 1 && factor_in != 0) {
                steps
            } else if factor_out != 0 {
                kernel.iter_out.into()
            } else {
                1
            }
        }
    };
    if steps == 0 { 0 } else { steps + sources }
}
