//! How fast the simulator and the checker are: `cargo bench -p vta-sim`.

use divan::Bencher;
use divan::counter::ItemsCount;
use vta_isa::{Design, asm};
use vta_sim::{CheckOptions, Dram, FuncSim, RunOptions, check, generate};

fn main() {
    divan::main();
}

/// A 1024 x 1024 x 1024 product for the default design, requantized by a shift, and an image of zeros. Tiles of
/// 32 rows by 256 columns by the whole depth fill the scratchpads.
fn gemm_1024() -> (Dram, Vec<u8>) {
    let design = Design::default();
    // Micro-ops at 0x1000, then inputs, weights and outputs, each on its own addresses.
    let (inp, wgt, out) = (0x10_0000 / 16, 0x20_0000 / 256, 0x40_0000 / 16);
    let mut text = "load.uop dram=0x400 y=1 x=65\n".to_string();
    for k in 0..65 {
        // The last micro-op is for the reset and the shift.
        let k = k % 64;
        text += &format!("uop src={k} wgt={k}\n");
    }
    for row in 0..32 {
        for column in 0..4 {
            let tile = row * 4 + column;
            let (free, stored) = if tile == 0 {
                ("", "")
            } else {
                ("pop_next", "pop_next")
            };
            let (inp, wgt, out) = (
                inp + row * 2048,
                wgt + column * 1024,
                out + row * 2048 + column * 16,
            );
            text += &format!(
                "load.inp {free} dram={inp} y=1 x=2048 stride=2048\n\
                 load.wgt push_next dram={wgt} y=1 x=1024 stride=1024\n\
                 gemm {stored} reset uop=64,65 iter=32,16 dst=16,1\n\
                 gemm pop_prev push_prev uop=0,64 iter=32,16 dst=16,1 src=64,0 wgt=0,64\n\
                 alu.shr push_next uop=64,65 iter=32,16 dst=16,1 imm=10\n\
                 store.out pop_prev push_prev dram={out} y=32 x=16 stride=64\n"
            );
        }
    }
    text += "load.inp pop_next push_next\ngemm pop_prev\nfinish pop_next\n";
    let listing = asm::assemble_listing(&design, &text).expect("a valid program");
    let mut dram = Dram::new(0x1000, vec![1; 0x50_0000]);
    dram.bytes[..listing.uops.len()].copy_from_slice(&listing.uops);
    (dram, listing.insns)
}

/// Items are multiply-accumulates.
#[divan::bench]
fn gemm_1024_cubed(bencher: Bencher) {
    let design = Design::default();
    let (mut dram, stream) = gemm_1024();
    check(&design, &dram, &stream, &CheckOptions::default()).expect("a correct stream");
    let mut sim = FuncSim::new(&design);
    bencher
        .counter(ItemsCount::new(1_usize << 30))
        .bench_local(|| {
            sim.run(&mut dram, &stream, &RunOptions::default())
                .expect("a correct stream")
        });
}

/// Items are instructions of a random program.
#[divan::bench]
fn random_program(bencher: Bencher) {
    let design = Design::default();
    let mut program = generate(&design, 1, 20_000);
    let mut sim = FuncSim::new(&design);
    bencher
        .counter(ItemsCount::new(program.insns.len() / 16))
        .bench_local(|| {
            sim.run(&mut program.dram, &program.insns, &RunOptions::default())
                .expect("a correct stream")
        });
}

/// Items are instructions of a random program.
#[divan::bench]
fn check_random_program(bencher: Bencher) {
    let design = Design::default();
    let program = generate(&design, 1, 20_000);
    bencher
        .counter(ItemsCount::new(program.insns.len() / 16))
        .bench_local(|| {
            check(
                &design,
                &program.dram,
                &program.insns,
                &CheckOptions::default(),
            )
            .expect("a correct stream")
        });
}
