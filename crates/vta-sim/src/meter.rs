//! Counting what instructions do, up to the limits of a run.

use vta_isa::{Design, GemmMode, MemType};

use crate::access::{Action, KernelOp};
use crate::counters::Counters;
use crate::fault::Cause;
use crate::func::RunOptions;

/// The counters of one run, with its limits.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    counters: Counters,
    insns: u64,
    insn_limit: u64,
    steps: u64,
    step_limit: u64,
}

impl Meter {
    pub(crate) fn new(options: &RunOptions) -> Meter {
        Meter {
            counters: Counters::default(),
            insns: 0,
            insn_limit: options.insn_limit,
            steps: 0,
            step_limit: options.step_limit,
        }
    }

    /// Counters without limits.
    pub(crate) fn unlimited() -> Meter {
        Meter::new(&RunOptions {
            insn_limit: u64::MAX,
            step_limit: u64::MAX,
            ..RunOptions::default()
        })
    }

    /// What finds the instruction that exceeds a limit of a run; nothing if all that was counted is within them.
    pub(crate) fn limits(&self, options: &RunOptions) -> Option<Meter> {
        let exceeds = self.insns > options.insn_limit || self.steps > options.step_limit;
        exceeds.then(|| Meter::new(options))
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Counts an instruction that is about to run, unless a limit forbids it. What no run can reach saturates.
    pub(crate) fn count(&mut self, design: &Design, action: &Action) -> Result<(), Cause> {
        if self.insns >= self.insn_limit {
            let limit = self.insn_limit;
            return Err(Cause::InsnLimit { limit });
        }
        self.insns += 1;
        let counters = &mut self.counters;
        match action {
            Action::Sync => counters.insns.sync += 1,
            Action::Finish => counters.insns.finish += 1,
            Action::Load(transfer) => {
                counters.insns.load += 1;
                counters.load_bytes.add(transfer.memory, transfer.bytes());
                if transfer.memory == MemType::Uop {
                    counters.uops_loaded += (transfer.rows * transfer.x_size) as u64;
                }
            }
            Action::Store(transfer) => {
                counters.insns.store += 1;
                counters.store_bytes += transfer.bytes();
                if transfer.requant.is_some() {
                    counters.requant_ops += (transfer.rows * transfer.x_size) as u64;
                }
            }
            Action::Kernel(kernel) => {
                let steps = kernel.steps();
                self.steps = self.steps.saturating_add(steps);
                if self.steps > self.step_limit {
                    let limit = self.step_limit;
                    return Err(Cause::StepLimit { limit });
                }
                match kernel.op {
                    KernelOp::Gemm(GemmMode::Reset) => {
                        counters.insns.gemm += 1;
                        counters.reset_ops = counters.reset_ops.saturating_add(steps);
                    }
                    KernelOp::Gemm(GemmMode::Accumulate | GemmMode::Overwrite) => {
                        counters.insns.gemm += 1;
                        counters.gemm_ops = counters.gemm_ops.saturating_add(steps);
                        let products = design.batch() * design.lanes(MemType::Wgt);
                        let macs = steps.saturating_mul(products as u64);
                        counters.macs = counters.macs.saturating_add(macs);
                    }
                    KernelOp::AluImm(op, _) | KernelOp::AluAcc(op) => {
                        counters.insns.alu += 1;
                        counters.alu_ops.add(op, steps);
                    }
                }
            }
        }
        Ok(())
    }
}
