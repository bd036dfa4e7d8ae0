//! The cycle simulator: when everything happens.
//!
//! It is written to `hardware/README.md`, whose formulas and names it follows; the SystemVerilog is the
//! other reading of that page. No clock ticks here: the unit of work is an instruction or a read burst, and what
//! is computed of it is the cycles in which it passes each stage. So a long GEMM costs no more than a short one,
//! and the timing of a network takes milliseconds.
//!
//! `run` says in which order that works out; `timeline` holds instructions and tokens with their cycles, `fetch`,
//! `engine` and `memory` the formulas of the page's chapters, `code` what of a stream time depends on, and
//! `report` what comes out.

mod code;
mod engine;
mod fetch;
mod memory;
mod report;
mod run;
mod timeline;

use vta_isa::{Design, INSN_BYTES, MemType};

pub use memory::{Channel, MemoryModel, stall};
pub use report::{Burst, CycleReport, InsnTiming, ModuleCycles, Traffic};

use crate::decoded::Decoded;
use crate::dram::Dram;
use crate::fault::{Cause, Fault};
use crate::func::{self, FuncSim, Leftover, RunOptions};
use crate::machine::admit;
pub(crate) use code::Code;
use code::{Record, Work};
use run::{Effects, Run};

/// How to run a stream in cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CycleOptions {
    /// How the memory answers.
    pub memory: MemoryModel,
    /// Whether to report the cycles of every instruction and burst.
    pub trace: bool,
    /// Limits, the state to begin with, and what tokens at the end mean. The order is that of the cycles.
    pub run: RunOptions,
}

/// The accelerator in cycles: scratchpads and token queues of one design.
#[derive(Clone, Debug)]
pub struct CycleSim {
    sim: FuncSim,
}

impl CycleSim {
    /// An accelerator with cleared scratchpads and no tokens.
    pub fn new(design: &Design) -> CycleSim {
        CycleSim {
            sim: FuncSim::new(design),
        }
    }

    /// The design it simulates.
    pub fn design(&self) -> &Design {
        self.sim.design()
    }

    /// What a memory holds, as [`FuncSim::scratchpad`] has it.
    pub fn scratchpad(&self, memory: MemType) -> Vec<u8> {
        self.sim.scratchpad(memory)
    }

    /// Runs a raw stream of 16-byte instructions on a DRAM image. `address` is where fetch reads the stream, a
    /// multiple of 16; the image need not hold it.
    ///
    /// Faults are those of [`FuncSim::run`], and leave what they leave there.
    pub fn run(
        &mut self,
        dram: &mut Dram,
        address: u64,
        insns: &[u8],
        options: &CycleOptions,
    ) -> Result<CycleReport, Fault> {
        let code = self.sim.recent.decoded(&self.sim.design, insns);
        self.run_decoded(dram, address, &code, options)
    }

    fn run_decoded(
        &mut self,
        dram: &mut Dram,
        address: u64,
        decoded: &Decoded,
        options: &CycleOptions,
    ) -> Result<CycleReport, Fault> {
        let tokens = self.sim.begin(&options.run);
        let FuncSim {
            design, scratch, ..
        } = &mut self.sim;
        let design = &*design;
        let limits = decoded.meter(design).limits(&options.run);
        let effects = Data {
            design,
            decoded,
            run: func::Run::new(design, scratch, dram, limits),
        };
        let report = timed(design, address, decoded, tokens, options, effects)?;
        self.sim.tokens = report.leftover;
        Ok(report)
    }

    /// Runs the `count` instructions that lie in the image at physical address `address`. They are read before
    /// the run begins.
    pub fn run_at(
        &mut self,
        dram: &mut Dram,
        address: u64,
        count: u64,
        options: &CycleOptions,
    ) -> Result<CycleReport, Fault> {
        let stream = func::stream_at(dram, address, count)?;
        let code = self.sim.recent.decoded(&self.sim.design, stream);
        self.run_decoded(dram, address, &code, options)
    }

    /// The cycles of a stream, without data: no image, no scratchpads. Faults are those that the fields of
    /// instructions tell; addresses and indices are taken to be in range. The state of earlier runs is neither
    /// used nor changed.
    pub fn time(
        &self,
        address: u64,
        insns: &[u8],
        options: &CycleOptions,
    ) -> Result<CycleReport, Fault> {
        let design = self.design();
        let tokens = options.run.initial_tokens.map(u64::from);
        let decoded = &Decoded::new(design, insns);
        let effects = Fields {
            design,
            decoded,
            excess: decoded.code(design).excess(design, decoded, &options.run),
        };
        timed(design, address, decoded, tokens, options, effects)
    }
}

fn timed<E: Effects>(
    design: &Design,
    address: u64,
    decoded: &Decoded,
    tokens: [u64; 4],
    options: &CycleOptions,
    effects: E,
) -> Result<CycleReport, Fault> {
    let stream = decoded.stream();
    admit(design, stream, tokens)?;
    if address % INSN_BYTES as u64 != 0 {
        return Err(Fault::of_stream(Cause::StreamAlignment { addr: address }));
    }
    let code = decoded.code(design);
    let mut run = Run::new(
        design,
        stream,
        address,
        code,
        tokens,
        options.memory,
        effects,
    );
    if options.trace {
        run.trace();
    }
    run.run()?;
    let leftover = run.leftover();
    if options.run.leftover == Leftover::Fault && leftover != [0; 4] {
        return Err(run.fault(None, Cause::Leftover { tokens: leftover }));
    }
    Ok(CycleReport {
        counters: decoded.meter(design).counters(),
        leftover,
        ..run.report()
    })
}

/// Instructions carried out.
struct Data<'a> {
    design: &'a Design,
    decoded: &'a Decoded,
    run: func::Run<'a>,
}

impl Effects for Data<'_> {
    fn carry_out(&mut self, record: &Record) -> Result<(), Cause> {
        self.run
            .carry_out(&self.decoded.get(self.design, record.index)?.action)
    }
}

/// Instructions looked at only.
struct Fields<'a> {
    design: &'a Design,
    decoded: &'a Decoded,
    /// The instruction that exceeds a limit.
    excess: Option<(u32, Cause)>,
}

impl Effects for Fields<'_> {
    fn carry_out(&mut self, record: &Record) -> Result<(), Cause> {
        if let Some((_, cause)) = self.excess.take_if(|(index, _)| *index == record.index) {
            return Err(cause);
        }
        if !matches!(record.work, Work::Wrong) {
            return Ok(());
        }
        let action = &self.decoded.get(self.design, record.index)?.action;
        action.as_ref().map(|_| ()).map_err(Cause::clone)
    }
}
