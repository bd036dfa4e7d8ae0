//! Random programs: the simulator against a naive interpreter, in several orders, and the checker.

mod common;

use common::{designs, naive};
use proptest::prelude::*;
use vta_isa::Design;
use vta_sim::{
    CheckOptions, Counters, FuncSim, HostSimd, Order, Program, RunOptions, check, generate,
};

/// The image after a run.
fn run(design: &Design, program: &Program, order: Order, simd: HostSimd) -> (Vec<u8>, Counters) {
    let mut dram = program.dram.clone();
    let options = RunOptions {
        order,
        ..RunOptions::default()
    };
    match FuncSim::with_simd(design, simd).run(&mut dram, &program.insns, &options) {
        Ok(report) => (dram.bytes, report.counters),
        Err(fault) => panic!("{fault}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_gives_memory_and_counters_of_the_naive_interpreter(seed: u64, length in 1usize..80, which in 0..designs().len()) {
        let (name, design) = &designs()[which];
        let program = generate(design, seed, length);
        let expected = naive::run(design, program.dram.base, &program.dram.bytes, &program.insns);
        for order in [Order::RoundRobin, Order::Seeded(seed), Order::Seeded(seed ^ 1), Order::Seeded(seed ^ 2)] {
            let result = run(design, &program, order, HostSimd::best());
            prop_assert!(result == expected, "{name}, {order:?}");
        }
        for simd in HostSimd::available() {
            let result = run(design, &program, Order::RoundRobin, simd);
            prop_assert!(result == expected, "{name}, {simd:?}");
        }
        if let Err(findings) = check(design, &program.dram, &program.insns, &CheckOptions::default()) {
            panic!("{name}: {}", findings[0]);
        }
    }
}

#[test]
fn the_generator_is_deterministic_and_long_programs_work() {
    for (name, design) in designs() {
        let program = generate(&design, 7, 400);
        assert_eq!(program.insns, generate(&design, 7, 400).insns);
        let expected = naive::run(
            &design,
            program.dram.base,
            &program.dram.bytes,
            &program.insns,
        );
        assert!(
            run(&design, &program, Order::Seeded(3), HostSimd::best()) == expected,
            "{name}"
        );
        assert!(
            expected.0 != program.dram.bytes,
            "{name}: nothing was stored"
        );
    }
}
