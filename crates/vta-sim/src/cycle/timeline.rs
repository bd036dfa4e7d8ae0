//! The instructions of one module, the tokens between modules, and the cycles of both.

use std::collections::VecDeque;

use vta_isa::{Design, Module};

use super::code::{Record, Work};
use super::report::InsnTiming;
use crate::tokens::Clock;

/// A module's instructions, in order. How far each step has come is known before the cycle of the next is.
pub(super) struct Timeline<'a> {
    module: Module,
    pub(super) records: &'a [Record],
    /// Those that fetch has handed over.
    pub(super) timings: Vec<InsnTiming>,
    /// How many have been taken, started, committed, finished and retired.
    pub(super) taken: usize,
    pub(super) started: usize,
    pub(super) committed: usize,
    pub(super) finished: usize,
    pub(super) retired: usize,
    /// From when on the front end takes the next; `None` while that is not known.
    pub(super) free: Option<u64>,
    /// What is known to have finished before the next instruction.
    pub(super) clock: Clock,
    /// The same for those taken and not retired.
    clocks: VecDeque<Clock>,
    /// Instructions in flight, and in the command queue, at most.
    window: usize,
    depth: usize,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(design: &Design, module: Module, records: &'a [Record]) -> Timeline<'a> {
        Timeline {
            module,
            timings: Vec::with_capacity(records.len()),
            records,
            taken: 0,
            started: 0,
            committed: 0,
            finished: 0,
            retired: 0,
            free: Some(0),
            clock: Clock::default(),
            clocks: VecDeque::new(),
            window: match module {
                Module::Load | Module::Store => 4,
                Module::Compute => 16,
            },
            depth: design.config().cmd_queue_depth as usize,
        }
    }

    /// The cycle after the one in which the `before`-th instruction before `at` retires, 0 if there is none;
    /// `None` if that is not known.
    fn after_retirement(&self, at: usize, before: usize) -> Option<u64> {
        match at.checked_sub(before) {
            None => Some(0),
            Some(earlier) if earlier < self.retired => Some(self.timings[earlier].retired + 1),
            Some(_) => None,
        }
    }

    /// From when on the command queue has room for one more.
    pub(super) fn room(&self) -> Option<u64> {
        self.after_retirement(self.timings.len(), self.depth)
    }

    /// Puts the next instruction in the command queue.
    pub(super) fn queue(&mut self, cycle: u64) {
        let record = &self.records[self.timings.len()];
        self.timings.push(InsnTiming {
            index: record.index,
            module: self.module,
            queued: cycle,
            ready: 0,
            taken: 0,
            started: 0,
            committed: 0,
            finished: 0,
            retired: 0,
            work: 0,
            moves: matches!(record.work, Work::Move(_)),
        });
    }

    /// From when on the next instruction could be taken, but for its tokens.
    pub(super) fn ready(&self) -> Option<u64> {
        let timing = self.timings.get(self.taken)?;
        if self.committed < self.taken {
            return None;
        }
        let before = match self.taken {
            0 => 0,
            taken => self.timings[taken - 1].committed,
        };
        // An instruction commits after it is taken, so C covers P + 1 of the one before.
        let window = self.after_retirement(self.taken, self.window)?;
        Some((timing.queued + 2).max(before).max(self.free?).max(window))
    }

    pub(super) fn take(&mut self, ready: u64, cycle: u64) {
        let timing = &mut self.timings[self.taken];
        (timing.ready, timing.taken) = (ready, cycle);
        self.taken += 1;
        self.clocks.push_back(self.clock);
    }

    /// The instruction that starts next, and the cycle in which it was taken.
    pub(super) fn start(&mut self, cycle: u64) {
        self.timings[self.started].started = cycle;
        self.started += 1;
    }

    pub(super) fn commit(&mut self, cycle: u64) {
        self.timings[self.committed].committed = cycle;
        self.committed += 1;
    }

    pub(super) fn finish(&mut self, cycle: u64, work: u64) {
        let timing = &mut self.timings[self.finished];
        (timing.finished, timing.work) = (cycle, work);
        self.finished += 1;
    }

    /// Retires the next instruction if it can; gives the cycle, the queues that it pushes, and its clock.
    pub(super) fn retire(&mut self) -> Option<(u64, u8, Clock)> {
        let at = self.retired;
        if at >= self.committed.min(self.finished) {
            return None;
        }
        let InsnTiming {
            finished,
            committed,
            ..
        } = self.timings[at];
        let before = at.checked_sub(1).map_or(0, |b| self.timings[b].retired + 1);
        let cycle = finished.max(committed).max(before);
        self.timings[at].retired = cycle;
        self.retired += 1;
        let clock = self.clocks.pop_front().unwrap_or_default();
        Some((cycle, self.records[at].pushes, clock))
    }
}

/// A queue of tokens.
pub(super) struct Tokens {
    /// From when on each token can be popped, with its clock.
    pushed: Vec<(u64, Clock)>,
    /// When each was popped.
    popped: Vec<u64>,
    /// Tokens pushed and those for which room is set aside.
    committed: usize,
    depth: usize,
}

impl Tokens {
    /// A queue that begins with some tokens.
    pub(super) fn new(design: &Design, tokens: u64) -> Tokens {
        Tokens {
            pushed: vec![(0, Clock::default()); tokens as usize],
            popped: Vec::new(),
            committed: tokens as usize,
            depth: design.config().dep_queue_depth as usize,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pushed.len() - self.popped.len()
    }

    /// From when on the next token can be popped, if it is known to come.
    pub(super) fn ready(&self) -> Option<u64> {
        self.pushed.get(self.popped.len()).map(|token| token.0)
    }

    pub(super) fn pop(&mut self, cycle: u64) -> Clock {
        let (_, clock) = self.pushed[self.popped.len()];
        self.popped.push(cycle);
        clock
    }

    pub(super) fn push(&mut self, cycle: u64, clock: Clock) {
        self.pushed.push((cycle + 1, clock));
    }

    /// From when on there is room for one more, if that is known.
    pub(super) fn room(&self) -> Option<u64> {
        match self.committed.checked_sub(self.depth) {
            None => Some(0),
            Some(frees) => self.popped.get(frees).map(|popped| popped + 1),
        }
    }

    pub(super) fn commit(&mut self) {
        self.committed += 1;
    }
}
