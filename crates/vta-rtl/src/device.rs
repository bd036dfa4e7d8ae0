//! The Verilated hardware as a device.

use std::path::Path;
use std::sync::Arc;

use vta_isa::{Design, INSN_BYTES};
use vta_runtime::{Device, DeviceError, DeviceMemory, ErrorKind, RunLimits, StreamRun};
use vta_sim::{Counters, CycleOptions, CycleSim, Leftover, MemoryModel, RunOptions};

use crate::{RtlError, RtlModel, RtlOptions, RtlSim};

/// The hardware of a design with memory of its own.
#[derive(Debug)]
pub struct RtlDevice {
    sim: RtlSim,
    memory: DeviceMemory,
    model: MemoryModel,
    /// What the hardware does not count follows from the fields of the instructions.
    fields: CycleSim,
    /// Left in the queues by the last run.
    tokens: [usize; 4],
    counters: Counters,
}

impl RtlDevice {
    /// A device whose memory answers like `memory`.
    pub fn new(model: Arc<RtlModel>, memory: MemoryModel) -> RtlDevice {
        RtlDevice::of(RtlSim::new(model), memory)
    }

    /// The same, writing all its life to a file in FST format; see [`RtlSim::with_wave`].
    pub fn with_wave(
        model: Arc<RtlModel>,
        memory: MemoryModel,
        wave: &Path,
    ) -> Result<RtlDevice, RtlError> {
        Ok(RtlDevice::of(RtlSim::with_wave(model, wave)?, memory))
    }

    fn of(sim: RtlSim, model: MemoryModel) -> RtlDevice {
        RtlDevice {
            fields: CycleSim::new(sim.design()),
            sim,
            memory: DeviceMemory::default(),
            model,
            tokens: [0; 4],
            counters: Counters::default(),
        }
    }
}

impl Device for RtlDevice {
    fn design(&self) -> &Design {
        self.sim.design()
    }

    fn alloc(&mut self, bytes: u64) -> Result<u64, DeviceError> {
        self.memory.alloc(bytes)
    }

    fn free(&mut self, address: u64) -> Result<(), DeviceError> {
        self.memory.free(address)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.memory.write(address, bytes)
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.memory.read(address, bytes)
    }

    fn run(
        &mut self,
        address: u64,
        count: u64,
        limits: &RunLimits,
    ) -> Result<StreamRun, DeviceError> {
        if count > limits.insns {
            return Err(DeviceError::Hardware {
                kind: ErrorKind::Limit,
                message: format!(
                    "{count} instructions are more than {}, the limit of this run; raise it",
                    limits.insns
                ),
            });
        }
        let tokens = match limits.keep_state {
            true => std::mem::take(&mut self.tokens),
            false => [0; 4],
        };
        let options = RtlOptions {
            memory: self.model,
            max_cycles: limits.steps,
            keep_state: limits.keep_state,
            ..RtlOptions::default()
        };
        let dram = self.memory.dram_mut();
        // A stream may write over itself.
        let bytes = usize::try_from(count)
            .ok()
            .and_then(|n| n.checked_mul(INSN_BYTES));
        let insns = bytes.and_then(|bytes| dram.get(address, bytes));
        let insns = insns.map(<[u8]>::to_vec).unwrap_or_default();
        let run = self
            .sim
            .run(dram, address, count, &options)
            .map_err(refusal)?;

        let fields = CycleOptions {
            memory: self.model,
            run: RunOptions {
                initial_tokens: tokens.map(|tokens| tokens as u32),
                leftover: match limits.keep_state {
                    true => Leftover::Warn,
                    false => Leftover::Fault,
                },
                ..RunOptions::default()
            },
            ..CycleOptions::default()
        };
        let told = self.fields.time(address, &insns, &fields)?;
        self.tokens = told.leftover;
        self.counters += told.counters;
        Ok(StreamRun {
            counters: told.counters,
            cycles: Some(run.cycles),
            report: None,
        })
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

fn refusal(error: RtlError) -> DeviceError {
    let kind = match error {
        RtlError::Fault { .. } | RtlError::Protocol(_) => ErrorKind::Fault,
        RtlError::CycleLimit { .. } => ErrorKind::Limit,
        _ => ErrorKind::Caller,
    };
    DeviceError::Hardware {
        kind,
        message: error.to_string(),
    }
}
