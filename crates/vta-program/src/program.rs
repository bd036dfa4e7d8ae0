//! What a compiled network is.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use vta_isa::{HwConfig, INSN_BYTES};

use crate::Preprocess;

/// Index of a [`Slot`] in its [`Program`].
pub type SlotId = u32;

/// A compiled network: what lies in device memory, what the device runs, what the host does in
/// between.
///
/// Device memory is one *arena*. The streams address it as if it began at address 0; whoever
/// loads the program puts the arena anywhere (on a page) and relocates the streams
/// ([`crate::relocate`]). [`Program::check`] states every rule that a program keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The design that the streams are encoded for.
    pub config: HwConfig,
    /// Name of the network, for reports.
    pub name: String,
    /// Size of the arena.
    pub arena_bytes: u64,
    /// Constants, micro-ops and whatever else lies in the arena from the start, in the order of
    /// their offsets, not overlapping. All other bytes start as zero.
    pub image: Vec<ImageSection>,
    /// Instruction streams, each ending with FINISH.
    pub streams: Vec<Vec<u8>>,
    /// What an inference does, in order.
    pub steps: Vec<Step>,
    /// Tensors in host memory, which the steps pass along.
    pub slots: Vec<Slot>,
    /// Slots that the caller fills, in the order of the network's inputs.
    pub inputs: Vec<SlotId>,
    /// Slots that the caller reads, in the order of the network's outputs.
    pub outputs: Vec<SlotId>,
    /// How raw images become the first input, where that is known.
    pub preprocess: Option<Preprocess>,
    /// Names of the classes, or empty.
    pub labels: Vec<String>,
    /// Where each operator of the network runs, and why there.
    pub placement: Vec<Placement>,
    /// What each operator of `placement`, in its order, is to an account of time; empty if nobody keeps one.
    pub layers: Vec<Layer>,
    /// Whatever a report should repeat (how it was calibrated, say).
    pub notes: BTreeMap<String, String>,
}

impl Program {
    /// The arena as it is before the first inference, of a program that keeps the rules of
    /// [`Program::check`].
    pub fn arena(&self) -> Vec<u8> {
        let mut arena = vec![0; self.arena_bytes as usize];
        for section in &self.image {
            let at = section.offset as usize;
            arena[at..at + section.bytes.len()].copy_from_slice(&section.bytes);
        }
        arena
    }
}

/// Initial bytes of a part of the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSection {
    /// Offset of the first byte in the arena.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A host tensor. Blocked tensors keep one value to a byte here, whatever their width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Name for messages.
    pub name: String,
    /// Element type, one of [`DTYPES`].
    pub dtype: String,
    /// Extents, outermost first, row-major.
    pub shape: Vec<usize>,
}

/// Names of the element types of a [`Slot`], with the bits of an element in device memory
/// for those that the device stores.
pub const DTYPES: &[(&str, Option<u32>)] = &[
    ("f32", None),
    ("i64", None),
    ("i32", None),
    ("u8", None),
    ("bool", None),
    ("i8", Some(8)),
    ("i4", Some(4)),
    ("i2", Some(2)),
    ("i1", Some(1)),
    ("s1", Some(1)),
];

impl Slot {
    /// Number of elements; `None` where it overflows.
    pub fn elems(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }
}

/// One step of an inference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// The host evaluates a graph.
    Host {
        /// The graph in its text form.
        graph: String,
        /// Slots bound to the graph's inputs.
        inputs: Vec<SlotId>,
        /// Slots that take the graph's outputs.
        outputs: Vec<SlotId>,
    },
    /// A slot goes to the arena, packed densely.
    Upload {
        /// The source.
        slot: SlotId,
        /// Offset of its first byte in the arena.
        offset: u64,
        /// Bits of an element: those of the slot's type.
        bits: u32,
    },
    /// The device runs a stream.
    Run {
        /// Index in [`Program::streams`].
        stream: u32,
    },
    /// A slot comes from the arena, where it lies packed densely.
    Download {
        /// The destination.
        slot: SlotId,
        /// Offset of its first byte in the arena.
        offset: u64,
        /// Bits of an element: those of the slot's type.
        bits: u32,
    },
}

/// Where an operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On the accelerator.
    Vta,
    /// On the host.
    Host,
}

/// Where one operator of the network runs, and why there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Name of the node.
    pub node: String,
    /// Name of the operator.
    pub op: String,
    /// Where it runs.
    pub device: Place,
    /// Why there.
    pub reason: String,
}

/// An operator of the network, as an account of time needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Logical extents of its first operand; none without operands.
    pub input: Vec<usize>,
    /// Logical extents of its result.
    pub output: Vec<usize>,
    /// The window that it slides over rows and columns, for a person; empty without one.
    pub window: String,
    /// Multiply-accumulates that it means, without those of padding to blocks.
    pub macs: u64,
    /// How the accelerator goes about it, for a person; empty on the host.
    pub schedule: String,
    /// Its instructions, if it has any.
    pub insns: Option<InsnRange>,
}

impl Layer {
    /// Its extents and its window, for a person.
    pub fn shape(&self) -> String {
        let text = |shape: &[usize]| {
            let extents: Vec<_> = shape.iter().map(usize::to_string).collect();
            extents.join("x")
        };
        let change = match self.input.is_empty() || self.input == self.output {
            true => text(&self.output),
            false => format!("{} to {}", text(&self.input), text(&self.output)),
        };
        match self.window.is_empty() {
            true => change,
            false => format!("{change}, {}", self.window),
        }
    }
}

/// Instructions of a stream that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsnRange {
    /// Index in [`Program::streams`].
    pub stream: u32,
    /// The first instruction.
    pub first: u32,
    /// How many, at least one.
    pub count: u32,
}

impl InsnRange {
    /// Their positions in the stream.
    pub fn indices(&self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.count as usize
    }

    /// Their bytes in those of the stream.
    ///
    /// # Panics
    /// If the stream has no such instructions, which [`Program::check`] rules out.
    pub fn bytes<'a>(&self, stream: &'a [u8]) -> &'a [u8] {
        let Range { start, end } = self.indices();
        &stream[start * INSN_BYTES..end * INSN_BYTES]
    }
}
