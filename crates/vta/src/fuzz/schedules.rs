//! Random schedules of random operators: whatever the primitives accept computes the same, in the interpreter and, where
//! nothing but instructions is left, on both simulators.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;
use vta_graph::random::{Dice, shrink};
use vta_isa::{Design, Feature};
use vta_sim::MemoryModel;
use vta_tir::schedule::{Script, apply};
use vta_tir::{Geometry, Program, Stmt};

use super::caught;
use super::operators::{self, Operator};
use crate::{Error, Progress, Trial};

/// Attempts at a smaller schedule that differs.
const TRIES: usize = 500;

/// Random schedules, on designs in turn.
#[derive(Clone, Debug)]
pub struct Schedules {
    /// By their names, at least one.
    designs: Vec<(String, Design)>,
}

/// How often something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScheduleRuns {
    /// Schedules, by operator.
    pub operators: BTreeMap<String, u64>,
    /// Of those, the ones that leave nothing but instructions, which ran on the simulators.
    pub complete: BTreeMap<String, u64>,
    /// Primitives that were applied, by name.
    pub primitives: BTreeMap<String, u64>,
    /// Cycles of the cycle simulator.
    pub cycles: u64,
}

/// A schedule that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduleDifference {
    /// Its seed.
    pub seed: u64,
    /// Name of the design.
    pub design: String,
    /// How it was tried.
    #[serde(flatten)]
    pub conditions: Conditions,
    /// What differs.
    pub what: String,
    /// The nest and its schedule, as `vta schedule` reads them.
    pub script: String,
}

/// What a schedule is tried under, but for the design: the fields of [`Trial`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conditions {
    /// Latency of the memory in cycles.
    pub latency: u32,
    /// Seed of its stalls, if it has any.
    pub stalls: Option<u64>,
    /// Seed of the parameters' values.
    pub values: u64,
    /// Whether commands wait for what they need alone.
    pub latency_hiding: bool,
}

/// Why a schedule fails, and the schedule as far as it got.
#[derive(Default)]
struct Failure {
    conditions: Conditions,
    what: String,
    script: String,
}

impl ScheduleRuns {
    fn add(mut self, other: ScheduleRuns) -> ScheduleRuns {
        let sums = [
            (&mut self.operators, other.operators),
            (&mut self.complete, other.complete),
            (&mut self.primitives, other.primitives),
        ];
        for (sum, more) in sums {
            more.into_iter()
                .for_each(|(name, n)| *sum.entry(name).or_default() += n);
        }
        self.cycles += other.cycles;
        self
    }
}

impl Schedules {
    /// Schedules for those of `designs` whose operands are numbers.
    ///
    /// # Errors
    /// No such design.
    pub fn new(mut designs: Vec<(String, Design)>) -> crate::Result<Schedules> {
        let signs = [Feature::SignInp, Feature::SignWgt];
        designs.retain(|(_, design)| !signs.iter().any(|&sign| design.has(sign)));
        match designs.is_empty() {
            true => Err(
                Error::input("there is no design of operands that are numbers")
                    .help("give one without `sign_inp` and `sign_wgt`"),
            ),
            false => Ok(Schedules { designs }),
        }
    }

    /// Tries the schedules of all seeds; of those that differ gives the first, made small.
    ///
    /// # Errors
    /// The schedule that differs.
    pub fn run(
        &self,
        seeds: Range<u64>,
        progress: &dyn Progress,
    ) -> Result<ScheduleRuns, Box<ScheduleDifference>> {
        let count = usize::try_from(seeds.end - seeds.start).unwrap_or(0);
        progress.stage("schedules", count);
        let runs: Vec<Result<ScheduleRuns, u64>> = seeds
            .into_par_iter()
            .map(|seed| {
                let ran = attempt(&mut Dice::seeded(seed), self.design_of(seed).1);
                progress.step();
                ran.map_err(|_| seed)
            })
            .collect();
        let sum = runs
            .into_iter()
            .try_fold(ScheduleRuns::default(), |sum, ran| Ok(sum.add(ran?)));
        sum.map_err(|seed| {
            progress.stage("a smaller schedule that differs", 0);
            Box::new(self.shrunk(seed))
        })
    }

    fn design_of(&self, seed: u64) -> (&str, &Design) {
        let (name, design) = &self.designs[seed as usize % self.designs.len()];
        (name, design)
    }

    fn shrunk(&self, seed: u64) -> ScheduleDifference {
        let (name, design) = self.design_of(seed);
        let mut small = Failure::default();
        let mut fails = |dice: &mut Dice| match attempt(dice, design) {
            Err(failure) => {
                small = failure;
                true
            }
            Ok(_) => false,
        };
        fails(&mut Dice::seeded(seed));
        shrink(&Dice::seeded(seed), TRIES, |mut dice| fails(&mut dice));
        ScheduleDifference {
            seed,
            design: name.to_owned(),
            conditions: small.conditions,
            what: small.what,
            script: small.script,
        }
    }
}

/// One schedule.
fn attempt(dice: &mut Dice, design: &Design) -> Result<ScheduleRuns, Failure> {
    let conditions = Conditions {
        latency: dice.pick(&[0, 1, 16, 100]),
        stalls: dice.flag().then(|| dice.roll().into()),
        values: dice.roll().into(),
        latency_hiding: dice.range(0, 3) < 3,
    };
    let operator = operators::draw(dice, design);
    let name = operator.name.to_owned();
    let mut drawn = Drawn::new(operator.program.clone(), design);
    let scheduled = caught(|| {
        schedule(dice, &operator, &mut drawn);
        Ok(())
    });
    let script = Script::new(operator.program, drawn.lines);
    let failed = |what| Failure {
        conditions,
        what,
        script: script.to_string(),
    };
    scheduled.map_err(failed)?;
    let trial = Trial {
        design: design.clone(),
        memory: MemoryModel {
            latency: conditions.latency,
            stalls: conditions.stalls,
        },
        seed: conditions.values,
        latency_hiding: conditions.latency_hiding,
    };
    let tried = caught(|| trial.run(&script).map_err(|e| e.message().to_owned()));
    let tried = tried.map_err(failed)?;
    let mut runs = ScheduleRuns::default();
    for step in &script.steps {
        let primitive = step.name().split(' ').next().unwrap_or_default();
        *runs.primitives.entry(primitive.to_owned()).or_default() += 1;
    }
    let spent = tried.last().and_then(|last| last.spent);
    runs.cycles = spent.map_or(0, |spent| spent.cycles);
    runs.complete.insert(name.clone(), spent.is_some().into());
    runs.operators.insert(name, 1);
    Ok(runs)
}

/// A nest, and the lines that made it what it is; the last one may be what panicked.
struct Drawn {
    program: Program,
    geometry: Geometry,
    lines: Vec<String>,
}

impl Drawn {
    fn new(program: Program, design: &Design) -> Drawn {
        Drawn {
            program,
            geometry: Geometry {
                batch: design.batch() as i64,
                block_in: design.block_in() as i64,
                block_out: design.block_out() as i64,
            },
            lines: Vec::new(),
        }
    }

    /// Applies a line, or leaves it out.
    fn attempt(&mut self, line: String) {
        self.lines.push(line);
        let line = &self.lines[self.lines.len() - 1];
        if apply(&mut self.program, line, &self.geometry).is_err() {
            self.lines.pop();
        }
    }
}

/// An operator on its way to the accelerator, by choices of which most lead there; primitives that refuse are left out.
fn schedule(dice: &mut Dice, operator: &Operator, p: &mut Drawn) {
    let stages = operator.stages;
    let tile = [0, 1, 2].map(|d| dice.range(1, operator.extents[d]));
    let outer = permutation(dice, ["c", "y", "x"]);
    for s in 0..stages {
        let [c, y, x] = tile;
        p.attempt(format!("tile c{s}:{c} y{s}:{y} x{s}:{x}"));
        let order = outer.map(|d| format!("{d}{s}o"));
        p.attempt(format!("reorder {}", order.join(" ")));
    }
    noise(dice, p);
    if let Some(s) = operator.reduction {
        p.attempt(format!("split ci {}", dice.range(1, 3)));
        let inner = permutation(dice, ["c", "y", "x"]).map(|d| format!("{d}{s}i"));
        let [a, b, c] = inner;
        let order = match dice.range(0, 2) {
            0 => format!("reorder cio {a} {b} {c} cii ky kx"),
            1 => format!("reorder {a} cio {b} cii ky kx {c}"),
            _ => format!("reorder cio cii {a} ky {b} kx {c}"),
        };
        p.attempt(order);
    }
    let first = format!("{}0o", outer[0]);
    for s in 1..stages {
        p.attempt(format!("fuse_nests {first} {}{s}o 3", outer[0]));
    }
    noise(dice, p);
    let at = |d: usize| format!("{}0o", outer[d]);
    for buffer in &operator.temporaries {
        p.attempt(format!("sink_alloc {buffer} {}", at(2)));
        p.attempt(format!("set_scope {buffer} acc"));
    }
    let mut places = operator.temporaries.clone();
    for (buffer, scope) in &operator.operands {
        let reduced = operator.reduction.is_some() && *scope != "acc";
        let at = match dice.range(0, 3) {
            3 if reduced => "cio".to_owned(),
            d => at(d.min(2)),
        };
        p.attempt(format!("cache_read {buffer} {at} {scope}"));
        let cache = format!("{buffer}_{scope}");
        if p.program
            .buffer(&cache)
            .is_some_and(|b| b.dtype.bits() == 8)
            && *scope == "acc"
        {
            p.attempt(format!("widen {cache} i32"));
        }
        places.push(cache);
    }
    noise(dice, p);
    for buffer in &places {
        if dice.flag() {
            p.attempt(format!("double_buffer {buffer}"));
        }
    }
    if dice.range(0, 3) == 3 {
        let d = dice.range(0, 2);
        p.attempt(format!("virtual_thread {}", at(d)));
    }
    finish(dice, p);
    noise(dice, p);
}

fn permutation<const N: usize>(dice: &mut Dice, mut of: [&'static str; N]) -> [&'static str; N] {
    for i in (1..N).rev() {
        of.swap(i, dice.range(0, i));
    }
    of
}

/// Makes instructions of whatever unifies with one.
fn finish(dice: &mut Dice, p: &mut Drawn) {
    let inner_first = dice.range(0, 3) == 3;
    for kind in ["gemm", "reset", "alu"] {
        for var in loops(&p.program) {
            p.attempt(format!("tensorize {var} {kind}"));
        }
    }
    let mut vars = loops(&p.program);
    if inner_first {
        vars.reverse();
    }
    for var in vars {
        p.attempt(format!("dma {var}"));
    }
}

fn loops(program: &Program) -> Vec<String> {
    let mut vars = Vec::new();
    program.walk(&mut |stmt| {
        if let Stmt::For { var, .. } = stmt {
            vars.push(var.to_string());
        }
    });
    vars
}

/// Perhaps a primitive or two on loops and buffers of any kind.
fn noise(dice: &mut Dice, p: &mut Drawn) {
    for _ in 0..dice.range(0, 3).saturating_sub(1) {
        let vars = loops(&p.program);
        let mut buffers: Vec<String> = Vec::new();
        p.program.walk(&mut |stmt| {
            if let Stmt::Alloc { buffer, .. } = stmt {
                buffers.push(buffer.name.to_string());
            }
        });
        buffers.extend(["x", "y"].map(String::from));
        if vars.is_empty() {
            return;
        }
        let (at, buffer) = (
            dice.range(0, vars.len() - 1),
            &buffers[dice.range(0, buffers.len() - 1)],
        );
        let (var, next) = (&vars[at], &vars[(at + 1) % vars.len()]);
        let line = match dice.range(0, 11) {
            0 => format!("split {var} {}", dice.range(1, 4)),
            1 => format!("fuse {var} {next}"),
            2 => format!("reorder {next} {var}"),
            3 => format!("unroll {var}"),
            4 => format!("decompose_reduction {var}"),
            5 => format!("compute_at {buffer} {var}"),
            6 => format!("cache_write {buffer} {var} dram"),
            7 => format!("cache_read {buffer} {var} dram"),
            8 => format!("inline {buffer}"),
            9 => format!(
                "reverse_compute_at {} {var}",
                vars[dice.range(0, vars.len() - 1)]
            ),
            10 => format!("virtual_thread {var}"),
            _ => format!("sink_alloc {buffer} {var}"),
        };
        p.attempt(line);
    }
}
