//! One run: who goes on next, and when.
//!
//! An instruction's cycles follow from cycles that are known: of the instruction before it, of tokens, of
//! room. A module goes on as long as they are. What is left to decide is the order of the read bursts, and that
//! is decided in the order of time: once no module can go on, everything unknown depends on a grant that is
//! still to be made, and lies after it; so the earliest request that is known is the earliest there is.

use vta_isa::{Design, Feature, Module};

use super::code::{Code, Record, Work};
use super::engine::{Done, Engine};
use super::fetch::Fetch;
use super::memory::{Bus, Channel, MemoryModel, ReadChannel, WriteChannel};
use super::report::{Burst, CycleReport, InsnTiming, ModuleCycles, Traffic};
use super::timeline::{Timeline, Tokens};
use crate::fault::{Cause, Fault, Head, QueueState, Wait};
use crate::machine::site;
use crate::tokens::{TokenQueue, join, slot};

/// What happens to the memories when an instruction is taken.
pub(super) trait Effects {
    /// All of the instruction's effect, or none and what is wrong with it.
    fn carry_out(&mut self, record: &Record) -> Result<(), Cause>;
}

/// A run under way.
pub(super) struct Run<'a, E> {
    design: &'a Design,
    stream: &'a [u8],
    count: u32,
    code: &'a Code,
    bus: Bus,
    fetch: Fetch,
    lines: [Timeline<'a>; 3],
    tokens: [Tokens; 4],
    reads: ReadChannel,
    writes: WriteChannel,
    /// Of load and of compute.
    engines: [Engine; 2],
    sequencer: Sequencer,
    /// Cycles from a STORE to its first unit in the write register.
    store_pipeline: u64,
    finished: bool,
    effects: E,
    traffic: Traffic,
    bursts: Option<[Vec<Burst>; 2]>,
}

/// When the sequencer of compute takes its next instruction.
#[derive(Clone, Copy, Debug, Default)]
struct Sequencer {
    /// From when on; `None` while a load is under way whose end is not known.
    free: Option<u64>,
    /// From when on no GEMM or ALU writes accumulators.
    drained: u64,
    /// Cycles from the last slot of an instruction to its end.
    pipeline: u64,
}

/// Stages of the rescaling of a STORE.
const REQUANT_PIPELINE: u64 = 5;
const LOAD: usize = 0;
const COMPUTE: usize = 1;
const STORE: usize = 2;

impl<'a, E: Effects> Run<'a, E> {
    pub(super) fn new(
        design: &'a Design,
        stream: &'a [u8],
        address: u64,
        code: &'a Code,
        tokens: [u64; 4],
        memory: MemoryModel,
        effects: E,
    ) -> Run<'a, E> {
        let bus = Bus::new(design);
        let count = (stream.len() / vta_isa::INSN_BYTES) as u32;
        let [load, compute, store] = &code.records;
        Run {
            design,
            stream,
            count,
            code,
            bus,
            fetch: Fetch::new(bus, address, count),
            lines: [
                Timeline::new(design, Module::Load, load),
                Timeline::new(design, Module::Compute, compute),
                Timeline::new(design, Module::Store, store),
            ],
            tokens: tokens.map(|tokens| Tokens::new(design, tokens)),
            reads: ReadChannel::new(design, memory),
            writes: WriteChannel::new(design, memory),
            engines: [Engine::new(bus), Engine::new(bus)],
            sequencer: Sequencer {
                free: Some(0),
                drained: 0,
                pipeline: 6 + u64::from(design.config().gemm_pipeline),
            },
            store_pipeline: match design.has(Feature::RequantStore) {
                true => 5 + REQUANT_PIPELINE,
                false => 5,
            },
            finished: false,
            effects,
            traffic: Traffic::default(),
            bursts: None,
        }
    }

    /// Keeps the cycles of every burst.
    pub(super) fn trace(&mut self) {
        self.bursts = Some(Default::default());
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> Result<(), Fault> {
        loop {
            self.settle()?;
            let fetch = self.fetch.request().unwrap_or(u64::MAX);
            loop {
                let [load, compute] = [LOAD, COMPUTE].map(|engine| self.engines[engine].request());
                let earliest = fetch.min(compute).min(load);
                if earliest == u64::MAX {
                    return self.end();
                }
                let cycle = self.reads.grant_from(earliest);
                if fetch <= cycle {
                    self.grant_fetch(cycle);
                    break;
                }
                let (engine, rival) = match compute <= cycle {
                    true => (COMPUTE, fetch),
                    false => (LOAD, fetch.min(compute)),
                };
                // Only the last burst of a transfer lets anyone else go on.
                if self.grant(engine, cycle, rival) {
                    break;
                }
            }
        }
    }

    fn grant_fetch(&mut self, cycle: u64) {
        let (bytes, taken) = self.fetch.grant(cycle, &mut self.reads);
        self.note_read(cycle, bytes, taken);
    }

    /// Grants a burst at `cycle`, and those after it before a rival that goes first asks; whether the last burst of
    /// the transfer is among them.
    fn grant(&mut self, engine: usize, mut cycle: u64, rival: u64) -> bool {
        loop {
            let (bytes, taken, done) = self.engines[engine].grant(cycle, &mut self.reads);
            self.note_read(cycle, bytes, taken);
            if let Some(done) = done {
                self.finish_load(engine, done);
                return true;
            }
            // What asks in the cycle after a grant is granted when anything is.
            cycle = self.reads.grant_from(self.engines[engine].request());
            if rival <= cycle {
                return false;
            }
        }
    }

    #[inline(always)]
    fn note_read(&mut self, asked: u64, bytes: u64, (first, last): (u64, u64)) {
        self.traffic.read_bytes += bytes;
        self.traffic.read_bursts += 1;
        self.traffic.read_cycles += last + 1 - first;
        if let Some(bursts) = &mut self.bursts {
            bursts[0].push(Burst {
                channel: Channel::Read,
                asked,
                first,
                last,
                bytes: bytes as u32,
            });
        }
    }

    fn finish_load(&mut self, engine: usize, done: Done) {
        self.lines[engine].finish(done.cycle + 1, done.work);
        if engine == LOAD {
            self.lines[LOAD].free = Some(done.free);
        } else {
            self.sequencer.free = Some(done.cycle + 1);
        }
    }

    /// Lets fetch and the modules go on as far as they can without another grant, in turn, until none of them can.
    fn settle(&mut self) -> Result<(), Fault> {
        let mut stuck = 0;
        loop {
            for module in [None, Some(LOAD), Some(COMPUTE), Some(STORE)] {
                let mut moved = false;
                while match module {
                    None => self.dispatch()?,
                    Some(m) => self.step(m)?,
                } {
                    moved = true;
                }
                stuck = if moved { 1 } else { stuck + 1 };
                if stuck == 4 {
                    return Ok(());
                }
            }
        }
    }

    /// Hands the next instruction to its command queue.
    fn dispatch(&mut self) -> Result<bool, Fault> {
        let Some(ready) = self.fetch.ready() else {
            return Ok(false);
        };
        let at = self.fetch.at();
        let Some(&module) = self.code.modules.get(at) else {
            // Past the last one decoded lies what could not be.
            let message = self.code.undefined.clone().unwrap_or_default();
            return Err(self.fault(Some(at as u32), Cause::Decode { message }));
        };
        let line = &mut self.lines[slot(module)];
        let Some(room) = line.room() else {
            return Ok(false);
        };
        let cycle = ready.max(room);
        line.queue(cycle);
        self.fetch.dispatch(cycle);
        // Decoding has ended at FINISH.
        let after = at as u32 + 1;
        if self.code.undefined.is_none()
            && after as usize == self.code.modules.len()
            && after < self.count
        {
            return Err(self.fault(Some(after), Cause::AfterFinish));
        }
        Ok(true)
    }

    /// Takes one step of a module, if the cycle of one is known.
    fn step(&mut self, m: usize) -> Result<bool, Fault> {
        Ok(self.commit(m) || self.retire(m) || (m == COMPUTE && self.start()) || self.take(m)?)
    }

    fn commit(&mut self, m: usize) -> bool {
        let line = &self.lines[m];
        if line.committed == line.taken {
            return false;
        }
        let mut cycle = line.timings[line.committed].taken + 1;
        let pushes = line.records[line.committed].pushes;
        for tokens in queues(pushes).map(|queue| &self.tokens[queue]) {
            match tokens.room() {
                Some(room) => cycle = cycle.max(room),
                None => return false,
            }
        }
        queues(pushes).for_each(|queue| self.tokens[queue].commit());
        self.lines[m].commit(cycle);
        true
    }

    fn retire(&mut self, m: usize) -> bool {
        let Some((cycle, pushes, clock)) = self.lines[m].retire() else {
            return false;
        };
        queues(pushes).for_each(|queue| self.tokens[queue].push(cycle, clock));
        true
    }

    fn take(&mut self, m: usize) -> Result<bool, Fault> {
        let Some(ready) = self.lines[m].ready() else {
            return Ok(false);
        };
        let (at, mut cycle) = (self.lines[m].taken, ready);
        let pops = self.lines[m].records[at].pops;
        for queue in queues(pops) {
            match self.tokens[queue].ready() {
                Some(token) => cycle = cycle.max(token),
                None => return Ok(false),
            }
        }
        let line = &mut self.lines[m];
        for queue in queues(pops) {
            join(&mut line.clock, &self.tokens[queue].pop(cycle));
        }
        line.clock[m] += 1;
        line.take(ready, cycle);
        self.execute(m, at)?;
        match m {
            LOAD => self.start_load(cycle),
            COMPUTE => self.lines[m].free = None,
            _ => self.store(cycle),
        }
        Ok(true)
    }

    /// What the instruction does, apart from taking time.
    fn execute(&mut self, m: usize, at: usize) -> Result<(), Fault> {
        let record = &self.lines[m].records[at];
        let index = record.index;
        if matches!(record.work, Work::Finish) {
            self.finished = true;
            if let Some(late) = self.unordered() {
                let other = Box::new(site(self.design, self.stream, late));
                return Err(self.fault(Some(index), Cause::Unfinished { other }));
            }
        }
        match self.effects.carry_out(record) {
            Ok(()) => Ok(()),
            Err(cause) => Err(self.fault(Some(index), cause)),
        }
    }

    /// An instruction of load or store that nothing orders before FINISH, but for those that only push.
    fn unordered(&self) -> Option<u32> {
        let clock = self.lines[COMPUTE].clock;
        [LOAD, STORE].into_iter().find_map(|m| {
            let late = self.lines[m].records.iter().skip(clock[m] as usize);
            let mut late =
                late.filter(|late| !(matches!(late.work, Work::Nothing) && late.pushes != 0));
            late.next().map(|late| late.index)
        })
    }

    fn start_load(&mut self, cycle: u64) {
        let line = &mut self.lines[LOAD];
        line.free = None;
        let transfer = match &line.records[line.started].work {
            Work::Move(transfer) => Some(transfer),
            _ => None,
        };
        let (start, done) = self.engines[LOAD].take(cycle, transfer);
        line.start(start);
        if let Some(done) = done {
            self.finish_load(LOAD, done);
        }
    }

    /// Starts the instruction that compute has taken, if it can.
    fn start(&mut self) -> bool {
        let line = &mut self.lines[COMPUTE];
        let (Some(free), true) = (self.sequencer.free, line.started < line.taken) else {
            return false;
        };
        let Sequencer {
            drained, pipeline, ..
        } = self.sequencer;
        let mut cycle = free.max(line.timings[line.started].taken + 1);
        let record = &line.records[line.started];
        let mut done = None;
        match &record.work {
            &Work::Slots(slots) => {
                let last = cycle + slots;
                self.sequencer.free = Some(last.max(cycle + 1));
                self.sequencer.drained = last + pipeline;
                line.finish(last + pipeline, slots);
            }
            Work::Move(transfer) => {
                if transfer.drains {
                    cycle = cycle.max(drained);
                }
                self.sequencer.free = None;
                done = self.engines[COMPUTE].take(cycle, Some(transfer)).1;
            }
            Work::Nothing | Work::Finish | Work::Wrong => {
                self.sequencer.free = Some(cycle + 1);
                line.finish(cycle + 1, 0);
            }
        }
        line.start(cycle);
        line.free = Some(cycle);
        if let Some(done) = done {
            self.finish_load(COMPUTE, done);
        }
        true
    }

    /// Store's whole instruction: nothing arbitrates its bursts.
    fn store(&mut self, cycle: u64) {
        let line = &mut self.lines[STORE];
        let (mut free, mut finished, mut work) = (cycle + 2, cycle + 2, 0);
        if let Work::Move(transfer) = &line.records[line.started].work {
            let mut start = cycle + self.store_pipeline;
            for piece in transfer.bursts(self.bus) {
                let (end, response) = self.writes.write(start, &piece);
                self.traffic.written_bytes += piece.bytes;
                self.traffic.write_bursts += 1;
                self.traffic.write_cycles += end + 1 - start;
                if let Some(bursts) = &mut self.bursts {
                    bursts[1].push(Burst {
                        channel: Channel::Write,
                        asked: start,
                        first: start + piece.first - 1,
                        last: end,
                        bytes: piece.bytes as u32,
                    });
                }
                work += piece.duration;
                start = end + 1;
                (free, finished) = (end + 1, response + 1);
            }
        }
        line.start(cycle + 2);
        line.finish(finished, work);
        line.free = Some(free);
    }

    /// The end of the run: nobody has anything to do.
    fn end(&self) -> Result<(), Fault> {
        let heads = self
            .lines
            .iter()
            .filter_map(|line| line.timings.get(line.retired));
        if let Some(index) = heads.map(|timing| timing.index).min() {
            Err(self.fault(Some(index), Cause::Deadlock))
        } else if !self.finished {
            Err(self.fault(None, Cause::NoFinish))
        } else {
            Ok(())
        }
    }

    /// Tokens in each queue.
    pub(super) fn leftover(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|queue| self.tokens[queue].len())
    }

    /// A fault with the state of the queues as far as it is known.
    pub(super) fn fault(&self, index: Option<u32>, cause: Cause) -> Fault {
        Fault {
            site: index.map(|index| Box::new(site(self.design, self.stream, index))),
            cause,
            queues: Box::new(self.state()),
        }
    }

    fn state(&self) -> QueueState {
        let site = |index| site(self.design, self.stream, index);
        let head = |line: &Timeline<'_>| {
            let timing = line.timings.get(line.retired)?;
            Some(Head {
                site: site(timing.index),
                queued: line.timings.len() - line.retired,
                waits: self.waits(line),
            })
        };
        let next = self.code.modules.get(self.fetch.at());
        let held = next.filter(|&&module| {
            self.fetch.ready().is_some() && self.lines[slot(module)].room().is_none()
        });
        QueueState {
            heads: self.lines.iter().filter_map(head).collect(),
            tokens: self.leftover(),
            held: held.map(|_| site(self.fetch.at() as u32)),
        }
    }

    fn waits(&self, line: &Timeline<'_>) -> Vec<Wait> {
        let record = &line.records[line.retired];
        let named = |queue: usize| TokenQueue::ALL[queue];
        if line.taken > line.retired {
            let full = |&queue: &usize| self.tokens[queue].room().is_none();
            let pushes = queues(record.pushes).filter(|_| line.committed == line.retired);
            pushes.filter(full).map(named).map(Wait::Room).collect()
        } else {
            let empty = |&queue: &usize| self.tokens[queue].ready().is_none();
            let pops = queues(record.pops).filter(empty);
            pops.map(named).map(Wait::Token).collect()
        }
    }

    /// The report of a run that has ended well, but for its counters and tokens.
    pub(super) fn report(self) -> CycleReport {
        let last = |line: &Timeline<'_>| line.timings.last().map_or(0, |timing| timing.retired);
        let cycles = self.lines.iter().map(last).max().unwrap_or(0) + 1;
        let modules =
            [0, 1, 2].map(|m| ModuleCycles::windows(&self.lines[m].timings, &[cycles])[0]);
        let (mut timings, mut bursts) = (Vec::new(), Vec::new());
        if let Some(kept) = self.bursts {
            bursts = kept.concat();
            timings = self.lines.map(|line| line.timings).concat();
            timings.sort_unstable_by_key(|timing: &InsnTiming| timing.index);
        }
        CycleReport {
            cycles,
            modules,
            traffic: self.traffic,
            timings,
            bursts,
            ..CycleReport::default()
        }
    }
}

/// The queues of a mask.
fn queues(mask: u8) -> impl Iterator<Item = usize> {
    (0..4).filter(move |queue| mask >> queue & 1 != 0)
}
