//! Writes instructions in order, with the tokens that this order needs.

use std::collections::VecDeque;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use vta_isa::{
    Body, Deps, Design, Feature, Insn, MemInsn, MemType, Module, PAGE_BYTES, UOP_BYTES, Uop,
};

use super::{Program, draw};
use crate::access::{Action, Transfer};
use crate::dram::Dram;
use crate::shadow::Shadow;
use crate::tokens::{Clock, MODULES, TokenQueue, join, slot};

pub(super) struct Writer<'a> {
    pub(super) design: &'a Design,
    pub(super) rng: ChaCha8Rng,
    pub(super) dram: Dram,
    /// Where the micro-ops begin; nothing is stored from here on.
    pub(super) uop_area: u64,
    pub(super) uops: Vec<Uop>,
    /// How likely an instruction pushes or pops a token that orders nothing.
    idle_tokens: f64,
    shadow: Shadow,
    insns: Vec<Insn>,
    clocks: [Clock; 3],
    tokens: [VecDeque<Clock>; 4],
    /// Position of the last instruction of each module, and of the last pop of each queue.
    last: [Option<usize>; 3],
    last_pop: [Option<usize>; 4],
}

impl<'a> Writer<'a> {
    pub(super) fn new(design: &'a Design, mut rng: ChaCha8Rng) -> Writer<'a> {
        let largest = design
            .memories()
            .map(|memory| design.elem_bytes(memory))
            .max()
            .unwrap_or(1);
        let data = (24 * largest)
            .next_multiple_of(PAGE_BYTES)
            .max(4 * PAGE_BYTES);
        let mut bytes = vec![0; data + 2 * PAGE_BYTES];
        draw::values(&mut rng, &mut bytes[..data]);
        if design.has(Feature::RequantStore) {
            draw::records(design, &mut rng, &mut bytes[..draw::RECORDS]);
        }
        for words in bytes[data..].chunks_exact_mut(16 * UOP_BYTES) {
            draw::uops(design, &mut rng, words);
        }
        let dram = Dram::new(draw::base(design, &mut rng, bytes.len()), bytes);
        let mut shadow = Shadow::new(design, &dram);
        shadow.watch(dram.base, data);
        let idle_tokens = if rng.random_bool(0.2) { 0.5 } else { 0.05 };
        Writer {
            design,
            rng,
            uop_area: dram.base + data as u64,
            idle_tokens,
            uops: vec![Uop::default(); design.depth(MemType::Uop) as usize],
            shadow,
            dram,
            insns: Vec::new(),
            clocks: Default::default(),
            tokens: Default::default(),
            last: [None; 3],
            last_pop: [None; 4],
        }
    }

    /// One instruction that touches memory, with what orders it, and now and then a token more.
    pub(super) fn step(&mut self) {
        loop {
            let body = self.propose();
            if self.write(body).is_some() {
                break;
            }
        }
        for from in MODULES {
            for to in MODULES {
                if TokenQueue::between(from, to).is_some() && self.rng.random_bool(self.idle_tokens)
                {
                    self.push_from_last(from, to);
                }
            }
        }
    }

    /// Writes an instruction and what orders it; `None`, and nothing is written, if the program cannot
    /// have it.
    pub(super) fn write(&mut self, body: Body) -> Option<()> {
        let insn = Insn::new(Deps::default(), body);
        let action = Action::of(self.design, &insn).ok()?;
        action.check(self.design, &self.dram, &self.uops).ok()?;
        if matches!(&action, Action::Store(store) if self.reaches_uops(store)) {
            return None;
        }
        let module = insn.module(self.design);
        let mut needs = Clock::default();
        self.shadow.visit(&action, &self.uops, |stretch| {
            for (rival, counts) in stretch.rivals(module) {
                let latest = counts.iter().copied().max().unwrap_or(0);
                needs[slot(rival)] = needs[slot(rival)].max(latest);
            }
        });
        let mut deps = Deps::default();
        for other in MODULES {
            self.require(module, other, needs[slot(other)], &mut deps);
        }
        for other in MODULES {
            if let Some(queue) = TokenQueue::between(other, module) {
                if !*pop_flag(&mut deps, queue)
                    && !self.tokens[queue as usize].is_empty()
                    && self.rng.random_bool(self.idle_tokens)
                {
                    self.pop(module, queue, &mut deps);
                }
            }
        }
        self.emit(module, deps, body);
        let clock = self.clocks[slot(module)];
        self.shadow.visit(&action, &self.uops, |mut stretch| {
            stretch.enter(module, &clock)
        });
        if let Action::Load(transfer) = &action {
            if transfer.memory == MemType::Uop {
                transfer.load_uops(self.design, &self.dram, &mut self.uops);
            }
        }
        Some(())
    }

    fn reaches_uops(&self, store: &Transfer) -> bool {
        store.rows > 0 && store.addr(store.rows - 1) + store.row_bytes as u64 > self.uop_area
    }

    /// Orders `module`'s next instruction after the `count`-th of `other`, by tokens popped before or by it.
    fn require(&mut self, module: Module, other: Module, count: u32, deps: &mut Deps) {
        if self.clocks[slot(module)][slot(other)] >= count {
            return;
        }
        let Some(queue) = TokenQueue::between(other, module) else {
            let mut through = Deps::default();
            self.require(Module::Compute, other, count, &mut through);
            self.sync(Module::Compute, through);
            return self.require(module, Module::Compute, self.clocks[1][1], deps);
        };
        while self.clocks[slot(module)][slot(other)] < count {
            if self.tokens[queue as usize].is_empty() {
                // A pop that is still to be written has not made room yet.
                if *pop_flag(deps, queue) {
                    self.sync(module, std::mem::take(deps));
                }
                if !self.push_from_last(other, module) {
                    self.push(other, queue);
                }
            }
            self.pop(module, queue, deps);
        }
    }

    /// Pushes a token by an instruction of its own.
    pub(super) fn push(&mut self, from: Module, queue: TokenQueue) {
        let mut deps = Deps::default();
        *push_flag(&mut deps, queue) = true;
        self.sync(from, deps);
    }

    /// Lets the next instruction of `module`, whose tokens so far are `deps`, pop a token that is there.
    fn pop(&mut self, module: Module, queue: TokenQueue, deps: &mut Deps) {
        if *pop_flag(deps, queue) {
            self.sync(module, std::mem::take(deps));
        }
        if let Some(token) = self.tokens[queue as usize].pop_front() {
            *pop_flag(deps, queue) = true;
            join(&mut self.clocks[slot(module)], &token);
        }
    }

    /// Pops all tokens that are there, each by an instruction of its own.
    pub(super) fn drain(&mut self, module: Module, queue: TokenQueue) {
        while !self.tokens[queue as usize].is_empty() {
            let mut deps = Deps::default();
            self.pop(module, queue, &mut deps);
            self.sync(module, deps);
        }
    }

    /// Tokens in a queue.
    pub(super) fn tokens(&self, queue: TokenQueue) -> usize {
        self.tokens[queue as usize].len()
    }

    /// Lets the last instruction of `from` push a token to `to`, if it does not yet and there was room for it.
    pub(super) fn push_from_last(&mut self, from: Module, to: Module) -> bool {
        let (Some(queue), Some(last)) = (TokenQueue::between(from, to), self.last[slot(from)])
        else {
            return false;
        };
        let room =
            self.tokens[queue as usize].len() < self.design.config().dep_queue_depth as usize;
        let popped_since = self.last_pop[queue as usize].is_some_and(|pop| pop > last);
        let flag = push_flag(&mut self.insns[last].deps, queue);
        if *flag || !room || popped_since {
            return false;
        }
        *flag = true;
        self.tokens[queue as usize].push_back(self.clocks[slot(from)]);
        true
    }

    fn emit(&mut self, module: Module, mut deps: Deps, body: Body) {
        let position = self.insns.len();
        let clock = &mut self.clocks[slot(module)];
        clock[slot(module)] += 1;
        for from in MODULES {
            for to in MODULES {
                let Some(queue) = TokenQueue::between(from, to) else {
                    continue;
                };
                if to == module && *pop_flag(&mut deps, queue) {
                    self.last_pop[queue as usize] = Some(position);
                }
                if from == module && *push_flag(&mut deps, queue) {
                    self.tokens[queue as usize].push_back(*clock);
                }
            }
        }
        self.last[slot(module)] = Some(position);
        // Flags towards a module that does not exist, and bits that no field covers, mean nothing.
        let (pop, push) = (self.rng.random_bool(0.1), self.rng.random_bool(0.1));
        match module {
            Module::Load => (deps.pop_prev, deps.push_prev) = (pop, push),
            Module::Store => (deps.pop_next, deps.push_next) = (pop, push),
            Module::Compute => {}
        }
        let mut insn = Insn::new(deps, body);
        if self.rng.random_bool(0.1) {
            insn.rsv = self.rng.random::<u128>() & self.design.free_bits(body.opcode());
        }
        self.insns.push(insn);
    }

    /// An instruction that moves nothing, with fields that then have no meaning.
    pub(super) fn sync(&mut self, module: Module, deps: Deps) {
        let memories: &[u8] = match module {
            Module::Load if self.design.has_memory(MemType::Rqt) => &[1, 2, 6],
            Module::Load => &[1, 2],
            Module::Compute if self.design.has_memory(MemType::Rqt) => &[0, 3, 4, 5, 7],
            Module::Compute => &[0, 3, 4, 5, 6, 7],
            Module::Store => &[0, 1, 2, 3, 4, 5, 6, 7],
        };
        let mut mem = MemInsn {
            memory_type: memories[self.rng.random_range(0..memories.len())],
            sram_base: self.rng.random_range(0..=self.design.max_sram_base()),
            dram_base: self.rng.random(),
            y_size: self.rng.random_range(0..1 << 16),
            x_size: 0,
            x_stride: self.rng.random_range(0..1 << 16),
            y_pad_0: self.rng.random_range(0..16),
            y_pad_1: self.rng.random_range(0..16),
            x_pad_0: self.rng.random_range(0..16),
            x_pad_1: self.rng.random_range(0..16),
            ..MemInsn::default()
        };
        if module == Module::Store && self.design.has(Feature::RequantStore) {
            mem = MemInsn {
                requant: self.rng.random(),
                entry: self.rng.random_range(0..1 << 15),
                ..draw::unpadded(mem)
            };
        }
        self.draw_pad_value(&mut mem);
        let body = if module == Module::Store {
            Body::Store(mem)
        } else {
            Body::Load(mem)
        };
        self.emit(module, deps, body);
    }

    /// Drains the queues and ends the program after everything else.
    pub(super) fn finish(mut self) -> Program {
        self.drain(Module::Load, TokenQueue::ComputeToLoad);
        self.drain(Module::Store, TokenQueue::ComputeToStore);
        let mut deps = Deps::default();
        for other in [Module::Load, Module::Store] {
            let all = self.clocks[slot(other)][slot(other)];
            self.require(Module::Compute, other, all, &mut deps);
        }
        for queue in [TokenQueue::LoadToCompute, TokenQueue::StoreToCompute] {
            while self.tokens(queue) > 0 {
                self.pop(Module::Compute, queue, &mut deps);
            }
        }
        self.emit(Module::Compute, deps, Body::Finish);
        let encode = |insn: &Insn| {
            insn.encode(self.design)
                .expect("the fields were drawn from their ranges")
        };
        Program {
            insns: self.insns.iter().flat_map(encode).collect(),
            dram: self.dram,
        }
    }
}

/// The flag of the popping module's instruction.
fn pop_flag(deps: &mut Deps, queue: TokenQueue) -> &mut bool {
    match queue {
        TokenQueue::LoadToCompute | TokenQueue::ComputeToStore => &mut deps.pop_prev,
        TokenQueue::ComputeToLoad | TokenQueue::StoreToCompute => &mut deps.pop_next,
    }
}

/// The flag of the pushing module's instruction.
pub(super) fn push_flag(deps: &mut Deps, queue: TokenQueue) -> &mut bool {
    match queue {
        TokenQueue::LoadToCompute | TokenQueue::ComputeToStore => &mut deps.push_next,
        TokenQueue::ComputeToLoad | TokenQueue::StoreToCompute => &mut deps.push_prev,
    }
}
