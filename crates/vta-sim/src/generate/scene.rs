//! Pieces of a program: its beginning, and what takes hundreds of instructions or cycles, as queues that
//! fill and the longest loop.

use rand::Rng;
use vta_isa::{AluInsn, AluOp, Body, Deps, GemmInsn, MemInsn, MemType, Module, PAGE_BYTES};

use super::writer::Writer;
use crate::tokens::{MODULES, TokenQueue};

/// Queues deeper than this are not filled.
const DEEPEST: u32 = 1024;
/// Bytes of a memory that are loaded at the beginning, but for one element.
const MOST_PRELOADED: u64 = 2 * PAGE_BYTES as u64;

impl Writer<'_> {
    /// Loads the start of each memory: most of what would be computed otherwise is zeros.
    pub(super) fn preload(&mut self) {
        let table = self.design.has_memory(MemType::Rqt).then_some(MemType::Rqt);
        let memories = [MemType::Uop, MemType::Inp, MemType::Wgt, MemType::Acc];
        for memory in memories.into_iter().chain(table) {
            let elem = self.design.elem_bytes(memory) as u64;
            let (from, to) = self.area(memory);
            let room = ((to - from).min(MOST_PRELOADED) / elem).max(1) as u32;
            let load = Body::Load(MemInsn {
                memory_type: memory.code(),
                dram_base: (from / elem) as u32,
                y_size: 1,
                x_size: room.min(self.design.depth(memory)).min(32),
                x_stride: 1,
                ..MemInsn::default()
            });
            self.write(load)
                .expect("the start of a memory, from the start of its area");
        }
    }

    /// Fills a queue, or runs a long loop.
    pub(super) fn scene(&mut self) {
        let config = self.design.config();
        let (commands, tokens) = (config.cmd_queue_depth, config.dep_queue_depth);
        match self.rng.random_range(0..12) {
            0 | 1 => {
                let longest = self.design.max_iter();
                self.busy(longest);
            }
            2..=6 if commands <= DEEPEST => self.fill_commands(commands),
            _ if tokens <= DEEPEST => self.fill_tokens(tokens, commands),
            _ => {}
        }
    }

    /// Instructions queue up behind one of their module that waits for a busy compute.
    fn fill_commands(&mut self, depth: u32) {
        let module = MODULES[self.rng.random_range(0..3)];
        // A slow memory takes some six cycles an instruction.
        self.busy(6 * depth + 200);
        if let Some(queue) = TokenQueue::between(Module::Compute, module) {
            if !self.push_from_last(Module::Compute, module) {
                self.push(Module::Compute, queue);
            }
            self.drain(module, queue);
        }
        for _ in 0..depth + self.rng.random_range(1..8) {
            self.sync(module, Deps::default());
        }
    }

    /// More tokens are pushed than the queue takes, then all are popped. The last pushes wait in their
    /// command queue, which has to hold them, or fetch would not come to the pops.
    fn fill_tokens(&mut self, depth: u32, commands: u32) {
        let (from, to) = [
            (Module::Load, Module::Compute),
            (Module::Compute, Module::Load),
            (Module::Compute, Module::Store),
            (Module::Store, Module::Compute),
        ][self.rng.random_range(0..4)];
        let Some(queue) = TokenQueue::between(from, to) else {
            return;
        };
        let room = (depth as usize).saturating_sub(self.tokens(queue)) as u32;
        for _ in 0..room + self.rng.random_range(1..=commands.min(8)) {
            self.push(from, queue);
        }
        self.drain(to, queue);
    }

    /// Keeps compute busy for at least so many cycles, by two loops of a micro-op without factors.
    fn busy(&mut self, cycles: u32) {
        let longest = self.design.max_iter();
        let (iter_in, iter_out) = (cycles.min(longest), cycles.div_ceil(longest));
        let uop = self
            .rng
            .random_range(0..self.design.depth(MemType::Uop).min(48));
        let body = match AluOp::ALL.iter().find(|&&op| self.design.has_alu(op)) {
            Some(op) if self.rng.random() => Body::Alu(AluInsn {
                uop_begin: uop,
                uop_end: uop + 1,
                iter_out,
                iter_in,
                alu_opcode: op.code(),
                use_imm: true,
                imm: self.rng.random_range(-3..=3),
                ..AluInsn::default()
            }),
            _ => Body::Gemm(GemmInsn {
                reset: self.rng.random(),
                uop_begin: uop,
                uop_end: uop + 1,
                iter_out,
                iter_in,
                ..GemmInsn::default()
            }),
        };
        self.write(body)
            .expect("a micro-op without factors is in range");
    }
}
