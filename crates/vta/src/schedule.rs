//! A schedule tried step by step: what a loop nest computes after each step, and what it takes once it is instructions.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::Serialize;
use vta_compiler::{LowerError, NestStream, compile_nest};
use vta_isa::{Design, Feature};
use vta_program::bits;
use vta_sim::{CycleOptions, CycleSim, Dram, FuncSim, MemoryModel, Order, RunOptions};
use vta_tir::interp::{self, Array, Arrays};
use vta_tir::schedule::Script;
use vta_tir::{DType, Geometry, Program, Scope, Stmt, verify};

use crate::{Error, Result, Spent};

/// How a schedule is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The design that it is for.
    pub design: Design,
    /// How its memory answers.
    pub memory: MemoryModel,
    /// Seed of the parameters' values.
    pub seed: u64,
    /// Whether commands wait for what they need alone, or for all that other modules began.
    pub latency_hiding: bool,
}

/// A nest after a step of its schedule, which computes what the nest before the first step does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// What the step does; the first one is `naive`.
    pub step: String,
    /// Its primitives.
    pub lines: Vec<String>,
    /// The nest after it.
    #[serde(serialize_with = "as_text")]
    pub nest: Program,
    /// What the nest took as a stream of its own, which was run on the functional and on the cycle simulator.
    #[serde(flatten)]
    pub spent: Option<Spent>,
    /// Why the nest is no stream: the first statement that is no instruction, what does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_yet: Option<String>,
}

fn as_text<S: serde::Serializer>(nest: &Program, s: S) -> std::result::Result<S::Ok, S::Error> {
    s.collect_str(nest)
}

impl Trial {
    /// Tries the nest of `script`, and the nest after each of its steps.
    ///
    /// # Errors
    /// A nest that breaks a rule of its language or does not run; a line that is no primitive or does not apply, with its
    /// number. Nests that compute something else, and streams that do: bugs of ours.
    pub fn run(&self, script: &Script) -> Result<Vec<Tried>> {
        let geometry = self.geometry()?;
        let mut nest = script.naive.clone();
        verify(&nest).map_err(|e| Error::input(e.to_string()))?;
        let mut nests = vec![("naive".to_owned(), Vec::new(), nest.clone())];
        for step in &script.steps {
            if step.anew {
                nest = script.naive.clone();
            }
            step.apply(&mut nest, &geometry)
                .map_err(|(line, e)| Error::input(format!("line {line}: {e}")))?;
            let lines = step.lines.iter().map(|line| line.text.clone());
            nests.push((step.name().to_owned(), lines.collect(), nest.clone()));
        }
        let arguments = arguments(nests.iter().map(|(_, _, nest)| nest), self.seed);
        let mut wanted = arguments.clone();
        interp::run(&script.naive, &mut wanted).map_err(|e| Error::input(e.to_string()))?;
        let tries = nests.into_par_iter().map(|(step, lines, nest)| {
            let ran = self.check(&nest, &arguments, &wanted);
            let ran = ran.map_err(|what| Error::bug(what).at(format!("step `{step}`")))?;
            let (spent, not_yet) = match ran {
                Ok(spent) => (Some(spent), None),
                Err(why) => (None, Some(why)),
            };
            Ok(Tried {
                step,
                lines,
                nest,
                spent,
                not_yet,
            })
        });
        tries.collect()
    }

    /// The design's registers, if nests can say what it computes.
    fn geometry(&self) -> Result<Geometry> {
        let design = &self.design;
        if design.has(Feature::SignInp) || design.has(Feature::SignWgt) {
            return Err(Error::input(
                "operands of this design are signs; schedules are tried on numbers",
            )
            .help("give a design without `sign_inp` and `sign_wgt`"));
        }
        Ok(Geometry {
            batch: design.batch() as i64,
            block_in: design.block_in() as i64,
            block_out: design.block_out() as i64,
        })
    }

    /// Runs a nest in the interpreter and, if it is instructions, on both simulators: what that took, or why it is none.
    ///
    /// # Errors
    /// Of what does not compute `wanted`.
    fn check(
        &self,
        nest: &Program,
        arguments: &Arrays,
        wanted: &Arrays,
    ) -> std::result::Result<std::result::Result<Spent, String>, String> {
        let mut got = arguments.clone();
        interp::run(nest, &mut got).map_err(|e| e.to_string())?;
        if got != *wanted {
            return Err("the nest computes something else".to_owned());
        }
        let stream = match compile_nest(nest, &self.design, self.latency_hiding) {
            Ok(stream) => stream,
            Err(error @ LowerError::Check(_)) => return Err(error.to_string()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let before = image(nest, &stream, arguments);
        let after = image(nest, &stream, wanted);
        for order in [Order::RoundRobin, Order::Seeded(self.seed)] {
            let (mut dram, mut sim) = (before.clone(), FuncSim::new(&self.design));
            let options = RunOptions {
                order,
                ..RunOptions::default()
            };
            let ran = sim.run(&mut dram, &stream.insns, &options);
            ran.map_err(|fault| fault.to_string())?;
            if dram != after {
                return Err("the functional simulator computes something else".to_owned());
            }
        }
        let (mut dram, mut sim) = (before, CycleSim::new(&self.design));
        let options = CycleOptions {
            memory: self.memory,
            trace: true,
            ..CycleOptions::default()
        };
        let ran = sim.run(&mut dram, 0, &stream.insns, &options);
        let report = ran.map_err(|fault| fault.to_string())?;
        match dram == after {
            true => Ok(Ok(Spent::of_run(&self.design, &stream.insns, &report))),
            false => Err("the cycle simulator computes something else".to_owned()),
        }
    }
}

/// A value for every place of the parameters, which the nests have in common. Those that a store of one of them rescales by
/// are records that mean something.
fn arguments<'a>(nests: impl Iterator<Item = &'a Program> + Clone, seed: u64) -> Arrays {
    let mut records: BTreeSet<&str> = BTreeSet::new();
    for nest in nests.clone() {
        nest.walk(&mut |stmt| {
            if let Stmt::Load { dst, src, .. } = stmt {
                let to = nest.buffer(&dst.buffer);
                if to.is_some_and(|to| to.scope == Scope::Rqt) {
                    records.insert(&src.buffer);
                }
            }
        });
    }
    let mut arrays = nests
        .take(1)
        .fold(Arrays::new(), |_, nest| interp::arguments(nest, seed));
    let tables = arrays
        .iter_mut()
        .filter(|(name, _)| records.contains(&***name));
    tables.for_each(|(_, array)| meaningful(&mut array.data));
    arrays
}

/// Makes records of words: addends of 48 bits, no negative multiplier, a shift below 32.
fn meaningful(words: &mut [i32]) {
    for record in words.chunks_exact_mut(4) {
        record[1] >>= 16;
        record[2] &= i32::MAX;
        record[3] &= 0x00ff_ff1f;
    }
}

/// The stream's memory with the parameters in it.
fn image(nest: &Program, stream: &NestStream, arrays: &Arrays) -> Dram {
    let mut bytes = stream.memory.clone();
    for param in &nest.params {
        let name = &param.buffer.name;
        let dense = dense(&arrays[name], param.buffer.dtype);
        let at = stream.params[&**name] as usize;
        bytes[at..at + dense.len()].copy_from_slice(&dense);
    }
    Dram::new(0, bytes)
}

/// Values as they lie in memory.
fn dense(array: &Array, dtype: DType) -> Vec<u8> {
    let mut bytes = Vec::new();
    match dtype.bits() {
        16 | 32 => {
            let width = dtype.bits() as usize / 8;
            let values = array.data.iter();
            bytes.extend(values.flat_map(|v| v.to_le_bytes().into_iter().take(width)));
        }
        narrow => {
            let values: Vec<i8> = array.data.iter().map(|&v| v as i8).collect();
            bits::pack(&values, narrow, &mut bytes);
        }
    }
    bytes
}
