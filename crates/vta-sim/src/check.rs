//! The static checker: does every interleaving that the tokens allow give the same memory?
//!
//! The k-th push of a token queue meets its k-th pop in every interleaving, so what the tokens order is
//! known without trying any: one pass with a vector clock for each module and each token, and books of the last
//! access to each element, decides exactly. No value is computed; DRAM is read for the contents of micro-ops
//! only, which say what GEMM and ALU touch.
//!
//! A stream that passes runs to its FINISH in [`FuncSim`](crate::FuncSim), in any [`Order`], with one result.

use serde::Serialize;
use vta_isa::{Design, INSN_BYTES, MemType, Module, Uop};

use crate::access::Action;
use crate::decoded::Decoded;
use crate::dram::Dram;
use crate::fault::{Cause, Fault};
use crate::func::Leftover;
use crate::machine::{Execute, Issue, Machine, Order, site};
use crate::shadow::{Conflict, Meetings, Shadow};
use crate::tokens::MODULES;

/// How to check a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Tokens to begin with: load->compute, compute->load, compute->store, store->compute.
    pub initial_tokens: [u32; 4],
    /// What tokens at the end mean.
    pub leftover: Leftover,
    /// Findings after which to give up; one mistake may cause many.
    pub max_findings: usize,
}

impl Default for CheckOptions {
    /// No tokens at either end, at most 20 findings.
    fn default() -> CheckOptions {
        CheckOptions {
            initial_tokens: [0; 4],
            leftover: Leftover::Fault,
            max_findings: 20,
        }
    }
}

/// What a correct stream holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Instructions.
    pub insns: u64,
    /// Tokens that nothing popped: load->compute, compute->load, compute->store, store->compute.
    pub leftover: [usize; 4],
}

/// Checks a raw stream on a DRAM image: races, deadlock (of finite queues too), tokens left over, instructions
/// that nothing orders before FINISH or that come after it, and everything that is undefined or out of range.
///
/// The scratchpads begin clear. At most one finding for each instruction and rival module is reported.
pub fn check(
    design: &Design,
    dram: &Dram,
    insns: &[u8],
    options: &CheckOptions,
) -> Result<CheckReport, Vec<Fault>> {
    check_decoded(design, dram, &Decoded::new(design, insns), options)
}

pub(crate) fn check_decoded(
    design: &Design,
    dram: &Dram,
    code: &Decoded,
    options: &CheckOptions,
) -> Result<CheckReport, Vec<Fault>> {
    let (insns, tokens) = (code.stream(), options.initial_tokens.map(u64::from));
    let mut machine = Machine::new(design, code, tokens).map_err(|fault| vec![fault])?;
    let mut books = Books {
        design,
        dram,
        stream: insns,
        uops: vec![Uop::default(); design.depth(MemType::Uop) as usize],
        shadow: Shadow::new(design, dram),
        findings: Vec::new(),
        max_findings: options.max_findings.max(1),
    };
    books.shadow.watch_stores(design, dram, code);
    let run = machine.run(Order::RoundRobin, &mut books);
    let leftover = machine.tokens();
    // Tokens left by a run that was given up say nothing.
    if run.is_ok()
        && !books.deadlocked()
        && options.leftover == Leftover::Fault
        && leftover != [0; 4]
    {
        books
            .findings
            .push(machine.fault(None, Cause::Leftover { tokens: leftover }));
    }
    if books.findings.is_empty() {
        Ok(CheckReport {
            insns: (insns.len() / INSN_BYTES) as u64,
            leftover,
        })
    } else {
        Err(books.findings)
    }
}

struct Books<'a> {
    design: &'a Design,
    dram: &'a Dram,
    stream: &'a [u8],
    uops: Vec<Uop>,
    shadow: Shadow,
    findings: Vec<Fault>,
    max_findings: usize,
}

impl Books<'_> {
    fn deadlocked(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.cause == Cause::Deadlock)
    }
}

impl Execute for Books<'_> {
    fn execute(&mut self, issue: &Issue<'_>, causes: &mut Vec<Cause>) {
        let action = match issue.action {
            Ok(action) => action,
            Err(cause) => return causes.push(cause.clone()),
        };
        if let Err(cause) = action.check(self.design, self.dram, &self.uops) {
            return causes.push(cause);
        }
        let Issue { module, clock, .. } = *issue;
        let Meetings { races, earlier } = self.shadow.access(action, &self.uops, module, &clock);
        let name = |module, count| {
            Box::new(site(
                self.design,
                self.stream,
                issue.index_of(module, count),
            ))
        };
        for (rival, race) in MODULES.into_iter().zip(races) {
            if let Some(Conflict {
                place,
                direction,
                count,
                other_direction,
            }) = race
            {
                causes.push(Cause::Race {
                    direction,
                    place,
                    other: name(rival, count),
                    other_direction,
                });
            }
        }
        if let Some((place, count)) = earlier {
            causes.push(Cause::StoredUops {
                place,
                other: name(Module::Store, count),
            });
        }
        match action {
            Action::Load(transfer) if transfer.memory == MemType::Uop => {
                transfer.load_uops(self.design, self.dram, &mut self.uops);
            }
            _ => {}
        }
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Fault> {
        self.findings.push(fault.clone());
        if self.findings.len() >= self.max_findings {
            Err(fault)
        } else {
            Ok(())
        }
    }
}
