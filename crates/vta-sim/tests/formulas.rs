//! One small stream for a chapter of `hardware/README.md`, with the cycles that its formulas give by hand.
//!
//! The design is the default: beats of 8 bytes, bursts of 256, p = 3; the memory has latency 10. The stream
//! lies at 0, so that up to 16 instructions come in one burst of two beats each, asked for at 2: its first beat
//! is taken at 2 + 2 + 10 = 14, so instruction i is whole at 15 + 2i and D = 16 + 2i.

use vta_isa::{Design, asm};
use vta_sim::{CycleOptions, CycleReport, CycleSim, MemoryModel};

fn time(text: &str) -> CycleReport {
    let design = Design::default();
    let options = CycleOptions {
        memory: MemoryModel {
            latency: 10,
            stalls: None,
        },
        trace: true,
        ..CycleOptions::default()
    };
    let insns = asm::assemble(&design, text).unwrap();
    CycleSim::new(&design).time(0, &insns, &options).unwrap()
}

/// P and R of each instruction.
fn cycles(text: &str) -> Vec<(u64, u64)> {
    let report = time(text);
    assert_eq!(
        report.cycles,
        report.timings.iter().map(|t| t.retired).max().unwrap() + 1
    );
    let both = report.timings.iter().map(|t| (t.taken, t.retired));
    both.collect()
}

#[test]
fn fetch_and_finish() {
    // D = 16, P = D + 2 = 18, X = 19, finished at X + 1.
    assert_eq!(cycles("finish"), [(18, 20)]);
    assert_eq!(time("finish").cycles, 21);
}

#[test]
fn gemm_slots_and_pipeline() {
    // P = 18, X = 19, N = 20, Z = 39, R = Z + 6 + 3. FINISH: D = 18, P = max(20, X of GEMM), X = X + N = 39.
    let both = cycles("gemm reset uop=0,1 iter=4,5\nfinish");
    assert_eq!(both, [(18, 48), (20, 49)]);
}

#[test]
fn alu_slots() {
    let slots = |alu: &str| {
        let report = time(&format!("alu.add {alu}\nfinish"));
        report.timings[0].work
    };
    assert_eq!(slots("uop=0,1 iter=3,4 imm=1"), 12);
    assert_eq!(slots("uop=0,1 iter=3,4"), 12 + 1);
    assert_eq!(slots("uop=0,1 iter=3,4 src=1,0"), 12 + 3);
    assert_eq!(slots("uop=0,1 iter=3,4 src=0,1"), 24);
    assert_eq!(slots("uop=0,1 iter=3,1 src=0,1"), 3 + 1);
    assert_eq!(slots("uop=0,2 iter=3,4"), 48);
    assert_eq!(slots("uop=0,2 iter=3,0 src=1,0"), 0);
}

#[test]
fn a_load_with_padding() {
    // P = 18. One row of 4 elements of 16 bytes from 0xf0: bursts of 16 and 48 bytes, 2 and 6 beats. The first
    // is asked for at 20 and taken from 20 + 12 = 32 to 33, the second, granted at 21, from 34 to 39. A = 21; the 6
    // zeros are written at 21 to 26, so R = 39 + 1. FINISH pops the token from 41 on; X = 42, R = 43.
    let text = "load.inp push_next dram=15 y=1 x=4 stride=4 pad=0,1,1,0\nfinish pop_prev";
    assert_eq!(cycles(text), [(18, 40), (41, 43)]);
    // 15 more zeros than fit before the data: written after it.
    let text = "load.inp push_next dram=15 y=1 x=4 stride=4 pad=5,0,0,1\nfinish pop_prev";
    // 26 zeros: 11 from 21 to 31, 15 from 40 to 54.
    assert_eq!(cycles(text), [(18, 55), (56, 58)]);
}

#[test]
fn stores_and_tokens() {
    // The store: D = 16, P = 18. Two rows of 1 element of 16 bytes: bursts of 2 beats. Burst 0: F = P + 5 = 23,
    // E = 24; burst 1: F = 25, E = 26, response at 26 + 1 + 10 = 37, finished at 38.
    let text = "store.out push_prev y=2 x=1 stride=1\nfinish pop_next";
    assert_eq!(cycles(text), [(18, 38), (39, 41)]);
}

#[test]
fn accumulators_wait_for_the_pipeline() {
    // GEMM: X = 19, N = 100, Z = 119. LOAD of ACC: X = Z + 9 = 128, the first burst is granted at X + 2 = 130 and
    // taken from 142 on, 8 beats of a 64-byte element: done = 149. FINISH starts at 150.
    let text = "gemm reset uop=0,1 iter=10,10\nload.acc y=1 x=1\nfinish";
    assert_eq!(cycles(text), [(18, 128), (20, 150), (128, 151)]);
}
