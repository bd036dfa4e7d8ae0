//! The field table: every field of every instruction and of the micro-op, once.
//!
//! A line here gives a field its name, type, width, spelling in assembly and meaning. Its bit
//! position follows from the widths before it, and differs between designs. Encoding, decoding,
//! assembly, disassembly, validation of a design and the reference page all read this table.

use crate::Feature::{GemmOverwrite, LoadPad, RequantStore};
use crate::MemType::{Acc, Inp, Uop as UopMem, Wgt};
use crate::field::Spelling::{Dec, Flag, Gate, Hex, Suffix};
use crate::field::{Field, FieldType, Format, Values, Width, fields};
use crate::{AluOp, MemType};

fields! {
    /// The token flags of an instruction: it waits for the tokens it pops, runs, then pushes.
    pub struct Deps {
        /// Waits for a token from the previous module (load, for compute).
        pop_prev: bool = Width::fixed(1), Flag;
        /// Waits for a token from the next module (store, for compute).
        pop_next: bool = Width::fixed(1), Flag;
        /// Gives a token to the previous module when done.
        push_prev: bool = Width::fixed(1), Flag;
        /// Gives a token to the next module when done.
        push_next: bool = Width::fixed(1), Flag;
    }
}

fields! {
    /// The body of LOAD and STORE: a two-dimensional transfer between DRAM and a scratchpad.
    ///
    /// Sizes, strides and addresses count elements of the memory that `memory_type` names.
    pub struct MemInsn {
        /// The memory, as encoded; see [`MemInsn::mem`].
        memory_type: u8 = Width::fixed(3), Suffix(MemType::NAMES);
        /// The first scratchpad element.
        sram_base: u32 = Width::fixed(16).with(LoadPad, 14), Hex("sram");
        /// The first DRAM element: the byte address divided by the element's bytes.
        dram_base: u32 = Width::fixed(32), Hex("dram");
        /// LOAD: each value of the padding, wrapped to its width. Micro-ops and rescalings have zeros.
        pad_value: i32 = Width::fixed(0).with(LoadPad, 8), Dec("pad_value");
        /// Rows to move.
        y_size: u32 = Width::fixed(16), Dec("y");
        /// Elements to move in each row; 0 makes the instruction a mere synchronization.
        x_size: u32 = Width::fixed(16), Dec("x");
        /// DRAM elements from the start of one row to the start of the next.
        x_stride: u32 = Width::fixed(16), Dec("stride");
        /// Rows of padding above.
        y_pad_0: u32 = Width::fixed(4).with(RequantStore, 0), Dec("pad");
        /// Rows of padding below.
        y_pad_1: u32 = Width::fixed(4).with(RequantStore, 0), Dec("pad");
        /// Elements of padding before each row.
        x_pad_0: u32 = Width::fixed(4).with(RequantStore, 0), Dec("pad");
        /// Elements of padding after each row.
        x_pad_1: u32 = Width::fixed(4).with(RequantStore, 0), Dec("pad");
        /// STORE: whether it rescales, by the rescalings that `entry` names.
        requant: bool = Width::fixed(0).with(RequantStore, 1), Gate;
        /// STORE: which block of rescalings, `BLOCK_OUT` of them each.
        entry: u32 = Width::fixed(0).with(RequantStore, 15), Dec("rqt");
    }
}

fields! {
    /// The body of GEMM: micro-ops inside two loops, each a product of tensor registers.
    pub struct GemmInsn {
        /// Writes zeros to the accumulators instead of adding products.
        reset: bool = Width::fixed(1), Flag;
        /// The first micro-op.
        uop_begin: u32 = Width::index(&[UopMem]), Dec("uop");
        /// One past the last micro-op.
        uop_end: u32 = Width::bound(&[UopMem]), Dec("uop");
        /// Trip count of the outer loop.
        iter_out: u32 = Width::fixed(14), Dec("iter");
        /// Trip count of the inner loop.
        iter_in: u32 = Width::fixed(14), Dec("iter");
        /// Writes the products over what the accumulators hold instead of adding them.
        overwrite: bool = Width::fixed(0).with(GemmOverwrite, 1), Flag;
        /// Added to the accumulator index in each outer iteration.
        dst_factor_out: u32 = Width::index(&[Acc]), Dec("dst");
        /// Added to the accumulator index in each inner iteration.
        dst_factor_in: u32 = Width::index(&[Acc]), Dec("dst");
        /// Added to the input index in each outer iteration.
        src_factor_out: u32 = Width::index(&[Inp]), Dec("src");
        /// Added to the input index in each inner iteration.
        src_factor_in: u32 = Width::index(&[Inp]), Dec("src");
        /// Added to the weight index in each outer iteration.
        wgt_factor_out: u32 = Width::index(&[Wgt]), Dec("wgt");
        /// Added to the weight index in each inner iteration.
        wgt_factor_in: u32 = Width::index(&[Wgt]), Dec("wgt");
    }
}

fields! {
    /// The body of ALU: micro-ops inside two loops, each an elementwise operation on accumulators.
    pub struct AluInsn {
        /// Has no effect on ALU; kept so that every stream reads back.
        reset: bool = Width::fixed(1), Flag;
        /// The first micro-op.
        uop_begin: u32 = Width::index(&[UopMem]), Dec("uop");
        /// One past the last micro-op.
        uop_end: u32 = Width::bound(&[UopMem]), Dec("uop");
        /// Trip count of the outer loop.
        iter_out: u32 = Width::fixed(14), Dec("iter");
        /// Trip count of the inner loop.
        iter_in: u32 = Width::fixed(14), Dec("iter");
        /// Added to the destination index in each outer iteration.
        dst_factor_out: u32 = Width::index(&[Acc]), Dec("dst");
        /// Added to the destination index in each inner iteration.
        dst_factor_in: u32 = Width::index(&[Acc]), Dec("dst");
        /// Added to the source index in each outer iteration.
        src_factor_out: u32 = Width::index(&[Acc]), Dec("src");
        /// Added to the source index in each inner iteration.
        src_factor_in: u32 = Width::index(&[Acc]), Dec("src");
        /// The operation, as encoded; see [`AluInsn::op`].
        alu_opcode: u8 = Width::fixed(3), Suffix(AluOp::NAMES);
        /// Whether the second operand is `imm` rather than the source accumulator.
        use_imm: bool = Width::fixed(1), Gate;
        /// The immediate operand.
        imm: i32 = Width::fixed(16), Dec("imm");
    }
}

fields! {
    /// A micro-op: the indices of one tensor operation, before the loops' factors are added.
    pub struct Uop {
        /// The accumulator written.
        dst: u32 = Width::index(&[Acc]), Dec("dst");
        /// The input (GEMM) or accumulator (ALU) read.
        src: u32 = Width::index(&[Acc, Inp]), Dec("src");
        /// The weight tile read (GEMM).
        wgt: u32 = Width::index(&[Wgt]), Dec("wgt");
    }
}

/// Bits of the opcode, the lowest of every instruction.
pub(crate) const OPCODE_BITS: u32 = 3;

/// The token flags that follow the opcode of every instruction.
pub(crate) const HEADER: Format = Format {
    name: "header",
    fields: Deps::FIELDS,
    start: OPCODE_BITS,
    word_bits: 64,
    second: None,
};
const BODY_START: u32 = OPCODE_BITS + 4;

/// The body of LOAD and STORE.
pub(crate) const MEM: Format = Format {
    name: "LOAD/STORE",
    fields: MemInsn::FIELDS,
    start: BODY_START,
    word_bits: 64,
    second: Some("y_size"),
};
/// The body of GEMM.
pub(crate) const GEMM: Format = Format {
    name: "GEMM",
    fields: GemmInsn::FIELDS,
    start: BODY_START,
    word_bits: 64,
    second: Some("dst_factor_out"),
};
/// The body of ALU.
pub(crate) const ALU: Format = Format {
    name: "ALU",
    fields: AluInsn::FIELDS,
    start: BODY_START,
    word_bits: 64,
    second: Some("dst_factor_out"),
};
/// The body of FINISH: nothing.
pub(crate) const FINISH: Format = Format {
    name: "FINISH",
    fields: &[],
    start: BODY_START,
    word_bits: 64,
    second: None,
};
/// A micro-op.
pub(crate) const UOP: Format = Format {
    name: "micro-op",
    fields: Uop::FIELDS,
    start: 0,
    word_bits: 32,
    second: None,
};
