//! The digits network on every simulated device, and what they tell of its time.

mod support;

use support::digits_network;
use vta::{DeviceKind, Devices, Module};
use vta_isa::Design;
use vta_program::Program;
use vta_rtl::RtlModel;
use vta_sim::MemoryModel;

fn load(program: &Program, kind: &DeviceKind) -> Module {
    let devices = Devices::new(&Design::default(), kind, &()).unwrap();
    Module::load_on(program.clone(), &devices).unwrap()
}

#[test]
fn the_hardware_gives_the_same_bytes_and_the_same_cycles() {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return;
    }
    let (program, input) = digits_network(&Design::default());
    let memory = MemoryModel {
        latency: 30,
        stalls: Some(5),
    };
    let kinds = [
        DeviceKind::default(),
        DeviceKind::Cycle {
            memory,
            trace: false,
        },
        DeviceKind::Rtl { memory, wave: None },
    ];
    let [functional, cycle, hardware] = kinds.map(|kind| {
        let mut module = load(&program, &kind);
        let outputs = module.run(std::slice::from_ref(&input)).unwrap();
        let (memory, counters) = (module.memory().unwrap(), module.counters());
        ((outputs, memory, counters), module.stats().cycles())
    });
    assert!(functional.0 == cycle.0);
    assert!(functional.0 == hardware.0);
    assert_eq!((functional.1, cycle.1), (None, hardware.1));
    assert!(hardware.1 > Some(0));
}

#[test]
fn the_cycle_simulator_gives_the_same_bytes_and_a_timeline() {
    let (program, input) = digits_network(&Design::default());
    let input = [input];
    let mut plain = Module::load(program.clone()).unwrap();
    let expected = plain.run(&input).unwrap();
    assert_eq!(plain.stats().cycles(), None);

    let mut cycles = Vec::new();
    for latency in [0, 100] {
        let memory = MemoryModel {
            latency,
            stalls: None,
        };
        let kind = DeviceKind::Cycle {
            memory,
            trace: true,
        };
        let mut module = load(&program, &kind);
        assert_eq!(module.run(&input).unwrap(), expected);
        assert_eq!(module.counters(), plain.counters());
        cycles.push(module.stats().cycles().unwrap());

        let trace = serde_json::to_value(module.timeline()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |cat: &'static str| events.iter().filter(move |event| event["cat"] == cat);
        let number = |event: &serde_json::Value, key: &str| event[key].as_u64().unwrap();
        let length = |cat: &'static str| of(cat).map(|event| number(event, "dur")).sum::<u64>();
        let insns: u64 = module.counters().insns.total();
        assert_eq!(of("instruction").count() as u64, insns);
        assert_eq!(length("stream"), *cycles.last().unwrap());
        let reports = module
            .stats()
            .streams
            .iter()
            .filter_map(|s| s.run.report.as_ref());
        let waited = reports
            .flat_map(|report| report.modules)
            .map(|module| module.token);
        assert_eq!(length("token"), waited.sum::<u64>());
        // On a track, slices follow one another.
        for track in 2..=4 {
            let slices = events
                .iter()
                .filter(|e| e["tid"] == track && e["ph"] == "X" && e["cat"] != "room");
            let mut end = 0;
            for slice in slices {
                assert!(number(slice, "ts") >= end, "{slice}");
                end = number(slice, "ts") + number(slice, "dur");
            }
        }
    }
    assert!(cycles[0] < cycles[1]);
}
