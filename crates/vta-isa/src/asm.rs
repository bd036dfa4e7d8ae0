//! Assembly text: one instruction or micro-op a line.
//!
//! ```text
//! load.inp pop_next push_next sram=0x0 dram=0x100 y=14 x=56 stride=56 pad=1,0,1,1
//! gemm pop_prev push_next uop=0,16 iter=14,1 dst=1,0 src=1,0   ; out,in
//! alu.shr uop=0,1 iter=14,1 dst=1,0 src=1,0 imm=7
//! store.out pop_prev push_prev dram=0x400 y=1 x=14 stride=14
//! finish
//! uop dst=0 src=4 wgt=2
//! ```
//!
//! An operand that is zero may be left out, and is when printing. Disassembly and assembly give
//! back the same bytes for any words at all: bits that no field covers become `rsv=0x...`, a word
//! whose opcode is undefined becomes `.word 0x...`, a micro-op with bits that no field covers
//! becomes `.uword 0x...`. The grammar is in the reference page, `docs/isa.md`.

mod parse;
mod print;

pub use parse::{AsmError, Listing, assemble, assemble_listing};
pub use print::{LengthError, disassemble, disassemble_uops, print_insn, print_uop};

/// A word of an instruction, as it is.
const WORD: &str = ".word";
/// A word of a micro-op, as it is.
const UWORD: &str = ".uword";
/// The mnemonic of a micro-op.
const UOP: &str = "uop";
/// The operand with the bits that no field covers, in place.
const RSV: &str = "rsv";
/// Comes before the key of an operand that has a value but is not in use.
const UNUSED: &str = "unused_";
/// The rest of the line is for people.
const COMMENT: char = ';';
