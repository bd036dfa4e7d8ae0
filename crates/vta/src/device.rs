//! Which device runs a network: its kind, its memory, what it records.

use std::path::PathBuf;
use std::sync::Arc;

use vta_isa::Design;
use vta_rtl::{RtlDevice, RtlModel};
use vta_runtime::{CycleDevice, Device, SimDevice};
use vta_sim::{MemoryModel, Order};

use crate::{Error, Progress, Result};

/// A kind of device. All give the same results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The functional simulator: results and counters, no time.
    Functional(Order),
    /// The cycle simulator: results, and the cycles that the hardware takes.
    Cycle {
        /// How its memory answers.
        memory: MemoryModel,
        /// Whether to keep the cycles of every instruction.
        trace: bool,
    },
    /// The hardware, run by Verilator.
    Rtl {
        /// How its memory answers.
        memory: MemoryModel,
        /// Where the waveforms go, in FST format.
        wave: Option<PathBuf>,
    },
}

impl Default for DeviceKind {
    fn default() -> DeviceKind {
        DeviceKind::Functional(Order::default())
    }
}

/// Devices of one kind and design.
#[derive(Clone, Debug)]
pub struct Devices {
    design: Design,
    kind: DeviceKind,
    /// The hardware, if they are that.
    model: Option<Arc<RtlModel>>,
}

/// The hardware of a design, built unless it has been built before.
pub fn hardware(design: &Design, waves: bool, progress: &dyn Progress) -> Result<Arc<RtlModel>> {
    let told = |what: &str, step: usize, steps: usize| match step {
        0 => progress.stage(what, steps),
        _ => progress.step(),
    };
    Ok(Arc::new(RtlModel::build(design, waves, &told)?))
}

impl Devices {
    /// Makes ready what all of them share: of hardware, the model.
    pub fn new(design: &Design, kind: &DeviceKind, progress: &dyn Progress) -> Result<Devices> {
        let model = match kind {
            DeviceKind::Rtl { wave, .. } => Some(hardware(design, wave.is_some(), progress)?),
            _ => None,
        };
        Ok(Devices {
            design: design.clone(),
            kind: kind.clone(),
            model,
        })
    }

    /// A device with memory of its own.
    pub fn open(&self) -> Result<Box<dyn Device + Send>> {
        Ok(match (&self.kind, &self.model) {
            (DeviceKind::Rtl { memory, wave }, Some(model)) => {
                let model = model.clone();
                Box::new(match wave {
                    Some(path) => RtlDevice::with_wave(model, *memory, path)?,
                    None => RtlDevice::new(model, *memory),
                })
            }
            (DeviceKind::Rtl { .. }, None) => {
                return Err(Error::bug("a device of hardware without its model"));
            }
            (DeviceKind::Functional(order), _) => {
                let mut device = SimDevice::new(&self.design);
                device.set_order(*order);
                Box::new(device)
            }
            (DeviceKind::Cycle { memory, trace }, _) => {
                let mut device = CycleDevice::new(&self.design, *memory);
                device.set_trace(*trace);
                Box::new(device)
            }
        })
    }
}
