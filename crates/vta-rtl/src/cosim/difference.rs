//! What differs between the simulators.

use std::fmt;

use vta_isa::{Body, Design, INSN_BYTES, Insn, MemType, asm};
use vta_sim::CycleReport;

use super::Trial;
use crate::{RtlError, RtlReport};

/// Who differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The functional simulator, the reference for memory.
    Func,
    /// The cycle simulator, the reference for time.
    Cycle,
    /// The hardware.
    Rtl,
}

/// Something in which a simulator differs from its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It does not finish a program that is correct.
    Fault {
        /// Who.
        who: Who,
        /// What it says.
        message: String,
    },
    /// The hardware does not come to an end.
    Hang {
        /// Cycles that it was given.
        cycles: u64,
    },
    /// The hardware breaks a rule of its ports, or an assertion of its own.
    Rule {
        /// Which.
        message: String,
    },
    /// The first byte of DRAM.
    Dram {
        /// Who.
        who: Who,
        /// Physical address.
        address: u64,
        /// By the functional simulator.
        expected: u8,
        /// By `who`.
        found: u8,
    },
    /// The first element of a scratchpad.
    Scratchpad {
        /// Who.
        who: Who,
        /// Which.
        memory: MemType,
        /// The index of the element.
        element: usize,
        /// By the functional simulator, as it would lie in DRAM.
        expected: Vec<u8>,
        /// By `who`.
        found: Vec<u8>,
    },
    /// The first instruction that the hardware retires in another cycle.
    Retired {
        /// Position in the stream.
        index: u32,
        /// Its disassembly.
        text: String,
        /// By the cycle simulator.
        expected: u64,
        /// By the hardware; never, perhaps.
        found: Option<u64>,
    },
    /// Cycles of the run.
    Cycles {
        /// By the cycle simulator.
        expected: u64,
        /// By the hardware.
        found: u64,
    },
    /// Slots that compute issued.
    Slots {
        /// By the cycle simulator.
        expected: u64,
        /// By the hardware.
        found: u64,
    },
}

/// The kinds of differences; those that have others as a consequence come after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// What the user counter shows.
    Counter,
    /// The cycle in which an instruction retires.
    Time,
    /// DRAM or a scratchpad after the run.
    Memory,
    /// The run stops with a fault.
    Fault,
    /// An assertion fails, or a rule of the ports is broken.
    Rule,
    /// The run does not end.
    Hang,
}

impl Difference {
    /// Of a run that the hardware does not finish.
    pub(super) fn stopped(error: RtlError) -> Difference {
        match error {
            RtlError::CycleLimit { cycles } => Difference::Hang { cycles },
            RtlError::Protocol(message) => Difference::Rule { message },
            error => Difference::Fault {
                who: Who::Rtl,
                message: error.to_string(),
            },
        }
    }

    /// Its kind.
    pub fn kind(&self) -> DifferenceKind {
        match self {
            Difference::Dram { .. } | Difference::Scratchpad { .. } => DifferenceKind::Memory,
            Difference::Retired { .. } | Difference::Cycles { .. } => DifferenceKind::Time,
            Difference::Slots { .. } => DifferenceKind::Counter,
            Difference::Fault { .. } => DifferenceKind::Fault,
            Difference::Rule { .. } => DifferenceKind::Rule,
            Difference::Hang { .. } => DifferenceKind::Hang,
        }
    }
}

/// Differences of the hardware from the times of the cycle simulator.
pub(super) fn times(
    design: &Design,
    trial: &Trial,
    report: &CycleReport,
    run: &RtlReport,
) -> Vec<Difference> {
    let decode = |index: u32| {
        let bytes = trial.insns().chunks_exact(INSN_BYTES).nth(index as usize)?;
        Insn::decode(design, bytes.try_into().ok()?).ok()
    };
    let mut differences = Vec::new();
    let mut retired = run.retired.each_ref().map(|cycles| cycles.iter());
    let late = report.timings.iter().filter_map(|timing| {
        let found = retired[timing.module as usize].next().copied();
        (found != Some(timing.retired)).then_some((timing, found))
    });
    if let Some((timing, found)) = late.min_by_key(|(timing, _)| timing.retired) {
        differences.push(Difference::Retired {
            index: timing.index,
            text: decode(timing.index).map_or(String::new(), |insn| asm::print_insn(design, &insn)),
            expected: timing.retired,
            found,
        });
    }
    if run.cycles != report.cycles {
        differences.push(Difference::Cycles {
            expected: report.cycles,
            found: run.cycles,
        });
    }
    let is_kernel =
        |index| decode(index).is_some_and(|insn| matches!(insn.body, Body::Gemm(_) | Body::Alu(_)));
    let kernels = report
        .timings
        .iter()
        .filter(|timing| is_kernel(timing.index));
    let slots = kernels.map(|timing| timing.work).sum();
    if u64::from(run.slots) != slots {
        differences.push(Difference::Slots {
            expected: slots,
            found: run.slots.into(),
        });
    }
    differences
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Who::Func => "the functional simulator",
            Who::Cycle => "the cycle simulator",
            Who::Rtl => "the hardware",
        })
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DifferenceKind::Memory => "memory",
            DifferenceKind::Time => "retire cycle",
            DifferenceKind::Counter => "user counter",
            DifferenceKind::Fault => "fault",
            DifferenceKind::Rule => "assertion",
            DifferenceKind::Hang => "hang",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Fault { who, message } => write!(f, "{who} stops: {message}"),
            Difference::Hang { cycles } => {
                write!(f, "the hardware does not finish within {cycles} cycles")
            }
            Difference::Rule { message } => write!(f, "the hardware breaks a rule: {message}"),
            Difference::Dram {
                who,
                address,
                expected,
                found,
            } => write!(
                f,
                "DRAM at {address:#x}: {found:#04x} by {who}, expected {expected:#04x}"
            ),
            Difference::Scratchpad {
                who,
                memory,
                element,
                expected,
                found,
            } => write!(
                f,
                "{memory} element {element}, by {who}:\n  {}\nexpected:\n  {}",
                hex(found),
                hex(expected)
            ),
            Difference::Retired {
                index,
                text,
                expected,
                found,
            } => {
                write!(f, "instruction {index} ({text}) ")?;
                match found {
                    Some(cycle) => write!(f, "retires in cycle {cycle} in the hardware")?,
                    None => f.write_str("never retires in the hardware")?,
                }
                write!(f, ", in cycle {expected} in the cycle simulator")
            }
            Difference::Cycles { expected, found } => write!(
                f,
                "{found} cycles in the hardware, {expected} in the cycle simulator"
            ),
            Difference::Slots { expected, found } => write!(
                f,
                "{found} GEMM and ALU slots in the hardware, {expected} in the cycle simulator"
            ),
        }
    }
}

/// Bytes in hexadecimal, in the order of their addresses.
fn hex(bytes: &[u8]) -> String {
    let groups = bytes.chunks(4).map(|group| {
        let digits = group.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    });
    groups.collect::<Vec<_>>().join(" ")
}
