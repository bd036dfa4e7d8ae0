//! The bins as text.

use std::fmt;

use vta_isa::{MemType, Opcode};
use vta_sim::Channel;

use super::bin::{Bin, Flag, Nothing, Reader, Row, Second, Shift, Side, Source, Stored, Use};

impl Bin {
    /// The part of the table that it belongs to.
    pub fn group(&self) -> &'static str {
        match self {
            Bin::Opcode(_) | Bin::Sync(_) | Bin::IgnoredBits => "instructions",
            Bin::Token(_) | Bin::Flag(..) | Bin::Pair(..) | Bin::AllFlags => "tokens",
            Bin::Moves(_)
            | Bin::Pointer(_)
            | Bin::Pad(..)
            | Bin::PadValue(_)
            | Bin::Stored(_)
            | Bin::NoRows { .. }
            | Bin::Row(..) => "transfers",
            Bin::Last(_) => "last element",
            Bin::Reset | Bin::Overwrite | Bin::Alu(..) | Bin::Shift(_) | Bin::Source(_) => {
                "operations"
            }
            Bin::NoSteps(_) | Bin::LongLoop | Bin::LongestLoop => "loops",
            Bin::HeldSourceWritten | Bin::Hazard(..) | Bin::HazardAcross(_) => "hazards",
            Bin::Reload => "micro-ops",
            Bin::FullCommands(_) | Bin::FullTokens(_) | Bin::FullWindow(_) => "full",
            Bin::FullBursts(_) | Bin::Stall(_) => "memory",
        }
    }
}

impl fmt::Display for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Bin::Opcode(opcode) => write!(f, "{opcode}"),
            Bin::Sync(module) => write!(f, "{module} moves nothing"),
            Bin::Token(queue) => write!(f, "{queue}"),
            Bin::Flag(module, Opcode::Load, flag) => write!(f, "{module}'s load {flag}"),
            Bin::Flag(_, opcode, flag) => write!(f, "{opcode} {flag}"),
            Bin::Pair(module, first, second) => write!(f, "{module} {first} and {second}"),
            Bin::AllFlags => f.write_str("compute pops both and pushes both"),
            Bin::IgnoredBits => f.write_str("ignored bits set"),
            Bin::Moves(MemType::Out) => f.write_str("store.out"),
            Bin::Moves(memory) => write!(f, "load.{memory}"),
            Bin::Pointer(memory) => write!(f, "{memory} by a pointer"),
            Bin::Pad(memory, side) => write!(f, "{memory} padding {side}"),
            Bin::PadValue(memory) => write!(f, "{memory} padding of a value"),
            Bin::Stored(stored) => write!(f, "{stored}"),
            Bin::NoRows { padded: false } => f.write_str("no rows"),
            Bin::NoRows { padded: true } => f.write_str("padding only"),
            Bin::Row(memory, row) => write!(f, "{memory} {row}"),
            Bin::Last(used) => write!(f, "{used}"),
            Bin::Reset => f.write_str("gemm reset"),
            Bin::Overwrite => f.write_str("gemm overwrite"),
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
texts!(Stored {
    LowBits => "store.out of low bits",
    Rescaled => "store.out rescaled",
    OtherEntry => "store.out by another entry than the one before",
    Changed => "store.out rescaled after one that is not, or not after one that is",
});
texts!(Nothing {
    IterOut => "no outer iteration",
    IterIn => "no inner iteration",
    EmptyRange => "no micro-op",
    ReversedRange => "micro-op range reversed",
});
texts!(Reader {
    Gemm => "gemm",
    Overwrite => "gemm overwrite",
    AluImmediate => "alu immediate",
    AluDst => "alu destination",
    AluSrc => "alu source",
});

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Load(memory) => write!(f, "load.{memory}"),
            Use::Store => f.write_str("store.out"),
            Use::Entry => f.write_str("store.out entry"),
            Use::Executed => f.write_str("micro-op executed"),
            Use::GemmDst => f.write_str("gemm dst"),
            Use::GemmSrc => f.write_str("gemm src"),
            Use::GemmWgt => f.write_str("gemm wgt"),
            Use::AluDst => f.write_str("alu dst"),
            Use::AluSrc => f.write_str("alu src"),
        }
    }
}
