//! What a run leaves for the next, and streams that lie in DRAM.

mod common;

use vta_isa::{Design, asm};
use vta_sim::{Cause, Dram, FuncSim, Leftover, RunOptions, generate};

fn stream(text: &str) -> Vec<u8> {
    asm::assemble(&Design::default(), text).unwrap()
}

/// The first bytes of what the second of two streams stored.
fn stored(keep_state: bool) -> Vec<u8> {
    let mut dram = Dram::new(0, vec![7; 0x1000]);
    let mut sim = FuncSim::new(&Design::default());
    let first = stream("load.acc8 dram=0 y=1 x=1\nstore.out push_prev\nfinish");
    let second = stream(
        "gemm pop_next push_next\nstore.out pop_prev push_prev dram=0x10 y=1 x=1\nfinish pop_next",
    );
    let warn = RunOptions {
        leftover: Leftover::Warn,
        ..RunOptions::default()
    };
    assert_eq!(
        sim.run(&mut dram, &first, &warn).unwrap().leftover,
        [0, 0, 0, 1]
    );
    // Without the token that the first stream left, one has to be given.
    let initial_tokens = [0, 0, 0, u32::from(!keep_state)];
    let options = RunOptions {
        keep_state,
        initial_tokens,
        ..RunOptions::default()
    };
    sim.run(&mut dram, &second, &options).unwrap();
    dram.bytes[0x100..0x110].to_vec()
}

#[test]
fn state_is_kept_only_when_asked() {
    assert_eq!(stored(true), [7; 16]);
    assert_eq!(stored(false), [0; 16]);
}

#[test]
fn a_faulty_run_leaves_no_token() {
    let mut sim = FuncSim::new(&Design::default());
    let options = RunOptions {
        keep_state: true,
        leftover: Leftover::Warn,
        ..RunOptions::default()
    };
    let pushes = stream("store.out push_prev\nalu.7 uop=0,1 iter=1,1\nfinish");
    sim.run(&mut common::no_dram(), &pushes, &options)
        .unwrap_err();
    let fault = sim
        .run(&mut common::no_dram(), &stream("finish pop_next"), &options)
        .unwrap_err();
    assert_eq!(fault.cause, Cause::Deadlock);
}

#[test]
fn a_stream_in_dram_runs_as_one_outside() {
    let design = Design::default();
    let program = generate(&design, 5, 30);
    let count = program.insns.len() as u64 / 16;
    let options = RunOptions::default();
    let mut outside = program.dram.clone();
    let report = FuncSim::new(&design)
        .run(&mut outside, &program.insns, &options)
        .unwrap();

    let mut inside = program.dram.clone();
    let addr = inside.end();
    inside.bytes.extend(&program.insns);
    assert_eq!(
        FuncSim::new(&design).run_at(&mut inside, addr, count, &options),
        Ok(report)
    );
    assert_eq!(inside.bytes[..outside.bytes.len()], outside.bytes);

    for (addr, count) in [(addr, count + 1), (0, 1), (u64::MAX, 1), (addr, u64::MAX)] {
        let fault = FuncSim::new(&design)
            .run_at(&mut inside, addr, count, &options)
            .unwrap_err();
        assert!(
            matches!(fault.cause, Cause::StreamAddress { .. }),
            "{fault}"
        );
    }
}

#[test]
fn a_stream_is_what_its_bytes_are_at_the_run() {
    let design = Design::default();
    let mut sim = FuncSim::new(&design);
    let programs = [1, 2].map(|seed| generate(&design, seed, 30));
    let expected = programs.clone().map(|mut program| {
        let mut sim = FuncSim::new(&design);
        sim.run(&mut program.dram, &program.insns, &RunOptions::default())
            .unwrap();
        program.dram.bytes
    });
    // More streams than are kept, then the first ones again.
    let others = (3..23).map(|seed| generate(&design, seed, 2));
    let sequence = programs.iter().chain(&programs).cloned().chain(others);
    for (i, mut program) in sequence.chain(programs.iter().cloned()).enumerate() {
        sim.run(&mut program.dram, &program.insns, &RunOptions::default())
            .unwrap();
        if !(4..24).contains(&i) {
            assert!(program.dram.bytes == expected[i % 2], "run {i}");
        }
    }
    // A stream that overwrites its own first instruction is another the next time.
    let text = "load.acc8 dram=0 y=1 x=1\nstore.out push_prev dram=0x10 y=1 x=1\nfinish pop_next";
    let mut dram = Dram::new(0, vec![0; 0x1000]);
    dram.bytes[..16].fill(0xff);
    let insns = stream(text);
    dram.bytes[0x100..0x100 + insns.len()].copy_from_slice(&insns);
    let options = RunOptions::default();
    let count = insns.len() as u64 / 16;
    // The load and the store are not ordered by tokens: in turn, the load comes first.
    sim.run_at(&mut dram, 0x100, count, &options).unwrap();
    let fault = sim.run_at(&mut dram, 0x100, count, &options).unwrap_err();
    assert!(matches!(fault.cause, Cause::Decode { .. }), "{fault}");
}
