//! A load engine: the front end that asks for bursts, the back end that takes their units and writes padding.

use super::code::{Bursts, Move};
use super::memory::{Bus, ReadChannel};

/// One load engine, with the transfer that it is at.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    bus: Bus,
    /// The bursts that are still to be granted, and from when on the next is requested.
    bursts: Option<Bursts>,
    request: u64,
    /// A: from when on the back end works.
    start: u64,
    /// The first cycle of the back end that is still free.
    cursor: u64,
    /// Elements of padding that are still to be written.
    padding: u64,
    work: u64,
    /// The cycle after the last one of the transfer before.
    after: u64,
}

/// What the engine knows once the last burst of a transfer is granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// From when on the front end takes the next transfer.
    pub(super) free: u64,
    /// The last cycle of the back end.
    pub(super) cycle: u64,
    /// Cycles in which a unit was taken or padding written.
    pub(super) work: u64,
}

impl Engine {
    pub(super) fn new(bus: Bus) -> Engine {
        Engine {
            bus,
            bursts: None,
            request: u64::MAX,
            start: 0,
            cursor: 0,
            padding: 0,
            work: 0,
            after: 0,
        }
    }

    /// From when on the next burst is requested; `u64::MAX` if there is none.
    pub(super) fn request(&self) -> u64 {
        self.request
    }

    /// Takes a transfer at `cycle`, or an instruction that moves nothing. Gives the first cycle of the back
    /// end and, if there is no burst, the end.
    pub(super) fn take(&mut self, cycle: u64, transfer: Option<&Move>) -> (u64, Option<Done>) {
        self.start = (cycle + 3).max(self.after);
        self.cursor = self.start;
        self.padding = transfer.map_or(0, |transfer| transfer.padding.into());
        self.work = self.padding;
        let bursts = transfer.map(|transfer| transfer.bursts(self.bus));
        self.bursts = bursts.filter(|bursts| !bursts.is_empty());
        if self.bursts.is_some() {
            self.request = cycle + 2;
            return (self.start, None);
        }
        (self.start, Some(self.done(cycle + 2)))
    }

    /// Takes the grant of a burst; gives its bytes and cycles and, if it was the last, the end.
    #[inline(always)]
    pub(super) fn grant(
        &mut self,
        cycle: u64,
        reads: &mut ReadChannel,
    ) -> (u64, (u64, u64), Option<Done>) {
        let Some(bursts) = &mut self.bursts else {
            unreachable!("only a requested burst is granted");
        };
        let Some(piece) = bursts.next() else {
            unreachable!("an engine without bursts is free");
        };
        let (first, last) = reads.grant(cycle, self.start, piece.duration);
        self.padding -= self.padding.min(first - self.cursor);
        self.cursor = last + 1;
        self.work += piece.duration;
        self.request = cycle + 1;
        let done = bursts.is_empty().then(|| self.done(cycle + 1));
        (piece.bytes, (first, last), done)
    }

    fn done(&mut self, free: u64) -> Done {
        self.bursts = None;
        self.request = u64::MAX;
        // The padding that is left follows the last unit. Without either, the back end is held for a cycle.
        self.after = (self.cursor + self.padding).max(self.start + 1);
        Done {
            free,
            cycle: self.after - 1,
            work: self.work,
        }
    }
}
