//! Random networks, each in the integer interpreter and on two simulated devices: whatever differs is a bug.

mod operators;
mod schedules;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use serde::Serialize;
use vta_compiler::{CompileOptions, Offload, compile_with, quant_target};
use vta_graph::quant::{QuantOptions, QuantTarget, RangeMethod, RequantMode, Scheme};
use vta_graph::random::float::{self, Size};
use vta_graph::random::{Dice, inputs, integer, quantized, shrink};
use vta_graph::text::{self, PrintOptions};
use vta_graph::{Graph, Op, Tensor, interp};
use vta_isa::Design;
use vta_program::{Place, Program};
use vta_sim::{MemoryModel, Order};

pub use schedules::{Conditions, ScheduleDifference, ScheduleRuns, Schedules};

use crate::{Calibration, DeviceKind, Devices, Error, Model, Module, Options, Progress, Result};

/// Attempts at a smaller network that differs.
const TRIES: usize = 2000;

/// What a random network comes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of floats, calibrated on a random input.
    Float,
    /// With scales of its own.
    Qdq,
    /// Of exact integers.
    Integer,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Kind; 3] = [Kind::Float, Kind::Qdq, Kind::Integer];
}

/// Which networks run on which designs.
#[derive(Clone, Debug)]
pub struct Fuzz {
    /// Designs by their names, at least one.
    pub designs: Vec<(String, Design)>,
    /// On how many of them each network runs, in turn.
    pub each: usize,
    /// What the networks come as, in turn; at least one.
    pub kinds: Vec<Kind>,
}

/// How often something ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// Networks, by design.
    pub designs: BTreeMap<String, u64>,
    /// Operators on the accelerator, by name.
    pub vta: BTreeMap<String, u64>,
    /// Operators on the host, by name.
    pub host: BTreeMap<String, u64>,
    /// Cycles of the cycle simulator.
    pub cycles: u64,
}

/// A network that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its seed.
    pub seed: u64,
    /// What it comes as.
    pub kind: Kind,
    /// Name of the design.
    pub design: String,
    /// What differs, of the network as it was drawn.
    pub what: String,
    /// What differs, of the small one.
    pub small_what: String,
    /// The small network, in integers as far as it got.
    pub network: String,
}

/// What a run tells.
struct Ran {
    program: Program,
    cycles: u64,
}

/// Why a network fails, and the network as far as it got.
struct Failure {
    what: String,
    network: String,
}

impl Runs {
    fn add(mut self, other: Runs) -> Runs {
        let sums = [
            (&mut self.designs, other.designs),
            (&mut self.vta, other.vta),
            (&mut self.host, other.host),
        ];
        for (sum, more) in sums {
            more.into_iter()
                .for_each(|(name, n)| *sum.entry(name).or_default() += n);
        }
        self.cycles += other.cycles;
        self
    }

    fn of(design: &str, ran: &Ran) -> Runs {
        let mut runs = Runs {
            cycles: ran.cycles,
            ..Runs::default()
        };
        runs.designs.insert(design.to_owned(), 1);
        for placement in &ran.program.placement {
            let side = match placement.device {
                Place::Vta => &mut runs.vta,
                Place::Host => &mut runs.host,
            };
            *side.entry(placement.op.clone()).or_default() += 1;
        }
        runs
    }
}

impl Fuzz {
    /// Runs all networks of `seeds`; of those that differ takes the first, which is the same on any number of
    /// threads, and makes it small.
    pub fn run(
        &self,
        seeds: Range<u64>,
        progress: &dyn Progress,
    ) -> std::result::Result<Runs, Box<Difference>> {
        progress.stage(
            "networks",
            usize::try_from(seeds.end - seeds.start).unwrap_or(0),
        );
        let runs: std::result::Result<Vec<Runs>, u64> = seeds
            .into_par_iter()
            .map(|seed| {
                let runs = self.network(seed).map_err(|_| seed);
                progress.step();
                runs
            })
            .collect::<Vec<_>>()
            .into_iter()
            .collect();
        match runs {
            Ok(runs) => Ok(runs.into_iter().fold(Runs::default(), Runs::add)),
            Err(seed) => {
                progress.stage("a smaller network that differs", 0);
                Err(Box::new(self.shrunk(seed)))
            }
        }
    }

    /// The designs on which a seed's network runs.
    fn designs_of(&self, seed: u64) -> impl Iterator<Item = &(String, Design)> {
        let each = self.each.clamp(1, self.designs.len());
        let first = seed as usize % self.designs.len() * each;
        (first..first + each).map(|at| &self.designs[at % self.designs.len()])
    }

    fn kind_of(&self, seed: u64) -> Kind {
        // The same kind meets every design.
        self.kinds[seed as usize / self.designs.len() % self.kinds.len()]
    }

    fn network(&self, seed: u64) -> std::result::Result<Runs, (String, Failure)> {
        let mut runs = Runs::default();
        for (name, design) in self.designs_of(seed) {
            let ran = attempt(self.kind_of(seed), Dice::seeded(seed), design);
            let ran = ran.map_err(|failure| (name.clone(), failure))?;
            runs = runs.add(Runs::of(name, &ran));
        }
        Ok(runs)
    }

    fn shrunk(&self, seed: u64) -> Difference {
        let kind = self.kind_of(seed);
        let Err((name, failure)) = self.network(seed) else {
            unreachable!("a network that differed before")
        };
        let mut designs = self.designs_of(seed);
        let (_, design) = designs.find(|d| d.0 == name).expect("one of its designs");
        let mut small = Failure { ..failure };
        let what = small.what.clone();
        shrink(&Dice::seeded(seed), TRIES, |dice| {
            match attempt(kind, dice, design) {
                Err(failure) => {
                    small = failure;
                    true
                }
                Ok(_) => false,
            }
        });
        Difference {
            seed,
            kind,
            design: name,
            what,
            small_what: small.what,
            network: small.network,
        }
    }
}

/// Runs an integer network, as [`Difference::network`] has it, on random inputs.
///
/// # Errors
/// Text that is no network; a difference, which is a bug.
pub fn rerun(network: &str, design: &Design, seeds: Range<u64>) -> Result<Runs> {
    let graph = text::parse(network).map_err(|e| Error::input(e.to_string()))?;
    let is_packed =
        |op: &Op| matches!(op, Op::Pack(_) | Op::Unpack { .. }) || op.name().starts_with("vta.");
    if let Some(node) = graph.nodes.iter().find(|n| is_packed(&n.op)) {
        let (name, op) = (&node.name, node.op.name());
        return Err(Error::input(format!(
            "node `{name}`, {op}: the network is packed already"
        ))
        .help("give the graph as it was before `pack`"));
    }
    let mut runs = Runs::default();
    for seed in seeds {
        let ran = agree(&graph, &mut Dice::seeded(seed), design);
        let ran = ran.map_err(|what| Error::bug(format!("with inputs of seed {seed}: {what}")))?;
        runs = runs.add(Runs::of("design", &ran));
    }
    Ok(runs)
}

/// One network on one design.
fn attempt(kind: Kind, mut dice: Dice, design: &Design) -> std::result::Result<Ran, Failure> {
    let mut network = String::new();
    let result = caught(|| {
        let graph = draw(kind, &mut dice, design, &mut network)?;
        agree(&graph, &mut dice, design)
    });
    result.map_err(|what| Failure { what, network })
}

/// What `run` gives; a panic is a failure like others.
fn caught<T>(
    run: impl FnOnce() -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied());
        Err(format!("it panics: {}", message.unwrap_or_default()))
    })
}

/// A network in exact integers, and its text in `network`, before and after quantization.
fn draw(
    kind: Kind,
    dice: &mut Dice,
    design: &Design,
    network: &mut String,
) -> std::result::Result<Graph, String> {
    let target = quant_target(design);
    let graph = match kind {
        Kind::Integer => integer::draw(dice, &target),
        Kind::Float | Kind::Qdq => {
            let mut graph = float::network(dice, Size::LARGE);
            let input = inputs(dice, &graph);
            if kind == Kind::Qdq {
                graph = quantized(dice, &graph, &input).map_err(|e| e.to_string())?;
            }
            *network = print(&graph);
            let options = Options {
                design: design.clone(),
                calibration: Calibration::Inputs(vec![input]),
                quant: quantization(dice, target),
                ..Options::default()
            };
            let model = Model::from_graph(graph).map_err(|e| e.to_string())?;
            crate::build::integers(&model, &options, &(), &mut ())
                .map_err(|e| e.to_string())?
                .graph
        }
    };
    graph.verify().map_err(|e| e.to_string())?;
    *network = print(&graph);
    match text::parse(network).map(|again| print(&again)) {
        Ok(again) if again == *network => Ok(graph),
        Ok(_) => Err("its text prints differently once parsed".to_owned()),
        Err(error) => Err(format!("its text does not parse: {error}")),
    }
}

fn print(graph: &Graph) -> String {
    text::print(graph, PrintOptions { data: true })
}

fn quantization(dice: &mut Dice, target: QuantTarget) -> QuantOptions {
    let methods = [
        RangeMethod::Mse,
        RangeMethod::Max,
        RangeMethod::Entropy,
        RangeMethod::Percentile(0.99),
    ];
    QuantOptions {
        target,
        method: dice.pick(&methods),
        scheme: dice.pick(&[Scheme::Asymmetric, Scheme::Symmetric]),
        mode: Some(dice.pick(&[
            RequantMode::ChannelShift,
            RequantMode::Multiply,
            RequantMode::Shift,
        ])),
        equalize: dice.flag(),
        balance: dice.flag(),
        correct_bias: dice.flag(),
        per_channel: dice.range(0, 3) < 3,
    }
}

/// Whether the interpreter and both simulators give the same for a network of integers, twice in a row.
fn agree(graph: &Graph, dice: &mut Dice, design: &Design) -> std::result::Result<Ran, String> {
    let input = inputs(dice, graph);
    let expected = interp::run_graph(graph, &input).map_err(|e| e.to_string())?;
    let options = CompileOptions {
        offload: dice.pick(&[Offload::All, Offload::All, Offload::All, Offload::Conv]),
        latency_hiding: dice.range(0, 3) < 3,
        ..CompileOptions::default()
    };
    // Compiling has the stream checked for races and deadlocks.
    let compiled = compile_with(graph, design, &options).map_err(|e| e.to_string())?;
    let memory = MemoryModel {
        latency: dice.pick(&[0, 1, 16, 100]),
        stalls: dice.flag().then(|| dice.roll().into()),
    };
    let kinds = [
        DeviceKind::Functional(Order::Seeded(dice.roll().into())),
        DeviceKind::Cycle {
            memory,
            trace: false,
        },
    ];
    let mut ends = Vec::new();
    let mut cycles = 0;
    for kind in kinds {
        let run = || -> Result<_> {
            let devices = Devices::new(design, &kind, &())?;
            let mut module = Module::load_on(compiled.program.clone(), &devices)?;
            let outputs: Result<Vec<Vec<Tensor>>> = (0..2).map(|_| module.run(&input)).collect();
            let (outputs, memory) = (outputs?, module.memory()?);
            Ok((outputs, memory, module.counters(), module.stats().cycles()))
        };
        let (outputs, memory, counters, taken) = run().map_err(|e| e.to_string())?;
        let name = match kind {
            DeviceKind::Functional(_) => "fsim",
            _ => "cycle",
        };
        if let Some(inference) = outputs.iter().position(|outputs| *outputs != expected) {
            let nth = ["first", "second"][inference];
            return Err(format!(
                "{name} and the interpreter differ in the {nth} inference"
            ));
        }
        cycles += taken.unwrap_or(0);
        ends.push((memory, counters));
    }
    match ends[0] == ends[1] {
        true => Ok(Ran {
            program: compiled.program,
            cycles,
        }),
        false => Err("fsim and cycle differ in memory or counters".to_owned()),
    }
}
