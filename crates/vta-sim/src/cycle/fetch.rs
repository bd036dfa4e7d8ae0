//! Fetch: which instructions it asks for, when they arrive, when they go to the command queues.

use vta_isa::INSN_BYTES;

use super::memory::{Bus, ReadChannel};

/// Instructions that fetch has room for.
const BUFFER: usize = 32;
/// The stream is read in pieces that do not cross multiples of this, bytes.
const BLOCK: u64 = 256;

/// The state of fetch; instructions are counted from the start of the stream.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// Where in a block the stream begins, bytes.
    offset: u64,
    count: usize,
    /// log2 of the cycles for an instruction.
    log_cycles: u32,
    requested: usize,
    dispatched: usize,
    /// The first cycle for the next request.
    next: u64,
    /// When an instruction of the buffer can be dispatched, by its position modulo [`BUFFER`].
    arrived: [u64; BUFFER],
    /// When one was dispatched.
    sent: [u64; BUFFER],
}

impl Fetch {
    pub(super) fn new(bus: Bus, address: u64, count: u32) -> Fetch {
        Fetch {
            offset: address % BLOCK,
            count: count as usize,
            log_cycles: INSN_BYTES.ilog2().saturating_sub(bus.log_beat),
            requested: 0,
            dispatched: 0,
            next: 2,
            arrived: [0; BUFFER],
            sent: [0; BUFFER],
        }
    }

    /// Instructions in the next piece.
    fn piece(&self) -> usize {
        let into = (self.offset + (self.requested * INSN_BYTES) as u64) % BLOCK;
        let whole = (BLOCK - into) as usize / INSN_BYTES;
        whole.min(self.count - self.requested)
    }

    /// From when on the next request is valid; `None` if there is none, or that is not known yet.
    pub(super) fn request(&self) -> Option<u64> {
        if self.requested == self.count {
            return None;
        }
        // The instruction whose dispatch makes room for the last of the piece.
        let Some(frees) = (self.requested + self.piece()).checked_sub(BUFFER + 1) else {
            return Some(self.next);
        };
        (frees < self.dispatched).then(|| self.next.max(self.sent[frees % BUFFER] + 1))
    }

    /// Takes the grant of a request; gives the bytes of its burst.
    pub(super) fn grant(&mut self, cycle: u64, reads: &mut ReadChannel) -> (u64, (u64, u64)) {
        let piece = self.piece();
        let (first, last) = reads.grant(cycle, 0, (piece as u64) << self.log_cycles);
        // Instructions narrower than a beat are taken one by one, wider ones beat by beat.
        for at in 0..piece {
            let taken = first + ((at as u64 + 1) << self.log_cycles) - 1;
            self.arrived[(self.requested + at) % BUFFER] = taken + 1;
        }
        self.requested += piece;
        self.next = cycle + 1;
        ((piece * INSN_BYTES) as u64, (first, last))
    }

    /// The instruction to dispatch next.
    pub(super) fn at(&self) -> usize {
        self.dispatched
    }

    /// From when on the next instruction can be dispatched if its queue has room; `None` if it is not there.
    pub(super) fn ready(&self) -> Option<u64> {
        let after = match self.dispatched {
            0 => 0,
            sent => self.sent[(sent - 1) % BUFFER] + 1,
        };
        (self.dispatched < self.requested)
            .then(|| self.arrived[self.dispatched % BUFFER].max(after))
    }

    pub(super) fn dispatch(&mut self, cycle: u64) {
        self.sent[self.dispatched % BUFFER] = cycle;
        self.dispatched += 1;
    }
}
