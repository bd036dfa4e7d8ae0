//! How activations get into the register file.

use vta_isa::Design;

/// Name of the parameter that holds identity weights.
pub const IDENTITY: &str = "e";

/// How an activation gets into the register file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By a LOAD that widens 8-bit values.
    Acc8,
    /// By a GEMM with identity weights: for any operand width, if blocks are square.
    Identity,
}

impl Entry {
    /// What `design` can do; `None` if nothing, since a 1-bit weight is never 1.
    pub fn of(design: &Design) -> Option<Entry> {
        if design.has_acc8() {
            return Some(Entry::Acc8);
        }
        Entry::has_identity(design).then_some(Entry::Identity)
    }

    /// As [`Entry::of`], or why there is none.
    pub fn required(design: &Design) -> Result<Entry, String> {
        Entry::of(design).ok_or_else(|| {
            "the design brings no activation into accumulators: it has neither ACC_8BIT loads nor \
             identity weights"
                .to_string()
        })
    }

    /// Whether a GEMM with identity weights can bring activations in.
    pub fn has_identity(design: &Design) -> bool {
        design.block_in() == design.block_out() && design.wgt_bits() > 1
    }

    /// Elements of parameter [`IDENTITY`], `[block_out, block_in]`; none where it has no use.
    pub fn weights(self, design: &Design) -> Vec<i8> {
        let (rows, columns) = (design.block_out(), design.block_in());
        match self {
            Entry::Acc8 => Vec::new(),
            Entry::Identity => (0..rows * columns)
                .map(|i| i8::from(i / columns == i % columns))
                .collect(),
        }
    }
}
