//! The digits network on every simulated device, and what they tell of its time.

use vta::{DeviceKind, Devices, Module, Options, Samples, digits};
use vta_isa::Design;
use vta_sim::MemoryModel;

#[test]
fn the_cycle_simulator_gives_the_same_bytes_and_a_timeline() {
    let model = digits::model().unwrap();
    let preprocess = digits::recipe().resolve(&model).unwrap();
    let options = Options {
        calibration: digits::calibration(&model).unwrap(),
        preprocess: Some(preprocess.clone()),
        ..Options::default()
    };
    let program = vta::compile(&model, &options, &()).unwrap().program;
    let photo = vta::parse_image(digits::SAMPLE).unwrap();
    let input = Samples::from_image(&photo, &preprocess, model.input().unwrap());
    let input = [input.get(0).unwrap()];
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
        let devices = Devices::new(&Design::default(), &kind, &()).unwrap();
        let mut module = Module::load_on(program.clone(), &devices).unwrap();
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
                .filter(|e| e["tid"] == track && e["ph"] == "X");
            let mut end = 0;
            for slice in slices {
                assert!(number(slice, "ts") >= end, "{slice}");
                end = number(slice, "ts") + number(slice, "dur");
            }
        }
    }
    assert!(cycles[0] < cycles[1]);
}
