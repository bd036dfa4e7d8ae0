//! Makes a program smaller that shows something.

use vta_isa::{Body, Deps, Design, INSN_BYTES, Insn, MemInsn, Module};
use vta_sim::{CheckOptions, TokenQueue, check, pops, pushes};

use crate::{Placement, Trial};

/// Attempts after which the smallest program so far has to do.
const ATTEMPTS: usize = 3000;

/// The smallest trial found, by leaving out instructions and tokens and making what is left smaller, that
/// is still correct and for which `shows` still holds.
pub fn shrink(design: &Design, trial: &Trial, shows: impl FnMut(&Trial) -> bool) -> Trial {
    let mut shrinker = Shrinker {
        design,
        insns: decode(design, trial.insns()),
        trial: trial.clone(),
        shows,
        attempts: 0,
    };
    shrinker.memory();
    loop {
        let before = shrinker.insns.clone();
        shrinker.leave_out();
        shrinker.tokens();
        shrinker.simplify();
        if shrinker.insns == before || shrinker.attempts >= ATTEMPTS {
            return shrinker.trial;
        }
    }
}

struct Shrinker<'a, F> {
    design: &'a Design,
    insns: Vec<Insn>,
    /// The trial of these instructions.
    trial: Trial,
    shows: F,
    attempts: usize,
}

impl<F: FnMut(&Trial) -> bool> Shrinker<'_, F> {
    /// Takes other instructions if they do as well.
    fn attempt(&mut self, insns: Vec<Insn>) -> bool {
        if insns == self.insns || self.attempts >= ATTEMPTS {
            return false;
        }
        let Some(bytes) = encode(self.design, &insns) else {
            return false;
        };
        let trial = self.trial.with_insns(&bytes);
        let correct = check(self.design, &trial.image, &bytes, &CheckOptions::default()).is_ok();
        if !correct {
            return false;
        }
        self.attempts += 1;
        let shows = (self.shows)(&trial);
        if shows {
            (self.insns, self.trial) = (insns, trial);
        }
        shows
    }

    /// No run before, the image in its place and a plain memory, if the cause is not there.
    fn memory(&mut self) {
        let mut trial = self.trial.clone();
        trial.before = None;
        self.attempts += 1;
        if (self.shows)(&trial) {
            self.trial = trial;
        }
        let mut trial = self.trial.clone();
        trial.placement = Placement::default();
        self.attempts += 1;
        if (self.shows)(&trial) {
            self.trial = trial;
        }
        for (latency, stalls) in [
            (0, None),
            (self.trial.memory.latency, None),
            (0, self.trial.memory.stalls),
        ] {
            let mut trial = self.trial.clone();
            (trial.memory.latency, trial.memory.stalls) = (latency, stalls);
            self.attempts += 1;
            if (self.shows)(&trial) {
                self.trial = trial;
                return;
            }
        }
    }

    /// Leaves out ever shorter runs of instructions.
    fn leave_out(&mut self) {
        let mut length = self.insns.len() / 2;
        while length > 0 {
            // From the end, so that the positions before stay.
            let mut end = self.insns.len();
            while end > 0 {
                let start = end.saturating_sub(length);
                self.attempt(without(self.design, &self.insns, start, end));
                end = start;
            }
            length /= 2;
        }
    }

    /// Leaves out tokens.
    fn tokens(&mut self) {
        for queue in TokenQueue::ALL {
            for token in (0..tokens(self.design, &self.insns, queue).len()).rev() {
                let mut insns = self.insns.clone();
                if let Some(&(push, pop)) = tokens(self.design, &insns, queue).get(token) {
                    set_push(&mut insns[push].deps, queue, false);
                    set_pop(&mut insns[pop].deps, queue, false);
                    self.attempt(insns);
                }
            }
        }
    }

    /// Makes fields smaller.
    fn simplify(&mut self) {
        for index in (0..self.insns.len()).rev() {
            for simpler in simpler(self.design, &self.insns[index]) {
                let mut insns = self.insns.clone();
                insns[index] = simpler;
                self.attempt(insns);
            }
            for number in 0.. {
                let Some((value, least)) = numbers(&mut self.insns[index].body)
                    .nth(number)
                    .map(|(n, least)| (*n, least))
                else {
                    break;
                };
                for smaller in [least, value / 2, value.saturating_sub(1)] {
                    let mut insns = self.insns.clone();
                    if let Some((number, least)) = numbers(&mut insns[index].body).nth(number) {
                        *number = smaller.max(least).min(value);
                    }
                    if self.attempt(insns) {
                        break;
                    }
                }
            }
        }
    }
}

/// Simpler instructions to try in place of one.
fn simpler(design: &Design, insn: &Insn) -> Vec<Insn> {
    let mut plain = Insn::new(insn.deps, insn.body);
    match insn.module(design) {
        Module::Load => (plain.deps.pop_prev, plain.deps.push_prev) = (false, false),
        Module::Store => (plain.deps.pop_next, plain.deps.push_next) = (false, false),
        Module::Compute => {}
    }
    let sync = |memory_type| MemInsn {
        memory_type,
        ..MemInsn::default()
    };
    let nothing = match (insn.module(design), &insn.body) {
        (_, Body::Finish) => None,
        (Module::Load, Body::Load(mem)) => Some(Body::Load(sync(mem.memory_type))),
        (Module::Store, _) => Some(Body::Store(sync(4))),
        (_, _) => Some(Body::Load(sync(0))),
    };
    let nothing = nothing.map(|body| Insn { body, ..plain });
    let unfeatured = match plain.body {
        Body::Load(mem) => Some(Body::Load(MemInsn {
            pad_value: 0,
            ..mem
        })),
        Body::Store(mem) => Some(Body::Store(MemInsn {
            pad_value: 0,
            requant: false,
            entry: 0,
            ..mem
        })),
        _ => None,
    };
    let unfeatured = unfeatured.map(|body| Insn { body, ..plain });
    nothing
        .into_iter()
        .chain([plain])
        .chain(unfeatured)
        .collect()
}

/// The numbers of an instruction that may be made smaller, each with the least it should be.
fn numbers(body: &mut Body) -> Box<dyn Iterator<Item = (&mut u32, u32)> + '_> {
    match body {
        Body::Load(mem) | Body::Store(mem) => {
            let least = mem.x_size.min(1);
            Box::new(
                [
                    (&mut mem.y_size, 0),
                    (&mut mem.x_size, least),
                    (&mut mem.y_pad_0, 0),
                    (&mut mem.y_pad_1, 0),
                    (&mut mem.x_pad_0, 0),
                    (&mut mem.x_pad_1, 0),
                    (&mut mem.x_stride, 0),
                    (&mut mem.sram_base, 0),
                    (&mut mem.entry, 0),
                ]
                .into_iter(),
            )
        }
        Body::Gemm(gemm) => {
            let begin = gemm.uop_begin;
            Box::new(
                [
                    (&mut gemm.uop_end, begin),
                    (&mut gemm.iter_out, 0),
                    (&mut gemm.iter_in, 0),
                    (&mut gemm.dst_factor_out, 0),
                    (&mut gemm.dst_factor_in, 0),
                    (&mut gemm.src_factor_out, 0),
                    (&mut gemm.src_factor_in, 0),
                    (&mut gemm.wgt_factor_out, 0),
                    (&mut gemm.wgt_factor_in, 0),
                ]
                .into_iter(),
            )
        }
        Body::Alu(alu) => {
            let begin = alu.uop_begin;
            Box::new(
                [
                    (&mut alu.uop_end, begin),
                    (&mut alu.iter_out, 0),
                    (&mut alu.iter_in, 0),
                    (&mut alu.dst_factor_out, 0),
                    (&mut alu.dst_factor_in, 0),
                    (&mut alu.src_factor_out, 0),
                    (&mut alu.src_factor_in, 0),
                ]
                .into_iter(),
            )
        }
        Body::Finish => Box::new(std::iter::empty()),
    }
}

/// The instructions but for a range, and but for the other ends of the tokens in it.
fn without(design: &Design, insns: &[Insn], start: usize, end: usize) -> Vec<Insn> {
    let mut rest = insns.to_vec();
    let left_out = |at: usize| (start..end).contains(&at);
    for queue in TokenQueue::ALL {
        for (push, pop) in tokens(design, insns, queue) {
            if left_out(push) || left_out(pop) {
                set_push(&mut rest[push].deps, queue, false);
                set_pop(&mut rest[pop].deps, queue, false);
            }
        }
    }
    rest.drain(start..end);
    rest
}

/// Positions of the push and the pop of each token of a queue.
fn tokens(design: &Design, insns: &[Insn], queue: TokenQueue) -> Vec<(usize, usize)> {
    let at = |end: &dyn Fn(&Insn) -> bool| -> Vec<usize> {
        let positions = insns.iter().enumerate();
        positions
            .filter(|(_, insn)| end(insn))
            .map(|(at, _)| at)
            .collect()
    };
    let push = at(&|insn| pushes(insn.module(design), insn.deps).any(|q| q == queue));
    let pop = at(&|insn| pops(insn.module(design), insn.deps).any(|q| q == queue));
    push.into_iter().zip(pop).collect()
}

fn set_push(deps: &mut Deps, queue: TokenQueue, push: bool) {
    match queue {
        TokenQueue::LoadToCompute | TokenQueue::ComputeToStore => deps.push_next = push,
        TokenQueue::ComputeToLoad | TokenQueue::StoreToCompute => deps.push_prev = push,
    }
}

fn set_pop(deps: &mut Deps, queue: TokenQueue, pop: bool) {
    match queue {
        TokenQueue::LoadToCompute | TokenQueue::ComputeToStore => deps.pop_prev = pop,
        TokenQueue::ComputeToLoad | TokenQueue::StoreToCompute => deps.pop_next = pop,
    }
}

fn decode(design: &Design, stream: &[u8]) -> Vec<Insn> {
    let words = stream.chunks_exact(INSN_BYTES);
    let insn = |bytes: &[u8]| Insn::decode(design, bytes.try_into().ok()?).ok();
    words.filter_map(insn).collect()
}

fn encode(design: &Design, insns: &[Insn]) -> Option<Vec<u8>> {
    let words = insns.iter().map(|insn| insn.encode(design).ok());
    Some(words.collect::<Option<Vec<_>>>()?.concat())
}
