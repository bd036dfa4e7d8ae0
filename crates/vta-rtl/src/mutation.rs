//! Deliberate bugs in the hardware, each of which co-simulation has to catch.
//!
//! `hardware/dv/mutations.txt` lists them, and says how.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, thread};

use vta_isa::{Design, HwConfig};

use crate::brief::Runtime;
use crate::sources::{SOURCES, Sources};
use crate::{Cosim, DifferenceKind, RtlError, Trial, TrialOptions, candidates};

const LIST: (&str, &str) = (
    "hardware/dv/mutations.txt",
    include_str!("../../../hardware/dv/mutations.txt"),
);
/// The design of a mutation that names none.
const DESIGN: &str = "block_8";

/// A bug: a place in a file of `hardware/rtl` with what is to stand there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The file.
    pub file: String,
    /// What is wrong then.
    pub bug: String,
    /// The name of the [`Candidate`](crate::Candidate) that it is tried on.
    pub design: String,
    /// What stands there.
    pub from: String,
    /// What is to stand there.
    pub to: String,
}

/// How co-simulation caught a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catch {
    /// The difference that has the others as a consequence.
    pub by: DifferenceKind,
    /// Programs run, the one with the differences included.
    pub programs: u64,
    /// All that differs.
    pub differences: Vec<String>,
}

/// Why a mutation cannot be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MutationError {
    /// The list is not what it should be.
    #[error("{}, line {line}: {problem}", LIST.0)]
    List {
        /// Where.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The list and the sources no longer fit together.
    #[error("{}, {mutation}: {problem}", LIST.0)]
    Stale {
        /// The mutation.
        mutation: Box<str>,
        /// What does not fit.
        problem: String,
    },
    /// The hardware differs without a mutation.
    #[error(
        "{design}: the hardware differs from the simulators as it is, in program {programs}; \
         `vta cosim` shows it"
    )]
    Unmutated {
        /// The design.
        design: String,
        /// Programs run.
        programs: u64,
    },
    /// There is no model.
    #[error("{of}: {error}")]
    Model {
        /// A mutation, or a design without one.
        of: String,
        /// Why.
        error: RtlError,
    },
}

/// All mutations, in the order of the list.
pub fn mutations() -> Result<Vec<Mutation>, MutationError> {
    parse_mutations(LIST.1)
}

/// The mutations of a list in the format of that file.
pub fn parse_mutations(list: &str) -> Result<Vec<Mutation>, MutationError> {
    let mut mutations: Vec<Mutation> = Vec::new();
    for (line, text) in (1..).zip(list.lines()) {
        let error = |problem| MutationError::List { line, problem };
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some((file, bug)) = text.split_once(".sv: ") {
            mutations.push(Mutation {
                file: format!("{file}.sv"),
                bug: bug.to_owned(),
                design: DESIGN.to_owned(),
                from: String::new(),
                to: String::new(),
            });
            continue;
        }
        let last = mutations.last_mut();
        let last = last.ok_or_else(|| error("no line `FILE.sv: what is wrong` before this one"))?;
        let side = match text.split_at_checked(2) {
            Some(("- ", _)) if last.to.is_empty() => &mut last.from,
            Some(("+ ", _)) if !last.from.is_empty() => &mut last.to,
            Some(("@ ", design)) => {
                last.design = design.to_owned();
                continue;
            }
            _ => {
                return Err(error(
                    "expected `@ DESIGN`, `- old text`, then `+ new text`",
                ));
            }
        };
        if !side.is_empty() {
            side.push('\n');
        }
        side.push_str(&text[2..]);
    }
    Ok(mutations)
}

impl Mutation {
    /// Its design.
    pub fn design(&self) -> Result<Design, MutationError> {
        design(&self.design).ok_or_else(|| self.no_design())
    }

    /// The hardware of its design with the bug in it.
    fn apply(&self, design: &Design) -> Result<Sources, MutationError> {
        let mut sources =
            Sources::new(design, SOURCES).map_err(|error| self.no_model(error.into()))?;
        let file = sources.rtl.iter_mut().find(|(name, _)| *name == self.file);
        let (_, text) = file.ok_or_else(|| {
            self.stale("there is no such file; remove it, or correct the name".into())
        })?;
        match text.matches(&self.from).count() {
            _ if self.from.is_empty() || self.from == self.to => {
                return Err(self.stale("it changes nothing; give it an old and a new text".into()));
            }
            1 => *text = text.replacen(&self.from, &self.to, 1),
            times => {
                let problem = format!(
                    "`{}` occurs {times} times in the file; rewrite it so that it occurs once",
                    self.from
                );
                return Err(self.stale(problem));
            }
        }
        Ok(sources)
    }

    /// Whether it still fits the sources.
    pub fn check(&self) -> Result<(), MutationError> {
        self.apply(&self.design()?).map(|_| ())
    }

    fn try_out(
        &self,
        runtime: &Runtime,
        seeds: Range<u64>,
    ) -> Result<Option<Catch>, MutationError> {
        let design = self.design()?;
        let sources = self.apply(&design)?;
        run(&design, sources, runtime, seeds).map_err(|error| self.no_model(error))
    }

    fn no_design(&self) -> MutationError {
        let design = &self.design;
        self.stale(format!(
            "there is no design {design}; take one of hardware/dv/designs"
        ))
    }

    fn stale(&self, problem: String) -> MutationError {
        MutationError::Stale {
            mutation: self.to_string().into(),
            problem,
        }
    }

    fn no_model(&self, error: RtlError) -> MutationError {
        MutationError::Model {
            of: self.to_string(),
            error,
        }
    }
}

/// Tries mutations out on all processors, `step` after each: for each one how it was caught, if it was. The
/// programs that caught them have to run without a difference on the design as it is.
pub fn try_mutations(
    mutations: &[Mutation],
    seeds: &Range<u64>,
    step: &(dyn Fn() + Sync),
) -> Result<Vec<Option<Catch>>, MutationError> {
    for mutation in mutations {
        mutation.check()?;
    }
    let runtime = Runtime::new().map_err(|error| MutationError::Model {
        of: "the runtime of the models".to_owned(),
        error,
    })?;
    let catches = on_all_processors(mutations, |mutation| {
        let catch = mutation.try_out(&runtime, seeds.clone());
        step();
        catch
    })?;
    let mut programs: BTreeMap<&str, u64> = BTreeMap::new();
    for (mutation, catch) in mutations.iter().zip(&catches) {
        let most = programs.entry(&mutation.design).or_default();
        *most = catch.as_ref().map_or(0, |catch| catch.programs).max(*most);
    }
    let programs: Vec<_> = programs.into_iter().collect();
    on_all_processors(&programs, |&(name, programs)| {
        unmutated(name, &runtime, seeds.start..seeds.start + programs)
    })?;
    Ok(catches)
}

/// The results of `work` on each item, or the first error.
fn on_all_processors<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let worker = || loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(item) = items.get(index) else {
            break;
        };
        let result = work(item);
        if result.is_err() {
            next.store(items.len(), Ordering::Relaxed);
        }
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push((index, result));
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn design(name: &str) -> Option<Design> {
    let candidate = candidates().find(|candidate| candidate.name == name)?;
    let config = HwConfig::from_json(candidate.config).ok()?;
    config.design().ok()
}

fn unmutated(name: &str, runtime: &Runtime, seeds: Range<u64>) -> Result<(), MutationError> {
    let model = |error| MutationError::Model {
        of: name.to_owned(),
        error,
    };
    let Some(design) = design(name) else {
        return Ok(());
    };
    let sources = Sources::new(&design, SOURCES).map_err(|error| model(error.into()))?;
    match run(&design, sources, runtime, seeds).map_err(model)? {
        None => Ok(()),
        Some(catch) => Err(MutationError::Unmutated {
            design: name.to_owned(),
            programs: catch.programs,
        }),
    }
}

/// Runs the programs of these seeds until one differs; nothing, if none does.
fn run(
    design: &Design,
    sources: Sources,
    runtime: &Runtime,
    seeds: Range<u64>,
) -> Result<Option<Catch>, RtlError> {
    let model = Arc::new(runtime.model(design, sources)?);
    let mut cosim = Cosim::new(design, Some(&model));
    for (programs, seed) in (1..).zip(seeds) {
        let trial = Trial::draw(design, seed, &TrialOptions::default());
        let differences = cosim.run(&trial).err().unwrap_or_default();
        if let Some(by) = differences.iter().map(|difference| difference.kind()).max() {
            return Ok(Some(Catch {
                by,
                programs,
                differences: differences.iter().map(ToString::to_string).collect(),
            }));
        }
    }
    Ok(None)
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.bug)
    }
}
