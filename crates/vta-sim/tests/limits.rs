//! The limits of a run, which are looked at only where all that a stream does is more.

mod common;

use common::designs;
use proptest::prelude::*;
use vta_isa::{Body, Deps, Design, GemmInsn, Insn};
use vta_sim::{
    Cause, Counters, CycleOptions, CycleSim, FuncSim, HostSimd, Program, RunOptions, generate,
};

/// What the functional simulator, the one in cycles and the one without data make of it: counters or what is wrong.
fn outcomes(
    design: &Design,
    program: &Program,
    options: &RunOptions,
) -> [Result<Counters, Cause>; 3] {
    let Program { dram, insns } = program;
    let run = FuncSim::new(design).run(&mut dram.clone(), insns, options);
    let options = CycleOptions {
        run: options.clone(),
        ..CycleOptions::default()
    };
    let timed = CycleSim::new(design).run(&mut dram.clone(), 0, insns, &options);
    let blind = CycleSim::new(design).time(0, insns, &options);
    [
        run.map(|run| run.counters).map_err(|fault| fault.cause),
        timed.map(|run| run.counters).map_err(|fault| fault.cause),
        blind.map(|run| run.counters).map_err(|fault| fault.cause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_ends_where_it_does_more_than_it_may(seed: u64, length in 1usize..30, which in 0..designs().len()) {
        let design = &designs()[which].1;
        let program = generate(design, seed, length);
        let counters = Counters::of(design, &program.insns);
        prop_assert_eq!(FuncSim::new(design).counters(&program.insns), counters);
        let insns = program.insns.len() as u64 / 16;
        let steps = counters.gemm_ops + counters.reset_ops + counters.alu_ops.total();
        prop_assert_eq!(counters.insns.total(), insns);
        let limited = |insn_limit, step_limit| {
            let options = RunOptions { insn_limit, step_limit, ..RunOptions::default() };
            outcomes(design, &program, &options)
        };
        for outcome in limited(insns, steps) {
            prop_assert_eq!(outcome, Ok(counters));
        }
        for outcome in limited(insns - 1, steps) {
            prop_assert_eq!(outcome, Err(Cause::InsnLimit { limit: insns - 1 }));
        }
        for outcome in limited(insns, steps.saturating_sub(1)) {
            let wrong = Err(Cause::StepLimit { limit: steps.saturating_sub(1) });
            prop_assert_eq!(outcome, if steps > 0 { wrong } else { Ok(counters) });
        }
    }
}

#[test]
fn more_than_can_be_counted_is_a_limit_too() {
    let design = Design::default();
    let longest = Insn::new(
        Deps::default(),
        Body::Gemm(GemmInsn {
            uop_end: 8192,
            iter_out: design.max_iter(),
            iter_in: design.max_iter(),
            ..GemmInsn::default()
        }),
    );
    let mut insns = longest.encode(&design).unwrap().repeat(1 << 16);
    insns.extend(
        Insn::new(Deps::default(), Body::Finish)
            .encode(&design)
            .unwrap(),
    );
    assert_eq!(Counters::of(&design, &insns).macs, u64::MAX);
    for simd in HostSimd::available() {
        let run = FuncSim::with_simd(&design, simd).run(
            &mut common::no_dram(),
            &insns,
            &RunOptions::default(),
        );
        let cause = run.unwrap_err().cause;
        assert!(matches!(cause, Cause::StepLimit { .. }), "{cause:?}");
    }
}
