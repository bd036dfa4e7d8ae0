//! The cycle simulator against the functional one, and what every timing has to obey.

mod common;

use common::{design, designs};
use proptest::prelude::*;
use vta_isa::{Body, Deps, Design, GemmInsn, Insn, MemInsn, MemType, Module};
use vta_sim::{
    Cause, CheckOptions, Counters, CycleOptions, CycleReport, CycleSim, Dram, Fault, FuncSim,
    Leftover, MemoryModel, ModuleCycles, RunOptions, RunReport, check, generate,
};

/// A memory of some latency, with stalls or without.
fn memory() -> impl Strategy<Value = MemoryModel> {
    let latency = prop_oneof![Just(0), 1u32..40, Just(100)];
    let memory = |(latency, stalls)| MemoryModel { latency, stalls };
    (latency, any::<Option<u64>>()).prop_map(memory)
}

/// The designs of all tests, on several buses.
fn machine() -> impl Strategy<Value = Design> {
    let buses = (6u32..=9, 0u32..=8, 1u32..=9, 1u32..=8);
    (0..designs().len(), buses).prop_map(|(which, (bus, burst, outstanding, pipeline))| {
        let mut config = designs()[which].1.config().clone();
        (config.log_bus_width, config.log_burst) = (bus, burst);
        (config.max_outstanding, config.gemm_pipeline) = (outstanding, pipeline);
        config.design().unwrap()
    })
}

fn options(memory: MemoryModel) -> CycleOptions {
    CycleOptions {
        memory,
        trace: true,
        run: RunOptions::default(),
    }
}

/// What both simulators make of a stream: the report or the fault, the image, the scratchpads.
type Outcome<R> = (Result<R, Fault>, Dram, [Vec<u8>; 4]);

const MEMORIES: [MemType; 4] = [MemType::Uop, MemType::Wgt, MemType::Inp, MemType::Acc];

fn functional(design: &Design, dram: &Dram, insns: &[u8], run: &RunOptions) -> Outcome<RunReport> {
    let (mut sim, mut dram) = (FuncSim::new(design), dram.clone());
    let result = sim.run(&mut dram, insns, run);
    (result, dram, MEMORIES.map(|memory| sim.scratchpad(memory)))
}

fn timed(
    design: &Design,
    dram: &Dram,
    insns: &[u8],
    options: &CycleOptions,
) -> Outcome<CycleReport> {
    let (mut sim, mut dram) = (CycleSim::new(design), dram.clone());
    let result = sim.run(&mut dram, ADDRESS, insns, options);
    (result, dram, MEMORIES.map(|memory| sim.scratchpad(memory)))
}

const ADDRESS: u64 = 0x30;

/// What holds of every timing, whatever the page says in detail.
fn obeys(design: &Design, report: &CycleReport, insns: &[u8]) {
    let config = design.config();
    let beat = 1 << (config.log_bus_width - 3);
    assert_eq!(report.timings.len(), insns.len() / 16);
    assert_eq!(Counters::of(design, insns), report.counters);
    for module in [Module::Load, Module::Compute, Module::Store] {
        let mine = report.timings.iter().filter(|t| t.module == module);
        let mine: Vec<_> = mine.collect();
        for t in &mine {
            assert!(t.queued + 2 <= t.ready && t.ready <= t.taken, "{t:?}");
            assert!(t.taken < t.committed && t.taken < t.started, "{t:?}");
            assert!(
                t.started <= t.finished && t.finished.max(t.committed) <= t.retired,
                "{t:?}"
            );
            assert!(t.retired < report.cycles);
            assert!(
                t.work <= t.finished + 1 - t.started.min(t.finished),
                "{t:?}"
            );
        }
        for pair in mine.windows(2) {
            assert!(pair[0].committed <= pair[1].taken && pair[0].retired < pair[1].retired);
        }
        let cycles = report.cycles;
        let windows =
            ModuleCycles::windows(mine.iter().copied(), &[cycles / 3, cycles / 2, cycles]);
        let mut whole = ModuleCycles::default();
        windows.iter().for_each(|&window| whole += window);
        assert_eq!(whole, report.modules[module as usize]);
        assert_eq!(windows[1].total(), cycles / 2 - cycles / 3);
        let depth = config.cmd_queue_depth as usize;
        for (early, late) in mine.iter().zip(mine.iter().skip(depth)) {
            assert!(early.retired < late.queued);
        }
    }
    for pair in report.timings.windows(2) {
        assert!(pair[0].queued < pair[1].queued);
    }
    for modules in report.modules {
        assert_eq!(modules.total(), report.cycles);
    }
    let traffic = &report.traffic;
    let loaded = report.counters.load_bytes.total() + insns.len() as u64;
    assert_eq!(traffic.read_bytes, loaded);
    assert_eq!(traffic.written_bytes, report.counters.store_bytes);
    assert!(report.cycles * beat >= loaded.max(traffic.written_bytes));
    let slots = report.counters.gemm_ops + report.counters.reset_ops;
    assert!(report.cycles > slots + report.counters.alu_ops.total());
    let reads = report
        .bursts
        .iter()
        .filter(|b| b.channel == vta_sim::Channel::Read);
    let reads: Vec<_> = reads.collect();
    assert_eq!(reads.len() as u64, traffic.read_bursts);
    for pair in reads.windows(2) {
        assert!(pair[0].asked < pair[1].asked && pair[0].last < pair[1].first);
    }
    let outstanding = config.max_outstanding as usize;
    for (early, late) in reads.iter().zip(reads.iter().skip(outstanding)) {
        assert!(early.last < late.asked);
    }
    assert!(
        reads
            .iter()
            .all(|b| b.bytes <= 4096 && b.asked + 2 <= b.first)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_simulators_do_the_same(
        seed: u64, length in 1usize..60, design in machine(), memory in memory(),
    ) {
        let program = generate(&design, seed, length);
        let options = options(memory);
        let (expected, image, scratchpads) =
            functional(&design, &program.dram, &program.insns, &options.run);
        let expected = expected.unwrap();
        let (report, timed_image, timed_scratchpads) =
            timed(&design, &program.dram, &program.insns, &options);
        let report = report.unwrap();
        prop_assert!(image == timed_image && scratchpads == timed_scratchpads);
        prop_assert_eq!(expected.counters, report.counters);
        prop_assert_eq!(expected.leftover, report.leftover);
        obeys(&design, &report, &program.insns);
        let sim = CycleSim::new(&design);
        prop_assert_eq!(&sim.time(ADDRESS, &program.insns, &options).unwrap(), &report);
        // The micro-ops and the data do not matter, nor does the rest of the address.
        prop_assert_eq!(&sim.time(ADDRESS + 0x7000, &program.insns, &options).unwrap(), &report);
    }

    /// Programs with a few bits changed: both simulators find a fault or neither does.
    #[test]
    fn both_simulators_fault_together(
        seed: u64, length in 1usize..20, which in 0..designs().len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..128), 1..4),
    ) {
        let design = &designs()[which].1;
        let mut program = generate(design, seed, length);
        for (at, bit) in flips {
            let at = at.index(program.insns.len() / 16);
            program.insns[16 * at + usize::from(bit / 8)] ^= 1 << (bit % 8);
        }
        let mut options = options(MemoryModel::default());
        options.run.step_limit = 1 << 20;
        options.run.leftover = Leftover::Warn;
        let checked = check(design, &program.dram, &program.insns, &CheckOptions {
            leftover: Leftover::Warn, max_findings: 1000, ..CheckOptions::default()
        });
        let racy = |fault: &Fault| matches!(fault.cause, Cause::Race { .. } | Cause::StoredUops { .. });
        let racy = checked.is_err_and(|findings| findings.iter().any(racy));
        let (expected, image, scratchpads) =
            functional(design, &program.dram, &program.insns, &options.run);
        let (report, timed_image, timed_scratchpads) =
            timed(design, &program.dram, &program.insns, &options);
        if !racy {
            prop_assert_eq!(expected.is_ok(), report.is_ok(), "{:?}\n{:?}", expected, report);
            if expected.is_ok() {
                prop_assert!(image == timed_image && scratchpads == timed_scratchpads);
            }
        }
    }

    /// Tokens at random, most of which deadlock: the same instruction is named, with the same queues.
    #[test]
    fn both_simulators_deadlock_together(
        flags in prop::collection::vec((0usize..3, 0u8..16, 0u8..3), 1..40),
        command in 1u32..6, token in 1u32..4, initial in prop::array::uniform4(0u32..2), seed: Option<u64>,
    ) {
        let design = design(|c| (c.cmd_queue_depth, c.dep_queue_depth) = (command, token));
        let mut insns = Vec::new();
        for (module, flags, size) in flags {
            insns.extend(tokens(module, flags, size).encode(&design).unwrap());
        }
        insns.extend(Insn::new(Deps::default(), Body::Finish).encode(&design).unwrap());
        let mut options = options(MemoryModel { latency: 3, stalls: seed });
        options.run.initial_tokens = initial;
        options.run.leftover = Leftover::Warn;
        let dram = Dram::new(0, vec![0; 0x1000]);
        let (expected, ..) = functional(&design, &dram, &insns, &options.run);
        let (report, ..) = timed(&design, &dram, &insns, &options);
        match (expected, report) {
            (Ok(expected), Ok(report)) => {
                prop_assert_eq!(expected.leftover, report.leftover);
                obeys(&design, &report, &insns);
            }
            (Err(expected), Err(fault)) if expected.cause == Cause::Deadlock => {
                prop_assert_eq!(expected, fault);
            }
            (Err(expected), Err(fault)) => prop_assert_eq!(expected.cause, fault.cause),
            (expected, report) => prop_assert!(false, "{expected:?}\n{report:?}"),
        }
    }
}

/// An instruction of a module with these flags, of some size.
fn tokens(module: usize, flags: u8, size: u8) -> Insn {
    let [pop_prev, pop_next, push_prev, push_next] = [0, 1, 2, 3].map(|bit| flags >> bit & 1 != 0);
    let size = u32::from(size);
    let transfer = |memory: MemType| MemInsn {
        memory_type: memory.code(),
        x_size: size,
        y_size: 1,
        ..MemInsn::default()
    };
    let body = match module {
        0 => Body::Load(transfer(MemType::Inp)),
        1 => Body::Gemm(GemmInsn {
            uop_end: 1,
            iter_out: 1,
            iter_in: size,
            ..GemmInsn::default()
        }),
        _ => Body::Store(transfer(MemType::Out)),
    };
    let deps = Deps {
        pop_prev,
        pop_next,
        push_prev,
        push_next,
    };
    Insn::new(deps, body)
}
