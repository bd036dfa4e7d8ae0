//! What a run did, in numbers.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;
use vta_isa::{AluOp, Design, INSN_BYTES, Insn, MemType};

use crate::access::Action;
use crate::meter::Meter;

macro_rules! counters {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) { $(self.$field += other.$field;)* }
        }
    )*};
}

counters! {
    /// Everything that is counted. Padding moves no byte of DRAM and is not counted.
    pub struct Counters {
        /// Instructions retired, by kind.
        pub insns: InsnCounters,
        /// DRAM bytes that LOAD read, by the memory that they went to.
        pub load_bytes: Bytes,
        /// DRAM bytes that STORE wrote.
        pub store_bytes: u64,
        /// Elements that STORE rescaled.
        pub requant_ops: u64,
        /// Micro-ops copied to the micro-op memory.
        pub uops_loaded: u64,
        /// Micro-op executions of GEMM that multiply.
        pub gemm_ops: u64,
        /// Micro-op executions of GEMM that reset an accumulator element.
        pub reset_ops: u64,
        /// Multiply-accumulates: `gemm_ops` times `batch * block_in * block_out`.
        pub macs: u64,
        /// Micro-op executions of ALU, by opcode.
        pub alu_ops: AluCounters,
    }

    /// Instructions by kind. A LOAD or STORE that moves nothing counts as `sync` only.
    pub struct InsnCounters {
        /// LOAD.
        pub load: u64,
        /// STORE.
        pub store: u64,
        /// GEMM, resets included.
        pub gemm: u64,
        /// ALU.
        pub alu: u64,
        /// LOAD or STORE with `x_size = 0`.
        pub sync: u64,
        /// FINISH.
        pub finish: u64,
    }

    /// Bytes by memory type.
    pub struct Bytes {
        /// Micro-ops.
        pub uop: u64,
        /// Weights.
        pub wgt: u64,
        /// Inputs.
        pub inp: u64,
        /// Accumulators at full width.
        pub acc: u64,
        /// 8-bit values that become accumulators.
        pub acc8: u64,
        /// Rescalings.
        pub rqt: u64,
    }

    /// ALU micro-op executions by opcode.
    pub struct AluCounters {
        /// MIN.
        pub min: u64,
        /// MAX.
        pub max: u64,
        /// ADD.
        pub add: u64,
        /// SHR.
        pub shr: u64,
        /// MUL.
        pub mul: u64,
    }
}

impl Counters {
    /// What the instructions of a raw stream, or of a part of one, do: as their fields say, without running them.
    /// It ends with the first FINISH, or before the first instruction that is a fault.
    pub fn of(design: &Design, insns: &[u8]) -> Counters {
        let mut meter = Meter::unlimited();
        for bytes in insns.chunks_exact(INSN_BYTES) {
            let Ok(insn) = Insn::decode(design, bytes.try_into().expect("an instruction's bytes"))
            else {
                break;
            };
            let Ok(action) = Action::of(design, &insn) else {
                break;
            };
            if meter.count(design, &action).is_err() || matches!(action, Action::Finish) {
                break;
            }
        }
        meter.counters()
    }
}

impl InsnCounters {
    /// All instructions.
    pub fn total(&self) -> u64 {
        self.load + self.store + self.gemm + self.alu + self.sync + self.finish
    }
}

impl Bytes {
    /// Bytes of all memory types.
    pub fn total(&self) -> u64 {
        self.uop + self.wgt + self.inp + self.acc + self.acc8 + self.rqt
    }

    pub(crate) fn add(&mut self, memory: MemType, bytes: u64) {
        *match memory {
            MemType::Uop => &mut self.uop,
            MemType::Wgt => &mut self.wgt,
            MemType::Inp => &mut self.inp,
            MemType::Acc | MemType::Out => &mut self.acc,
            MemType::Acc8 => &mut self.acc8,
            MemType::Rqt => &mut self.rqt,
        } += bytes;
    }
}

impl AluCounters {
    /// ALU micro-op executions of all opcodes.
    pub fn total(&self) -> u64 {
        self.min + self.max + self.add + self.shr + self.mul
    }

    pub(crate) fn add(&mut self, op: AluOp, count: u64) {
        let ops = match op {
            AluOp::Min => &mut self.min,
            AluOp::Max => &mut self.max,
            AluOp::Add => &mut self.add,
            AluOp::Shr => &mut self.shr,
            AluOp::Mul => &mut self.mul,
        };
        *ops = ops.saturating_add(count);
    }
}

/// A table of what is not zero, one quantity a line.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters {
            insns,
            load_bytes,
            alu_ops,
            ..
        } = self;
        let lines = [
            ("instructions", insns.total()),
            ("  LOAD", insns.load),
            ("  STORE", insns.store),
            ("  GEMM", insns.gemm),
            ("  ALU", insns.alu),
            ("  only tokens", insns.sync),
            ("  FINISH", insns.finish),
            ("bytes loaded", load_bytes.total()),
            ("  micro-ops", load_bytes.uop),
            ("  weights", load_bytes.wgt),
            ("  inputs", load_bytes.inp),
            ("  accumulators", load_bytes.acc),
            ("  8-bit accumulators", load_bytes.acc8),
            ("  rescalings", load_bytes.rqt),
            ("bytes stored", self.store_bytes),
            ("elements rescaled", self.requant_ops),
            ("micro-ops loaded", self.uops_loaded),
            ("GEMM operations", self.gemm_ops),
            ("resets", self.reset_ops),
            ("MACs", self.macs),
            ("ALU operations", alu_ops.total()),
            ("  MIN", alu_ops.min),
            ("  MAX", alu_ops.max),
            ("  ADD", alu_ops.add),
            ("  SHR", alu_ops.shr),
            ("  MUL", alu_ops.mul),
        ];
        for (name, count) in lines.into_iter().filter(|line| line.1 > 0) {
            writeln!(f, "{name:<20} {count:>14}")?;
        }
        Ok(())
    }
}
