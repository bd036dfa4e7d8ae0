//! Which device a command runs on, and what it records there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vta::{DeviceKind, Error, Module, Result};
use vta_sim::{MemoryModel, Order};

use crate::parse::number;

/// Where it runs.
#[derive(Args)]
#[command(next_help_heading = "Device")]
pub(super) struct OnDevice {
    /// What runs it; the results are the same.
    #[arg(long, value_name = "DEVICE", default_value = "fsim")]
    device: Name,
    /// Let the modules of fsim take turns at random, by this seed.
    #[arg(long, value_name = "N", value_parser = number)]
    seed: Option<u64>,
    /// Latency of the memory in cycles [default: 16].
    #[arg(long, value_name = "CYCLES")]
    latency: Option<u32>,
    /// Let the memory hold up bursts at random, by this seed.
    #[arg(long, value_name = "SEED", value_parser = number)]
    stalls: Option<u64>,
    /// Write the timeline of modules and memory, for Perfetto (ui.perfetto.dev).
    #[arg(long, value_name = "FILE.json")]
    pub(super) trace: Option<PathBuf>,
    /// Write the waveforms of all signals.
    #[arg(long, value_name = "FILE.fst")]
    pub(super) wave: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The functional simulator, which knows no time.
    Fsim,
    /// The cycle simulator.
    Cycle,
    /// The hardware, run by Verilator.
    Rtl,
}

impl OnDevice {
    /// The device that is asked for.
    pub(super) fn kind(&self) -> Result<DeviceKind> {
        let has_time = self.device != Name::Fsim;
        let cycle = self.device == Name::Cycle;
        let rtl = self.device == Name::Rtl;
        let needs = [
            ("--seed", self.seed.is_some(), !has_time, "fsim"),
            ("--latency", self.latency.is_some(), has_time, "cycle"),
            ("--stalls", self.stalls.is_some(), has_time, "cycle"),
            ("--trace", self.trace.is_some(), cycle, "cycle"),
            ("--wave", self.wave.is_some(), rtl, "rtl"),
        ];
        if let Some((option, .., device)) = needs.iter().find(|need| need.1 && !need.2) {
            return Err(Error::input(format!("this device has no {option}"))
                .help(format!("add --device {device}")));
        }
        let default = MemoryModel::default();
        let memory = MemoryModel {
            latency: self.latency.unwrap_or(default.latency),
            stalls: self.stalls,
        };
        Ok(match self.device {
            Name::Fsim => {
                DeviceKind::Functional(self.seed.map_or(Order::RoundRobin, Order::Seeded))
            }
            Name::Cycle => DeviceKind::Cycle {
                memory,
                trace: self.trace.is_some(),
            },
            Name::Rtl => DeviceKind::Rtl {
                memory,
                wave: self.wave.clone(),
            },
        })
    }

    /// Writes the timeline of a module's last inference, if it is asked for.
    pub(super) fn write_trace(&self, module: &Module) -> Result<()> {
        match &self.trace {
            Some(path) => vta::write(path, module.trace().to_string().as_bytes()),
            None => Ok(()),
        }
    }
}
