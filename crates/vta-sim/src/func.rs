//! The functional simulator.

use serde::Serialize;
use vta_isa::{Design, MemType};

use crate::access::{Action, Kernel, KernelOp, Transfer, plan};
use crate::counters::Counters;
use crate::dram::Dram;
use crate::fault::{Cause, Fault, QueueState};
use crate::kernel::Scratch;
use crate::lanes::{pack, transpose, unpack};
use crate::machine::{Execute, Issue, Machine, Order};

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
    design: Design,
    scratch: Scratch,
    tokens: [usize; 4],
}

impl FuncSim {
    /// An accelerator with cleared scratchpads and no tokens.
    pub fn new(design: &Design) -> FuncSim {
        FuncSim {
            design: design.clone(),
            scratch: Scratch::new(design),
            tokens: [0; 4],
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
        let kept = std::mem::take(&mut self.tokens);
        let mut tokens = options.initial_tokens.map(u64::from);
        if options.keep_state {
            tokens
                .iter_mut()
                .zip(kept)
                .for_each(|(tokens, kept)| *tokens += kept as u64);
        } else {
            self.scratch.clear();
        }
        let mut machine = Machine::new(&self.design, insns, tokens)?;
        let (design, scratch) = (&self.design, &mut self.scratch);
        let mut run = Run {
            design,
            scratch,
            dram,
            options,
            counters: Counters::default(),
            steps: 0,
        };
        machine.run(options.order, &mut run)?;
        let counters = run.counters;
        let leftover = machine.tokens();
        if options.leftover == Leftover::Fault && leftover != [0; 4] {
            return Err(machine.fault(None, Cause::Leftover { tokens: leftover }));
        }
        self.tokens = leftover;
        Ok(RunReport { counters, leftover })
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
        let bytes = count.saturating_mul(vta_isa::INSN_BYTES as u64);
        let stream = usize::try_from(bytes)
            .ok()
            .and_then(|len| dram.get(addr, len));
        let Some(stream) = stream.map(<[u8]>::to_vec) else {
            let cause = Cause::StreamAddress {
                addr,
                bytes,
                base: dram.base,
                end: dram.end(),
            };
            return Err(Fault {
                site: None,
                cause,
                queues: Box::<QueueState>::default(),
            });
        };
        self.run(dram, &stream, options)
    }
}

struct Run<'a> {
    design: &'a Design,
    scratch: &'a mut Scratch,
    dram: &'a mut Dram,
    options: &'a RunOptions,
    counters: Counters,
    steps: u64,
}

impl Execute for Run<'_> {
    fn execute(&mut self, issue: &Issue<'_>, causes: &mut Vec<Cause>) {
        let limit = self.options.insn_limit;
        if self.counters.insns.total() >= limit {
            return causes.push(Cause::InsnLimit { limit });
        }
        let action = match plan(self.design, issue.insn, self.dram, &self.scratch.uop) {
            Ok(action) => action,
            Err(cause) => return causes.push(cause),
        };
        let counters = &mut self.counters;
        match action {
            Action::Sync => counters.insns.sync += 1,
            Action::Finish => counters.insns.finish += 1,
            Action::Load(transfer) => {
                counters.insns.load += 1;
                counters.load_bytes.add(transfer.memory, transfer.bytes());
                self.load(&transfer);
            }
            Action::Store(transfer) => {
                counters.insns.store += 1;
                counters.store_bytes += transfer.bytes();
                self.store(&transfer);
            }
            Action::Kernel(kernel) => {
                let limit = self.options.step_limit;
                self.steps = self.steps.saturating_add(kernel.steps());
                if self.steps > limit {
                    return causes.push(Cause::StepLimit { limit });
                }
                self.count(&kernel);
                self.scratch.run(&kernel);
            }
        }
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}

impl Run<'_> {
    fn count(&mut self, kernel: &Kernel) {
        let steps = kernel.steps();
        let counters = &mut self.counters;
        match kernel.op {
            KernelOp::Reset => {
                counters.insns.gemm += 1;
                counters.reset_ops += steps;
            }
            KernelOp::Gemm => {
                counters.insns.gemm += 1;
                counters.gemm_ops += steps;
                counters.macs +=
                    steps * (self.design.batch() * self.design.lanes(MemType::Wgt)) as u64;
            }
            KernelOp::AluImm(op, _) | KernelOp::AluAcc(op) => {
                counters.insns.alu += 1;
                counters.alu_ops.add(op, steps);
            }
        }
    }

    fn load(&mut self, transfer: &Transfer) {
        let memory = transfer.memory;
        let (bits, lanes) = (self.design.value_bits(memory), self.design.lanes(memory));
        let scratch = &mut *self.scratch;
        match memory {
            MemType::Uop => {
                self.counters.uops_loaded += (transfer.rows * transfer.x_size) as u64;
                transfer.load_uops(self.design, self.dram, &mut scratch.uop);
            }
            MemType::Wgt => {
                let elem = self.design.elem_bytes(memory);
                let mut tile = vec![0; lanes];
                transfer.fill(self.dram, lanes, &mut scratch.wgt, |bytes, weights| {
                    let tiles = bytes
                        .chunks_exact(elem)
                        .zip(weights.chunks_exact_mut(lanes));
                    for (bytes, to) in tiles {
                        unpack(bits, bytes, &mut tile);
                        transpose(&tile, to, self.design.block_in());
                    }
                });
            }
            MemType::Inp => transfer.fill(self.dram, lanes, &mut scratch.inp, |b, v| {
                unpack(bits, b, v)
            }),
            MemType::Acc | MemType::Acc8 | MemType::Out => {
                transfer.fill(self.dram, lanes, &mut scratch.acc, |b, v| {
                    unpack(bits, b, v)
                });
            }
        }
    }

    fn store(&mut self, transfer: &Transfer) {
        let (bits, lanes) = (self.design.out_bits(), self.design.lanes(MemType::Out));
        for row in 0..transfer.rows {
            let from =
                &self.scratch.acc[transfer.row_start(row) * lanes..][..transfer.x_size * lanes];
            let to = self.dram.get_mut(transfer.addr(row), transfer.row_bytes);
            pack(bits, from, to.expect("the plan checked every row"));
        }
    }
}
