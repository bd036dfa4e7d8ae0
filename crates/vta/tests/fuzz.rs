//! Random networks and schedules on every design of the hardware's tests; many more are `vta fuzz --networks 2000` and
//! `vta fuzz --schedules 2000`.

use vta::fuzz::{Fuzz, Kind, Schedules, rerun};
use vta_graph::random::{Dice, integer};
use vta_graph::text::{self, PrintOptions};
use vta_isa::{Design, HwConfig};
use vta_rtl::candidates;

fn designs() -> Vec<(String, Design)> {
    let mut designs: Vec<(String, Design)> = Vec::new();
    for candidate in candidates() {
        if designs.iter().all(|(name, _)| name != candidate.name) {
            let design = HwConfig::from_json(candidate.config).and_then(HwConfig::design);
            designs.push((candidate.name.to_owned(), design.unwrap()));
        }
    }
    designs
}

#[test]
fn every_design_meets_every_kind() {
    let designs = designs();
    let count = designs.len() as u64;
    let fuzz = Fuzz {
        designs,
        each: 1,
        kinds: Kind::ALL.to_vec(),
    };
    let runs = fuzz
        .run(1..3 * count + 1, &())
        .unwrap_or_else(|d| panic!("{d:#?}"));
    assert_eq!(runs.designs.len() as u64, count);
    assert!(
        runs.designs.values().all(|&networks| networks == 3),
        "{runs:?}"
    );
    for op in ["vta.conv", "vta.add", "vta.max_pool", "vta.sum_pool"] {
        assert!(runs.vta.contains_key(op), "{runs:?}");
    }
    assert!(runs.cycles > 0);
    // The same on any number of threads.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let again = pool
        .install(|| fuzz.run(1..3 * count + 1, &()))
        .unwrap_or_default();
    assert_eq!(again, runs);
}

/// What a difference is reported as can be run; text that is no network says so.
#[test]
fn networks_run_again_from_their_text() {
    let design = Design::default();
    let target = vta_compiler::quant_target(&design);
    let graph = integer::draw(&mut Dice::seeded(5), &target);
    let text = text::print(&graph, PrintOptions { data: true });
    let runs = rerun(&text, &design, 0..3).unwrap();
    assert_eq!(runs.designs.values().sum::<u64>(), 3);
    let error = rerun("graph {", &design, 0..1).unwrap_err();
    assert_eq!(error.kind(), vta::Kind::Input);
}

#[test]
fn schedules_keep_what_operators_compute() {
    let schedules = Schedules::new(designs()).unwrap();
    let runs = schedules.run(1..61, &());
    let runs = runs.unwrap_or_else(|d| panic!("{}\n{}", d.what, d.script));
    assert_eq!(runs.operators.values().sum::<u64>(), 60);
    // Where what is drawn no longer leads to instructions, this would test little.
    for operator in ["convolution", "elementwise", "maximum"] {
        assert!(
            3 * runs.complete[operator] >= runs.operators[operator],
            "{runs:?}"
        );
    }
    for primitive in [
        "double_buffer",
        "virtual_thread",
        "tensorize",
        "dma",
        "cache_read",
        "fuse",
    ] {
        assert!(runs.primitives.contains_key(primitive), "{runs:?}");
    }
    assert!(runs.cycles > 0);
}
