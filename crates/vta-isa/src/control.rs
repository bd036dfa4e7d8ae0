//! What the hardware shows a host beside memory: its control registers and its fault codes.

use std::fmt;

use crate::Design;
use crate::insn::coded;

coded! {
    /// Why the hardware stopped a run; the low bits of [`Register::Fault`].
    FaultCode {
        /// It did not.
        None = 0, "none";
        /// An undefined opcode.
        Opcode = 1, "opcode";
        /// A memory type that the instruction cannot have.
        MemType = 2, "mem_type";
        /// A scratchpad range past the end.
        Sram = 3, "sram";
        /// A micro-op range past the end of the memory.
        UopRange = 4, "uop_range";
        /// An accumulator, input or weight index past the end.
        Index = 5, "index";
        /// An ALU operation that the design lacks.
        AluOp = 6, "alu_op";
        /// Padding in a STORE.
        StorePad = 7, "store_pad";
        /// An address past the address width.
        Address = 8, "address";
        /// An error response of the memory.
        Bus = 9, "bus";
        /// Instructions that end without FINISH, or go on after it.
        Finish = 10, "finish";
        /// Nothing moved for as many cycles as the watchdog allows.
        Watchdog = 11, "watchdog";
    }
}

impl FaultCode {
    /// What is wrong, in words.
    pub fn message(self) -> &'static str {
        match self {
            FaultCode::None => "nothing is wrong",
            FaultCode::Opcode => "an undefined opcode",
            FaultCode::MemType => "a memory type that the instruction cannot have",
            FaultCode::Sram => "a transfer past the end of a scratchpad",
            FaultCode::UopRange => "a micro-op range past the end of the micro-op memory",
            FaultCode::Index => "an accumulator, input or weight index past the end",
            FaultCode::AluOp => "an ALU operation that the design lacks",
            FaultCode::StorePad => "a STORE with padding",
            FaultCode::Address => "an address past the address width",
            FaultCode::Bus => "an error response of the memory",
            FaultCode::Finish => "instructions that end without FINISH, or go on after it",
            FaultCode::Watchdog => "nothing moved for as long as the watchdog allows",
        }
    }
}

coded! {
    /// A register of the control port, 32 bits or a pointer, in the order of addresses.
    Register {
        /// Bit 0 launches; bit 1 reads as finished; bit 2, with a launch, clears the tokens; bit 3
        /// reads as a fault.
        Control = 0, "control";
        /// Cycles of the run.
        EventCounter = 1, "event_counter";
        /// Instructions of the stream.
        InsnCount = 2, "insn_count";
        /// Address of the stream.
        InsnBase = 3, "insn_base";
        /// Joined to the addresses of micro-ops by OR.
        UopBase = 4, "uop_base";
        /// Joined to the addresses of inputs.
        InpBase = 5, "inp_base";
        /// Joined to the addresses of weights.
        WgtBase = 6, "wgt_base";
        /// Joined to the addresses of accumulators.
        AccBase = 7, "acc_base";
        /// Joined to the addresses of outputs.
        OutBase = 8, "out_base";
        /// GEMM and ALU slots issued in the run.
        UserCounter = 9, "user_counter";
        /// The [`FaultCode`], and from bit 4 the module: fetch, load, compute, store.
        Fault = 10, "fault";
        /// Cycles without movement after which a run is stopped; 0 for never.
        Watchdog = 11, "watchdog";
    }
}

impl Register {
    /// Whether it holds an address, and is as wide as one.
    pub fn is_pointer(self) -> bool {
        (Register::InsnBase..=Register::OutBase).contains(&self)
    }

    /// Its address on the control port, bytes.
    pub fn offset(self, design: &Design) -> u32 {
        let bytes = |register: &Register| match register.is_pointer() {
            true => design.addr_bits() / 8,
            false => 4,
        };
        Register::ALL[..self as usize].iter().map(bytes).sum()
    }
}
