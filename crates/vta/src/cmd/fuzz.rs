//! `vta fuzz`

mod schedules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;
use vta::fuzz::{Difference, Fuzz, Kind, Runs, rerun};
use vta::{Error, Result};
use vta_isa::{Design, HwConfig};
use vta_rtl::candidates;

use crate::bar::Bar;
use crate::output::{self, grouped, table};
use crate::parse::{count, number};

/// Run random networks in the integer interpreter, the functional simulator and the cycle simulator, and
/// compare their results, memory and counters. Every stream passes the race detector.
///
/// The networks branch, have odd shapes and several outputs, and come in floats, with scales of their own and
/// in integers. They run on the designs of hardware/dv/designs in turn. One that differs is made as small as
/// it goes and printed, or written with --keep; given as FILE.graph it runs again.
///
/// With --schedules, random schedules of random operators instead: whatever primitives are applied, the loop nest computes
/// the same, and so do both simulators once nothing but instructions is left. One that differs is a file for
/// `vta schedule`; its second line is the command.
#[derive(Args)]
pub(super) struct FuzzCommand {
    /// A network in the graph's text form, in exact integers; the seeds are those of its inputs.
    #[arg(value_name = "FILE.graph", requires = "config")]
    network: Option<PathBuf>,
    /// Networks.
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<u64>)]
    networks: u64,
    /// Schedules, and no networks.
    #[arg(long, value_name = "N", conflicts_with_all = ["network", "networks", "kind", "designs"], value_parser = count::<u64>)]
    schedules: Option<u64>,
    /// Seed of the first network; each further one has the next.
    #[arg(long, value_name = "N", default_value = "1", value_parser = number)]
    seed: u64,
    /// On how many of the designs each network runs.
    #[arg(long, value_name = "N", default_value = "2", conflicts_with = "config", value_parser = count::<usize>)]
    designs: usize,
    /// One design instead: a preset, or a file with the keys of vta_config.json.
    #[arg(long, value_name = "NAME|FILE.json")]
    config: Option<String>,
    /// What the networks come as [default: all of these in turn].
    #[arg(
        long,
        value_name = "KIND,..",
        value_delimiter = ',',
        conflicts_with = "network"
    )]
    kind: Vec<Form>,
    /// Where a small network or schedule that differs goes.
    #[arg(long, value_name = "FILE", conflicts_with = "network")]
    keep: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// Floats, calibrated on a random input.
    Float,
    /// With scales of their own.
    Qdq,
    /// Exact integers.
    Integer,
}

/// A row for each count.
fn rows(counts: &BTreeMap<String, u64>) -> Vec<Vec<String>> {
    let row = |(name, n): (&String, &u64)| vec![name.clone(), grouped(*n)];
    counts.iter().map(row).collect()
}

impl FuzzCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        let end = self
            .seed
            .checked_add(self.schedules.unwrap_or(self.networks));
        let end = end.ok_or_else(|| {
            Error::input("seeds end before 2^64").help("lower --seed, --networks or --schedules")
        })?;
        let seeds = self.seed..end;
        if let (Some(path), Some(config)) = (&self.network, &self.config) {
            let runs = rerun(&vta::read_text(path)?, &vta::design(config)?, seeds);
            self.print(&runs.map_err(|e| e.at(path.display()))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(path) = &self.keep {
            // Not after hours.
            vta::try_write(path)?;
        }
        if self.schedules.is_some() {
            return self.schedules(seeds);
        }
        let fuzz = Fuzz {
            designs: self.designs()?,
            each: self.designs,
            kinds: self.kinds(),
        };
        let bar = Bar::default();
        let result = fuzz.run(seeds, &bar);
        drop(bar);
        match result {
            Ok(runs) => {
                self.print(&runs)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(difference) => {
                self.differs(&difference)?;
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn designs(&self) -> Result<Vec<(String, Design)>> {
        if let Some(config) = &self.config {
            return Ok(vec![(config.clone(), vta::design(config)?)]);
        }
        let mut designs: Vec<(String, Design)> = Vec::new();
        for candidate in candidates() {
            if designs.iter().all(|(name, _)| name != candidate.name) {
                let design = HwConfig::from_json(candidate.config).and_then(HwConfig::design);
                let design = design.map_err(|e| Error::from(e).at(candidate.name))?;
                designs.push((candidate.name.to_owned(), design));
            }
        }
        Ok(designs)
    }

    /// What `--config` takes for the design `name` of `designs`.
    fn config_of(&self, name: &str) -> String {
        match self.config.is_some() || HwConfig::preset(name).is_some() {
            true => name.to_owned(),
            false => format!("hardware/dv/designs/{name}.json"),
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        if self.kind.is_empty() {
            return Kind::ALL.to_vec();
        }
        let kind = |form: &Form| match form {
            Form::Float => Kind::Float,
            Form::Qdq => Kind::Qdq,
            Form::Integer => Kind::Integer,
        };
        self.kind.iter().map(kind).collect()
    }

    fn print(&self, runs: &Runs) -> Result<()> {
        if self.json {
            return output::print_json(&json!({"networks": self.networks, "runs": runs}));
        }
        let mut text = String::new();
        for (headers, counts) in [
            (["design", "networks"], &runs.designs),
            (["on vta", "operators"], &runs.vta),
            (["on the host", "operators"], &runs.host),
        ] {
            text += &table(&headers, &rows(counts));
            text += "\n";
        }
        let (networks, cycles) = (grouped(self.networks), grouped(runs.cycles));
        output::print(format!(
            "{text}{networks} networks, no difference; {cycles} cycles simulated\n"
        ))
    }

    fn differs(&self, difference: &Difference) -> Result<()> {
        let Difference {
            seed,
            kind,
            design,
            what,
            small_what,
            network,
        } = difference;
        let file = self.keep.as_deref().unwrap_or(Path::new("FILE.graph"));
        let (file, config) = (file.display(), self.config_of(design));
        let replay = format!("vta fuzz {file} --config {config}");
        let first = small_what.replace('\n', " ");
        let network = format!("; {}\n; {replay}\n{network}", first.trim_end());
        if let Some(path) = &self.keep {
            vta::write(path, network.as_bytes())?;
        }
        if self.json {
            return output::print_json(&json!({"difference": difference}));
        }
        let kind = json!(kind);
        let kind = kind.as_str().unwrap_or_default();
        let shown = match &self.keep {
            Some(_) => format!("the small network runs again, on other inputs, by: {replay}\n"),
            None => network,
        };
        output::print(format!(
            "seed {seed} ({kind}) on {design}: {what}\nmade small: {small_what}\n{shown}"
        ))
    }
}
