//! The memory: bursts, latency, stalls, and how many bursts may be on their way.

use serde::Serialize;
use vta_isa::Design;

/// The memory's side of the timing contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryModel {
    /// Cycles from a request to its first data beyond the two that any memory takes, and from the last
    /// beat of a write to its response.
    pub latency: u32,
    /// Seed of the stalls; none without.
    pub stalls: Option<u64>,
}

impl Default for MemoryModel {
    /// A latency of 16 cycles, no stalls.
    fn default() -> MemoryModel {
        MemoryModel {
            latency: 16,
            stalls: None,
        }
    }
}

impl MemoryModel {
    fn stall(&self, channel: Channel, index: u64) -> u64 {
        self.stalls
            .map_or(0, |seed| stall(seed, channel, index).into())
    }
}

/// A direction of the memory bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// From memory.
    Read,
    /// To memory.
    Write,
}

/// Cycles by which the memory holds up burst `index` of a channel, counted from 0 in each run: one burst in
/// four waits, for 0 to 31 cycles.
///
/// What draws is the finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
pub fn stall(seed: u64, channel: Channel, index: u64) -> u32 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let position = 2 * index + (channel == Channel::Write) as u64;
    let mut z = seed.wrapping_add(GAMMA.wrapping_mul(position.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    if z & 3 == 0 { (z >> 2) as u32 & 31 } else { 0 }
}

/// The bus of a design.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bus {
    /// log2 of the bytes of a beat and of a burst block.
    pub(super) log_beat: u32,
    pub(super) log_block: u32,
}

impl Bus {
    pub(super) fn new(design: &Design) -> Bus {
        Bus {
            log_beat: design.bus_bytes().ilog2(),
            log_block: design.burst_bytes().ilog2(),
        }
    }

    /// Beats that `bytes` bytes at `addr` touch.
    pub(super) fn beats(&self, addr: u64, bytes: u64) -> u64 {
        let into = addr & ((1 << self.log_beat) - 1);
        (into + bytes + (1 << self.log_beat) - 1) >> self.log_beat
    }
}

/// What of a row goes in one burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) bytes: u64,
    /// Units, a cycle each; those in the first beat.
    pub(super) duration: u64,
    pub(super) first: u64,
}

/// The read data channel: bursts one after the other, in the order of their grants.
#[derive(Clone, Debug)]
pub(super) struct ReadChannel {
    model: MemoryModel,
    /// Bursts granted.
    count: u64,
    granted: Option<u64>,
    /// Ends of the last `MAX_OUTSTANDING` bursts, each at its index modulo that.
    ends: Vec<u64>,
    slot: usize,
    last_end: Option<u64>,
}

impl ReadChannel {
    pub(super) fn new(design: &Design, model: MemoryModel) -> ReadChannel {
        ReadChannel {
            model,
            count: 0,
            granted: None,
            ends: vec![0; design.config().max_outstanding as usize],
            slot: 0,
            last_end: None,
        }
    }

    /// The first cycle not before `valid` in which a request can be granted.
    #[inline]
    pub(super) fn grant_from(&self, valid: u64) -> u64 {
        let mut cycle = valid.max(self.granted.map_or(0, |granted| granted + 1));
        if self.count >= self.ends.len() as u64 {
            cycle = cycle.max(self.ends[self.slot] + 1);
        }
        cycle
    }

    /// Grants a burst at `cycle` to a requester that takes data from `ready` on. Gives the cycles in which
    /// its first beat and its last unit are taken.
    #[inline]
    pub(super) fn grant(&mut self, cycle: u64, ready: u64, duration: u64) -> (u64, u64) {
        let valid = (cycle + 2 + u64::from(self.model.latency))
            .max(self.last_end.map_or(0, |end| end + 1))
            + self.model.stall(Channel::Read, self.count);
        let start = valid.max(ready);
        let end = start + duration - 1;
        self.granted = Some(cycle);
        self.count += 1;
        self.last_end = Some(end);
        self.ends[self.slot] = end;
        self.slot = after(self.slot, self.ends.len());
        (start, end)
    }
}

/// The place after one in a ring of `len`. A division takes longer than all else that is done for a burst.
fn after(slot: usize, len: usize) -> usize {
    if slot + 1 == len { 0 } else { slot + 1 }
}

/// The write channel.
#[derive(Clone, Debug)]
pub(super) struct WriteChannel {
    model: MemoryModel,
    count: u64,
    /// Responses to the last `MAX_OUTSTANDING` bursts, each at its index modulo that.
    responses: Vec<u64>,
    slot: usize,
}

impl WriteChannel {
    pub(super) fn new(design: &Design, model: MemoryModel) -> WriteChannel {
        WriteChannel {
            model,
            count: 0,
            responses: vec![0; design.config().max_outstanding as usize],
            slot: 0,
        }
    }

    /// Writes a burst whose first unit is in the write register at `start`. Gives the cycles in which its
    /// last beat is taken and in which its response arrives.
    pub(super) fn write(&mut self, start: u64, piece: &Piece) -> (u64, u64) {
        let complete = start + piece.first - 1;
        let mut wait = self.model.stall(Channel::Write, self.count);
        if self.count >= self.responses.len() as u64 {
            wait += (self.responses[self.slot] + 1).saturating_sub(complete);
        }
        let end = complete + piece.duration - piece.first + wait;
        let response = end + 1 + u64::from(self.model.latency);
        self.count += 1;
        self.responses[self.slot] = response;
        self.slot = after(self.slot, self.responses.len());
        (end, response)
    }
}
