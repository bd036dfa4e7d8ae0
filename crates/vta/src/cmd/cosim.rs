//! `vta cosim`

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use vta::{Error, Progress, Result};
use vta_isa::{Design, HwConfig, INSN_BYTES, Insn, asm};
use vta_rtl::{
    Campaign, Cosim as Simulators, Coverage, Failure, RtlModel, Summary, Trial, TrialOptions,
    candidates, shrink,
};

use super::Target;
use crate::bar::Bar;
use crate::output::{self, grouped};
use crate::parse::{count, number};

/// How often each bin of the coverage should be met, unless something else is said.
const GOAL: u64 = 100;
/// With `--all`, the default design gets so many times the programs of another.
const DEFAULT_DESIGN: u64 = 5;

/// Run random programs in the functional simulator, the cycle simulator and the Verilated hardware, and compare memory
/// after the run and the cycle in which each instruction retires.
///
/// A program that differs is made as small as it goes and printed as assembly.
#[derive(Args)]
pub(super) struct Cosim {
    /// Programs; with --all for each design, and for the default design five times as many.
    #[arg(long, value_name = "N", default_value = "200", value_parser = count::<u64>)]
    programs: u64,
    /// Seed of the first program; each further one, of all designs, has the next.
    #[arg(long, value_name = "N", default_value = "1", value_parser = number)]
    seed: u64,
    /// Instructions that touch memory in each program; drawn if it is not given.
    #[arg(long, value_name = "N")]
    insns: Option<usize>,
    /// Latency of the memory, cycles; drawn if it is not given.
    #[arg(long, value_name = "N")]
    latency: Option<u32>,
    /// Seed of the memory's stalls, or `none`; drawn if it is not given.
    #[arg(long, value_name = "N|none", value_parser = stalls)]
    stalls: Option<Stalls>,
    /// Leave the hardware out: no Verilator is needed.
    #[arg(long)]
    no_rtl: bool,
    #[command(flatten)]
    target: Target,
    /// All designs of hardware/dv/designs, and the default design at several latencies.
    #[arg(long, conflicts_with_all = ["config", "latency"])]
    all: bool,
    /// Print how often the programs met each thing that they should have met.
    #[arg(long)]
    coverage: bool,
    /// Fail if the programs met one of these things fewer times.
    #[arg(long, value_name = "N", value_parser = number)]
    goal: Option<u64>,
    /// Where the image and the stream of a small program that differs go.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Stalls of the memory, if there are any.
#[derive(Clone, Copy, Debug)]
struct Stalls(Option<u64>);

fn stalls(text: &str) -> std::result::Result<Stalls, String> {
    match text {
        "none" => Ok(Stalls(None)),
        seed => match number(seed) {
            Ok(seed) => Ok(Stalls(Some(seed))),
            Err(error) => Err(format!("{error}, or none")),
        },
    }
}

/// One design with the programs that it gets.
struct Job {
    name: String,
    design: Design,
    seeds: Range<u64>,
    options: TrialOptions,
}

#[derive(Serialize)]
struct Report {
    designs: Vec<Row>,
    coverage: Vec<Met>,
    /// How often each bin should be met.
    goal: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failed>,
}

#[derive(Serialize)]
struct Row {
    design: String,
    /// Drawn for each program if it is null.
    latency: Option<u32>,
    programs: u64,
    instructions: u64,
    cycles: u64,
}

#[derive(Serialize)]
struct Met {
    group: &'static str,
    bin: String,
    count: u64,
}

#[derive(Serialize)]
struct Failed {
    design: String,
    seed: u64,
    /// Of the program as it was drawn.
    differences: Vec<String>,
    /// The program made small.
    latency: u32,
    stalls: Option<u64>,
    /// Of micro-ops, inputs, weights, accumulators and outputs.
    pointers: Vec<String>,
    /// Whether the hardware has to run something else before.
    after_another: bool,
    assembly: Vec<String>,
    small_differences: Vec<String>,
    rerun: String,
}

impl Report {
    /// What the programs met too rarely.
    fn rare(&self) -> impl Iterator<Item = &Met> {
        self.coverage.iter().filter(|met| met.count < self.goal)
    }
}

impl Cosim {
    pub(super) fn run(self) -> Result<ExitCode> {
        let jobs = self.jobs()?;
        if let Some(directory) = &self.keep {
            // Not after hours.
            std::fs::create_dir_all(directory).map_err(|error| {
                Error::input(format!("cannot make {}: {error}", directory.display()))
            })?;
        }
        let bar = Bar::default();
        let mut rows = Vec::new();
        let mut coverage: Option<Coverage> = None;
        let mut failure = None;
        for job in &jobs {
            match self.job(job, &bar)? {
                Ok(summary) => {
                    rows.push(row(job, &summary));
                    match &mut coverage {
                        Some(all) => all.merge(&summary.coverage),
                        None => coverage = Some(summary.coverage),
                    }
                }
                Err(failed) => {
                    failure = Some(failed);
                    break;
                }
            }
        }
        drop(bar);
        let report = Report {
            designs: rows,
            coverage: coverage.iter().flat_map(met).collect(),
            goal: self.goal.unwrap_or(GOAL),
            failure,
        };
        if self.json {
            output::print_json(&report)?;
        } else {
            output::print(self.text(&report))?;
        }
        let rare = self.goal.is_some() && report.rare().next().is_some();
        Ok(match report.failure {
            None if !rare => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    fn jobs(&self) -> Result<Vec<Job>> {
        let options = TrialOptions {
            insns: self.insns,
            latency: self.latency,
            stalls: self.stalls.map(|Stalls(seed)| seed),
        };
        if !self.all {
            return Ok(vec![Job {
                name: self.target.config.clone(),
                design: self.target.design()?,
                seeds: self.seed..self.seed.saturating_add(self.programs),
                options,
            }]);
        }
        let mut jobs: Vec<Job> = Vec::new();
        for candidate in candidates() {
            let config = HwConfig::from_json(candidate.config);
            let design = config.and_then(HwConfig::design);
            let (start, programs) = match jobs.last() {
                None => (self.seed, self.programs.saturating_mul(DEFAULT_DESIGN)),
                Some(last) => (last.seeds.end, self.programs),
            };
            jobs.push(Job {
                name: candidate.name.to_owned(),
                design: design.map_err(|error| Error::from(error).at(candidate.name))?,
                seeds: start..start.saturating_add(programs),
                options: TrialOptions {
                    latency: candidate.latency,
                    ..options
                },
            });
        }
        Ok(jobs)
    }

    fn job(&self, job: &Job, bar: &Bar) -> Result<std::result::Result<Summary, Failed>> {
        let model = match self.no_rtl {
            true => None,
            false => Some(vta::hardware(&job.design, false, bar)?),
        };
        bar.stage(&job.name, (job.seeds.end - job.seeds.start) as usize);
        let campaign = Campaign {
            design: &job.design,
            model,
            seeds: job.seeds.clone(),
            options: job.options,
        };
        match campaign.run(&|| bar.step()) {
            Ok(summary) => Ok(Ok(summary)),
            Err(failure) => {
                bar.stage("shrink", 0);
                self.failed(job, &failure, campaign.model.as_ref()).map(Err)
            }
        }
    }

    /// Makes the failure small and describes it.
    fn failed(
        &self,
        job: &Job,
        failure: &Failure,
        model: Option<&Arc<RtlModel>>,
    ) -> Result<Failed> {
        let mut simulators = Simulators::new(&job.design, model);
        let small = shrink(&job.design, &failure.trial, |trial| {
            simulators.run(trial).is_err()
        });
        let differences = simulators.run(&small).err().unwrap_or_default();
        if let Some(directory) = &self.keep {
            keep(directory, &small)?;
        }
        let words = small.insns().chunks_exact(INSN_BYTES);
        let insns = words.filter_map(|word| Insn::decode(&job.design, word.try_into().ok()?).ok());
        Ok(Failed {
            design: job.name.clone(),
            seed: failure.seed,
            differences: failure
                .differences
                .iter()
                .map(ToString::to_string)
                .collect(),
            latency: small.memory.latency,
            stalls: small.memory.stalls,
            pointers: small
                .placement
                .pointers
                .iter()
                .map(|pointer| format!("{pointer:#x}"))
                .collect(),
            after_another: small.before.is_some(),
            assembly: insns
                .map(|insn| asm::print_insn(&job.design, &insn))
                .collect(),
            small_differences: differences.iter().map(ToString::to_string).collect(),
            rerun: self.rerun(job, failure.seed),
        })
    }

    /// The command that runs one program again.
    fn rerun(&self, job: &Job, seed: u64) -> String {
        let mut command = format!("vta cosim --programs 1 --seed {seed}");
        let config = match self.all {
            true if job.name == "default" => None,
            true => Some(format!("hardware/dv/designs/{}.json", job.name)),
            false => Some(self.target.config.clone()).filter(|config| config != Target::DEFAULT),
        };
        for (option, value) in [
            ("config", config),
            ("insns", self.insns.map(|n| n.to_string())),
            ("latency", job.options.latency.map(|n| n.to_string())),
            (
                "stalls",
                job.options
                    .stalls
                    .map(|seed| seed.map_or("none".to_owned(), |n| n.to_string())),
            ),
        ] {
            if let Some(value) = value {
                command += &format!(" --{option} {value}");
            }
        }
        command
    }

    fn text(&self, report: &Report) -> String {
        let latency = |row: &Row| row.latency.map_or("drawn".to_owned(), |n| n.to_string());
        let rows = report.designs.iter().map(|row| {
            vec![
                row.design.clone(),
                latency(row),
                grouped(row.programs),
                grouped(row.instructions),
                grouped(row.cycles),
            ]
        });
        let headers = ["design", "latency", "programs", "instructions", "cycles"];
        let rows: Vec<_> = rows.collect();
        let mut text = match rows[..] {
            [] => String::new(),
            _ => output::table(&headers, &rows),
        };
        if self.coverage {
            let rows = report.coverage.iter().map(|met| {
                let rare = if met.count < report.goal { "rare" } else { "" };
                vec![
                    met.group.to_owned(),
                    met.bin.clone(),
                    grouped(met.count),
                    rare.to_owned(),
                ]
            });
            let table = output::table(&["part", "bin", "met", ""], &rows.collect::<Vec<_>>());
            text += &format!("\n{table}");
        }
        let (bins, rare) = (report.coverage.len(), report.rare().count());
        if bins > 0 {
            let (enough, goal) = (bins - rare, grouped(report.goal));
            text +=
                &format!("\n{enough} of {bins} bins of the coverage met {goal} times or more\n");
        }
        if self.goal.is_some() {
            for met in report.rare() {
                text += &format!("{}, {}: {}\n", met.group, met.bin, grouped(met.count));
            }
        }
        if let Some(failed) = &report.failure {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &describe(failed);
        } else {
            text += "\nno differences in memory, scratchpads, retire cycles or counters\n";
        }
        text
    }
}

fn describe(failed: &Failed) -> String {
    let indent = |lines: &[String]| {
        let lines = lines.iter().flat_map(|text| text.lines());
        lines.map(|line| format!("  {line}\n")).collect::<String>()
    };
    let stalls = failed
        .stalls
        .map_or("none".to_owned(), |seed| seed.to_string());
    let after = match failed.after_another {
        true => ", after another program",
        false => "",
    };
    format!(
        "{}, program of seed {}:\n{}\nsmall, on a memory of latency {} with stalls {stalls}, pointers {}{after}:\n{}\n{}\nagain: {}\n",
        failed.design,
        failed.seed,
        indent(&failed.differences),
        failed.latency,
        failed.pointers.join(" "),
        indent(&failed.assembly),
        indent(&failed.small_differences),
        failed.rerun,
    )
}

fn row(job: &Job, summary: &Summary) -> Row {
    Row {
        design: job.name.clone(),
        latency: job.options.latency,
        programs: summary.programs,
        instructions: summary.insns,
        cycles: summary.cycles,
    }
}

fn met(coverage: &Coverage) -> impl Iterator<Item = Met> + '_ {
    coverage.counts().map(|(bin, count)| Met {
        group: bin.group(),
        bin: bin.to_string(),
        count,
    })
}

/// Writes what `vta sim` takes to run the program alone.
fn keep(directory: &Path, trial: &Trial) -> Result<()> {
    vta::write(&directory.join("dram.bin"), &trial.image.bytes)?;
    vta::write(&directory.join("insns.bin"), trial.insns())
}
