//! Which devices a command runs on, and what it records there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use vta::{DeviceKind, Error, Result};
use vta_sim::{MemoryModel, Order};

use crate::parse::number;

/// Where it runs.
#[derive(Args)]
#[command(next_help_heading = "Device")]
pub(super) struct OnDevice {
    /// What runs it. The results are the same: `fsim,cycle,rtl` compares them.
    #[arg(
        long,
        value_name = "DEVICE,..",
        default_value = "fsim",
        value_delimiter = ','
    )]
    device: Vec<Name>,
    /// Let the modules of fsim take turns at random, by this seed.
    #[arg(long, value_name = "N", value_parser = number)]
    seed: Option<u64>,
    #[command(flatten)]
    memory: Memory,
    /// Write the timeline of modules and memory, for Perfetto (ui.perfetto.dev).
    #[arg(long, value_name = "FILE.json")]
    pub(super) trace: Option<PathBuf>,
    /// Write the waveforms of all signals: two units of time and about a kilobyte a cycle.
    #[arg(long, value_name = "FILE.fst")]
    pub(super) wave: Option<PathBuf>,
}

/// How the memory answers, on devices that know time.
#[derive(Args)]
#[command(next_help_heading = "Device")]
pub(super) struct Memory {
    /// Latency of the memory in cycles [default: 16].
    #[arg(long, value_name = "CYCLES")]
    latency: Option<u32>,
    /// Let the memory hold up bursts at random, by this seed.
    #[arg(long, value_name = "SEED", value_parser = number)]
    stalls: Option<u64>,
}

impl Memory {
    pub(super) fn model(&self) -> MemoryModel {
        let default = MemoryModel::default();
        MemoryModel {
            latency: self.latency.unwrap_or(default.latency),
            stalls: self.stalls,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    /// The functional simulator, which knows no time.
    Fsim,
    /// The cycle simulator.
    Cycle,
    /// The hardware, run by Verilator.
    Rtl,
}

impl Name {
    pub(super) fn text(self) -> &'static str {
        match self {
            Name::Fsim => "fsim",
            Name::Cycle => "cycle",
            Name::Rtl => "rtl",
        }
    }
}

impl OnDevice {
    /// The device that is asked for, of a command that takes one.
    pub(super) fn kind(&self) -> Result<DeviceKind> {
        let mut kinds = self.kinds()?;
        match (kinds.pop(), kinds.is_empty()) {
            (Some((_, kind)), true) => Ok(kind),
            _ => Err(Error::input("this command runs on one --device")
                .help("compare devices with vta run or vta exec")),
        }
    }

    /// The devices that are asked for, each once.
    pub(super) fn kinds(&self) -> Result<Vec<(Name, DeviceKind)>> {
        let has = |name| self.device.contains(&name);
        let has_time = has(Name::Cycle) || has(Name::Rtl);
        let needs = [
            ("--seed", self.seed.is_some(), has(Name::Fsim), "fsim"),
            (
                "--latency",
                self.memory.latency.is_some(),
                has_time,
                "cycle",
            ),
            ("--stalls", self.memory.stalls.is_some(), has_time, "cycle"),
            ("--trace", self.trace.is_some(), has(Name::Cycle), "cycle"),
            ("--wave", self.wave.is_some(), has(Name::Rtl), "rtl"),
        ];
        if let Some((option, .., device)) = needs.iter().find(|need| need.1 && !need.2) {
            return Err(Error::input(format!("this device has no {option}"))
                .help(format!("add --device {device}")));
        }
        for path in self.trace.iter().chain(&self.wave) {
            vta::try_write(path)?;
        }
        let names = self.device.iter().enumerate();
        let names = names.filter(|(at, name)| !self.device[..*at].contains(name));
        Ok(names.map(|(_, &name)| (name, self.of(name))).collect())
    }

    fn of(&self, name: Name) -> DeviceKind {
        let memory = self.memory.model();
        match name {
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
        }
    }
}
