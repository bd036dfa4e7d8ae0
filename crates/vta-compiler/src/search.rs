//! The choice among the schedules that an operator can have.
//!
//! An operator offers candidates, the most promising ones first, each with a bound on its cycles that nothing
//! but arithmetic was needed for. The first ones are lowered to streams of their own and timed by the cycle
//! simulator; what by its bound can hardly beat the best so far is not. Operators with equal nests are searched
//! once. The choice depends on nothing else: not on the machine, the number of its processors or the clock.
//!
//! What is timed is the operator after itself, as layers of a network follow one another: its activations are there
//! when the first time has stored what it made; what else it needs can move before, where there is room for it.

use std::collections::BTreeMap;

use rayon::prelude::*;
use vta_isa::{Design, MemType};
use vta_program::{Block2d, CommandStream};
use vta_tir::schedule::ScheduleError;
use vta_tir::{Direction, Expr, Param, Program};

use crate::emit::{Command, Contents, End, Rotation};
use crate::lower::{self, LowerError};
use crate::plan;
use crate::records::{Key, Record, Records};
use crate::timing::Timed;
use crate::tokens::{self, Ordered};

/// At most so many schedules of an operator are timed.
const TIMED: usize = 10;

/// After so many, what comes close to the least bound is good enough.
const SEVERAL: usize = 6;

/// The part of the bound by which it may miss it then.
const CLOSE: u64 = 256;

/// A schedule that an operator can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The schedule, unlike all others of the operator.
    pub(crate) text: String,
    /// About the cycles that it cannot do without.
    pub(crate) bound: u64,
}

/// An operator as it is to be searched.
pub(crate) trait Searched: Sync {
    /// What it computes.
    fn naive(&self) -> &Program;
    /// At least one schedule, the most promising one first.
    fn candidates(&self) -> &[Candidate];
    /// The naive nest with a candidate applied.
    fn scheduled(&self, candidate: usize) -> Result<Program, ScheduleError>;
    /// Whether a parameter was there before the network ran.
    fn is_constant(&self, param: &str) -> bool;
    /// Whether its accumulators begin at a vector.
    fn presets(&self) -> bool;
    /// Whether every lane of what it stored is within what it clamps to.
    fn settles(&self) -> bool;
    /// What it is, for a person.
    fn what(&self) -> &str;
}

/// The candidate of each operator that `records` name, or else the one that takes the fewest cycles; and the
/// records of all of them.
///
/// # Errors
/// Bugs of the compiler, with the index of the operator.
pub(crate) fn choose<S: Searched>(
    operators: &[S],
    records: &Records,
    design: &Design,
) -> Result<(Vec<usize>, Records), (usize, LowerError)> {
    let keys: Vec<Key> = operators
        .par_iter()
        .map(|operator| Key::new(design, operator.naive()))
        .collect();
    let known = |key: &Key, operator: &S| {
        let record = records.get(key)?;
        let mut candidates = operator.candidates().iter();
        let choice = candidates.position(|c| c.text == record.schedule)?;
        Some((choice, record.clone()))
    };
    let firsts: BTreeMap<&Key, usize> = (0..operators.len()).rev().map(|i| (&keys[i], i)).collect();
    let mut firsts: Vec<usize> = firsts.into_values().collect();
    firsts.sort_unstable();
    let found: Result<Vec<_>, _> = firsts
        .into_par_iter()
        .map(|i| {
            let (key, operator) = (&keys[i], &operators[i]);
            let found = match known(key, operator) {
                Some(found) => found,
                None => search(operator, design).map_err(|error| (i, error))?,
            };
            Ok((key, found))
        })
        .collect();
    let found: BTreeMap<&Key, (usize, Record)> = found?.into_iter().collect();
    let choices = keys.iter().map(|key| found[key].0).collect();
    let mut used = Records::default();
    for (key, (_, record)) in found {
        used.insert(key.clone(), record);
    }
    Ok((choices, used))
}

fn search(operator: &impl Searched, design: &Design) -> Result<(usize, Record), LowerError> {
    let mut best: Option<(u64, usize)> = None;
    let candidates = operator.candidates().iter().enumerate();
    let least = operator.candidates().iter().map(|c| c.bound).min();
    let close = least.map_or(0, |bound| bound + bound / CLOSE);
    for (i, candidate) in candidates.take(TIMED) {
        let enough = if i < SEVERAL { 0 } else { close };
        if best.is_some_and(|(cycles, _)| candidate.bound >= cycles || cycles <= enough) {
            continue;
        }
        let cycles = cycles(operator, &operator.scheduled(i)?, design)?;
        if best.is_none_or(|(least, _)| cycles < least) {
            best = Some((cycles, i));
        }
    }
    let (cycles, choice) = best.expect("an operator has a candidate");
    let record = Record {
        cycles,
        schedule: operator.candidates()[choice].text.clone(),
        what: operator.what().to_owned(),
    };
    Ok((choice, record))
}

/// Cycles of `scheduled` after itself: from the last computation of the first time to that of the second.
fn cycles(
    operator: &impl Searched,
    scheduled: &Program,
    design: &Design,
) -> Result<u64, LowerError> {
    let (mut made, mut end) = (Vec::new(), 0);
    let mut params = BTreeMap::new();
    let mut place = |made: &mut Vec<Command>| {
        for Param { direction, buffer } in &scheduled.params {
            let name = buffer.name.to_string();
            if *direction == Direction::In && !operator.is_constant(&name) {
                made.push(made_at(end, design));
            }
            params.insert(name, end);
            let values: i64 = buffer.shape.iter().filter_map(Expr::as_const).product();
            end += plan::aligned((values as u64 * u64::from(buffer.dtype.bits())).div_ceil(8));
        }
        params.clone()
    };
    let (mut contents, mut rotation) = (Contents::new(design), Rotation::new(design));
    let first = rotation.walk(design, scheduled, &place(&mut Vec::new()), End::Low)?;
    let second = rotation.walk(design, scheduled, &place(&mut made), End::High)?;
    let (presets, settles) = (operator.presets(), operator.settles());
    let [first, made, second] =
        [first, made, second].map(|commands| contents.preset(commands, presets, settles));
    let mut uops = CommandStream::new(design);
    // Micro-ops come before all else, at least some of them: those of the second time count by their bytes.
    lower::announce(&first, &mut uops)?;
    let before = uops.uop_pool().byte_len();
    lower::announce(&second, &mut uops)?;
    let uops = (uops.uop_pool().byte_len() - before) / design.bus_bytes() as u64;
    let ordered = tokens::order(vec![first, made, second], design, true);
    let begins = ordered[0].len();
    let steps: Vec<Ordered> = ordered.into_iter().flatten().collect();
    let timed = Timed::new(&steps, end, design)?;
    let all = timed.computed(0..steps.len());
    Ok(all - timed.computed(0..begins) + uops)
}

/// The store of the first element of a tensor at `address`, with which the operator before ends.
fn made_at(address: u64, design: &Design) -> Command {
    let last = design.depth(MemType::Acc) - 1;
    let element = address / design.elem_bytes(MemType::Out) as u64;
    Command::Store {
        block: Block2d::run(last, element, 1),
        entry: None,
    }
}
