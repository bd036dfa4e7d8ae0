//! Every step of a compilation prints, and what is printed parses to what prints the same.

use vta::dump::{Dump, Level};
use vta::{Model, Options, digits};
use vta_graph::text::{self, PrintOptions};
use vta_isa::{Design, asm};
use vta_tir::Geometry;
use vta_tir::schedule::Script;

fn options() -> Options {
    Options {
        calibration: digits::calibration(&digits::model().unwrap()).unwrap(),
        ..Options::default()
    }
}

fn dump(step: Option<&str>) -> Dump {
    let design = Design::default();
    let mut dump = Dump::new(&design, step);
    let model = Model::watched("digits", digits::ONNX, &mut dump).unwrap();
    vta::compile_watched(&model, &options(), &(), &mut dump).unwrap();
    dump
}

#[test]
fn every_step_prints_and_parses() {
    let design = Design::default();
    let names = dump(None);
    let levels: Vec<Level> = names.steps().map(|(_, level)| level).collect();
    assert!(levels.is_sorted_by_key(|level| *level as u32), "{names:?}");
    for level in [Level::Graph, Level::Tensor, Level::Stream] {
        assert!(levels.contains(&level));
    }
    for (name, level) in names.steps() {
        let dump = dump(Some(name));
        let texts = dump.texts().unwrap();
        assert!(!texts.is_empty(), "{name}");
        for text in texts {
            let again = match level {
                Level::Graph => {
                    let graph = text::parse(text).unwrap();
                    text::print(&graph, PrintOptions { data: true })
                }
                Level::Tensor => vta_tir::parse(text).unwrap().to_string(),
                Level::Script => Script::parse(text).unwrap().to_string(),
                Level::Stream => {
                    let insns = asm::assemble(&design, text).unwrap();
                    asm::disassemble(&design, &insns).unwrap()
                }
            };
            assert_eq!(again, *text, "{name}");
        }
    }
}

#[test]
fn scripts_make_the_schedules_of_the_nests() {
    let [naive, script, schedule] = ["naive", "script", "schedule"].map(|step| dump(Some(step)));
    let (naive, schedule) = (naive.texts().unwrap(), schedule.texts().unwrap());
    let geometry = Geometry {
        batch: 1,
        block_in: 16,
        block_out: 16,
    };
    for (i, text) in script.texts().unwrap().iter().enumerate() {
        let script = Script::parse(text).unwrap();
        let mut nest = script.naive;
        assert_eq!(nest.to_string(), naive[i]);
        for step in &script.steps {
            step.apply(&mut nest, &geometry).unwrap();
        }
        assert_eq!(nest.to_string(), schedule[i]);
    }
}

#[test]
fn watching_changes_nothing() {
    let model = digits::model().unwrap();
    let plain = vta::compile(&model, &options(), &()).unwrap();
    let mut dump = Dump::new(&Design::default(), Some("tokens"));
    let watched = vta::compile_watched(&model, &options(), &(), &mut dump).unwrap();
    assert_eq!(plain.program, watched.program);
    let streams = watched.program.streams.iter();
    let texts: Vec<String> = streams
        .map(|insns| asm::disassemble(&Design::default(), insns).unwrap())
        .collect();
    assert_eq!(dump.texts().unwrap(), texts);
}

#[test]
fn a_step_that_is_none_is_told() {
    let error = dump(Some("polish")).texts().unwrap_err();
    assert!(
        error.to_string().contains("pack, naive, schedule"),
        "{error}"
    );
}
