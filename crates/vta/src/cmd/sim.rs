//! `vta sim`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use vta::timeline::{Timeline, modules};
use vta::{DeviceKind, Error, Result};
use vta_isa::{Design, INSN_BYTES, PAGE_BYTES};
use vta_rtl::{RtlError, RtlOptions, RtlSim};
use vta_sim::{
    Counters, CycleOptions, CycleReport, CycleSim, Dram, Fault, FuncSim, Leftover, MemoryModel,
    Order, RunOptions, RunReport, TokenQueue, Traffic,
};

use super::device::OnDevice;
use super::streams::{Source, Streams};
use super::{Finding, Target};
use crate::bar::Bar;
use crate::output::{self, grouped};
use crate::parse::number;
use crate::report::counts;
use crate::timing::{self, Timed};

/// Run raw instruction streams on a DRAM image.
///
/// Several streams run in turn: scratchpads and tokens live on from one to the next.
#[derive(Args)]
pub(super) struct Sim {
    #[command(flatten)]
    streams: Streams,
    /// Where the image goes after the run.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Give up after so many instructions of a stream.
    #[arg(long, value_name = "N", value_parser = number)]
    max_insns: Option<u64>,
    /// Give up after so many micro-op executions of a stream.
    #[arg(long, value_name = "N", value_parser = number)]
    max_steps: Option<u64>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    device: OnDevice,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// Of all streams.
    counters: Counters,
    /// Left at the end.
    tokens: Tokens,
    /// On a device that counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles: Option<u64>,
    streams: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    stream: String,
    counters: Counters,
    /// Left after this stream, for the next.
    tokens: Tokens,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
}

/// The part of a cycle report that is worth printing.
#[derive(Serialize)]
struct Timing {
    cycles: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    modules: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Tokens {
    load_to_compute: usize,
    compute_to_load: usize,
    compute_to_store: usize,
    store_to_compute: usize,
}

impl From<[usize; 4]> for Tokens {
    fn from(counts: [usize; 4]) -> Tokens {
        let [
            load_to_compute,
            compute_to_load,
            compute_to_store,
            store_to_compute,
        ] = counts;
        Tokens {
            load_to_compute,
            compute_to_load,
            compute_to_store,
            store_to_compute,
        }
    }
}

impl Sim {
    pub(super) fn run(self) -> Result<()> {
        let design = self.target.design()?;
        let mut dram = self.streams.dram()?;
        let kind = self.device.kind()?;
        if matches!(kind, DeviceKind::Rtl { .. }) && self.streams.tokens() != [0; 4] {
            return Err(Error::input("the hardware begins without tokens")
                .help("leave --tokens out, or let a stream before this one push them"));
        }
        let mut simulator = Simulator::new(&design, kind)?;
        let mut options = self.options();
        let (mut runs, mut timed, mut streams) = (Vec::new(), Vec::new(), Vec::new());
        let mut leftover = [0; 4];
        for stream in self.streams.streams()? {
            let report = simulator.run(&mut dram, &stream.source, &options);
            let (report, cycles) = report.map_err(|stop| match stop {
                Stop::Fault(fault) => {
                    if self.json {
                        // The error follows in words; if this cannot be written, nothing is lost.
                        let fault = serde_json::json!({"fault": Finding::of(&fault)});
                        let _ = output::print_json(&fault);
                    }
                    Error::from(*fault).at(&stream.name)
                }
                Stop::Hardware(error) => Error::from(error).at(&stream.name),
            })?;
            leftover = report.leftover;
            runs.push(Run {
                stream: stream.name.clone(),
                counters: report.counters,
                tokens: leftover.into(),
                timing: cycles.as_ref().map(|cycles| Timing {
                    cycles: cycles.count,
                    modules: cycles.report.as_ref().map(modules),
                    traffic: cycles.report.as_ref().map(|report| report.traffic),
                }),
            });
            timed.extend(cycles);
            streams.push(stream);
            options.keep_state = true;
            options.initial_tokens = [0; 4];
        }
        if let Some(path) = &self.device.trace {
            let timelines = streams.iter().zip(&timed).filter_map(|(stream, cycles)| {
                let report = cycles.report.as_ref()?;
                let insns = stream.bytes(&dram);
                Some(insns.map(|insns| (stream.name.clone(), insns, report)))
            });
            Timeline::new(&design, &timelines.collect::<Result<Vec<_>>>()?).write(path)?;
        }
        if leftover != [0; 4] {
            let counts = TokenQueue::ALL.iter().zip(leftover);
            let counts: Vec<_> = counts.map(|(queue, n)| format!("{queue} {n}")).collect();
            output::warn(&format!("tokens are left over: {}", counts.join(", ")));
        }
        if let Some(path) = &self.out {
            vta::write(path, &dram.bytes)?;
        }
        let clock_mhz = design.config().clock_mhz;
        self.print(runs, &timed, clock_mhz, leftover)
    }

    fn options(&self) -> RunOptions {
        let default = RunOptions::default();
        RunOptions {
            insn_limit: self.max_insns.unwrap_or(default.insn_limit),
            step_limit: self.max_steps.unwrap_or(default.step_limit),
            initial_tokens: self.streams.tokens(),
            leftover: Leftover::Warn,
            ..default
        }
    }

    fn print(
        &self,
        streams: Vec<Run>,
        cycles: &[Cycles],
        clock_mhz: u32,
        leftover: [usize; 4],
    ) -> Result<()> {
        let mut total = Counters::default();
        for run in &streams {
            total += run.counters;
        }
        if self.json {
            return output::print_json(&Report {
                counters: total,
                tokens: leftover.into(),
                cycles: streams
                    .iter()
                    .map(|run| run.timing.as_ref().map(|timing| timing.cycles))
                    .sum(),
                streams,
            });
        }
        let mut headers: Vec<&str> = vec!["counter"];
        let mut columns = Vec::new();
        for run in &streams {
            headers.push(&run.stream);
            columns.push(counts(&run.counters)?);
        }
        let total = counts(&total)?;
        if streams.len() > 1 {
            headers.push("total");
            columns.push(total.clone());
        }
        let used = total.iter().enumerate().filter(|(_, (_, n))| *n > 0);
        let row = |(index, (name, _)): (usize, &(String, u64))| {
            let cells = columns.iter().map(|column| grouped(column[index].1));
            std::iter::once(name.clone()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = used.map(row).collect();
        let mut text = output::table(&headers, &rows);
        let timed = streams.iter().zip(cycles).map(|(run, cycles)| Timed {
            name: run.stream.clone(),
            cycles: cycles.count,
            report: cycles.report.as_ref(),
        });
        let timed: Vec<_> = timed.collect();
        if !timed.is_empty() {
            text += &format!("\n{}", timing::text(&timed, clock_mhz));
        }
        output::print(text)
    }
}

/// What runs the streams, with its state between them.
enum Simulator {
    Functional(FuncSim, Order),
    Cycle(CycleSim, MemoryModel, bool),
    /// The hardware, what counts for it, and the tokens that the last stream left.
    Rtl(RtlSim, CycleSim, MemoryModel, [usize; 4]),
}

/// Why a stream stopped.
enum Stop {
    Fault(Box<Fault>),
    Hardware(RtlError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(Box::new(fault))
    }
}

impl From<RtlError> for Stop {
    fn from(error: RtlError) -> Stop {
        Stop::Hardware(error)
    }
}

/// What a stream did, and its cycles on a device that counts them.
type Ran = std::result::Result<(RunReport, Option<Cycles>), Stop>;

/// The cycles of a stream, and what they were spent on where that is known.
struct Cycles {
    count: u64,
    report: Option<CycleReport>,
}

impl Simulator {
    fn new(design: &Design, kind: DeviceKind) -> Result<Simulator> {
        Ok(match kind {
            DeviceKind::Functional(order) => Simulator::Functional(FuncSim::new(design), order),
            DeviceKind::Cycle { memory, trace } => {
                Simulator::Cycle(CycleSim::new(design), memory, trace)
            }
            DeviceKind::Rtl { memory, wave } => {
                let model = vta::hardware(design, wave.is_some(), &Bar::default())?;
                let sim = match wave {
                    Some(path) => RtlSim::with_wave(model, &path)?,
                    None => RtlSim::new(model),
                };
                Simulator::Rtl(sim, CycleSim::new(design), memory, [0; 4])
            }
        })
    }

    /// Runs a stream; one that is not in the image is fetched from where a page begins.
    fn run(&mut self, dram: &mut Dram, source: &Source, options: &RunOptions) -> Ran {
        match self {
            Simulator::Functional(sim, order) => {
                let options = RunOptions {
                    order: *order,
                    ..options.clone()
                };
                let report = match source {
                    Source::Bytes(bytes) => sim.run(dram, bytes, &options),
                    Source::Image(address, count) => sim.run_at(dram, *address, *count, &options),
                };
                Ok((report?, None))
            }
            Simulator::Cycle(sim, memory, trace) => {
                let options = CycleOptions {
                    memory: *memory,
                    trace: *trace,
                    run: options.clone(),
                };
                let report = match source {
                    Source::Bytes(bytes) => sim.run(dram, 0, bytes, &options),
                    Source::Image(address, count) => sim.run_at(dram, *address, *count, &options),
                }?;
                let plain = plain(&report);
                let cycles = Cycles {
                    count: report.cycles,
                    report: Some(report),
                };
                Ok((plain, Some(cycles)))
            }
            Simulator::Rtl(sim, fields, memory, tokens) => {
                let len = dram.bytes.len();
                let (address, count, insns) = match source {
                    Source::Bytes(bytes) => {
                        let page = dram.end().next_multiple_of(PAGE_BYTES as u64);
                        dram.bytes.resize((page - dram.base) as usize, 0);
                        dram.bytes.extend(bytes);
                        (page, (bytes.len() / INSN_BYTES) as u64, bytes.clone())
                    }
                    &Source::Image(address, count) => {
                        let bytes = usize::try_from(count.saturating_mul(INSN_BYTES as u64));
                        let insns = bytes.ok().and_then(|bytes| dram.get(address, bytes));
                        (address, count, insns.unwrap_or_default().to_vec())
                    }
                };
                let hardware = RtlOptions {
                    memory: *memory,
                    max_cycles: options.step_limit,
                    keep_state: options.keep_state,
                    ..RtlOptions::default()
                };
                let ran = sim.run(dram, address, count, &hardware);
                dram.bytes.truncate(len);
                let count = ran?.cycles;
                // Tokens that the last stream left are in the queues.
                let mut begun = options.clone();
                if options.keep_state {
                    begun.initial_tokens = tokens.map(|tokens| tokens as u32);
                }
                let timing = CycleOptions {
                    memory: *memory,
                    run: begun,
                    ..CycleOptions::default()
                };
                let told = fields.time(address, &insns, &timing)?;
                *tokens = told.leftover;
                let cycles = Cycles {
                    count,
                    report: None,
                };
                Ok((plain(&told), Some(cycles)))
            }
        }
    }
}

fn plain(report: &CycleReport) -> RunReport {
    RunReport {
        counters: report.counters,
        leftover: report.leftover,
    }
}
