//! Random programs that are correct by construction.
//!
//! The generator writes a program in an order in which it could run one instruction after the other, and keeps
//! the checker's books while it does: where the next instruction touches what another module's may still be
//! using, it pushes and pops the tokens that order them, through compute where load and store meet in DRAM.
//! It adds tokens that order nothing new, too, as far as the token queues have room. Since the program could
//! run as it is written, it deadlocks in no order.

use std::collections::VecDeque;
use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::{
    AluInsn, AluOp, Body, Deps, Design, GemmInsn, Insn, MemInsn, MemType, Module, PAGE_BYTES,
    UOP_BYTES, Uop,
};

use crate::access::{Action, Transfer, index, plan};
use crate::dram::Dram;
use crate::fault::Operand;

use crate::shadow::Shadow;
use crate::tokens::{Clock, MODULES, TokenQueue, join, slot};

/// A stream and the image that it runs on.
#[derive(Clone, Debug)]
pub struct Program {
    /// The image before the run.
    pub dram: Dram,
    /// The raw stream.
    pub insns: Vec<u8>,
}

/// Physical address of the image of a generated program.
const BASE: u64 = 0x1000;

/// A program of at least `insns` instructions that touch memory, and those that order them. The same arguments
/// give the same program.
pub fn generate(design: &Design, seed: u64, insns: usize) -> Program {
    let mut writer = Writer::new(design, ChaCha8Rng::seed_from_u64(seed));
    for _ in 0..insns {
        writer.step();
    }
    writer.finish()
}

struct Writer<'a> {
    design: &'a Design,
    rng: ChaCha8Rng,
    dram: Dram,
    /// Where the micro-ops begin; nothing is stored from here on.
    uop_area: u64,
    uops: Vec<Uop>,
    shadow: Shadow,
    insns: Vec<Insn>,
    clocks: [Clock; 3],
    tokens: [VecDeque<Clock>; 4],
    /// Position of the last instruction of each module, and of the last pop of each queue.
    last: [Option<usize>; 3],
    last_pop: [Option<usize>; 4],
}

impl<'a> Writer<'a> {
    fn new(design: &'a Design, mut rng: ChaCha8Rng) -> Writer<'a> {
        let largest = MemType::ALL
            .iter()
            .map(|&memory| design.elem_bytes(memory))
            .max()
            .unwrap_or(1);
        let data = (24 * largest)
            .next_multiple_of(PAGE_BYTES)
            .max(4 * PAGE_BYTES);
        let mut bytes = vec![0; data + PAGE_BYTES];
        rng.fill(&mut bytes[..data]);
        for word in bytes[data..].chunks_exact_mut(UOP_BYTES) {
            word.copy_from_slice(&random_uop(design, &mut rng).to_le_bytes());
        }
        let dram = Dram::new(BASE, bytes);
        let mut shadow = Shadow::new(design, &dram);
        shadow.watch(BASE, data);
        Writer {
            design,
            rng,
            uop_area: BASE + data as u64,
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

    /// One instruction that touches memory, with what orders it.
    fn step(&mut self) {
        let (insn, action) = loop {
            let insn = Insn::new(Deps::default(), self.propose());
            match plan(self.design, &insn, &self.dram, &self.uops) {
                Ok(Action::Store(store)) if self.reaches_uops(&store) => {}
                Ok(action) => break (insn, action),
                Err(_) => {}
            }
        };
        let module = insn.module();
        let mut needs = Clock::default();
        self.shadow.visit(&action, &self.uops, |touch| {
            for (rival, count) in touch.rivals(module) {
                needs[slot(rival)] = needs[slot(rival)].max(count);
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
                    && self.rng.random_bool(0.1)
                {
                    self.pop(module, queue, &mut deps);
                }
            }
        }
        self.emit(module, Insn { deps, ..insn });
        let clock = self.clocks[slot(module)];
        self.shadow
            .visit(&action, &self.uops, |mut touch| touch.enter(module, &clock));
        if let Action::Load(transfer) = &action {
            if transfer.memory == MemType::Uop {
                transfer.load_uops(self.design, &self.dram, &mut self.uops);
            }
        }
        for other in MODULES {
            if TokenQueue::between(module, other).is_some() && self.rng.random_bool(0.1) {
                self.push_from_last(module, other);
            }
        }
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
            self.emit_sync(Module::Compute, through);
            return self.require(module, Module::Compute, self.clocks[1][1], deps);
        };
        while self.clocks[slot(module)][slot(other)] < count {
            if self.tokens[queue as usize].is_empty() && !self.push_from_last(other, module) {
                let mut push = Deps::default();
                *push_flag(&mut push, queue) = true;
                self.emit_sync(other, push);
            }
            self.pop(module, queue, deps);
        }
    }

    /// Lets the next instruction of `module`, whose tokens so far are `deps`, pop a token that is there.
    fn pop(&mut self, module: Module, queue: TokenQueue, deps: &mut Deps) {
        if *pop_flag(deps, queue) {
            self.emit_sync(module, std::mem::take(deps));
        }
        if let Some(token) = self.tokens[queue as usize].pop_front() {
            *pop_flag(deps, queue) = true;
            join(&mut self.clocks[slot(module)], &token);
        }
    }

    /// Lets the last instruction of `from` push a token to `to`, if it does not yet and there was room for it.
    fn push_from_last(&mut self, from: Module, to: Module) -> bool {
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

    fn emit(&mut self, module: Module, insn: Insn) {
        let position = self.insns.len();
        let clock = &mut self.clocks[slot(module)];
        clock[slot(module)] += 1;
        let mut deps = insn.deps;
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
        self.insns.push(insn);
    }

    /// An instruction that moves nothing, with fields that then have no meaning.
    fn emit_sync(&mut self, module: Module, deps: Deps) {
        let memories: &[u8] = match module {
            Module::Load => &[1, 2],
            Module::Compute => &[0, 3, 4, 5, 6, 7],
            Module::Store => &[0, 1, 2, 3, 4, 5, 6, 7],
        };
        let mem = MemInsn {
            memory_type: memories[self.rng.random_range(0..memories.len())],
            sram_base: self.rng.random_range(0..1 << 16),
            dram_base: self.rng.random(),
            y_size: self.rng.random_range(0..1 << 16),
            x_size: 0,
            x_stride: self.rng.random_range(0..1 << 16),
            y_pad_0: self.rng.random_range(0..16),
            y_pad_1: self.rng.random_range(0..16),
            x_pad_0: self.rng.random_range(0..16),
            x_pad_1: self.rng.random_range(0..16),
        };
        let body = if module == Module::Store {
            Body::Store(mem)
        } else {
            Body::Load(mem)
        };
        self.emit(module, Insn::new(deps, body));
    }

    fn finish(mut self) -> Program {
        for (module, queue) in [
            (Module::Load, TokenQueue::ComputeToLoad),
            (Module::Store, TokenQueue::ComputeToStore),
        ] {
            while !self.tokens[queue as usize].is_empty() {
                let mut deps = Deps::default();
                self.pop(module, queue, &mut deps);
                self.emit_sync(module, deps);
            }
        }
        let mut deps = Deps::default();
        for other in [Module::Load, Module::Store] {
            let all = self.clocks[slot(other)][slot(other)];
            self.require(Module::Compute, other, all, &mut deps);
        }
        for queue in [TokenQueue::LoadToCompute, TokenQueue::StoreToCompute] {
            while !self.tokens[queue as usize].is_empty() {
                self.pop(Module::Compute, queue, &mut deps);
            }
        }
        self.emit(Module::Compute, Insn::new(deps, Body::Finish));
        let encode = |insn: &Insn| {
            insn.encode(self.design)
                .expect("the fields were drawn from their ranges")
        };
        Program {
            insns: self.insns.iter().flat_map(encode).collect(),
            dram: self.dram,
        }
    }

    fn propose(&mut self) -> Body {
        match self.rng.random_range(0..14) {
            0 | 1 => self.load(MemType::Inp),
            2 => self.load(MemType::Wgt),
            3 => self.load(MemType::Acc),
            4 if self.design.has_acc8() => self.load(MemType::Acc8),
            4 | 5 => self.load(MemType::Uop),
            6..=8 => self.gemm(),
            9 | 10 => self.alu(),
            _ => Body::Store(self.transfer(MemType::Out)),
        }
    }

    fn load(&mut self, memory: MemType) -> Body {
        let mut mem = self.transfer(memory);
        if self.rng.random_bool(0.3) {
            let most = if self.rng.random_bool(0.1) {
                self.design.max_pad()
            } else {
                2
            };
            mem.y_pad_0 = self.rng.random_range(0..=most);
            mem.y_pad_1 = self.rng.random_range(0..=most);
            mem.x_pad_0 = self.rng.random_range(0..=most);
            mem.x_pad_1 = self.rng.random_range(0..=most);
        }
        Body::Load(mem)
    }

    /// A transfer without padding, mostly of few elements and near the start of the scratchpad, so that
    /// instructions meet.
    fn transfer(&mut self, memory: MemType) -> MemInsn {
        let elem = self.design.elem_bytes(memory) as u64;
        let depth = self.design.depth(memory);
        let near = depth
            .min(if self.rng.random_bool(0.1) {
                u32::MAX
            } else {
                48
            })
            .min(1 << 16);
        let (from, to) = if memory == MemType::Uop {
            (self.uop_area, self.dram.end())
        } else {
            (BASE, self.uop_area)
        };
        let sizes = if self.rng.random_bool(0.1) { 24 } else { 5 };
        MemInsn {
            memory_type: memory.code(),
            sram_base: self.rng.random_range(0..near),
            dram_base: self.rng.random_range(from.div_ceil(elem)..to / elem) as u32,
            y_size: self.rng.random_range(0..sizes),
            x_size: self.rng.random_range(1..=sizes),
            x_stride: self.rng.random_range(0..12),
            ..MemInsn::default()
        }
    }

    fn gemm(&mut self) -> Body {
        let nest = self.nest();
        let design = self.design;
        let [dst_factor_out, dst_factor_in] =
            self.factors(&nest, Operand::Dst, MemType::Acc, design.max_factor_dst());
        let [src_factor_out, src_factor_in] =
            self.factors(&nest, Operand::Src, MemType::Inp, design.max_factor_src());
        let [wgt_factor_out, wgt_factor_in] =
            self.factors(&nest, Operand::Wgt, MemType::Wgt, design.max_factor_wgt());
        Body::Gemm(GemmInsn {
            reset: self.rng.random_bool(0.2),
            uop_begin: nest.uops.start,
            uop_end: nest.uops.end,
            iter_out: nest.iter[0],
            iter_in: nest.iter[1],
            dst_factor_out,
            dst_factor_in,
            src_factor_out,
            src_factor_in,
            wgt_factor_out,
            wgt_factor_in,
        })
    }

    fn alu(&mut self) -> Body {
        let nest = self.nest();
        let design = self.design;
        let [dst_factor_out, dst_factor_in] =
            self.factors(&nest, Operand::Dst, MemType::Acc, design.max_factor_dst());
        let [src_factor_out, src_factor_in] = self.factors(
            &nest,
            Operand::Src,
            MemType::Acc,
            design.max_factor_alu_src(),
        );
        let (low, high) = design.imm_range();
        Body::Alu(AluInsn {
            reset: self.rng.random(),
            uop_begin: nest.uops.start,
            uop_end: nest.uops.end,
            iter_out: nest.iter[0],
            iter_in: nest.iter[1],
            dst_factor_out,
            dst_factor_in,
            src_factor_out,
            src_factor_in,
            alu_opcode: self.rng.random_range(0..AluOp::ALL.len()) as u8,
            use_imm: self.rng.random(),
            imm: if self.rng.random() {
                self.rng.random_range(-40..=40)
            } else {
                self.rng.random_range(low..=high)
            },
        })
    }

    fn nest(&mut self) -> Nest {
        let depth = self.uops.len() as u32;
        let begin = self.rng.random_range(0..depth.min(48));
        let longest = (depth - begin).min(8);
        let most = if self.rng.random_bool(0.05) { 40 } else { 4 };
        Nest {
            uops: begin..begin + self.rng.random_range(0..=longest),
            iter: [
                self.rng.random_range(0..=most),
                self.rng.random_range(0..=most),
            ],
        }
    }

    /// Factors that keep an operand in its memory.
    fn factors(
        &mut self,
        nest: &Nest,
        operand: Operand,
        memory: MemType,
        largest: u32,
    ) -> [u32; 2] {
        let range = &self.uops[nest.uops.start as usize..nest.uops.end as usize];
        let max = range
            .iter()
            .map(|uop| index(uop, operand))
            .max()
            .unwrap_or(0) as u32;
        let room = (self.design.depth(memory) - 1).saturating_sub(max);
        nest.iter.map(|n| {
            let most = (room / 2 / n.saturating_sub(1).max(1)).min(largest);
            let most = if self.rng.random_bool(0.1) {
                most
            } else {
                most.min(6)
            };
            self.rng.random_range(0..=most)
        })
    }
}

/// The loops of a GEMM or ALU.
struct Nest {
    uops: Range<u32>,
    iter: [u32; 2],
}

/// The word of a micro-op, mostly near the start of every scratchpad.
fn random_uop(design: &Design, rng: &mut ChaCha8Rng) -> u32 {
    let near = if rng.random_bool(0.05) { u32::MAX } else { 32 };
    let mut index = |memory| rng.random_range(0..design.depth(memory).min(near));
    let uop = Uop {
        dst: index(MemType::Acc),
        src: index(MemType::Inp).min(index(MemType::Acc)),
        wgt: index(MemType::Wgt),
    };
    uop.encode(design).expect("every index is below its depth")
}

/// The flag of the popping module's instruction.
fn pop_flag(deps: &mut Deps, queue: TokenQueue) -> &mut bool {
    match queue {
        TokenQueue::LoadToCompute | TokenQueue::ComputeToStore => &mut deps.pop_prev,
        TokenQueue::ComputeToLoad | TokenQueue::StoreToCompute => &mut deps.pop_next,
    }
}

/// The flag of the pushing module's instruction.
fn push_flag(deps: &mut Deps, queue: TokenQueue) -> &mut bool {
    match queue {
        TokenQueue::LoadToCompute | TokenQueue::ComputeToStore => &mut deps.push_next,
        TokenQueue::ComputeToLoad | TokenQueue::StoreToCompute => &mut deps.push_prev,
    }
}
