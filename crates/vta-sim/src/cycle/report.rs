//! What a timed run tells.

use std::ops::AddAssign;

use serde::Serialize;
use vta_isa::Module;

use super::memory::Channel;
use crate::counters::Counters;

/// What a run did and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CycleReport {
    /// From the launch to the last retirement, both included.
    pub cycles: u64,
    /// The same counters as the functional simulator's.
    pub counters: Counters,
    /// What load, compute and store spent the cycles on.
    pub modules: [ModuleCycles; 3],
    /// What the memory bus moved.
    pub traffic: Traffic,
    /// Tokens that nothing popped: load->compute, compute->load, compute->store, store->compute.
    pub leftover: [usize; 4],
    /// The cycles of each instruction, in the order of the stream, if a trace was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timings: Vec<InsnTiming>,
    /// The bursts of both channels, each in order, if a trace was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bursts: Vec<Burst>,
}

/// The cycles of a run as one module spent them; they add up to the cycles of the run.
///
/// Each cycle belongs to the oldest instruction of the module that has not retired. What the ones after it
/// overlap with it is not counted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModuleCycles {
    /// At work: units moved, zeros written, slots issued, and the pipeline that they run through.
    pub busy: u64,
    /// The instruction at the head of the queue lacked a token, and nothing else.
    pub token: u64,
    /// Done, but a queue had no room for its token.
    pub room: u64,
    /// A transfer in which nothing moved: latency, other traffic, stalls, responses.
    pub memory: u64,
    /// No instruction.
    pub idle: u64,
}

impl AddAssign for ModuleCycles {
    fn add_assign(&mut self, other: ModuleCycles) {
        self.busy += other.busy;
        self.token += other.token;
        self.room += other.room;
        self.memory += other.memory;
        self.idle += other.idle;
    }
}

/// What the memory bus moved in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Bytes read: instructions and loads.
    pub read_bytes: u64,
    /// Bytes stored.
    pub written_bytes: u64,
    /// Read bursts.
    pub read_bursts: u64,
    /// Write bursts.
    pub write_bursts: u64,
    /// Cycles in which the read data channel is occupied: from a burst's first beat to its last unit.
    pub read_cycles: u64,
    /// Cycles in which units of stores are gathered and written.
    pub write_cycles: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Traffic) {
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.read_bursts += other.read_bursts;
        self.write_bursts += other.write_bursts;
        self.read_cycles += other.read_cycles;
        self.write_cycles += other.write_cycles;
    }
}

/// The cycles of one instruction, as the hardware's page names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InsnTiming {
    /// Position in the stream.
    pub index: u32,
    /// Whose instruction it is.
    #[serde(serialize_with = "name")]
    pub module: Module,
    /// D: fetch hands it to the command queue.
    pub queued: u64,
    /// When it could have been taken, had its tokens been there.
    pub ready: u64,
    /// P: it is taken.
    pub taken: u64,
    /// The first cycle of its work: X for compute, A for load, P + 2 for store.
    pub started: u64,
    /// C: room for its tokens is set aside.
    pub committed: u64,
    /// It could retire.
    pub finished: u64,
    /// R: it retires.
    pub retired: u64,
    /// Cycles of `started..=finished` in which a unit moved, a zero was written or a slot issued.
    pub work: u64,
    /// Whether it moves data, so that cycles without work are the memory's.
    pub moves: bool,
}

fn name<S: serde::Serializer>(module: &Module, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(module.name())
}

/// One burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Burst {
    /// Its direction.
    pub channel: Channel,
    /// Read: G, the cycle of the grant. Write: the cycle in which its first unit is in the write register.
    pub asked: u64,
    /// The cycle of the first beat.
    pub first: u64,
    /// The cycle in which its last unit is taken.
    pub last: u64,
    /// Bytes of data.
    pub bytes: u32,
}

impl ModuleCycles {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.busy + self.token + self.room + self.memory + self.idle
    }

    /// What a module spent the cycles of each of several windows on, given all its instructions of a run, in
    /// order. A window begins where the one before ends, the first one at cycle 0; `ends` are the first cycles
    /// after each, in order.
    ///
    /// Of a transfer, the cycles without movement count as the first ones: what it waits for is its first data.
    pub fn windows<'a>(
        timings: impl IntoIterator<Item = &'a InsnTiming>,
        ends: &[u64],
    ) -> Vec<ModuleCycles> {
        let mut split = Split {
            windows: vec![ModuleCycles::default(); ends.len()],
            ends,
            window: 0,
            at: 0,
        };
        for timing in timings {
            let end = timing.retired + 1;
            let ready = timing.ready.clamp(split.at, end);
            let taken = timing.taken.clamp(ready, end);
            let done = match timing.committed > timing.finished {
                true => (timing.finished + 1).clamp(taken, end),
                false => end,
            };
            let moving = match timing.moves {
                true => timing.work.min(done - taken),
                false => done - taken,
            };
            split.until(ready, |cycles| &mut cycles.idle);
            split.until(taken, |cycles| &mut cycles.token);
            split.until(done - moving, |cycles| &mut cycles.memory);
            split.until(done, |cycles| &mut cycles.busy);
            split.until(end, |cycles| &mut cycles.room);
        }
        let end = ends.last().map_or(0, |&end| end);
        split.until(end, |cycles| &mut cycles.idle);
        split.windows
    }
}

/// Cycles on their way into windows.
struct Split<'a> {
    windows: Vec<ModuleCycles>,
    ends: &'a [u64],
    window: usize,
    /// The first cycle that is in none yet.
    at: u64,
}

impl Split<'_> {
    /// Counts the cycles before `end`.
    fn until(&mut self, end: u64, kind: impl Fn(&mut ModuleCycles) -> &mut u64) {
        while self.at < end {
            let stop = match self.ends.get(self.window) {
                Some(&stop) if stop <= self.at => {
                    self.window += 1;
                    continue;
                }
                Some(&stop) => stop.min(end),
                None => return,
            };
            *kind(&mut self.windows[self.window]) += stop - self.at;
            self.at = stop;
        }
    }
}
