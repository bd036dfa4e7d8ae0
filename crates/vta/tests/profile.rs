//! Profiles: what the operators took adds up to the run, on designs of any shape.

mod support;

use support::digits_network;
use vta::{DeviceKind, Devices, Module, Operator, Profile, Spent};
use vta_graph::Tensor;
use vta_isa::{Design, HwConfig};
use vta_program::{Place, Program};
use vta_sim::{MemoryModel, ModuleCycles};

/// The network run with data, traced.
fn run(program: &Program, design: &Design, input: Tensor, memory: MemoryModel) -> Module {
    let kind = DeviceKind::Cycle {
        memory,
        trace: true,
    };
    let devices = Devices::new(design, &kind, &()).unwrap();
    let mut module = Module::load_on(program.clone(), &devices).unwrap();
    module.run(&[input]).unwrap();
    module
}

#[test]
fn operators_add_up_to_the_run() {
    let batch = r#"{"LOG_BATCH": 1, "LOG_BLOCK_IN": 3, "LOG_BLOCK_OUT": 4}"#;
    let narrow = r#"{"LOG_BLOCK": 3, "LOG_WGT_WIDTH": 2, "LOG_INP_WIDTH": 2,
        "LOG_WGT_BUFF_SIZE": 15, "LOG_INP_BUFF_SIZE": 13, "LOG_ACC_BUFF_SIZE": 16}"#;
    let shallow = r#"{"CMD_QUEUE_DEPTH": 2, "DEP_QUEUE_DEPTH": 1, "LOG_INP_BUFF_SIZE": 10}"#;
    for config in ["{}", batch, narrow, shallow] {
        let design = HwConfig::from_json(config).unwrap().design().unwrap();
        let (program, input) = digits_network(&design);
        let program = Program::from_bytes(&vta::to_bytes(&program).unwrap()).unwrap();
        for (latency, stalls) in [(0, None), (64, None), (16, Some(7))] {
            let memory = MemoryModel { latency, stalls };
            let module = run(&program, &design, input.clone(), memory);
            let profile = Profile::of(&module).unwrap();
            adds_up(&profile, &module);

            // Without data the same, but for the host.
            let time = |operator: &Operator| operator.host_seconds.is_some();
            let host = |operator: &Operator| operator.device == Place::Host;
            let hosts = |operator: &Operator| host(operator) || operator.arranged.is_some();
            assert!(profile.operators.iter().all(|o| time(o) == hosts(o)));
            assert!(profile.operators.iter().any(|o| o.arranged.is_some()));
            let times = profile.operators.iter().filter_map(|o| o.host_seconds);
            let (sum, total) = (times.sum::<f64>(), profile.total.host_seconds.unwrap());
            assert!((sum - total).abs() < 1e-9, "{sum} of {total}");
            let timed = Profile::time(&program, &design, memory).unwrap();
            assert!(!timed.operators.iter().any(time));
            assert_eq!(timed.total.spent, profile.total.spent);
            assert_eq!(timed.total.host_seconds, None);
            let spent = |profile: &Profile| -> Vec<Option<Spent>> {
                profile.operators.iter().map(|o| o.spent).collect()
            };
            assert_eq!(spent(&timed), spent(&profile));
        }
    }
}

fn adds_up(profile: &Profile, module: &Module) {
    let counters = module.counters();
    let streams = &module.stats().streams;
    let reports = streams.iter().filter_map(|s| s.run.report.as_ref());
    let mut compute = ModuleCycles::default();
    reports.for_each(|report| compute += report.modules[1]);

    let (mut cycles, mut slots, mut bytes, mut waits) = (0, 0, [0; 2], ModuleCycles::default());
    for operator in &profile.operators {
        assert_eq!(operator.spent.is_some(), operator.device == Place::Vta);
        let Some(spent) = operator.spent else {
            continue;
        };
        assert!(
            spent.ideal <= spent.gemm && spent.gemm <= spent.cap,
            "{operator:?}"
        );
        assert!(spent.cap > 0, "{operator:?}");
        assert_eq!(spent.cycles, spent.compute.total());
        assert!(spent.token_of_load <= spent.compute.token, "{operator:?}");
        assert!(!operator.schedule.is_empty() && !operator.shape.is_empty());
        cycles += spent.cycles;
        slots += spent.cap;
        bytes[0] += spent.read_bytes;
        bytes[1] += spent.written_bytes;
        waits += spent.compute;
    }
    assert_eq!(Some(cycles), module.stats().cycles());
    assert_eq!(waits, compute);
    assert_eq!(bytes, [counters.load_bytes.total(), counters.store_bytes]);
    assert_eq!(profile.total.insn_bytes, 16 * counters.insns.total());

    let total = &profile.total.spent;
    assert_eq!((total.cycles, total.cap), (cycles, slots));
    assert!(slots <= waits.busy);
    assert_eq!(total.gemm, counters.gemm_ops);
    let operations = counters.gemm_ops + counters.reset_ops + counters.alu_ops.total();
    let reads = counters.alu_ops.total();
    assert!((operations..=operations + reads).contains(&slots));
    // Four convolutions and a dense layer.
    assert_eq!(
        profile.total.vta_macs,
        64 * (9 * 16 + 2 * 144 * 16) + 16 * 144 * 32 + 320
    );
}

#[test]
fn only_a_traced_run_has_a_profile() {
    let (program, input) = digits_network(&Design::default());
    let mut module = Module::load(program.clone()).unwrap();
    module.run(&[input]).unwrap();
    let error = Profile::of(&module).unwrap_err().to_string();
    assert!(error.contains("single instructions"), "{error}");
    let bare = Program {
        layers: Vec::new(),
        ..program
    };
    let error = Profile::time(&bare, &Design::default(), MemoryModel::default()).unwrap_err();
    assert!(
        error.to_string().contains("instructions of its operators"),
        "{error}"
    );
}
