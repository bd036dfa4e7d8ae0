//! Where an inference spends its time, operator by operator.
//!
//! Operators of the accelerator overlap: one is loaded while the one before it computes. So that their
//! cycles add up to the run's, an operator has those from the retirement of the last compute or store
//! instruction before its own to the retirement of its own last one; the last of a stream also has the
//! end of the run.

mod layers;
mod waits;

use std::collections::BTreeMap;

use serde::Serialize;
use vta_graph::Tensor;
use vta_isa::{Design, INSN_BYTES, Module as Unit};
use vta_program::{InsnRange, Layer as Placed, Place, Placement, Program, Step};
use vta_runtime::{NetworkError, OperatorTime};
use vta_sim::{
    Counters, CycleOptions, CycleReport, CycleSim, InsnTiming, MemoryModel, ModuleCycles,
};

pub use layers::Layer;
use layers::positions;

use crate::{DeviceKind, Devices, Error, Module, Result};

/// The operator of which a network's body consists.
const CONVOLUTION: &str = "vta.conv";
/// How the host arranges what a convolution reads, the second of them at least.
const ARRANGING: [&str; 3] = ["pad", "im2col", "pack"];

/// An inference by operators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The network.
    pub network: String,
    /// What is said of its quantization and the like.
    pub notes: BTreeMap<String, String>,
    /// The sums.
    pub total: Total,
    /// Each operator, in the order in which they run.
    pub operators: Vec<Operator>,
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operator {
    /// Name of its node.
    pub node: String,
    /// Name of the operator.
    pub op: String,
    /// Where it runs.
    pub device: Place,
    /// Logical extents.
    pub shape: String,
    /// Logical extents of its first operand.
    #[serde(skip)]
    pub input: Vec<usize>,
    /// Logical extents of its result.
    #[serde(skip)]
    pub output: Vec<usize>,
    /// What the host does to its input just before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arranged: Option<Arranged>,
    /// Multiply-accumulates that it means.
    pub macs: u64,
    /// How the accelerator goes about it; empty on the host.
    pub schedule: String,
    /// What the accelerator spent on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// How long the host took, for what it arranges too, if it was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_seconds: Option<f64>,
}

/// An input that the host arranges for an operator of the accelerator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arranged {
    /// The operators that do so.
    pub ops: Vec<String>,
    /// Bytes that they give to the accelerator.
    pub bytes: u64,
}

/// What the accelerator spent on an operator, or on all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Cycles.
    pub cycles: u64,
    /// Slots that GEMM, resets and ALU issue, one in a cycle: fewer cycles cannot do.
    pub cap: u64,
    /// Those of them in which GEMM multiplies.
    pub gemm: u64,
    /// Cycles that the multiply-accumulates would take if every multiplier worked in each, rounded up.
    pub ideal: u64,
    /// Bytes that its loads read.
    pub read_bytes: u64,
    /// Bytes that its stores wrote.
    pub written_bytes: u64,
    /// What compute spent the cycles on.
    pub compute: ModuleCycles,
    /// Of those in which it lacked a token, the ones in which load's came last; the others are store's.
    pub token_of_load: u64,
}

/// The convolutions after the first that have more than one position: what published figures call the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Body {
    /// How many.
    pub layers: usize,
    /// What they took.
    #[serde(flatten)]
    pub spent: Spent,
}

/// The sums of a profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    /// Clock of the design, MHz.
    pub clock_mhz: u32,
    /// Seconds that the accelerator takes at that clock.
    pub seconds: f64,
    /// What the accelerator spent.
    #[serde(flatten)]
    pub spent: Spent,
    /// Bytes of the instructions.
    pub insn_bytes: u64,
    /// Multiply-accumulates on the accelerator.
    pub vta_macs: u64,
    /// Multiply-accumulates on the host.
    pub host_macs: u64,
    /// The body, if the network has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// How long the host's operators took, if they were run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_seconds: Option<f64>,
    /// Both, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_seconds: Option<f64>,
}

impl Spent {
    /// What a run of `stream` spent from its beginning to its end. Its ideal is that of the products it issued.
    pub(crate) fn of_run(design: &Design, stream: &[u8], report: &CycleReport) -> Spent {
        let issued = Spent::issued(design, stream, &report.timings);
        let waits = waits::for_load(design, stream, report, &[report.cycles]);
        Spent {
            cycles: report.cycles,
            ideal: issued.gemm,
            compute: report.modules[Unit::Compute as usize],
            token_of_load: waits.into_iter().sum(),
            ..issued
        }
    }

    /// What instructions ask for, whatever time they took.
    fn issued(design: &Design, insns: &[u8], timings: &[InsnTiming]) -> Spent {
        let counters = Counters::of(design, insns);
        let kernels = timings
            .iter()
            .filter(|timing| timing.module == Unit::Compute && !timing.moves);
        Spent {
            cap: kernels.map(|timing| timing.work).sum(),
            gemm: counters.gemm_ops,
            read_bytes: counters.load_bytes.total(),
            written_bytes: counters.store_bytes,
            ..Spent::default()
        }
    }

    /// Cycles in which compute lacked a token of store.
    pub fn token_of_store(&self) -> u64 {
        self.compute.token - self.token_of_load
    }

    /// Share of the cycles that the slots take.
    pub fn of_cap(&self) -> f64 {
        self.share(self.cap)
    }

    /// Share of the multipliers' capacity that is used.
    pub fn of_peak(&self) -> f64 {
        self.share(self.ideal)
    }

    /// Share of the cycles in which GEMM multiplies.
    pub fn gemm_utilization(&self) -> f64 {
        self.share(self.gemm)
    }

    fn share(&self, part: u64) -> f64 {
        part as f64 / self.cycles.max(1) as f64
    }

    fn add(&mut self, other: &Spent) {
        self.cycles += other.cycles;
        self.cap += other.cap;
        self.gemm += other.gemm;
        self.ideal += other.ideal;
        self.token_of_load += other.token_of_load;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.compute += other.compute;
    }
}

impl Profile {
    /// The timing of a program on a design, without data: the host's operators are not run.
    ///
    /// # Errors
    /// A program of another design, one that says nothing of its operators' instructions, one whose
    /// stream is a fault.
    pub fn time(program: &Program, design: &Design, memory: MemoryModel) -> Result<Profile> {
        program.check_design(design).map_err(NetworkError::from)?;
        let sim = CycleSim::new(design);
        let options = CycleOptions {
            memory,
            trace: true,
            ..CycleOptions::default()
        };
        let mut reports = Vec::new();
        for step in &program.steps {
            if let &Step::Run { stream } = step {
                let report = sim.time(0, &program.streams[stream as usize], &options);
                let place = || format!("stream {stream}");
                reports.push((stream, report.map_err(|e| Error::from(e).at(place()))?));
            }
        }
        let reports: Vec<_> = reports.iter().map(|(stream, r)| (*stream, r)).collect();
        Profile::new(program, design, &reports, None)
    }

    /// The profile of an inference on the cycle simulator, and its outputs; without an input, its timing alone.
    ///
    /// # Errors
    /// As [`Profile::time`]; an input that does not fit.
    pub fn run(
        program: Program,
        design: &Design,
        memory: MemoryModel,
        input: Option<&[Tensor]>,
    ) -> Result<(Profile, Option<Vec<Tensor>>)> {
        let Some(input) = input else {
            return Ok((Profile::time(&program, design, memory)?, None));
        };
        let kind = DeviceKind::Cycle {
            memory,
            trace: true,
        };
        let mut module = Module::load_on(program, &Devices::new(design, &kind, &())?)?;
        let outputs = module.run(input)?;
        Ok((Profile::of(&module)?, Some(outputs)))
    }

    /// The profile of the last inference of a module on a cycle simulator that traces.
    ///
    /// # Errors
    /// A module of another device, a program that says nothing of its operators' instructions.
    pub fn of(module: &Module) -> Result<Profile> {
        let stats = module.stats();
        let reports = stats.streams.iter().map(|stats| {
            let report = stats.run.report.as_ref();
            let traced = report.filter(|report| !report.timings.is_empty());
            Some((stats.stream as u32, traced?))
        });
        let reports: Option<Vec<_>> = reports.collect();
        let reports = reports.ok_or_else(|| {
            Error::input("this device tells nothing of single instructions")
                .help("profile on the cycle simulator, tracing")
        })?;
        let design = module.design().clone().design()?;
        Profile::new(module.program(), &design, &reports, Some(&stats.operators))
    }

    fn new(
        program: &Program,
        design: &Design,
        reports: &[(u32, &CycleReport)],
        host: Option<&[OperatorTime]>,
    ) -> Result<Profile> {
        if program.layers.len() != program.placement.len() || program.layers.is_empty() {
            return Err(Error::input(
                "the program does not tell the instructions of its operators",
            )
            .help("compile the network again"));
        }
        let mut spent = BTreeMap::new();
        for (stream, report) in reports {
            let bytes = &program.streams[*stream as usize];
            spent.extend(stream_layers(
                design,
                &program.layers,
                *stream,
                bytes,
                report,
            ));
        }
        // Both are in the order of execution; names alone would not do, since several may share one.
        let mut times = host.unwrap_or_default().iter().peekable();
        let macs_a_cycle = design.batch() * design.block_in() * design.block_out();
        let ideal = |macs: u64| macs.div_ceil(macs_a_cycle as u64);
        let placed = program.placement.iter().zip(&program.layers).enumerate();
        let operators = placed.map(|(at, (placement, layer))| {
            let Placement {
                node, op, device, ..
            } = placement;
            let time = times.next_if(|time| *device == Place::Host && time.node == *node);
            let spent = spent.remove(&at).map(|spent| Spent {
                ideal: ideal(layer.macs),
                ..spent
            });
            Operator {
                node: node.clone(),
                op: op.clone(),
                device: *device,
                shape: layer.shape(),
                input: layer.input.clone(),
                output: layer.output.clone(),
                arranged: None,
                macs: layer.macs,
                schedule: layer.schedule.clone(),
                spent,
                host_seconds: time.map(|time| time.time.as_secs_f64()),
            }
        });
        let operators = arranged(operators.collect(), design);

        let macs = |place: Place| {
            let there = operators.iter().filter(|o| o.device == place);
            there.map(|operator| operator.macs).sum::<u64>()
        };
        let mut all = Spent::default();
        for operator in &operators {
            operator.spent.iter().for_each(|spent| all.add(spent));
        }
        all.ideal = ideal(macs(Place::Vta));
        let host_seconds = host.map(|host| host.iter().map(|o| o.time.as_secs_f64()).sum());
        let insns: usize = reports.iter().map(|(_, report)| report.timings.len()).sum();
        let clock_mhz = design.config().clock_mhz;
        let seconds = all.cycles as f64 / (1e6 * f64::from(clock_mhz));
        let total = Total {
            clock_mhz,
            seconds,
            spent: all,
            insn_bytes: (insns * INSN_BYTES) as u64,
            vta_macs: macs(Place::Vta),
            host_macs: macs(Place::Host),
            body: body(&operators),
            host_seconds,
            all_seconds: host_seconds.map(|host: f64| host + seconds),
        };
        Ok(Profile {
            network: program.name.clone(),
            notes: program.notes.clone(),
            total,
            operators,
        })
    }
}

/// The operators, each run of host operators that arranges the input of a convolution as a part of it.
fn arranged(operators: Vec<Operator>, design: &Design) -> Vec<Operator> {
    let mut out: Vec<Operator> = Vec::with_capacity(operators.len());
    for mut operator in operators {
        let arranges = |op: &Operator| op.device == Place::Host && ARRANGING.contains(&&*op.op);
        let others = out.iter().rev().take_while(|op| arranges(op)).count();
        let before = &out[out.len() - others..];
        if operator.op == CONVOLUTION && before.iter().any(|op| op.op == ARRANGING[1]) {
            let lanes = design.block_in();
            let blocks = operator
                .input
                .get(1)
                .map_or(0, |c| c.div_ceil(lanes) * lanes);
            let images = operator
                .input
                .first()
                .map_or(0, |n| n.div_ceil(design.batch()));
            let lanes = images * design.batch() * blocks * positions(&operator.input);
            operator.arranged = Some(Arranged {
                ops: before.iter().map(|op| op.op.clone()).collect(),
                bytes: (lanes as u64 * u64::from(design.inp_bits())).div_ceil(8),
            });
            let seconds: Option<Vec<f64>> = before.iter().map(|op| op.host_seconds).collect();
            operator.host_seconds = seconds.map(|seconds| seconds.iter().sum());
            out.truncate(out.len() - others);
        }
        out.push(operator);
    }
    out
}

fn body(operators: &[Operator]) -> Option<Body> {
    let mut body = Body {
        layers: 0,
        spent: Spent::default(),
    };
    let convolutions = operators.iter().filter(|op| op.op == CONVOLUTION);
    for operator in convolutions.skip(1) {
        if let (Some(spent), 2..) = (&operator.spent, positions(&operator.output)) {
            body.layers += 1;
            body.spent.add(spent);
        }
    }
    (body.layers > 0).then_some(body)
}

/// What a run of `stream` spent on each of its layers, by their positions among `layers`; the ideal is
/// left out.
fn stream_layers(
    design: &Design,
    layers: &[Placed],
    stream: u32,
    bytes: &[u8],
    report: &CycleReport,
) -> Vec<(usize, Spent)> {
    let own = |(at, layer): (usize, &Placed)| {
        let insns = layer.insns.filter(|insns| insns.stream == stream);
        Some((at, insns?))
    };
    let layers: Vec<(usize, InsnRange)> = layers.iter().enumerate().filter_map(own).collect();
    let mut end = 0;
    let mut ends: Vec<u64> = Vec::with_capacity(layers.len());
    for (_, insns) in &layers {
        let timings = timings(report, insns);
        let ending = timings.iter().filter(|timing| timing.module != Unit::Load);
        end = ending.map(|timing| timing.retired + 1).fold(end, u64::max);
        ends.push(end);
    }
    if let Some(last) = ends.last_mut() {
        *last = report.cycles;
    }
    let compute = report.timings.iter().filter(|t| t.module == Unit::Compute);
    let windows = ModuleCycles::windows(compute, &ends);
    let windows = windows
        .into_iter()
        .zip(waits::for_load(design, bytes, report, &ends));
    let spent = layers
        .iter()
        .zip(windows)
        .map(|((at, insns), (window, token_of_load))| {
            let spent = Spent {
                compute: window,
                cycles: window.total(),
                token_of_load,
                ..Spent::issued(design, insns.bytes(bytes), timings(report, insns))
            };
            (*at, spent)
        });
    spent.collect()
}

/// Of the instructions that the run reached.
fn timings<'a>(report: &'a CycleReport, insns: &InsnRange) -> &'a [InsnTiming] {
    report.timings.get(insns.indices()).unwrap_or_default()
}
