//! The hardware relies on AXI4 alone: a memory that waits at random on every channel changes when
//! things happen, not what.

use std::num::NonZeroU64;
use std::sync::Arc;

use vta_isa::{HwConfig, MemType};
use vta_rtl::{RtlModel, RtlOptions, RtlSim, Trial, TrialOptions, candidates};
use vta_sim::{FuncSim, RunOptions};

fn same_results(name: &str) {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return;
    }
    let candidate = candidates().find(|candidate| candidate.name == name);
    let config = HwConfig::from_json(candidate.expect("a design").config);
    let design = config.and_then(HwConfig::design).expect("a valid design");
    let model = RtlModel::build(&design, false, &|_, _, _| {});
    let mut hardware = RtlSim::new(Arc::new(model.unwrap_or_else(|error| panic!("{error}"))));
    let mut func = FuncSim::new(&design);
    for seed in 1..=40 {
        let trial = Trial::draw(&design, seed, &TrialOptions::default());
        let (mut dram, mut expected) = (trial.image.clone(), trial.image);
        func.run_at(
            &mut expected,
            trial.address,
            trial.count,
            &RunOptions::default(),
        )
        .unwrap_or_else(|fault| panic!("{name}, seed {seed}: {fault}"));
        let options = RtlOptions {
            memory: trial.memory,
            unruly: NonZeroU64::new(seed),
            max_cycles: 1_000_000,
            ..RtlOptions::default()
        };
        let report = hardware.run(&mut dram, trial.address, trial.count, &options);
        let report = report.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
        let retired: usize = report.retired.iter().map(Vec::len).sum();
        assert_eq!(retired as u64, trial.count, "{name}, seed {seed}");
        assert!(dram == expected, "{name}, seed {seed}: memory differs");
        for mem in [MemType::Uop, MemType::Inp, MemType::Wgt, MemType::Acc] {
            let same = hardware.scratchpad(mem) == func.scratchpad(mem);
            assert!(same, "{name}, seed {seed}: {mem} differs");
        }
    }
}

#[test]
fn the_default_design_works_with_any_memory() {
    same_results("default");
}

#[test]
fn the_least_design_works_with_any_memory() {
    same_results("least");
}

#[test]
fn two_bit_operands_on_a_wide_bus_work_with_any_memory() {
    same_results("bits_2");
}
