//! The bins: what a set of programs should have met.

use vta_isa::{AluOp, Deps, Design, Feature, MemType, Module, Opcode};
use vta_sim::{Channel, TokenQueue};

/// Something that programs should have met, often. Their order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bin {
    /// An instruction of this opcode.
    Opcode(Opcode),
    /// A LOAD or STORE of this module that moves nothing.
    Sync(Module),
    /// Bits set that no field of the instruction covers.
    IgnoredBits,
    /// A token pushed to this queue and popped.
    Token(TokenQueue),
    /// A token flag of an instruction, without effect if the module has no such neighbour.
    Flag(Module, Opcode, Flag),
    /// Two token flags of one instruction that have an effect.
    Pair(Module, Flag, Flag),
    /// All four of a compute instruction.
    AllFlags,
    /// A transfer that moves this memory's elements.
    Moves(MemType),
    /// The same, with a pointer that is part of the address.
    Pointer(MemType),
    /// Zeros on this side of what a LOAD of this memory moves.
    Pad(MemType, Side),
    /// Padding of this memory that is not zeros.
    PadValue(MemType),
    /// How a STORE makes outputs of accumulators, where it can rescale them.
    Stored(Stored),
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
    /// GEMM that writes its products.
    Overwrite,
    /// An ALU operation with this kind of second operand.
    Alu(AluOp, Second),
    /// An immediate shift out of the ordinary.
    Shift(Shift),
    /// How often an ALU operation reads its tensor operand.
    Source(Source),
    /// A GEMM or ALU without a step, because of this.
    NoSteps(Nothing),
    /// A GEMM or ALU of a thousand steps or more.
    LongLoop,
    /// A loop of the largest trip count.
    LongestLoop,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The fields' names.
pub enum Flag {
    PopPrev,
    PopNext,
    PushPrev,
    PushNext,
}

/// A side of a padded box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Side {
    Above,
    Below,
    Before,
    After,
}

/// How a STORE makes outputs of accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stored {
    /// By their low bits.
    LowBits,
    /// By rescaling.
    Rescaled,
    /// By rescaling, after a STORE with another entry.
    OtherEntry,
    /// By low bits after one that rescales, or the other way round.
    Changed,
}

/// What is special about a row in DRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Use {
    Load(MemType),
    Store,
    Entry,
    Executed,
    GemmDst,
    GemmSrc,
    GemmWgt,
    AluDst,
    AluSrc,
}

/// The second operand of an ALU operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Second {
    Immediate,
    Tensor,
}

/// An immediate shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// To the left.
    Left,
    /// To the right by the accumulator's width or more.
    AllRight,
    /// To the left by the accumulator's width or more.
    AllLeft,
}

/// Why an instruction has no steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Nothing {
    IterOut,
    IterIn,
    EmptyRange,
    ReversedRange,
}

/// How often a tensor operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// A product that is added to it.
    Gemm,
    /// A product that takes its place.
    Overwrite,
    /// An operation with an immediate.
    AluImmediate,
    /// An operation with a tensor operand, for its destination.
    AluDst,
    /// An operation with a tensor operand, for its source.
    AluSrc,
}

const MODULES: [Module; 3] = [Module::Load, Module::Compute, Module::Store];
/// Who executes what.
const EXECUTED: [(Module, Opcode); 6] = [
    (Module::Load, Opcode::Load),
    (Module::Compute, Opcode::Load),
    (Module::Compute, Opcode::Gemm),
    (Module::Compute, Opcode::Alu),
    (Module::Compute, Opcode::Finish),
    (Module::Store, Opcode::Store),
];
const CHANNELS: [Channel; 2] = [Channel::Read, Channel::Write];
const SIDES: [Side; 4] = [Side::Above, Side::Below, Side::Before, Side::After];
/// Results of slots further back are in the register file.
pub(super) const DISTANCES: std::ops::RangeInclusive<usize> = 1..=4;

impl Flag {
    pub(super) const ALL: [Flag; 4] =
        [Flag::PopPrev, Flag::PopNext, Flag::PushPrev, Flag::PushNext];

    pub(super) fn is_set(self, deps: Deps) -> bool {
        match self {
            Flag::PopPrev => deps.pop_prev,
            Flag::PopNext => deps.pop_next,
            Flag::PushPrev => deps.push_prev,
            Flag::PushNext => deps.push_next,
        }
    }

    /// Whether the module has the neighbour.
    fn has_effect(self, module: Module) -> bool {
        match self {
            Flag::PopPrev | Flag::PushPrev => module != Module::Load,
            Flag::PopNext | Flag::PushNext => module != Module::Store,
        }
    }

    /// All pairs that have an effect on a module.
    pub(super) fn pairs(module: Module) -> impl Iterator<Item = (Flag, Flag)> {
        let flags = Flag::ALL
            .into_iter()
            .filter(move |flag| flag.has_effect(module));
        flags.clone().flat_map(move |first| {
            let later = flags.clone().filter(move |&second| second > first);
            later.map(move |second| (first, second))
        })
    }
}

impl Bin {
    /// The bins that programs of a design can meet.
    pub fn all(design: &Design) -> Vec<Bin> {
        let mut bins = Vec::new();
        let loads = design.memories().filter(|&memory| memory != MemType::Out);
        let loads: Vec<MemType> = loads.collect();
        let moved = || loads.iter().copied().chain([MemType::Out]);

        let ops: Vec<AluOp> = AluOp::ALL
            .iter()
            .copied()
            .filter(|&op| design.has_alu(op))
            .collect();
        for (module, opcode) in EXECUTED {
            if opcode == Opcode::Alu && ops.is_empty() {
                continue;
            }
            bins.push(Bin::Opcode(opcode));
            // Nobody would pop what FINISH pushes.
            let flags = match opcode {
                Opcode::Finish => &Flag::ALL[..2],
                _ => &Flag::ALL,
            };
            bins.extend(flags.iter().map(|&flag| Bin::Flag(module, opcode, flag)));
        }
        for module in MODULES {
            bins.push(Bin::Sync(module));
            bins.extend(Flag::pairs(module).map(|(a, b)| Bin::Pair(module, a, b)));
        }
        bins.extend(TokenQueue::ALL.map(Bin::Token));
        bins.extend([Bin::IgnoredBits, Bin::AllFlags]);
        bins.extend(moved().map(Bin::Moves));
        bins.extend(moved().map(Bin::Pointer));
        for &memory in &loads {
            bins.extend(SIDES.map(|side| Bin::Pad(memory, side)));
        }
        if design.has(Feature::LoadPad) {
            bins.extend(loads.iter().map(|&memory| Bin::PadValue(memory)));
        }
        if design.has(Feature::RequantStore) {
            let stored = [
                Stored::LowBits,
                Stored::Rescaled,
                Stored::OtherEntry,
                Stored::Changed,
            ];
            bins.extend(stored.map(Bin::Stored));
            bins.push(Bin::Last(Use::Entry));
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
        if design.has(Feature::GemmOverwrite) {
            bins.push(Bin::Overwrite);
            bins.extend(DISTANCES.map(|distance| Bin::Hazard(Reader::Overwrite, distance)));
        }
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
