//! The functional simulator.

use serde::Serialize;
use vta_isa::{ChannelRequant, Design, MemType};

use crate::access::{Action, Transfer};
use crate::check::{CheckOptions, CheckReport, check_decoded};
use crate::counters::Counters;
use crate::course::Course;
use crate::decoded::{Decoded, Recent};
use crate::dram::Dram;
use crate::fault::{Cause, Fault, QueueState};
use crate::kernel::{HostSimd, Scratch, Vectorized};
use crate::lanes::{Lane, bits_to_signs, pack, unpack, wrap};
use crate::machine::{Execute, Issue, Order};
use crate::meter::Meter;
use crate::requant::requantize;

/// What to do when the run ends with tokens in the queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leftover {
    /// A fault.
    #[default]
    Fault,
    /// Report the counts in [`RunReport::leftover`]; a run that keeps the state finds the tokens.
    Warn,
}

/// How to run a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Whose turn it is where the tokens leave a choice.
    pub order: Order,
    /// Instructions after which the run is given up.
    pub insn_limit: u64,
    /// Micro-op executions of GEMM and ALU after which the run is given up: a single instruction may
    /// ask for some 2^41 of them.
    pub step_limit: u64,
    /// Go on with the scratchpads and tokens that the last run left, instead of clearing them.
    pub keep_state: bool,
    /// Tokens to begin with, besides those kept: load->compute, compute->load, compute->store, store->compute.
    pub initial_tokens: [u32; 4],
    /// What tokens at the end mean.
    pub leftover: Leftover,
}

impl Default for RunOptions {
    /// In turn, from a clear state, no limit on instructions, 2^36 micro-op executions, leftover tokens a fault.
    fn default() -> RunOptions {
        RunOptions {
            order: Order::RoundRobin,
            insn_limit: u64::MAX,
            step_limit: 1 << 36,
            keep_state: false,
            initial_tokens: [0; 4],
            leftover: Leftover::Fault,
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// Its counters.
    pub counters: Counters,
    /// Tokens that nothing popped: load->compute, compute->load, compute->store, store->compute.
    pub leftover: [usize; 4],
}

/// The accelerator: scratchpads and token queues of one design.
#[derive(Clone, Debug)]
pub struct FuncSim {
    pub(crate) design: Design,
    pub(crate) scratch: Scratch,
    /// Left by the last run.
    pub(crate) tokens: [usize; 4],
    pub(crate) recent: Recent,
}

impl FuncSim {
    /// An accelerator with cleared scratchpads and no tokens.
    pub fn new(design: &Design) -> FuncSim {
        FuncSim::with_simd(design, HostSimd::best())
    }

    /// [`new`](Self::new) with instructions of the host that it has ([`HostSimd::available`]); they change nothing but
    /// the speed.
    ///
    /// # Panics
    /// If the host lacks them.
    pub fn with_simd(design: &Design, simd: HostSimd) -> FuncSim {
        assert!(simd.is_available(), "this machine has no {simd:?}");
        FuncSim {
            design: design.clone(),
            scratch: Scratch::new(design, simd),
            tokens: [0; 4],
            recent: Recent::default(),
        }
    }

    /// The design it simulates.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Runs a raw stream of 16-byte instructions on a DRAM image.
    ///
    /// At a fault the image holds what the instructions before it stored; no instruction is carried out in
    /// part, and the tokens are gone.
    pub fn run(
        &mut self,
        dram: &mut Dram,
        insns: &[u8],
        options: &RunOptions,
    ) -> Result<RunReport, Fault> {
        let code = self.recent.decoded(&self.design, insns);
        self.run_decoded(dram, &code, options)
    }

    /// Checks a raw stream as [`check`](fn@crate::check) does, from clear scratchpads; a stream that has run, or then
    /// runs, is decoded once.
    pub fn check(
        &mut self,
        dram: &Dram,
        insns: &[u8],
        options: &CheckOptions,
    ) -> Result<CheckReport, Vec<Fault>> {
        let code = self.recent.decoded(&self.design, insns);
        check_decoded(&self.design, dram, &code, options)
    }

    /// What a raw stream does in a run without a fault, as its report tells. It follows from the fields of its
    /// instructions, and is counted once for all runs.
    pub fn counters(&mut self, insns: &[u8]) -> Counters {
        let code = self.recent.decoded(&self.design, insns);
        code.meter(&self.design).counters()
    }

    fn run_decoded(
        &mut self,
        dram: &mut Dram,
        code: &Decoded,
        options: &RunOptions,
    ) -> Result<RunReport, Fault> {
        let tokens = self.begin(options);
        let limits = code.meter(&self.design).limits(options);
        let mut run = Run::new(&self.design, &mut self.scratch, dram, limits);
        let leftover = Course::run(&self.design, code, tokens, options.order, &mut run)?;
        if options.leftover == Leftover::Fault && leftover != [0; 4] {
            return Err(Fault {
                site: None,
                cause: Cause::Leftover { tokens: leftover },
                queues: Box::new(QueueState {
                    tokens: leftover,
                    ..QueueState::default()
                }),
            });
        }
        let counters = code.meter(&self.design).counters();
        self.tokens = leftover;
        Ok(RunReport { counters, leftover })
    }

    /// Clears what the run does not go on with; gives the tokens that it starts with.
    pub(crate) fn begin(&mut self, options: &RunOptions) -> [u64; 4] {
        let mut tokens = options.initial_tokens.map(u64::from);
        let kept = std::mem::take(&mut self.tokens);
        if options.keep_state {
            for (tokens, kept) in tokens.iter_mut().zip(kept) {
                *tokens += kept as u64;
            }
        } else {
            self.scratch.clear();
        }
        tokens
    }

    /// What a memory holds, every element as it would lie in DRAM. OUT and ACC8 are the low bits of the
    /// register file.
    pub fn scratchpad(&self, memory: MemType) -> Vec<u8> {
        self.scratch.packed(&self.design, memory)
    }

    /// Runs the `count` instructions that lie in the image at physical address `addr`. They are read before the
    /// run begins.
    pub fn run_at(
        &mut self,
        dram: &mut Dram,
        addr: u64,
        count: u64,
        options: &RunOptions,
    ) -> Result<RunReport, Fault> {
        let code = self
            .recent
            .decoded(&self.design, stream_at(dram, addr, count)?);
        self.run_decoded(dram, &code, options)
    }
}

/// The `count` instructions at physical address `addr`.
pub(crate) fn stream_at(dram: &Dram, addr: u64, count: u64) -> Result<&[u8], Fault> {
    let bytes = count.saturating_mul(vta_isa::INSN_BYTES as u64);
    let stream = usize::try_from(bytes)
        .ok()
        .and_then(|len| dram.get(addr, len));
    stream.ok_or_else(|| {
        Fault::of_stream(Cause::StreamAddress {
            addr,
            bytes,
            base: dram.base,
            end: dram.end(),
        })
    })
}

struct Load<'a, 'b>(&'a mut Run<'b>, &'a Transfer);

impl Vectorized for Load<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.load_rows(self.1);
    }
}

struct Store<'a, 'b>(&'a mut Run<'b>, &'a Transfer);

impl Vectorized for Store<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.store_rows(self.1);
    }
}

/// One run: what instructions do to the memories.
pub(crate) struct Run<'a> {
    design: &'a Design,
    scratch: &'a mut Scratch,
    dram: &'a mut Dram,
    /// For a stream that does more than the limits of the run.
    limits: Option<Meter>,
}

impl Execute for Run<'_> {
    fn execute(&mut self, issue: &Issue<'_>, causes: &mut Vec<Cause>) {
        causes.extend(self.carry_out(issue.action).err());
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}

/// What comes after a run finds nothing put off.
impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.scratch.settle();
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        design: &'a Design,
        scratch: &'a mut Scratch,
        dram: &'a mut Dram,
        limits: Option<Meter>,
    ) -> Run<'a> {
        Run {
            design,
            scratch,
            dram,
            limits,
        }
    }

    /// Does all of an instruction, or nothing and says why.
    pub(crate) fn carry_out(&mut self, action: &Result<Action, Cause>) -> Result<(), Cause> {
        let action = action.as_ref().map_err(Cause::clone)?;
        action.check(self.design, self.dram, &self.scratch.uop)?;
        if let Some(limits) = &mut self.limits {
            limits.count(self.design, action)?;
        }
        match action {
            Action::Sync | Action::Finish => {}
            Action::Load(transfer) => self.load(transfer),
            Action::Store(transfer) => self.store(transfer),
            Action::Kernel(kernel) => self.scratch.run(kernel),
        }
        Ok(())
    }

    fn load(&mut self, transfer: &Transfer) {
        let simd = self.scratch.simd;
        simd.run(Load(self, transfer));
    }

    #[inline(always)]
    fn load_rows(&mut self, transfer: &Transfer) {
        let memory = transfer.memory;
        let (bits, lanes) = (self.design.value_bits(memory), self.design.lanes(memory));
        let scratch = &mut *self.scratch;
        let (sign_inp, sign_wgt) = (scratch.sign_inp, scratch.sign_wgt);
        let pad = |sign: bool| wrap(transfer.pad_value, bits) | i32::from(sign);
        match memory {
            MemType::Uop => {
                transfer.load_uops(self.design, self.dram, &mut scratch.uop);
            }
            MemType::Wgt => {
                if transfer.padding() > 0 {
                    scratch.wgt.fill(transfer.span(), pad(sign_wgt) as i8);
                }
                let Scratch {
                    wgt, tiles, simd, ..
                } = scratch;
                transfer.each_row(self.dram, |first, bytes| {
                    if bits == 8 {
                        wgt.set(first, bytes, *simd);
                        return;
                    }
                    tiles.resize(transfer.x_size * lanes, 0);
                    unpack(bits, bytes, tiles);
                    if sign_wgt {
                        bits_to_signs(tiles);
                    }
                    // Weights are kept as they are, not plus 128.
                    tiles.iter_mut().for_each(|w| *w ^= 128);
                    wgt.set(first, tiles, *simd);
                });
            }
            MemType::Inp => {
                let pad = u8::from_i32(pad(sign_inp));
                transfer.fill(self.dram, lanes, &mut scratch.inp, pad, |b, v| {
                    unpack(bits, b, v);
                    if sign_inp {
                        bits_to_signs(v);
                    }
                });
            }
            MemType::Acc | MemType::Acc8 | MemType::Out => {
                let pad = pad(false);
                transfer.fill(self.dram, lanes, scratch.acc(), pad, |b, v| {
                    unpack(bits, b, v)
                });
            }
            MemType::Rqt => transfer.fill(self.dram, lanes, &mut scratch.rqt, 0, |b, v| {
                for (record, bytes) in v.iter_mut().zip(b.chunks_exact(ChannelRequant::BYTES)) {
                    *record = u128::from_le_bytes(bytes.try_into().expect("a record's bytes"));
                }
            }),
        }
    }

    fn store(&mut self, transfer: &Transfer) {
        let simd = self.scratch.simd;
        simd.run(Store(self, transfer));
    }

    #[inline(always)]
    fn store_rows(&mut self, transfer: &Transfer) {
        let (bits, lanes) = (self.design.out_bits(), self.design.lanes(MemType::Out));
        let (acc, rqt) = self.scratch.acc_and_rqt();
        for row in 0..transfer.rows {
            let from = &acc[transfer.row_start(row) * lanes..][..transfer.x_size * lanes];
            let to = self.dram.get_mut(transfer.addr(row), transfer.row_bytes);
            let to = to.expect("every row was checked");
            match transfer.requant.clone() {
                None => pack(bits, from, to),
                Some(records) => pack(bits, &requantize(&rqt[records], from), to),
            }
        }
    }
}
