//! Why a command stream cannot be built.

use vta_isa::{EncodeError, Feature, MemType, Module, UOP_BYTES};

/// Why an instruction cannot be emitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A value does not fit its field.
    #[error(transparent)]
    Field(#[from] EncodeError),
    /// A block does not lie inside its scratchpad.
    #[error(
        "{height} rows of {width} elements (padding included) from {mem} element {base} on leave \
         the scratchpad of {depth} elements; use a smaller tile"
    )]
    Scratchpad {
        /// The memory.
        mem: MemType,
        /// First element.
        base: u32,
        /// Elements of a row.
        width: u64,
        /// Rows.
        height: u64,
        /// Elements of the scratchpad.
        depth: u32,
    },
    /// A DRAM address does not fit 32 bits.
    #[error("field dram_base: {mem} element {elem} does not fit 32 bits; use a smaller arena")]
    Address {
        /// The memory.
        mem: MemType,
        /// Index of the element.
        elem: u64,
    },
    /// A memory that this kind of transfer cannot take.
    #[error("{what} cannot take memory {mem}")]
    Memory {
        /// Load or store.
        what: &'static str,
        /// The memory.
        mem: MemType,
    },
    /// What only hardware with a feature can do.
    #[error("the design lacks the feature `{0}`; add it to its FEATURES")]
    Feature(Feature),
    /// A rescaling past the end of the table.
    #[error(
        "entry {entry} of a rescaling table of {entries}; use fewer or a larger LOG_RQT_BUFF_SIZE"
    )]
    RequantEntry {
        /// The entry.
        entry: u32,
        /// Blocks of rescalings in the table.
        entries: u32,
    },
    /// A kernel that cannot be split is longer than the micro-op memory.
    #[error(
        "a kernel of {uops} micro-ops on registers, inside loops, does not fit the micro-op memory \
         of {depth} and cannot be split; use fewer micro-ops"
    )]
    KernelTooLong {
        /// Micro-ops of the kernel.
        uops: u32,
        /// Micro-ops that fit.
        depth: u32,
    },
    /// No token queue leads from one module to the other.
    #[error(
        "there is no token queue from {from} to {to}; tokens pass between compute and the others"
    )]
    NoQueue {
        /// The pushing module.
        from: Module,
        /// The popping module.
        to: Module,
    },
    /// More pops than pushes on a queue: the device would wait for ever.
    #[error("{pops} tokens are popped from the queue {from} to {to} and only {pushes} pushed")]
    Unmatched {
        /// The pushing module.
        from: Module,
        /// The popping module.
        to: Module,
        /// Tokens popped.
        pops: u64,
        /// Tokens pushed.
        pushes: u64,
    },
    /// The micro-ops do not lie on a micro-op address.
    #[error("micro-ops at byte {0:#x} are not aligned to {UOP_BYTES}")]
    UopBase(u64),
}
