//! Many trials of one design, on all processors.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use vta_isa::Design;

use super::{Cosim, Difference, Trial, TrialOptions};
use crate::{Coverage, RtlModel};

/// The trials of a range of seeds.
pub struct Campaign<'a> {
    /// The design.
    pub design: &'a Design,
    /// Its hardware; without it, the two simulators are compared.
    pub model: Option<Arc<RtlModel>>,
    /// The seeds.
    pub seeds: Range<u64>,
    /// What is not drawn.
    pub options: TrialOptions,
}

/// What trials without a difference did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Programs.
    pub programs: u64,
    /// Instructions in them.
    pub insns: u64,
    /// Cycles simulated.
    pub cycles: u64,
    /// What they met.
    pub coverage: Coverage,
}

/// A trial with differences.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The trial.
    pub trial: Trial,
    /// In what it differs.
    pub differences: Vec<Difference>,
}

impl Campaign<'_> {
    /// Runs the trials, `step` after each, until one differs: of several at a time, that of the smallest
    /// seed is given.
    pub fn run(&self, step: &(dyn Fn() + Sync)) -> Result<Summary, Box<Failure>> {
        let next = AtomicU64::new(self.seeds.start);
        let failed: Mutex<Option<Box<Failure>>> = Mutex::new(None);
        let total = Mutex::new(Summary::new(self.design));
        let worker = || {
            let mut cosim = Cosim::new(self.design, self.model.as_ref());
            let mut mine = Summary::new(self.design);
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !self.seeds.contains(&seed) {
                    break;
                }
                if let Err(failure) = self.trial(&mut cosim, seed, &mut mine) {
                    // Smaller seeds are under way already; larger ones are not begun.
                    next.store(self.seeds.end, Ordering::Relaxed);
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if failed.as_ref().is_none_or(|other| seed < other.seed) {
                        *failed = Some(failure);
                    }
                    break;
                }
                step();
            }
            total
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(&mine);
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(worker);
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn trial(
        &self,
        cosim: &mut Cosim,
        seed: u64,
        summary: &mut Summary,
    ) -> Result<(), Box<Failure>> {
        let trial = Trial::draw(self.design, seed, &self.options);
        match cosim.run(&trial) {
            Ok(report) => {
                summary.programs += 1;
                summary.insns += trial.count;
                summary.cycles += report.cycles;
                summary.coverage.observe(self.design, &trial, &report);
                Ok(())
            }
            Err(differences) => Err(Box::new(Failure {
                seed,
                trial,
                differences,
            })),
        }
    }
}

impl Summary {
    /// Of no program.
    pub fn new(design: &Design) -> Summary {
        Summary {
            programs: 0,
            insns: 0,
            cycles: 0,
            coverage: Coverage::new(design),
        }
    }

    /// Adds other programs, perhaps of another design.
    pub fn add(&mut self, other: &Summary) {
        self.programs += other.programs;
        self.insns += other.insns;
        self.cycles += other.cycles;
        self.coverage.merge(&other.coverage);
    }
}
