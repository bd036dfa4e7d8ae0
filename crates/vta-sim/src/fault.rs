//! What can be wrong with a stream, and the words for it.

use std::fmt;

use vta_isa::{AluOp, MemType, Module};

use crate::tokens::TokenQueue;

/// A run that could not go on, or what the checker found: where, why, what to do, and what the
/// queues held at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The instruction, unless the fault belongs to the stream as a whole.
    pub site: Option<Box<Site>>,
    /// What is wrong.
    pub cause: Cause,
    /// The queues when it was noticed.
    pub queues: Box<QueueState>,
}

/// An instruction of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Position in the stream, from 0.
    pub index: u64,
    /// The module that executes it; none if it could not be decoded.
    pub module: Option<Module>,
    /// Its disassembly, or its bytes if it has none.
    pub text: String,
}

/// The command and token queues at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// The oldest instruction of each module that has one.
    pub heads: Vec<Head>,
    /// Tokens in each queue, in the order of [`TokenQueue::ALL`].
    pub tokens: [usize; 4],
    /// The instruction that fetch holds because its command queue is full.
    pub held: Option<Site>,
}

/// The oldest instruction in a command queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The instruction.
    pub site: Site,
    /// Instructions in this queue, this one included.
    pub queued: usize,
    /// What keeps it from running or from retiring; empty if nothing does.
    pub waits: Vec<Wait>,
}

/// What an instruction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A token to pop.
    Token(TokenQueue),
    /// Room to push a token.
    Room(TokenQueue),
}

/// Which operand of a micro-op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The accumulator written.
    Dst,
    /// The input or accumulator read.
    Src,
    /// The weight tile read.
    Wgt,
}

/// Whether an access reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

/// A place where two accesses meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An element of a scratchpad.
    Sram(MemType, u64),
    /// A physical address.
    Dram(u64),
}

/// Whose mistake a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The stream is wrong.
    Stream,
    /// The call is wrong: its options or its DRAM image.
    Call,
    /// A limit that the caller set was reached.
    Limit,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are explained by the message of each cause.
pub enum Cause {
    /// The stream is not a whole number of instructions.
    Length { bytes: usize },
    /// The stream has more instructions than the simulator numbers.
    TooLong { insns: u64 },
    /// The stream does not lie in DRAM.
    StreamAddress {
        addr: u64,
        bytes: u64,
        base: u64,
        end: u64,
    },
    /// The stream does not lie at a multiple of an instruction's size, where fetch could read it.
    StreamAlignment { addr: u64 },
    /// More tokens than their queue takes.
    InitialTokens {
        queue: TokenQueue,
        tokens: u64,
        depth: u32,
    },
    /// The bytes are no instruction.
    Decode { message: String },
    /// LOAD or STORE of a memory that it cannot move.
    MemoryType { opcode: &'static str, value: u8 },
    /// LOAD of 8-bit accumulators in a design whose widths do not have it.
    NoAcc8 { acc_bits: u32, inp_bits: u32 },
    /// An undefined ALU operation.
    AluOpcode { value: u8 },
    /// An ALU operation that the design lacks.
    NoAlu { op: AluOp, design: String },
    /// STORE with padding.
    PaddedStore { pads: [u32; 4] },
    /// A STORE by rescalings past the end of their table, which has so many blocks of them.
    RequantEntry { entry: u32, entries: u32 },
    /// A transfer past the end of a scratchpad; elements `first..end`.
    Sram {
        memory: MemType,
        first: u64,
        end: u64,
        depth: u32,
    },
    /// A transfer outside DRAM.
    DramAddress {
        direction: Direction,
        row: u64,
        addr: u64,
        bytes: u64,
        base: u64,
        end: u64,
    },
    /// A micro-op range past the end of the micro-op memory.
    UopRange { begin: u32, end: u32, depth: u32 },
    /// An index past the end of a scratchpad, at the first micro-op and loop iterations that have one.
    Index {
        operand: Operand,
        memory: MemType,
        index: u64,
        depth: u32,
        uop: u32,
        iter_out: u32,
        iter_in: u32,
    },
    /// An instruction after FINISH.
    AfterFinish,
    /// No FINISH.
    NoFinish,
    /// No token orders `other` before FINISH.
    Unfinished { other: Box<Site> },
    /// No module can go on.
    Deadlock,
    /// Tokens that nothing pops, in the order of [`TokenQueue::ALL`].
    Leftover { tokens: [usize; 4] },
    /// No token orders this access and the access of `other`.
    Race {
        direction: Direction,
        place: Place,
        other: Box<Site>,
        other_direction: Direction,
    },
    /// Micro-ops that `other` stored: what they are is not known before the run.
    StoredUops { place: Place, other: Box<Site> },
    /// The run is longer than allowed.
    InsnLimit { limit: u64 },
    /// The micro-op executions are more than allowed.
    StepLimit { limit: u64 },
}

impl Cause {
    /// Whose mistake it is.
    pub fn kind(&self) -> Kind {
        match self {
            Cause::StreamAddress { .. }
            | Cause::StreamAlignment { .. }
            | Cause::InitialTokens { .. } => Kind::Call,
            Cause::InsnLimit { .. } | Cause::StepLimit { .. } | Cause::TooLong { .. } => {
                Kind::Limit
            }
            _ => Kind::Stream,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Cause::Length { .. } => {
                "give the raw stream whole, without a header: 16 bytes an instruction"
            }
            Cause::TooLong { .. } => {
                "split the stream and run the parts in turn with the state kept"
            }
            Cause::StreamAddress { .. } => {
                "give the address and count of a stream that lies inside the image"
            }
            Cause::StreamAlignment { .. } => "put the stream at a multiple of 16 bytes",
            Cause::InitialTokens { .. } => {
                "start with fewer tokens or set a larger DEP_QUEUE_DEPTH"
            }
            Cause::Decode { .. } => {
                "check that the stream was made for this hardware version and design"
            }
            Cause::MemoryType {
                opcode: "STORE", ..
            } => "STORE takes OUT",
            Cause::MemoryType { .. } => {
                "LOAD takes UOP, WGT, INP, ACC, ACC8 or, in a design with requant_store, RQT"
            }
            Cause::NoAcc8 { .. } => "load ACC at its full width",
            Cause::AluOpcode { .. } => "the operations are MIN 0, MAX 1, ADD 2, SHR 3 and MUL 4",
            Cause::NoAlu { .. } => {
                "name the operation in the design's ALU_OPS, or compile for this design"
            }
            Cause::PaddedStore { .. } => "set the padding fields of STORE to 0",
            Cause::RequantEntry { .. } => {
                "name an entry of the table, or use a design with a larger LOG_RQT_BUFF_SIZE"
            }
            Cause::Sram { .. } => {
                "lower sram_base, the sizes or the padding, or use a design with a larger buffer"
            }
            Cause::DramAddress { .. } => {
                "correct dram_base, which counts elements, or give an image that covers the address"
            }
            Cause::UopRange { .. } => "end the range inside the micro-op memory",
            Cause::Index { .. } => "lower the micro-op's index, the loop counts or their factors",
            Cause::AfterFinish => "make FINISH the last instruction, or split the stream after it",
            Cause::NoFinish => "end the stream with FINISH",
            Cause::Unfinished { .. } => {
                "push a token to compute after that instruction and pop it before FINISH"
            }
            Cause::Deadlock => {
                "give every pop a push that does not itself wait for the pop, and keep within the queue depths"
            }
            Cause::Leftover { .. } => "pop every token that is pushed",
            Cause::Race { .. } => {
                "push a token after the earlier of the two and pop it before the later"
            }
            Cause::StoredUops { .. } => "load micro-ops from memory that the stream does not write",
            Cause::InsnLimit { .. } => "raise the limit, or look for what makes the stream so long",
            Cause::StepLimit { .. } => {
                "raise the limit, or look for a loop count that is too large"
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Length { bytes } => {
                write!(
                    f,
                    "the stream has {bytes} bytes, which is not a whole number of 16-byte instructions"
                )
            }
            Cause::TooLong { insns } => write!(
                f,
                "the stream has {insns} instructions, more than {}",
                u32::MAX
            ),
            Cause::StreamAddress {
                addr,
                bytes,
                base,
                end,
            } => write!(
                f,
                "the stream of {bytes} bytes at {addr:#x} lies outside the DRAM image {base:#x}..{end:#x}"
            ),
            Cause::StreamAlignment { addr } => {
                write!(
                    f,
                    "the stream at {addr:#x} does not lie at a multiple of 16 bytes"
                )
            }
            Cause::InitialTokens {
                queue,
                tokens,
                depth,
            } => {
                write!(
                    f,
                    "{tokens} tokens to start with in the {queue} queue, which takes {depth}"
                )
            }
            Cause::Decode { message } => f.write_str(message),
            Cause::MemoryType { opcode, value } => {
                write!(f, "{opcode} cannot move memory type {value}")
            }
            Cause::NoAcc8 { acc_bits, inp_bits } => write!(
                f,
                "ACC8 needs 32-bit accumulators and 8-bit inputs; this design has {acc_bits} and {inp_bits} bits"
            ),
            Cause::AluOpcode { value } => write!(f, "ALU opcode {value} is undefined"),
            Cause::NoAlu { op, design } => {
                write!(f, "this design's ALU lacks {op}; it has {design}")
            }
            Cause::PaddedStore {
                pads: [y0, y1, x0, x1],
            } => {
                write!(f, "STORE has padding (y {y0}, {y1}, x {x0}, {x1})")
            }
            Cause::RequantEntry { entry, entries } => {
                write!(f, "STORE rescales by entry {entry} of a table of {entries}")
            }
            Cause::Sram {
                memory,
                first,
                end,
                depth,
            } => write!(
                f,
                "the transfer covers {}[{first}..{end}], past the depth of {depth} elements",
                memory
            ),
            Cause::DramAddress {
                direction,
                row,
                addr,
                bytes,
                base,
                end,
            } => write!(
                f,
                "row {row} {direction} {bytes} bytes at {addr:#x}, outside the DRAM image {base:#x}..{end:#x}"
            ),
            Cause::UopRange { begin, end, depth } => {
                write!(
                    f,
                    "the micro-op range {begin}..{end} ends past the depth of {depth}"
                )
            }
            Cause::Index {
                operand,
                memory,
                index,
                depth,
                uop,
                iter_out,
                iter_in,
            } => write!(
                f,
                "micro-op {uop} in iteration {iter_out} of the outer and {iter_in} of the inner loop has {operand} \
                 {}[{index}], past the depth of {depth} elements",
                memory
            ),
            Cause::AfterFinish => f.write_str("an instruction after FINISH never runs"),
            Cause::NoFinish => f.write_str("the stream ends without FINISH"),
            Cause::Unfinished { other } => write!(f, "no token orders {other} before FINISH"),
            Cause::Deadlock => f.write_str("deadlock: no module can go on"),
            Cause::Leftover { tokens } => write!(f, "tokens are left over: {}", Tokens(tokens)),
            Cause::Race {
                direction,
                place,
                other,
                other_direction,
            } => {
                write!(
                    f,
                    "race: it {direction} {place}, which {other} {other_direction}, and no token orders them"
                )
            }
            Cause::StoredUops { place, other } => {
                write!(
                    f,
                    "the micro-ops in {place} are what {other} stored, unknown before the run"
                )
            }
            Cause::InsnLimit { limit } => {
                write!(f, "more than {limit} instructions, the limit of this run")
            }
            Cause::StepLimit { limit } => write!(
                f,
                "more than {limit} micro-op executions, the limit of this run"
            ),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// A fault of the stream as a whole, before it runs.
    pub(crate) fn of_stream(cause: Cause) -> Fault {
        Fault {
            site: None,
            cause,
            queues: Box::default(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(site) = &self.site {
            write!(f, "{site}: ")?;
        }
        write!(
            f,
            "{}\n  remedy: {}\n{}",
            self.cause,
            self.cause.remedy(),
            self.queues
        )
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {} `{}`", self.index, self.text)?;
        self.module.map_or(Ok(()), |m| write!(f, " ({m})"))
    }
}

impl fmt::Display for QueueState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for head in &self.heads {
            let module = head.site.module.map_or("?", Module::name);
            write!(
                f,
                "  {module} queue holds {}, first {}",
                head.queued, head.site
            )?;
            for (i, wait) in head.waits.iter().enumerate() {
                write!(
                    f,
                    "{} {wait}",
                    if i == 0 { ", which needs" } else { " and" }
                )?;
            }
            writeln!(f)?;
        }
        if let Some(held) = &self.held {
            writeln!(f, "  fetch holds {held}, whose command queue is full")?;
        }
        write!(f, "  tokens: {}", Tokens(&self.tokens))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Token(queue) => write!(f, "a {queue} token"),
            Wait::Room(queue) => write!(f, "room for a {queue} token"),
        }
    }
}

struct Tokens<'a>(&'a [usize; 4]);

impl fmt::Display for Tokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (queue, count)) in TokenQueue::ALL.iter().zip(self.0).enumerate() {
            write!(f, "{}{queue} {count}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operand::Dst => "destination",
            Operand::Src => "source",
            Operand::Wgt => "weight",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Read => "reads",
            Direction::Write => "writes",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sram(memory, element) => write!(f, "{memory}[{element}]"),
            Place::Dram(addr) => write!(f, "DRAM at {addr:#x}"),
        }
    }
}
