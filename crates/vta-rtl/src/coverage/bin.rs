//! The bins: what a set of programs should have met.

use std::fmt;

use vta_isa::{AluOp, Design, MemType, Module, Opcode};
use vta_sim::{Channel, TokenQueue};

/// Something that programs should have met, often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bin {
    /// An instruction of this opcode.
    Opcode(Opcode),
    /// A LOAD or STORE of this module that moves nothing.
    Sync(Module),
    /// A token flag of an instruction of this module, without effect if there is no such neighbour.
    Flag(Module, Flag),
    /// A token pushed to this queue and popped.
    Token(TokenQueue),
    /// Both pops, or both pushes, of a compute instruction.
    Both(Flag),
    /// Bits set that no field of the instruction covers.
    IgnoredBits,
    /// A transfer that moves this memory's elements.
    Moves(MemType),
    /// Zeros on this side of what a LOAD of this memory moves.
    Pad(MemType, Side),
    /// A transfer without rows, with or without padding.
    NoRows {
        /// Whether padding is written.
        padded: bool,
    },
    /// A row of this memory in this position.
    Row(MemType, Row),
    /// The last element of a memory, used so.
    Last(Use),
    /// GEMM that writes zeros.
    Reset,
    /// An ALU operation with this kind of second operand.
    Alu(AluOp, Second),
    /// An immediate shift out of the ordinary.
    Shift(Shift),
    /// A GEMM or ALU without a step, because of this.
    NoSteps(Nothing),
    /// A GEMM or ALU of a thousand steps or more.
    LongLoop,
    /// A loop of the largest trip count.
    LongestLoop,
    /// How often an ALU operation reads its tensor operand.
    Source(Source),
    /// Another element written in place of the one that is held as the ALU's source.
    HeldSourceWritten,
    /// An accumulator read so many slots after one that writes it.
    Hazard(Reader, usize),
    /// The same from the last slots of one instruction to the first of the next.
    HazardAcross(usize),
    /// Micro-ops executed, replaced, and executed again.
    Reload,
    /// A command queue at its depth.
    FullCommands(Module),
    /// A push that waits because the queue is full.
    FullTokens(TokenQueue),
    /// An instruction that waits because as many as the module takes are in flight.
    FullWindow(Module),
    /// A burst that waits because as many as the design has are under way.
    FullBursts(Channel),
    /// A burst that the memory holds up.
    Stall(Channel),
}

/// A token flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields' names.
pub enum Flag {
    PopPrev,
    PopNext,
    PushPrev,
    PushNext,
}

/// A side of a padded box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Side {
    Above,
    Below,
    Before,
    After,
}

/// What is special about a row in DRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// It begins inside a beat.
    InsideBeat,
    /// The next row begins at another place in its beat.
    OddStride,
    /// It overlaps the next one, or is the same.
    Overlap,
    /// It crosses the end of a burst block.
    OverBurst,
    /// It crosses the end of a page.
    OverPage,
    /// Its elements are larger than a burst block.
    LargeElements,
}

/// How an element of a scratchpad is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Use {
    Load(MemType),
    Store,
    Executed,
    GemmDst,
    GemmSrc,
    GemmWgt,
    AluDst,
    AluSrc,
}

/// The second operand of an ALU operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Second {
    Immediate,
    Tensor,
}

/// An immediate shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// To the left.
    Left,
    /// To the right by the accumulator's width or more.
    AllRight,
    /// To the left by the accumulator's width or more.
    AllLeft,
}

/// Why an instruction has no steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Nothing {
    IterOut,
    IterIn,
    EmptyRange,
    ReversedRange,
}

/// How often a tensor operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In each step, because micro-ops differ.
    ByUop,
    /// In each step, because the inner loop moves it.
    ByInner,
    /// In each iteration of the outer loop.
    ByOuter,
    /// Once.
    Once,
}

/// What reads an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A product that is added to it.
    Gemm,
    /// An operation with an immediate.
    AluImmediate,
    /// An operation with a tensor operand, for its destination.
    AluDst,
    /// An operation with a tensor operand, for its source.
    AluSrc,
}

const MODULES: [Module; 3] = [Module::Load, Module::Compute, Module::Store];
const CHANNELS: [Channel; 2] = [Channel::Read, Channel::Write];
const SIDES: [Side; 4] = [Side::Above, Side::Below, Side::Before, Side::After];
/// Results of slots further back are in the register file.
pub(super) const DISTANCES: std::ops::RangeInclusive<usize> = 1..=4;

impl Flag {
    pub(super) const ALL: [Flag; 4] =
        [Flag::PopPrev, Flag::PopNext, Flag::PushPrev, Flag::PushNext];
}

impl Bin {
    /// The bins that programs of a design can meet, in the order of the table.
    pub fn all(design: &Design) -> Vec<Bin> {
        let mut bins = Vec::new();
        let loads = [MemType::Uop, MemType::Wgt, MemType::Inp, MemType::Acc];
        let loads = loads
            .into_iter()
            .chain(design.has_acc8().then_some(MemType::Acc8));
        let loads: Vec<MemType> = loads.collect();
        let moved = || loads.iter().copied().chain([MemType::Out]);

        bins.extend(Opcode::ALL.iter().map(|&opcode| Bin::Opcode(opcode)));
        bins.extend(MODULES.map(Bin::Sync));
        for module in MODULES {
            bins.extend(Flag::ALL.map(|flag| Bin::Flag(module, flag)));
        }
        bins.extend(TokenQueue::ALL.map(Bin::Token));
        bins.extend([
            Bin::Both(Flag::PopPrev),
            Bin::Both(Flag::PushPrev),
            Bin::IgnoredBits,
        ]);
        bins.extend(moved().map(Bin::Moves));
        for &memory in &loads {
            bins.extend(SIDES.map(|side| Bin::Pad(memory, side)));
        }
        bins.extend([false, true].map(|padded| Bin::NoRows { padded }));
        for memory in moved() {
            bins.extend(
                rows(design, memory)
                    .into_iter()
                    .map(|row| Bin::Row(memory, row)),
            );
        }
        bins.extend(loads.iter().map(|&memory| Bin::Last(Use::Load(memory))));
        bins.extend(
            [
                Use::Store,
                Use::Executed,
                Use::GemmDst,
                Use::GemmSrc,
                Use::GemmWgt,
            ]
            .map(Bin::Last),
        );
        bins.push(Bin::Reset);
        let ops: Vec<AluOp> = AluOp::ALL
            .iter()
            .copied()
            .filter(|&op| design.has_alu(op))
            .collect();
        if !ops.is_empty() {
            bins.extend([Use::AluDst, Use::AluSrc].map(Bin::Last));
        }
        for &op in &ops {
            bins.extend([Second::Immediate, Second::Tensor].map(|second| Bin::Alu(op, second)));
        }
        if design.has_alu(AluOp::Shr) {
            bins.extend([Shift::Left, Shift::AllRight, Shift::AllLeft].map(Bin::Shift));
        }
        bins.extend(
            [
                Nothing::IterOut,
                Nothing::IterIn,
                Nothing::EmptyRange,
                Nothing::ReversedRange,
            ]
            .map(Bin::NoSteps),
        );
        bins.extend([Bin::LongLoop, Bin::LongestLoop]);
        bins.extend(DISTANCES.map(|distance| Bin::Hazard(Reader::Gemm, distance)));
        if !ops.is_empty() {
            bins.extend(
                [
                    Source::ByUop,
                    Source::ByInner,
                    Source::ByOuter,
                    Source::Once,
                ]
                .map(Bin::Source),
            );
            bins.push(Bin::HeldSourceWritten);
            for reader in [Reader::AluImmediate, Reader::AluDst, Reader::AluSrc] {
                bins.extend(DISTANCES.map(|distance| Bin::Hazard(reader, distance)));
            }
        }
        bins.extend(DISTANCES.map(Bin::HazardAcross));
        bins.push(Bin::Reload);
        bins.extend(MODULES.map(Bin::FullCommands));
        bins.extend(TokenQueue::ALL.map(Bin::FullTokens));
        // Compute's pipeline drains faster than its window of 16 fills.
        bins.extend([Module::Load, Module::Store].map(Bin::FullWindow));
        bins.extend(CHANNELS.map(Bin::FullBursts));
        bins.extend(CHANNELS.map(Bin::Stall));
        bins
    }

    /// The part of the table that it belongs to.
    pub fn group(&self) -> &'static str {
        match self {
            Bin::Opcode(_) | Bin::Sync(_) | Bin::IgnoredBits => "instructions",
            Bin::Flag(..) | Bin::Token(_) | Bin::Both(_) => "tokens",
            Bin::Moves(_) | Bin::Pad(..) | Bin::NoRows { .. } | Bin::Row(..) => "transfers",
            Bin::Last(_) => "last element",
            Bin::Reset | Bin::Alu(..) | Bin::Shift(_) | Bin::Source(_) => "operations",
            Bin::NoSteps(_) | Bin::LongLoop | Bin::LongestLoop => "loops",
            Bin::HeldSourceWritten | Bin::Hazard(..) | Bin::HazardAcross(_) => "hazards",
            Bin::Reload => "micro-ops",
            Bin::FullCommands(_) | Bin::FullTokens(_) | Bin::FullWindow(_) => "full",
            Bin::FullBursts(_) | Bin::Stall(_) => "memory",
        }
    }
}

/// What can be special about rows of a memory.
fn rows(design: &Design, memory: MemType) -> Vec<Row> {
    let elem = design.elem_bytes(memory);
    let (beat, block) = (design.bus_bytes(), design.burst_bytes());
    let mut rows = vec![Row::Overlap];
    if elem < beat {
        rows.extend([Row::InsideBeat, Row::OddStride]);
    }
    rows.push(if elem > block {
        Row::LargeElements
    } else {
        Row::OverBurst
    });
    // No memory that is smaller than two elements has a row across a page.
    if elem < vta_isa::PAGE_BYTES && design.depth(memory) > 1 {
        rows.push(Row::OverPage);
    }
    rows
}

impl fmt::Display for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Bin::Opcode(opcode) => write!(f, "{opcode}"),
            Bin::Sync(module) => write!(f, "{module} moves nothing"),
            Bin::Flag(module, flag) => write!(f, "{module} {flag}"),
            Bin::Token(queue) => write!(f, "{queue}"),
            Bin::Both(Flag::PopPrev | Flag::PopNext) => f.write_str("compute pops both"),
            Bin::Both(_) => f.write_str("compute pushes both"),
            Bin::IgnoredBits => f.write_str("ignored bits set"),
            Bin::Moves(MemType::Out) => f.write_str("store.out"),
            Bin::Moves(memory) => write!(f, "load.{memory}"),
            Bin::Pad(memory, side) => write!(f, "{memory} zeros {side}"),
            Bin::NoRows { padded: false } => f.write_str("no rows"),
            Bin::NoRows { padded: true } => f.write_str("zeros only"),
            Bin::Row(memory, row) => write!(f, "{memory} {row}"),
            Bin::Last(used) => write!(f, "{used}"),
            Bin::Reset => f.write_str("gemm reset"),
            Bin::Alu(op, Second::Immediate) => write!(f, "alu.{op} immediate"),
            Bin::Alu(op, Second::Tensor) => write!(f, "alu.{op} tensor"),
            Bin::Shift(Shift::Left) => f.write_str("shift left"),
            Bin::Shift(Shift::AllRight) => f.write_str("shift right by the width or more"),
            Bin::Shift(Shift::AllLeft) => f.write_str("shift left by the width or more"),
            Bin::NoSteps(why) => write!(f, "{why}"),
            Bin::LongLoop => f.write_str("1,000 steps or more"),
            Bin::LongestLoop => f.write_str("the largest trip count"),
            Bin::Source(Source::ByUop) => f.write_str("source read for each micro-op"),
            Bin::Source(Source::ByInner) => f.write_str("source read in the inner loop"),
            Bin::Source(Source::ByOuter) => f.write_str("source read in the outer loop"),
            Bin::Source(Source::Once) => f.write_str("source read once"),
            Bin::HeldSourceWritten => f.write_str("the held source is written"),
            Bin::Hazard(reader, distance) => write!(f, "{reader} {distance} after the write"),
            Bin::HazardAcross(distance) => write!(f, "next instruction {distance} after the write"),
            Bin::Reload => f.write_str("executed, loaded again, executed"),
            Bin::FullCommands(module) => write!(f, "{module}'s command queue"),
            Bin::FullTokens(queue) => write!(f, "{queue} when pushing"),
            Bin::FullWindow(module) => write!(f, "{module}'s instructions in flight"),
            Bin::FullBursts(channel) => {
                write!(f, "{} burst waits for an earlier one", name(channel))
            }
            Bin::Stall(channel) => write!(f, "{} burst stalled", name(channel)),
        }
    }
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Read => "read",
        Channel::Write => "write",
    }
}

/// Displays a plain enumeration by a text for each value.
macro_rules! texts {
    ($name:ident { $($variant:ident => $text:literal,)* }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $text,)* })
            }
        }
    };
}

texts!(Flag {
    PopPrev => "pop_prev",
    PopNext => "pop_next",
    PushPrev => "push_prev",
    PushNext => "push_next",
});
texts!(Side {
    Above => "above",
    Below => "below",
    Before => "before",
    After => "after",
});
texts!(Row {
    InsideBeat => "row begins inside a beat",
    OddStride => "stride is no whole number of beats",
    Overlap => "rows overlap",
    OverBurst => "row crosses a burst block",
    OverPage => "row crosses a page",
    LargeElements => "element larger than a burst block",
});
texts!(Nothing {
    IterOut => "no outer iteration",
    IterIn => "no inner iteration",
    EmptyRange => "no micro-op",
    ReversedRange => "micro-op range reversed",
});
texts!(Reader {
    Gemm => "gemm",
    AluImmediate => "alu immediate",
    AluDst => "alu destination",
    AluSrc => "alu source",
});

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Load(memory) => write!(f, "load.{memory}"),
            Use::Store => f.write_str("store.out"),
            Use::Executed => f.write_str("micro-op executed"),
            Use::GemmDst => f.write_str("gemm dst"),
            Use::GemmSrc => f.write_str("gemm src"),
            Use::GemmWgt => f.write_str("gemm wgt"),
            Use::AluDst => f.write_str("alu dst"),
            Use::AluSrc => f.write_str("alu src"),
        }
    }
}
