//! What a compilation is told beside the design.

use vta_graph::Op;

use crate::records::Records;

/// What a compilation may do. By default everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// Which operators may leave the host.
    pub offload: Offload,
    /// Whether transfers may overlap computation: two tiles of an operator on chip, and tokens only where
    /// commands depend on each other. Without it each module waits for all that the others began.
    pub latency_hiding: bool,
    /// Schedules that need no search. One that its operator cannot have counts for nothing.
    pub records: Records,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            offload: Offload::All,
            latency_hiding: true,
            records: Records::default(),
        }
    }
}

/// Which operators may leave the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// None.
    None,
    /// Convolutions alone.
    Conv,
    /// All that the accelerator can run.
    #[default]
    All,
}

impl Offload {
    /// Why an operator has to stay on the host, if it has.
    pub(crate) fn refusal(self, op: &Op) -> Option<&'static str> {
        match (self, op) {
            (Offload::All, _) | (Offload::Conv, Op::QConv(..)) => None,
            (Offload::Conv, _) => Some("only convolutions are offloaded"),
            (Offload::None, _) => Some("nothing is offloaded"),
        }
    }
}
