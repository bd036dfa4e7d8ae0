//! The search for schedules: the same choice each time, kept in a log that replays.

use vta_compiler::records::Records;
use vta_compiler::{CompileOptions, Compiled, compile_with};
use vta_graph::{Graph, text};
use vta_isa::Design;

/// Two convolutions that are alike but for their names and immediates.
fn network() -> Graph {
    let weights = vec!["1"; 32 * 32 * 9].join(", ");
    let conv = |from: &str, to: &str, mult: u32| {
        format!(
            "  %w{to}: i8[32,32,3,3] = const [{weights}]\n  \
             %s{to}: i32[1,32,14,14] = qconv(%{from}, %w{to}) {{kernel=[3, 3], stride=[1, 1], \
             dilation=[1, 1], pads=[1, 1, 1, 1], groups=1, zero_point=0}} @\"conv {to}\"\n  \
             %{to}: i8[1,32,14,14] = requantize(%s{to}) {{mult=[{mult}], add=[2048], shift=12, \
             lo=-128, hi=127}} @\"scale {to}\"\n"
        )
    };
    let (first, second) = (conv("x", "t", 9), conv("t", "y", 10));
    let text = format!("graph \"two\" (%x: i8[1,32,14,14]) -> (%y) {{\n{first}{second}}}\n");
    text::parse(&text).expect("a graph")
}

fn compiled(records: Records) -> Compiled {
    let options = CompileOptions {
        records,
        ..CompileOptions::default()
    };
    compile_with(&network(), &Design::default(), &options).expect("it compiles")
}

#[test]
fn equal_operators_have_one_record_and_it_replays() {
    let fresh = compiled(Records::default());
    assert_eq!(fresh.records.len(), 1, "{}", fresh.records);
    let log = fresh.records.to_string();
    let replayed = compiled(log.parse().expect("a log"));
    assert_eq!(replayed.program.streams, fresh.program.streams);
    assert_eq!(replayed.records, fresh.records);
}

#[test]
fn a_record_decides_and_a_foreign_schedule_does_not() {
    let fresh = compiled(Records::default());
    let schedule = fresh.nests[0].1.schedule.clone();
    let log = fresh.records.to_string();
    let replay = |schedule_now: &str| {
        let log = log.replace(&schedule, schedule_now);
        compiled(log.parse().expect("a log"))
    };
    let tiles = [14, 7, 5, 4, 3, 2].map(|y| format!("co 2 y {y} x 7 ci 2 twice"));
    let followed = |other: &String| {
        let decided = replay(other);
        let is_followed = decided.nests[0].1.schedule == *other;
        is_followed && decided.program.streams != fresh.program.streams
    };
    assert!(tiles.iter().filter(|t| **t != schedule).any(followed));
    let foreign = replay("co 1000 y 1 x 1 ci 1");
    assert_eq!(foreign.program.streams, fresh.program.streams);
}
