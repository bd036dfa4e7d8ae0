//! Whatever a command stream does to fit the hardware (caching micro-ops, splitting kernels and
//! transfers, loops, tokens on whatever instruction carries them), the memory afterwards is that of
//! a stream of single micro-ops, one after the other.

use proptest::prelude::*;
use vta_isa::{
    AluInsn, AluOp, Body, Deps, Design, Feature, GemmInsn, GemmMode, HwConfig, Insn, MemInsn,
    MemType, Module, Uop,
};
use vta_program::{Block2d, CommandStream, Loop, Operand, Pads, Stream, relocate};
use vta_runtime::{Device, RunLimits, SimDevice};
use vta_sim::{CheckOptions, Dram, Order, check};

/// Elements of each scratchpad, and of each region of the arena, that programs use.
const ELEMS: u32 = 48;

#[derive(Clone, Debug)]
enum Command {
    Load(MemType, Block2d),
    Gemm {
        uops: Vec<Uop>,
        mode: GemmMode,
        loops: [Loop; 2],
    },
    Alu {
        uops: Vec<Uop>,
        op: AluOp,
        operand: Operand,
        loops: [Loop; 2],
    },
    Store(Block2d),
}

impl Command {
    fn module(&self) -> Module {
        match self {
            Command::Load(MemType::Inp | MemType::Wgt, _) => Module::Load,
            Command::Store(_) => Module::Store,
            _ => Module::Compute,
        }
    }
}

fn block(pads: bool) -> impl Strategy<Value = Block2d> {
    let pad = move || {
        prop_oneof![5 => 0u32..3, 1 => 15u32..18].prop_map(move |p| if pads { p } else { 0 })
    };
    (
        0u32..8,
        0u64..8,
        (1u32..4, 1u32..4),
        4u32..7,
        [pad(), pad(), pad(), pad()],
    )
        .prop_map(
            |(sram_base, dram_elem, (x_size, y_size), x_stride, [y0, y1, x0, x1])| {
                let pads = Pads {
                    y0,
                    y1,
                    x0,
                    x1,
                    value: 0,
                };
                Block2d {
                    sram_base,
                    dram_elem,
                    x_size,
                    y_size,
                    x_stride,
                    pads,
                }
            },
        )
        .prop_filter("within the scratchpad", |b| {
            let Pads { y0, y1, x0, x1, .. } = b.pads;
            b.sram_base + (x0 + b.x_size + x1) * (y0 + b.y_size + y1) <= ELEMS
        })
}

fn uops() -> impl Strategy<Value = Vec<Uop>> {
    let uop = (0u32..16, 0u32..16, 0u32..16).prop_map(|(dst, src, wgt)| Uop { dst, src, wgt });
    prop::collection::vec(uop, 0..7)
}

fn loops() -> impl Strategy<Value = [Loop; 2]> {
    let one = || {
        (0u32..4, 0u32..5, 0u32..5, 0u32..5).prop_map(|(extent, dst, src, wgt)| Loop {
            extent,
            dst,
            src,
            wgt,
        })
    };
    [one(), one()]
}

fn mode(design: &Design) -> impl Strategy<Value = GemmMode> + use<> {
    let mut modes = vec![GemmMode::Accumulate; 4];
    modes.push(GemmMode::Reset);
    if design.has(Feature::GemmOverwrite) {
        modes.extend([GemmMode::Overwrite; 2]);
    }
    prop::sample::select(modes)
}

fn command(design: &Design) -> impl Strategy<Value = Command> + use<> {
    let mems = [MemType::Inp, MemType::Wgt, MemType::Acc, MemType::Acc8];
    let mem = prop::sample::select(mems[..if design.has_acc8() { 4 } else { 3 }].to_vec());
    let op = prop::sample::select(AluOp::ALL);
    let operand = prop_oneof![(-7i32..8).prop_map(Operand::Imm), Just(Operand::Acc)];
    prop_oneof![
        4 => (mem, block(true)).prop_map(|(mem, b)| Command::Load(mem, b)),
        4 => (uops(), mode(design), loops())
            .prop_map(|(uops, mode, loops)| Command::Gemm { uops, mode, loops }),
        3 => (uops(), op, operand, loops())
            .prop_map(|(uops, op, operand, loops)| Command::Alu { uops, op, operand, loops })
            .prop_filter("shifts by a register are another matter", |c| {
                !matches!(c, Command::Alu { op: AluOp::Shr, operand: Operand::Acc, .. })
            }),
        2 => block(false).prop_map(Command::Store),
    ]
}

/// A program whose every result depends on what was loaded, and shows in memory.
fn program(design: &Design) -> impl Strategy<Value = Vec<Command>> + use<> {
    let all = Block2d::run(0, 0, ELEMS);
    let loads = [MemType::Inp, MemType::Wgt, MemType::Acc].map(|mem| Command::Load(mem, all));
    prop::collection::vec(command(design), 0..20).prop_map(move |commands| {
        let commands = loads.iter().cloned().chain(commands);
        commands.chain([Command::Store(all)]).collect()
    })
}

/// Bytes from one region of the arena to the next: uop, wgt, inp, acc, out, acc8. Stores go to the
/// region of inp, so that they meet the loads.
fn region(design: &Design) -> u64 {
    let elem = design
        .memories()
        .map(|mem| design.elem_bytes(mem))
        .max()
        .unwrap();
    (u64::from(ELEMS) * elem as u64).next_multiple_of(4096)
}

fn placed(design: &Design, mem: MemType, block: &Block2d) -> Block2d {
    let region_of = if mem == MemType::Out {
        MemType::Inp
    } else {
        mem
    };
    let first = region(design) * u64::from(region_of.code()) / design.elem_bytes(mem) as u64;
    Block2d {
        dram_elem: block.dram_elem + first,
        ..*block
    }
}

/// Every module waits for whatever ran before.
fn wait(stream: &mut CommandStream, from: Module, to: Module) {
    let mut hand_over = |from, to| {
        stream.dep_push(from, to).unwrap();
        stream.dep_pop(from, to).unwrap();
    };
    match (from, to) {
        (a, b) if a == b => {}
        (Module::Compute, _) | (_, Module::Compute) => hand_over(from, to),
        _ => {
            hand_over(from, Module::Compute);
            hand_over(Module::Compute, to);
        }
    }
}

/// The stream under test; `None` if it says that a kernel cannot be split.
fn built(design: &Design, uop_depth: u32, commands: &[Command]) -> Option<(Stream, Vec<u8>)> {
    let mut stream = CommandStream::with_uop_depth(design, uop_depth);
    let mut last = None;
    for (i, command) in commands.iter().enumerate() {
        let module = command.module();
        wait(&mut stream, last.replace(module).unwrap_or(module), module);
        match command {
            Command::Load(mem, block) => stream.load_2d(*mem, placed(design, *mem, block)).unwrap(),
            Command::Store(block) => stream
                .store_2d(placed(design, MemType::Out, block))
                .unwrap(),
            Command::Gemm { uops, mode, loops } => {
                let kernel = stream
                    .kernel(format!("{uops:?}").as_bytes(), || uops.clone())
                    .unwrap();
                if let Err(error) = stream.gemm(kernel, *mode, *loops) {
                    let long = *mode == GemmMode::Overwrite && uops.len() as u32 > uop_depth;
                    assert!(long, "command {i}: {error}");
                    return None;
                }
            }
            Command::Alu {
                uops,
                op,
                operand,
                loops,
            } => {
                let kernel = stream.intern(uops).unwrap();
                let result = stream.alu(kernel, *op, *operand, *loops);
                if let Err(error) = result {
                    assert!(uops.len() as u32 > uop_depth, "command {i}: {error}");
                    return None;
                }
            }
        }
    }
    let pool = stream.uop_pool().bytes();
    Some((stream.finish().unwrap(), pool))
}

/// The same commands, a micro-op an instruction, loops unrolled, padding written element by element.
fn naive(design: &Design, commands: &[Command]) -> (Vec<Insn>, Vec<u8>) {
    let mut insns: Vec<Insn> = Vec::new();
    let mut pool: Vec<u8> = Vec::new();
    let mut push = |body| {
        let insn = Insn::new(Deps::default(), body);
        // Strictly serial: through compute, which is between all others.
        let module = insn.module(design);
        let sync = Insn::new(Deps::default(), Body::Load(MemInsn::default()));
        let before = Deps {
            push_prev: module == Module::Load,
            push_next: module == Module::Store,
            ..sync.deps
        };
        let after = Deps {
            pop_prev: module == Module::Load,
            pop_next: module == Module::Store,
            ..sync.deps
        };
        let own = match module {
            Module::Load => Deps {
                pop_next: true,
                push_next: true,
                ..sync.deps
            },
            Module::Store => Deps {
                pop_prev: true,
                push_prev: true,
                ..sync.deps
            },
            Module::Compute => return insns.push(insn),
        };
        insns.extend([
            Insn {
                deps: before,
                ..sync
            },
            Insn { deps: own, ..insn },
            Insn {
                deps: after,
                ..sync
            },
        ]);
    };
    let one_uop = MemInsn {
        y_size: 1,
        x_size: 1,
        ..MemInsn::default()
    };
    let mut each =
        |uops: &[Uop], [outer, inner]: [Loop; 2], push: &mut dyn FnMut(Body), body: Body| {
            for (o, i) in (0..outer.extent).flat_map(|o| (0..inner.extent).map(move |i| (o, i))) {
                for uop in uops {
                    let uop = Uop {
                        dst: uop.dst + o * outer.dst + i * inner.dst,
                        src: uop.src + o * outer.src + i * inner.src,
                        wgt: uop.wgt + o * outer.wgt + i * inner.wgt,
                    };
                    push(Body::Load(MemInsn {
                        dram_base: pool.len() as u32 / 4,
                        ..one_uop
                    }));
                    pool.extend(uop.encode(design).unwrap().to_le_bytes());
                    push(body);
                }
            }
        };
    for command in commands {
        match command {
            Command::Load(mem, block) => {
                let b = placed(design, *mem, block);
                let (mut sram_base, Pads { y0, y1, x0, x1, .. }) = (b.sram_base, b.pads);
                for y in 0..y0 + b.y_size + y1 {
                    for x in 0..x0 + b.x_size + x1 {
                        let inside =
                            (y0..y0 + b.y_size).contains(&y) && (x0..x0 + b.x_size).contains(&x);
                        let mut insn = MemInsn {
                            memory_type: mem.code(),
                            sram_base,
                            x_size: 1,
                            ..MemInsn::default()
                        };
                        if inside {
                            insn.y_size = 1;
                            insn.dram_base = b.dram_elem as u32 + (y - y0) * b.x_stride + (x - x0);
                        } else {
                            insn.y_pad_0 = 1;
                        }
                        push(Body::Load(insn));
                        sram_base += 1;
                    }
                }
            }
            Command::Store(block) => {
                let b = placed(design, MemType::Out, block);
                for (y, x) in (0..b.y_size).flat_map(|y| (0..b.x_size).map(move |x| (y, x))) {
                    push(Body::Store(MemInsn {
                        memory_type: MemType::Out.code(),
                        sram_base: b.sram_base + y * b.x_size + x,
                        dram_base: b.dram_elem as u32 + y * b.x_stride + x,
                        x_size: 1,
                        y_size: 1,
                        ..MemInsn::default()
                    }));
                }
            }
            Command::Gemm { uops, mode, loops } => {
                let once = GemmInsn {
                    reset: *mode == GemmMode::Reset,
                    overwrite: *mode == GemmMode::Overwrite,
                    uop_end: 1,
                    iter_out: 1,
                    iter_in: 1,
                    ..GemmInsn::default()
                };
                each(uops, *loops, &mut push, Body::Gemm(once));
            }
            Command::Alu {
                uops,
                op,
                operand,
                loops,
            } => {
                let (use_imm, imm) = match operand {
                    Operand::Imm(imm) => (true, *imm),
                    Operand::Acc => (false, 0),
                };
                let once = AluInsn {
                    alu_opcode: op.code(),
                    use_imm,
                    imm,
                    uop_end: 1,
                    iter_out: 1,
                    iter_in: 1,
                    ..AluInsn::default()
                };
                each(uops, *loops, &mut push, Body::Alu(once));
            }
        }
    }
    push(Body::Finish);
    (insns, pool)
}

/// The arena after a run of a stream that the checker finds correct, without the micro-ops at its end.
fn memory(design: &Design, stream: &Stream, pool: &[u8], order: Order) -> Vec<u8> {
    let uop_base = 6 * region(design);
    let mut device = SimDevice::with_memory(design, 64 << 20);
    device.set_order(order);
    // Not at the start of memory: addresses must move with the arena.
    device.alloc(3 * 4096).unwrap();
    let arena = device.alloc(uop_base + pool.len() as u64 + 1).unwrap();
    let mut image: Vec<u8> = (0..uop_base as u32)
        .map(|i| (i.wrapping_mul(0x9e37_79b1) >> 13) as u8)
        .collect();
    device.write(arena, &image).unwrap();
    device.write(arena + uop_base, pool).unwrap();
    let mut insns = stream.encode(design, uop_base).unwrap();
    relocate(design, &mut insns, arena).unwrap();
    let mut dram = Dram::new(arena, vec![0; (uop_base as usize) + pool.len()]);
    device.read(arena, &mut dram.bytes).unwrap();
    let checked = check(design, &dram, &insns, &CheckOptions::default());
    checked.unwrap_or_else(|findings| {
        panic!(
            "{}\n{}",
            vta_isa::asm::disassemble(design, &insns).unwrap(),
            findings[0]
        )
    });
    let address = device.alloc(insns.len() as u64).unwrap();
    device.write(address, &insns).unwrap();
    let count = stream.insns.len() as u64;
    device
        .run(address, count, &RunLimits::default())
        .unwrap_or_else(|e| panic!("{e}"));
    device.read(arena, &mut image).unwrap();
    image
}

fn designs() -> Vec<HwConfig> {
    let narrow = HwConfig {
        log_inp_width: 2,
        log_wgt_width: 1,
        log_batch: 1,
        log_block_in: 3,
        log_block_out: 3,
        log_uop_buff_size: 6,
        log_inp_buff_size: 9,
        log_wgt_buff_size: 10,
        log_acc_buff_size: 12,
        ..HwConfig::default()
    };
    let overwrites = HwConfig {
        features: vec!["gemm_overwrite".into()],
        ..narrow.clone()
    };
    vec![HwConfig::default(), narrow, overwrites]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn equals_one_micro_op_at_a_time(
        (config, commands) in prop::sample::select(designs()).prop_flat_map(|c| {
            let commands = program(&c.clone().design().unwrap());
            (Just(c), commands)
        }),
        uop_depth in 1u32..16,
        seed in any::<u64>(),
    ) {
        let design = config.design().unwrap();
        let Some((stream, pool)) = built(&design, uop_depth, &commands) else {
            return Ok(());
        };
        let (insns, naive_pool) = naive(&design, &commands);
        let expected = memory(&design, &Stream { insns }, &naive_pool, Order::RoundRobin);
        let result = memory(&design, &stream, &pool, Order::Seeded(seed));
        prop_assert!(result == expected);
    }
}

/// A device keeps micro-ops on chip as long as they fit, and no longer.
#[test]
fn kernels_are_loaded_once_while_they_fit() {
    let mut stream = CommandStream::with_uop_depth(&Design::default(), 8);
    let kernel = |stream: &mut CommandStream, n: u32| {
        let uops = |dst| Uop {
            dst,
            ..Uop::default()
        };
        stream
            .kernel(&n.to_le_bytes(), || (0..3).map(|i| uops(n + i)).collect())
            .unwrap()
    };
    for n in [0, 10, 0, 10, 20, 10, 20, 0] {
        let kernel = kernel(&mut stream, n);
        stream
            .gemm(kernel, GemmMode::Reset, [Loop::ONCE; 2])
            .unwrap();
    }
    let counters = stream.uop_counters();
    assert_eq!(
        (counters.hits, counters.misses, counters.evictions),
        (4, 4, 2)
    );
    assert_eq!(stream.uop_pool().len(), 3);
}
