//! Fetch, the three command queues and the four token queues: when an instruction may run.
//!
//! What running means is left to an [`Execute`]: the simulator computes, the checker keeps books.
//! The rules where the instruction set leaves a choice (a cycle model has to make the same one):
//!
//! * An instruction starts when it is the oldest of its queue and *all* tokens that it pops are there; it takes
//!   them together. It retires when there is room for *all* tokens that it pushes, and pushes them together.
//!   Until then it keeps its place in the command queue.
//! * A LOAD or STORE that moves nothing and pushes a token to compute need not be ordered before FINISH: nothing
//!   can be lost, and the token that it leaves is for the next stream, as existing runtimes have it.
//! * Token flags towards a module that does not exist (`prev` of load, `next` of store) mean nothing.
//!
//! Every queue has one producer and one consumer, so whether a stream deadlocks, and which tokens are
//! left, does not depend on the order in which the modules take their turns. For the same reason the k-th
//! push of a token queue meets its k-th pop in every order, and a token can carry the vector clock of
//! what happened before it.

use std::collections::VecDeque;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::{Design, INSN_BYTES, Insn, Module, asm};

use crate::access::Action;
use crate::decoded::{Decoded, DecodedInsn};
use crate::fault::{Cause, Fault, Head, QueueState, Site, Wait};
use crate::tokens::{Clock, MODULES, TokenQueue, join, pops, pushes, slot};

/// The order in which fetch and the modules take their turns, where the tokens leave a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// One after the other.
    #[default]
    RoundRobin,
    /// At random, determined by the seed.
    Seeded(u64),
}

/// The number of instructions of a stream that can begin with so many tokens.
pub(crate) fn admit(design: &Design, stream: &[u8], tokens: [u64; 4]) -> Result<u32, Fault> {
    let depth = design.config().dep_queue_depth;
    let mut queues = TokenQueue::ALL.into_iter().zip(tokens);
    let insns = stream.len() / INSN_BYTES;
    let cause = if stream.len() % INSN_BYTES != 0 {
        let bytes = stream.len();
        Cause::Length { bytes }
    } else if let Some((queue, tokens)) = queues.find(|&(_, tokens)| tokens > depth.into()) {
        Cause::InitialTokens {
            queue,
            tokens,
            depth,
        }
    } else {
        match u32::try_from(insns) {
            Ok(count) => return Ok(count),
            Err(_) => Cause::TooLong {
                insns: insns as u64,
            },
        }
    };
    Err(Fault::of_stream(cause))
}

/// Names the instruction at a position of the stream.
pub(crate) fn site(design: &Design, stream: &[u8], index: u32) -> Site {
    let bytes = bytes(stream, index);
    match Insn::decode(design, bytes) {
        Ok(insn) => Site {
            index: index.into(),
            module: Some(insn.module(design)),
            text: asm::print_insn(design, &insn),
        },
        Err(_) => {
            let text = bytes
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .join(" ");
            Site {
                index: index.into(),
                module: None,
                text,
            }
        }
    }
}

/// Whether an instruction of load or store does nothing but push a token to compute.
fn only_pushes(insn: &DecodedInsn) -> bool {
    matches!(insn.action, Ok(Action::Sync)) && pushes(insn.module, insn.deps).next().is_some()
}

pub(crate) fn bytes(stream: &[u8], index: u32) -> &[u8; INSN_BYTES] {
    let start = index as usize * INSN_BYTES;
    stream[start..start + INSN_BYTES]
        .try_into()
        .expect("16 bytes")
}

/// An instruction at the moment when it starts.
pub(crate) struct Issue<'a> {
    pub(crate) module: Module,
    /// What it does, or why nothing can.
    pub(crate) action: &'a Result<Action, Cause>,
    /// What is ordered before it; its own module's entry counts the instruction itself.
    pub(crate) clock: Clock,
    issued: &'a [Vec<u32>; 3],
}

impl Issue<'_> {
    /// Its position in the stream.
    pub(crate) fn index(&self) -> u32 {
        self.index_of(self.module, self.clock[slot(self.module)])
    }

    /// The position in the stream of the `count`-th instruction (from 1) of a module.
    pub(crate) fn index_of(&self, module: Module, count: u32) -> u32 {
        self.issued[slot(module)][count as usize - 1]
    }
}

/// What the machine drives.
pub(crate) trait Execute {
    /// Runs one instruction. Whatever is wrong with it goes to `causes`.
    fn execute(&mut self, issue: &Issue<'_>, causes: &mut Vec<Cause>);

    /// Decides whether the machine stops at a fault, with `Err`, or goes on.
    fn fault(&mut self, fault: Fault) -> Result<(), Fault>;
}

struct Entry<'a> {
    index: u32,
    started: bool,
    insn: &'a DecodedInsn,
}

/// The state of the queues while a stream runs.
pub(crate) struct Machine<'a> {
    design: &'a Design,
    code: &'a Decoded,
    count: u32,
    next: u32,
    /// Fetched, but its command queue was full.
    held: Option<Entry<'a>>,
    queues: [VecDeque<Entry<'a>>; 3],
    tokens: [VecDeque<Clock>; 4],
    clocks: [Clock; 3],
    /// Positions in the stream of the instructions of each module.
    issued: [Vec<u32>; 3],
    fetched_finish: bool,
    finished: bool,
}

impl<'a> Machine<'a> {
    /// A machine before its first fetch, with so many tokens in the queues.
    pub(crate) fn new(
        design: &'a Design,
        code: &'a Decoded,
        tokens: [u64; 4],
    ) -> Result<Machine<'a>, Fault> {
        let count = admit(design, code.stream(), tokens)?;
        Ok(Machine {
            design,
            code,
            count,
            next: 0,
            held: None,
            queues: Default::default(),
            tokens: tokens.map(|n| VecDeque::from(vec![Clock::default(); n as usize])),
            clocks: Default::default(),
            issued: Default::default(),
            fetched_finish: false,
            finished: false,
        })
    }

    /// Runs the stream until nothing can go on any more.
    pub(crate) fn run(&mut self, order: Order, exec: &mut impl Execute) -> Result<(), Fault> {
        let mut turns = Turns::new(order);
        let mut causes = Vec::new();
        loop {
            let ready = |agent: usize| match agent.checked_sub(1) {
                None => self.can_fetch(),
                Some(module) => self.can_step(MODULES[module]),
            };
            match turns.next(ready) {
                Some(0) => self.fetch(exec)?,
                Some(agent) => self.step(MODULES[agent - 1], exec, &mut causes)?,
                None => break,
            }
        }
        let oldest = self
            .queues
            .iter()
            .filter_map(VecDeque::front)
            .map(|entry| entry.index)
            .min();
        if let Some(index) = oldest {
            exec.fault(self.fault(Some(index), Cause::Deadlock))
        } else if !self.finished {
            exec.fault(self.fault(None, Cause::NoFinish))
        } else {
            Ok(())
        }
    }

    /// Tokens in each queue.
    pub(crate) fn tokens(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|q| self.tokens[q].len())
    }

    /// A fault with the present state of the queues.
    pub(crate) fn fault(&self, index: Option<u32>, cause: Cause) -> Fault {
        Fault {
            site: index.map(|i| Box::new(self.site(i))),
            cause,
            queues: Box::new(self.state()),
        }
    }

    fn site(&self, index: u32) -> Site {
        site(self.design, self.code.stream(), index)
    }

    fn state(&self) -> QueueState {
        let head = |queue: &VecDeque<Entry<'_>>| {
            queue.front().map(|entry| Head {
                site: self.site(entry.index),
                queued: queue.len(),
                waits: self.waits(entry),
            })
        };
        QueueState {
            heads: self.queues.iter().filter_map(head).collect(),
            tokens: self.tokens(),
            held: self.held.as_ref().map(|entry| self.site(entry.index)),
        }
    }

    fn waits(&self, entry: &Entry) -> Vec<Wait> {
        let DecodedInsn { module, deps, .. } = *entry.insn;
        if entry.started {
            pushes(module, deps)
                .filter(|&q| self.full(q))
                .map(Wait::Room)
                .collect()
        } else {
            pops(module, deps)
                .filter(|&q| self.tokens[q as usize].is_empty())
                .map(Wait::Token)
                .collect()
        }
    }

    fn full(&self, queue: TokenQueue) -> bool {
        self.tokens[queue as usize].len() >= self.design.config().dep_queue_depth as usize
    }

    fn has_room(&self, module: Module) -> bool {
        self.queues[slot(module)].len() < self.design.config().cmd_queue_depth as usize
    }

    fn can_fetch(&self) -> bool {
        match &self.held {
            Some(entry) => self.has_room(entry.insn.module),
            None => self.next < self.count && !self.fetched_finish,
        }
    }

    fn can_step(&self, module: Module) -> bool {
        self.queues[slot(module)].front().is_some_and(|entry| {
            if entry.started {
                pushes(module, entry.insn.deps).all(|q| !self.full(q))
            } else {
                pops(module, entry.insn.deps).all(|q| !self.tokens[q as usize].is_empty())
            }
        })
    }

    fn fetch(&mut self, exec: &mut impl Execute) -> Result<(), Fault> {
        let entry = match self.held.take() {
            Some(entry) => entry,
            None => {
                let index = self.next;
                self.next += 1;
                match self.code.get(self.design, index) {
                    Ok(insn) => Entry {
                        index,
                        started: false,
                        insn,
                    },
                    Err(cause) => return exec.fault(self.fault(Some(index), cause)),
                }
            }
        };
        if !self.has_room(entry.insn.module) {
            self.held = Some(entry);
            return Ok(());
        }
        let finish = matches!(entry.insn.action, Ok(Action::Finish));
        self.issued[slot(entry.insn.module)].push(entry.index);
        self.queues[slot(entry.insn.module)].push_back(entry);
        if finish {
            self.fetched_finish = true;
            if self.next < self.count {
                return exec.fault(self.fault(Some(self.next), Cause::AfterFinish));
            }
        }
        Ok(())
    }

    /// Starts or retires the oldest instruction of a module.
    fn step(
        &mut self,
        module: Module,
        exec: &mut impl Execute,
        causes: &mut Vec<Cause>,
    ) -> Result<(), Fault> {
        let m = slot(module);
        let Some(head) = self.queues[m].front_mut() else {
            return Ok(());
        };
        let clock = &mut self.clocks[m];
        if !head.started {
            for queue in pops(module, head.insn.deps) {
                if let Some(token) = self.tokens[queue as usize].pop_front() {
                    join(clock, &token);
                }
            }
            clock[m] += 1;
            head.started = true;
            let index = head.index;
            if matches!(head.insn.action, Ok(Action::Finish)) {
                self.finished = true;
                for other in [Module::Load, Module::Store] {
                    // Fetch is in order, so what comes before FINISH has been issued.
                    let unordered = self.issued[slot(other)]
                        .iter()
                        .skip(clock[slot(other)] as usize);
                    let late = unordered
                        .copied()
                        .find(|&late| !self.code.get(self.design, late).is_ok_and(only_pushes));
                    causes.extend(late.map(|late| {
                        let other = Box::new(site(self.design, self.code.stream(), late));
                        Cause::Unfinished { other }
                    }));
                }
            }
            if causes.is_empty() {
                let issue = Issue {
                    module,
                    action: &head.insn.action,
                    clock: *clock,
                    issued: &self.issued,
                };
                exec.execute(&issue, causes);
            }
            for cause in causes.drain(..) {
                exec.fault(self.fault(Some(index), cause))?;
            }
        }
        let deps = self.queues[m][0].insn.deps;
        if pushes(module, deps).all(|q| !self.full(q)) {
            for queue in pushes(module, deps) {
                self.tokens[queue as usize].push_back(self.clocks[m]);
            }
            self.queues[m].pop_front();
        }
        Ok(())
    }
}

enum Turns {
    RoundRobin(usize),
    Seeded(Box<ChaCha8Rng>),
}

impl Turns {
    fn new(order: Order) -> Turns {
        match order {
            Order::RoundRobin => Turns::RoundRobin(0),
            Order::Seeded(seed) => Turns::Seeded(Box::new(ChaCha8Rng::seed_from_u64(seed))),
        }
    }

    /// One of those that are ready.
    fn next(&mut self, ready: impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Turns::RoundRobin(last) => {
                *last = (1..=4)
                    .map(|i| (*last + i) % 4)
                    .find(|&agent| ready(agent))?;
                Some(*last)
            }
            Turns::Seeded(rng) => {
                let ready = [0, 1, 2, 3].map(ready);
                let choices = ready.iter().filter(|&&r| r).count();
                let chosen = if choices < 2 {
                    0
                } else {
                    rng.random_range(0..choices as u32) as usize
                };
                (0..4).filter(|&agent| ready[agent]).nth(chosen)
            }
        }
    }
}
