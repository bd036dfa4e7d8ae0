//! The command stream: transfers, micro-kernels and tokens become instructions.

use vta_isa::{
    AluInsn, AluOp, Body, Deps, Design, Feature, GemmInsn, GemmMode, INSN_BYTES, Insn, MemInsn,
    MemType, Module, UOP_BYTES, Uop,
};

use crate::StreamError;
use crate::kernel::{KernelId, KernelPool, PoolRange};
use crate::transfer::{self, Block2d, Pads};
use crate::uop_cache::{Residence, UopCache, UopCounters};

/// One of the two hardware loops: its trip count, and what each iteration adds to the indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loop {
    /// Trip count.
    pub extent: u32,
    /// Added to the accumulator index.
    pub dst: u32,
    /// Added to the index of the input (GEMM) or source accumulator (ALU).
    pub src: u32,
    /// Added to the weight index (GEMM).
    pub wgt: u32,
}

impl Loop {
    /// No loop.
    pub const ONCE: Loop = Loop {
        extent: 1,
        dst: 0,
        src: 0,
        wgt: 0,
    };

    /// The same loop; where nothing repeats, without factors, since these may be any then.
    fn normal(self) -> Loop {
        if self.extent > 1 {
            self
        } else {
            Loop {
                extent: self.extent,
                ..Loop::ONCE
            }
        }
    }
}

/// The second operand of an ALU operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A 16-bit constant. The micro-ops and loops should name the same source as destination:
    /// some hardware reads the first operand there.
    Imm(i32),
    /// The source accumulator of each micro-op.
    Acc,
}

/// The instructions of one run, ending with FINISH. DRAM addresses count from the start of the
/// arena, those of micro-ops from the start of the [`KernelPool`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The instructions.
    pub insns: Vec<Insn>,
}

impl Stream {
    /// The bytes of the stream, the kernel pool lying at byte `uop_base` of the arena.
    pub fn encode(&self, design: &Design, uop_base: u64) -> Result<Vec<u8>, StreamError> {
        if uop_base % UOP_BYTES as u64 != 0 {
            return Err(StreamError::UopBase(uop_base));
        }
        let shift = uop_base / UOP_BYTES as u64;
        let mut bytes = Vec::with_capacity(self.insns.len() * INSN_BYTES);
        for insn in &self.insns {
            let mut insn = *insn;
            if let Body::Load(mem) = &mut insn.body {
                if mem.mem() == Some(MemType::Uop) && !mem.is_sync() {
                    let elem = u64::from(mem.dram_base) + shift;
                    mem.dram_base = u32::try_from(elem).map_err(|_| {
                        let mem = MemType::Uop;
                        StreamError::Address { mem, elem }
                    })?;
                }
            }
            bytes.extend_from_slice(&insn.encode(design)?);
        }
        Ok(bytes)
    }
}

/// Tokens pushed to and popped from one queue.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    pushes: u64,
    pops: u64,
}

/// Builds streams for one design.
///
/// Calls append instructions in program order; [`CommandStream::dep_push`] and
/// [`CommandStream::dep_pop`] put tokens between the modules, riding on the instructions around
/// them where they can and on empty transfers where not. A micro-kernel is loaded on chip
/// before its first use, and again only if it had to make room; kernels interned behind it come with the same load
/// where there is free room. An error leaves the stream unfit for use.
///
/// ```
/// use vta_isa::{AluOp, Design, MemType, Module, Uop, asm};
/// use vta_program::{Block2d, CommandStream, Loop, Operand};
///
/// // Four vectors of 8-bit values, at least 0.
/// let design = Design::default();
/// let mut stream = CommandStream::new(&design);
/// stream.load_2d(MemType::Acc8, Block2d::run(0, 64, 4))?;
/// let kernel = stream.intern(&[Uop::default()])?;
/// let vectors = Loop { extent: 4, dst: 1, src: 1, wgt: 0 };
/// stream.alu(kernel, AluOp::Max, Operand::Imm(0), [Loop::ONCE, vectors])?;
/// stream.dep_push(Module::Compute, Module::Store)?;
/// stream.dep_pop(Module::Compute, Module::Store)?;
/// stream.store_2d(Block2d::run(0, 128, 4))?;
///
/// let uop_base = 4096;
/// let bytes = stream.finish()?.encode(&design, uop_base)?;
/// assert_eq!(
///     asm::disassemble(&design, &bytes)?,
///     "\
/// load.acc8 dram=0x40 y=1 x=4 stride=4
/// load.uop dram=0x400 y=1 x=1 stride=1
/// alu.max push_next uop=0,1 iter=1,4 dst=0,1 src=0,1 imm=0
/// store.out pop_prev push_prev dram=0x80 y=1 x=4 stride=4
/// load.uop pop_next
/// finish
/// "
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CommandStream {
    design: Design,
    pool: KernelPool,
    cache: UopCache,
    insns: Vec<Insn>,
    /// Pops that the next instruction of each module will carry.
    pending: [Deps; 3],
    /// The last instruction of each module.
    last: [Option<usize>; 3],
    /// By pushing module and direction (to the previous, to the next).
    tokens: [[Tokens; 2]; 3],
}

impl CommandStream {
    /// An empty stream, with an empty kernel pool, that uses the design's whole micro-op memory.
    pub fn new(design: &Design) -> Self {
        Self::with_uop_depth(design, design.depth(MemType::Uop))
    }

    /// The same, using only the first `uop_depth` micro-ops of the memory (some hardware has fewer
    /// than the design says).
    pub fn with_uop_depth(design: &Design, uop_depth: u32) -> Self {
        let depth = uop_depth.clamp(1, design.depth(MemType::Uop));
        CommandStream {
            design: design.clone(),
            pool: KernelPool::new(),
            cache: UopCache::new(depth),
            insns: Vec::new(),
            pending: [Deps::default(); 3],
            last: [None; 3],
            tokens: [[Tokens::default(); 2]; 3],
        }
    }

    /// The design.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// The kernels so far; their bytes belong into DRAM where [`Stream::encode`] says.
    pub fn uop_pool(&self) -> &KernelPool {
        &self.pool
    }

    /// What the micro-op cache did so far.
    pub fn uop_counters(&self) -> UopCounters {
        self.cache.counters
    }

    /// Instructions since the last [`CommandStream::finish`].
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The kernel of `signature` (any bytes that determine it); `build` is called the first time.
    pub fn kernel(
        &mut self,
        signature: &[u8],
        build: impl FnOnce() -> Vec<Uop>,
    ) -> Result<KernelId, StreamError> {
        Ok(self.pool.kernel(&self.design, signature, build)?)
    }

    /// The kernel of these micro-ops.
    pub fn intern(&mut self, uops: &[Uop]) -> Result<KernelId, StreamError> {
        Ok(self.pool.intern(&self.design, uops)?)
    }

    /// Loads a block into the scratchpad `mem` (inp, wgt, acc, or acc8 and rqt where
    /// the design has them), with its padding.
    ///
    /// A block that no single instruction can describe (padding of more than 15, rows further
    /// apart than 65,535 elements) is split into several; one without elements emits nothing.
    pub fn load_2d(&mut self, mem: MemType, block: Block2d) -> Result<(), StreamError> {
        let loads = match mem {
            MemType::Inp | MemType::Wgt | MemType::Acc => true,
            MemType::Acc8 | MemType::Rqt => self.design.has_memory(mem),
            MemType::Uop | MemType::Out => false,
        };
        if !loads {
            let what = "a load of data in this design";
            return Err(StreamError::Memory { what, mem });
        }
        if block.pads.value != 0 && !self.design.has(Feature::LoadPad) {
            return Err(StreamError::Feature(Feature::LoadPad));
        }
        for insn in transfer::split(&self.design, mem, &block)? {
            self.push(Body::Load(insn))?;
        }
        Ok(())
    }

    /// Stores a block of outputs (the low bits of accumulators); it must have no padding.
    /// Split as [`CommandStream::load_2d`] does.
    pub fn store_2d(&mut self, block: Block2d) -> Result<(), StreamError> {
        self.store(block, None)
    }

    /// Stores a block of outputs that are rescaled: column n of each element by the rescaling
    /// `entry * block_out + n` of the table. Otherwise as [`CommandStream::store_2d`].
    pub fn requant_2d(&mut self, block: Block2d, entry: u32) -> Result<(), StreamError> {
        if !self.design.has(Feature::RequantStore) {
            return Err(StreamError::Feature(Feature::RequantStore));
        }
        let entries = self.design.requant_entries();
        if entry >= entries {
            return Err(StreamError::RequantEntry { entry, entries });
        }
        self.store(block, Some(entry))
    }

    fn store(&mut self, block: Block2d, entry: Option<u32>) -> Result<(), StreamError> {
        let mem = MemType::Out;
        if block.pads != Pads::NONE {
            let what = "a store with padding";
            return Err(StreamError::Memory { what, mem });
        }
        if block.x_size == 0 || block.y_size == 0 {
            return Ok(());
        }
        for insn in transfer::split(&self.design, mem, &block)? {
            self.push(Body::Store(MemInsn {
                requant: entry.is_some(),
                entry: entry.unwrap_or(0),
                ..insn
            }))?;
        }
        Ok(())
    }

    /// Runs a kernel of matrix products inside `loops` (outer, inner). Nothing is emitted where
    /// nothing repeats.
    ///
    /// A kernel longer than the micro-op memory becomes several instructions: sums do not depend
    /// on their order. Where the last of several products overwrites the others they do, so that one
    /// that overwrites has to fit if it repeats.
    pub fn gemm(
        &mut self,
        kernel: KernelId,
        mode: GemmMode,
        loops: [Loop; 2],
    ) -> Result<(), StreamError> {
        let (reset, overwrite) = (mode == GemmMode::Reset, mode == GemmMode::Overwrite);
        if overwrite && !self.design.has(Feature::GemmOverwrite) {
            return Err(StreamError::Feature(Feature::GemmOverwrite));
        }
        let [outer, inner] = loops.map(Loop::normal);
        let (uops, depth) = (self.pool.range(kernel).len, self.cache.depth());
        let repeats = outer.extent > 1 || inner.extent > 1;
        if overwrite && uops > depth && repeats {
            return Err(StreamError::KernelTooLong { uops, depth });
        }
        self.for_each_part(kernel, outer, inner, |uop_begin, uop_end| {
            Body::Gemm(GemmInsn {
                reset,
                overwrite,
                uop_begin,
                uop_end,
                iter_out: outer.extent,
                iter_in: inner.extent,
                dst_factor_out: outer.dst,
                dst_factor_in: inner.dst,
                src_factor_out: outer.src,
                src_factor_in: inner.src,
                wgt_factor_out: outer.wgt,
                wgt_factor_in: inner.wgt,
            })
        })
    }

    /// Runs a kernel of elementwise operations inside `loops` (outer, inner).
    ///
    /// A kernel longer than the micro-op memory becomes several instructions where the order of
    /// micro-ops stays the same or does not matter: without loops, or with an immediate operand.
    pub fn alu(
        &mut self,
        kernel: KernelId,
        op: AluOp,
        operand: Operand,
        loops: [Loop; 2],
    ) -> Result<(), StreamError> {
        let [outer, inner] = loops.map(Loop::normal);
        let uops = self.pool.range(kernel).len;
        let depth = self.cache.depth();
        let repeats = outer.extent > 1 || inner.extent > 1;
        if uops > depth && repeats && operand == Operand::Acc {
            return Err(StreamError::KernelTooLong { uops, depth });
        }
        let (use_imm, imm) = match operand {
            Operand::Imm(imm) => (true, imm),
            Operand::Acc => (false, 0),
        };
        self.for_each_part(kernel, outer, inner, |uop_begin, uop_end| {
            Body::Alu(AluInsn {
                reset: false,
                uop_begin,
                uop_end,
                iter_out: outer.extent,
                iter_in: inner.extent,
                dst_factor_out: outer.dst,
                dst_factor_in: inner.dst,
                src_factor_out: outer.src,
                src_factor_in: inner.src,
                alu_opcode: op.code(),
                use_imm,
                imm,
            })
        })
    }

    /// Brings each part of a kernel that fits the micro-op memory on chip and runs it.
    fn for_each_part(
        &mut self,
        kernel: KernelId,
        outer: Loop,
        inner: Loop,
        body: impl Fn(u32, u32) -> Body,
    ) -> Result<(), StreamError> {
        if outer.extent == 0 || inner.extent == 0 {
            return Ok(());
        }
        let PoolRange { mut start, mut len } = self.pool.range(kernel);
        while len > 0 {
            let part = PoolRange {
                start,
                len: len.min(self.cache.depth()),
            };
            let Residence { base, load } = self.cache.place(part, self.pool.behind(kernel));
            if load > 0 {
                self.load_uops(base, PoolRange { start, len: load })?;
            }
            self.push(body(base, base + part.len))?;
            start += part.len;
            len -= part.len;
        }
        Ok(())
    }

    /// Loads micro-ops. Pending pops stay for the instruction that needs them: micro-ops are
    /// constant and on compute alone, so that their load need not wait for anyone.
    fn load_uops(&mut self, base: u32, part: PoolRange) -> Result<(), StreamError> {
        let block = Block2d::run(base, part.start.into(), part.len);
        for insn in transfer::split(&self.design, MemType::Uop, &block)? {
            self.emit(Deps::default(), Body::Load(insn))?;
        }
        Ok(())
    }

    /// `from` gives a token to `to` when all that it was told so far is done.
    pub fn dep_push(&mut self, from: Module, to: Module) -> Result<(), StreamError> {
        let next = towards_next(from, to)?;
        self.tokens[from as usize][usize::from(next)].pushes += 1;
        let has_pops = self.pending[from as usize] != Deps::default();
        let carrier = self.last[from as usize].filter(|&i| {
            let deps = &self.insns[i].deps;
            !has_pops && !(if next { deps.push_next } else { deps.push_prev })
        });
        let carrier = match carrier {
            Some(i) => i,
            None => self.carrier(from)?,
        };
        let deps = &mut self.insns[carrier].deps;
        *(if next {
            &mut deps.push_next
        } else {
            &mut deps.push_prev
        }) = true;
        Ok(())
    }

    /// What `to` is told from here on waits for a token from `from`.
    pub fn dep_pop(&mut self, from: Module, to: Module) -> Result<(), StreamError> {
        let next = towards_next(from, to)?;
        self.tokens[from as usize][usize::from(next)].pops += 1;
        let flag = |deps: &mut Deps| -> bool {
            // Seen from `to`, a token sent towards the next module comes from the previous one.
            let flag = if next {
                &mut deps.pop_prev
            } else {
                &mut deps.pop_next
            };
            std::mem::replace(flag, true)
        };
        if flag(&mut self.pending[to as usize]) {
            self.sync(to)?;
            flag(&mut self.pending[to as usize]);
        }
        Ok(())
    }

    /// Emits an instruction of `module` that does nothing but carry tokens.
    pub fn sync(&mut self, module: Module) -> Result<(), StreamError> {
        self.carrier(module).map(|_| ())
    }

    /// Ends the stream: every token still in a queue is popped, FINISH waits for all modules.
    ///
    /// The next stream starts with empty scratchpads, so that its kernels are loaded anew; the pool
    /// of kernels stays.
    pub fn finish(&mut self) -> Result<Stream, StreamError> {
        for module in [Module::Load, Module::Store] {
            self.drain(Module::Compute, module)?;
        }
        for module in [Module::Load, Module::Store] {
            if self.pending[module as usize] != Deps::default() || !self.is_awaited(module) {
                self.dep_push(module, Module::Compute)?;
            }
            self.drain(module, Module::Compute)?;
        }
        if self.pending[Module::Compute as usize] != Deps::default() {
            // Existing hardware does not pop tokens for FINISH.
            self.sync(Module::Compute)?;
        }
        self.emit(Deps::default(), Body::Finish)?;
        self.cache.clear();
        self.last = [None; 3];
        self.tokens = Default::default();
        let insns = std::mem::take(&mut self.insns);
        Ok(Stream { insns })
    }

    /// Whether `module` has told compute of the end of its last instruction.
    fn is_awaited(&self, module: Module) -> bool {
        self.last[module as usize].is_none_or(|i| {
            let deps = &self.insns[i].deps;
            if module == Module::Load {
                deps.push_next
            } else {
                deps.push_prev
            }
        })
    }

    /// Pops what is left in a queue.
    fn drain(&mut self, from: Module, to: Module) -> Result<(), StreamError> {
        let next = towards_next(from, to)?;
        let Tokens { pushes, pops } = self.tokens[from as usize][usize::from(next)];
        if pops > pushes {
            return Err(StreamError::Unmatched {
                from,
                to,
                pops,
                pushes,
            });
        }
        (pops..pushes).try_for_each(|_| self.dep_pop(from, to))
    }

    /// Emits an instruction that only carries tokens; gives its index.
    fn carrier(&mut self, module: Module) -> Result<usize, StreamError> {
        let mem = |mem: MemType| MemInsn {
            memory_type: mem.code(),
            ..MemInsn::default()
        };
        self.push(match module {
            Module::Load => Body::Load(mem(MemType::Inp)),
            Module::Compute => Body::Load(mem(MemType::Uop)),
            Module::Store => Body::Store(mem(MemType::Out)),
        })
    }

    /// Appends an instruction that carries its module's pending pops; gives its index.
    fn push(&mut self, body: Body) -> Result<usize, StreamError> {
        let module = Insn::new(Deps::default(), body).module(&self.design);
        let deps = std::mem::take(&mut self.pending[module as usize]);
        self.emit(deps, body)
    }

    fn emit(&mut self, deps: Deps, body: Body) -> Result<usize, StreamError> {
        let insn = Insn::new(deps, body);
        // Encoded here so that a value that does not fit is reported where it comes from.
        insn.encode(&self.design)?;
        let index = self.insns.len();
        self.last[insn.module(&self.design) as usize] = Some(index);
        self.insns.push(insn);
        Ok(index)
    }
}

/// Whether the queue from `from` to `to` leads towards the next module (load, compute, store).
fn towards_next(from: Module, to: Module) -> Result<bool, StreamError> {
    match (from, to) {
        (Module::Load, Module::Compute) | (Module::Compute, Module::Store) => Ok(true),
        (Module::Compute, Module::Load) | (Module::Store, Module::Compute) => Ok(false),
        _ => Err(StreamError::NoQueue { from, to }),
    }
}
