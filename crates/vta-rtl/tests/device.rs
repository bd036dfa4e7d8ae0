//! The hardware as a device does what the simulators do as devices.

use std::path::Path;
use std::sync::Arc;

use vta_isa::{Design, HwConfig, INSN_BYTES};
use vta_rtl::{RtlDevice, RtlError, RtlModel, candidates};
use vta_runtime::{CycleDevice, Device, DeviceError, ErrorKind, RunLimits};
use vta_sim::{MemoryModel, generate};

/// The least design; none, with a notice, where Verilator is missing.
fn model(waves: bool) -> Option<Arc<RtlModel>> {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return None;
    }
    let least = candidates().find(|candidate| candidate.name == "least");
    let config = HwConfig::from_json(least.expect("a design").config);
    let design = config.and_then(HwConfig::design).expect("a valid design");
    let model = RtlModel::build(&design, waves, &|_, _, _| {});
    Some(Arc::new(model.unwrap_or_else(|error| panic!("{error}"))))
}

/// Puts a generated program where it wants to be; gives the address of its stream and what it may
/// touch.
fn place(device: &mut dyn Device, seed: u64) -> (u64, u64, Vec<u8>) {
    let program = generate(device.design(), seed, 20);
    let end = program.dram.end();
    let start = device.alloc(end).unwrap();
    assert!(
        start <= program.dram.base,
        "the first allocation begins the memory"
    );
    device
        .write(program.dram.base, &program.dram.bytes)
        .unwrap();
    let stream = device.alloc(program.insns.len() as u64).unwrap();
    device.write(stream, &program.insns).unwrap();
    (
        stream,
        (program.insns.len() / INSN_BYTES) as u64,
        program.dram.bytes,
    )
}

fn read(device: &mut dyn Device, base: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    device.read(base, &mut bytes).unwrap();
    bytes
}

#[test]
fn memory_cycles_and_counters_are_those_of_the_cycle_simulator() {
    let Some(model) = model(false) else {
        return;
    };
    let memory = MemoryModel {
        latency: 9,
        stalls: Some(3),
    };
    // Of the generated images, those that a device's memory has room for.
    let image = |seed| generate(model.design(), seed, 20).dram;
    for seed in (0..).filter(|seed| image(*seed).end() < 1 << 26).take(10) {
        let base = image(seed).base;
        let mut outcomes = Vec::new();
        let devices: [Box<dyn Device>; 2] = [
            Box::new(CycleDevice::new(model.design(), memory)),
            Box::new(RtlDevice::new(model.clone(), memory)),
        ];
        for mut device in devices {
            let (stream, count, image) = place(&mut device, seed);
            let run = device.run(stream, count, &RunLimits::default()).unwrap();
            assert_eq!(device.counters(), run.counters);
            let bytes = read(&mut device, base, image.len());
            outcomes.push((run.counters, run.cycles, bytes));
        }
        assert!(outcomes[0] == outcomes[1], "seed {seed}");
        assert!(outcomes[0].1 > Some(0));
    }
}

#[test]
fn a_limit_is_no_fault() {
    let Some(model) = model(false) else {
        return;
    };
    let mut device = RtlDevice::new(model, MemoryModel::default());
    let (stream, count, _) = place(&mut device, 1);
    let kind = |result: Result<_, DeviceError>| result.map(|_| ()).unwrap_err().kind();
    let insns = RunLimits {
        insns: 1,
        ..RunLimits::default()
    };
    assert_eq!(kind(device.run(stream, count, &insns)), ErrorKind::Limit);
    let steps = RunLimits {
        steps: 20,
        ..RunLimits::default()
    };
    assert_eq!(kind(device.run(stream, count, &steps)), ErrorKind::Limit);
    let nowhere = device.run(1 << 20, 1 << 20, &RunLimits::default());
    assert_eq!(kind(nowhere), ErrorKind::Caller);
    let without_finish = device.run(stream, 1, &RunLimits::default());
    assert_eq!(kind(without_finish), ErrorKind::Fault);
}

#[test]
fn waveforms_cover_every_run() {
    let Some(quiet) = model(false) else {
        return;
    };
    let memory = MemoryModel::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.fst");
    let refused = RtlDevice::with_wave(quiet, memory, &path);
    assert!(matches!(refused, Err(RtlError::NoWaves)));
    let model = model(true).expect("the tools are there");
    let nowhere = RtlDevice::with_wave(model.clone(), memory, Path::new("/nowhere/out.fst"));
    assert!(matches!(nowhere, Err(RtlError::Io { .. })));

    let size = |runs: usize| {
        let mut device = RtlDevice::with_wave(model.clone(), memory, &path).unwrap();
        let (stream, count, _) = place(&mut device, 1);
        for _ in 0..runs {
            device.run(stream, count, &RunLimits::default()).unwrap();
        }
        drop(device);
        std::fs::metadata(&path).unwrap().len()
    };
    let one = size(1);
    assert!(one > 1000, "{one} bytes");
    assert!(size(8) > one, "{one} bytes");
}

#[test]
fn a_design_without_indices_has_no_hardware() {
    let config = HwConfig {
        log_inp_buff_size: 4,
        ..HwConfig::default()
    };
    let design: Design = config.design().unwrap();
    let error = RtlModel::build(&design, false, &|_, _, _| {}).unwrap_err();
    assert!(error.to_string().contains("LOG_INP_BUFF_SIZE"), "{error}");
}
