//! Whatever is wrong with a stream stops the hardware with a code; nothing makes it hang, and
//! the next run is as good as the first.

use std::sync::Arc;

use vta_isa::{Design, FaultCode as Code, HwConfig, INSN_BYTES, MemType, Module, asm};
use vta_rtl::{RtlError, RtlModel, RtlOptions, RtlReport, RtlSim, candidates};
use vta_sim::Dram;

const BASE: u64 = 4096;
/// Fetch, the read bus, or nobody.
const OTHER: Option<Module> = None;
const COMPUTE: Option<Module> = Some(Module::Compute);
const LOAD: Option<Module> = Some(Module::Load);
const STORE: Option<Module> = Some(Module::Store);

/// The default design; none, with a notice, where Verilator is missing.
fn hardware() -> Option<RtlSim> {
    hardware_of(&Design::default())
}

fn hardware_of(design: &Design) -> Option<RtlSim> {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return None;
    }
    let model = RtlModel::build(design, false, &|_, _, _| {});
    Some(RtlSim::new(Arc::new(
        model.unwrap_or_else(|error| panic!("{error}")),
    )))
}

fn run(sim: &mut RtlSim, text: &str, options: &RtlOptions) -> Result<RtlReport, RtlError> {
    let insns = asm::assemble(sim.design(), text).expect("a valid text");
    let count = (insns.len() / INSN_BYTES) as u64;
    let mut dram = Dram::new(BASE, insns);
    dram.bytes.resize(2 * BASE as usize, 7);
    sim.run(&mut dram, BASE, count, options)
}

#[test]
fn every_fault_has_its_code() {
    let Some(mut sim) = hardware() else {
        return;
    };
    let options = RtlOptions {
        max_cycles: 100_000,
        watchdog: 2000,
        ..RtlOptions::default()
    };
    for (expected, module, text) in BEFORE_FINISH {
        let text = format!("{text}\nfinish");
        stops(&mut sim, &text, *expected, *module, &options);
    }
    for (expected, module, text) in WHOLE {
        stops(&mut sim, text, *expected, *module, &options);
    }
}

#[test]
fn the_rescaling_table_has_an_end() {
    let codesign = candidates().find(|candidate| candidate.name == "codesign");
    let config = HwConfig::from_json(codesign.expect("a design").config).expect("a valid file");
    let Some(mut sim) = hardware_of(&config.design().expect("a valid design")) else {
        return;
    };
    let entries = sim.design().requant_entries();
    let records = sim.design().depth(MemType::Rqt);
    for (module, text) in [
        (STORE, format!("store.out dram=0x200 y=0 x=1 rqt={entries}")),
        (STORE, "store.out dram=0x200 y=1 x=1 rqt=32767".into()),
        (
            LOAD,
            format!("load.rqt sram={:#x} dram=0x100 y=1 x=2", records - 1),
        ),
    ] {
        let options = RtlOptions::default();
        stops(
            &mut sim,
            &format!("{text}\nfinish"),
            Code::Sram,
            module,
            &options,
        );
    }
}

/// Each of these, with FINISH after it.
#[rustfmt::skip]
const BEFORE_FINISH: &[(Code, Option<Module>, &str)] = &[
    (Code::Opcode, OTHER, ".word 7"),
    (Code::MemType, COMPUTE, "load.out y=1 x=1"),
    (Code::MemType, COMPUTE, "load.6 y=1 x=1"),
    (Code::MemType, STORE, "store.acc y=1 x=1 dram=0x200"),
    (Code::Sram, LOAD, "load.inp sram=0x7ff dram=0x100 y=1 x=2"),
    (Code::Sram, LOAD, "load.wgt sram=0x3ff dram=0x10 y=1 x=1 pad=0,0,0,1"),
    (Code::Sram, COMPUTE, "load.uop sram=0x1fff dram=0x400 y=2 x=1"),
    (Code::Sram, STORE, "store.out sram=0x7ff dram=0x100 y=1 x=2"),
    (Code::UopRange, COMPUTE, "gemm uop=0,8193 iter=1,1"),
    (Code::Index, COMPUTE, "gemm uop=0,1 iter=3,1 dst=1024,0"),
    (Code::Index, COMPUTE, "gemm uop=0,1 iter=1,3 src=0,1024"),
    (Code::Index, COMPUTE, "gemm uop=0,1 iter=1,3 wgt=0,512"),
    (Code::Index, COMPUTE, "alu.add uop=0,1 iter=1,3 src=0,1024"),
    (Code::AluOp, COMPUTE, "alu.5 uop=0,1 iter=1,1 imm=1"),
    (Code::StorePad, STORE, "store.out dram=0x100 y=1 x=1 pad=0,1,0,0"),
    (Code::Address, LOAD, "load.inp dram=0x10000000 y=1 x=1"),
    (Code::Address, STORE, "store.out dram=0xfffffff y=1 x=2"),
    (Code::Bus, OTHER, "load.inp dram=0 y=1 x=1"),
];

#[rustfmt::skip]
const WHOLE: &[(Code, Option<Module>, &str)] = &[
    (Code::Bus, STORE, "store.out dram=0 y=1 x=1 push_prev\nfinish pop_next"),
    (Code::Finish, OTHER, "load.inp dram=0x180 y=1 x=1"),
    (Code::Finish, OTHER, "finish\nfinish"),
    (Code::Watchdog, OTHER, "finish pop_prev"),
];

/// The stream stops with the fault, and the run after it is sound.
fn stops(
    sim: &mut RtlSim,
    text: &str,
    expected: Code,
    module: Option<Module>,
    options: &RtlOptions,
) {
    match run(sim, text, options) {
        Err(RtlError::Fault {
            code,
            module: found,
        }) => {
            assert_eq!((code, found), (expected, module), "{text}");
        }
        other => panic!("{text}: {other:?}"),
    }
    let good = "load.inp sram=5 dram=0x180 y=1 x=1 push_next\nfinish pop_prev";
    let report = run(sim, good, options).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(report.retired.each_ref().map(Vec::len), [1, 1, 0], "{text}");
    let (inp, element) = (
        sim.scratchpad(MemType::Inp),
        sim.design().elem_bytes(MemType::Inp),
    );
    let (zeros, loaded) = inp[..6 * element].split_at(5 * element);
    assert!(loaded.iter().all(|&byte| byte == 7), "{text}");
    assert!(zeros.iter().all(|&byte| byte == 0), "{text}");
}

#[test]
fn a_hang_ends_at_the_limit() {
    let Some(mut sim) = hardware() else {
        return;
    };
    let options = RtlOptions {
        max_cycles: 5000,
        watchdog: 0,
        ..RtlOptions::default()
    };
    let hung = run(&mut sim, "finish pop_prev", &options);
    assert!(
        matches!(hung, Err(RtlError::CycleLimit { cycles: 5000 })),
        "{hung:?}"
    );
    let outside = sim.run(&mut Dram::new(BASE, vec![0; 16]), BASE, 2, &options);
    assert!(
        matches!(outside, Err(RtlError::Stream { count: 2, .. })),
        "{outside:?}"
    );
}

/// Zeros are written one a cycle and come from no bus: 6000 of micro-ops, and as many elements elsewhere as
/// fit.
#[test]
fn clearing_is_movement() {
    let Some(mut sim) = hardware() else {
        return;
    };
    let options = RtlOptions {
        watchdog: 300,
        ..RtlOptions::default()
    };
    for (memory, x) in [("uop", 200), ("acc", 60), ("inp", 60), ("wgt", 30)] {
        let text = format!("load.{memory} y=0 x={x} pad=15,15,0,0 push_next\nfinish pop_prev");
        let text = match memory {
            "uop" | "acc" => text.replace("push_next", "").replace("pop_prev", ""),
            _ => text,
        };
        let report = run(&mut sim, &text, &options).unwrap_or_else(|error| panic!("{error}"));
        assert!(report.cycles > 30 * x, "{text}: {} cycles", report.cycles);
    }
}

#[test]
fn state_is_kept_only_where_it_is_asked_for() {
    let Some(mut sim) = hardware() else {
        return;
    };
    let clear = RtlOptions {
        watchdog: 2000,
        ..RtlOptions::default()
    };
    let kept = RtlOptions {
        keep_state: true,
        ..clear
    };
    let push = "load.inp dram=0x180 y=1 x=1 push_next\nload.inp push_next\nfinish pop_prev";
    run(&mut sim, push, &clear).unwrap();
    let before = sim.scratchpad(MemType::Inp);
    assert!(before.contains(&7));
    run(&mut sim, "finish pop_prev", &kept).unwrap();
    assert_eq!(sim.scratchpad(MemType::Inp), before);
    run(&mut sim, push, &kept).unwrap();
    let hung = run(&mut sim, "gemm pop_prev\nfinish pop_prev", &clear);
    assert!(
        matches!(
            hung,
            Err(RtlError::Fault {
                code: Code::Watchdog,
                ..
            })
        ),
        "{hung:?}"
    );
}
