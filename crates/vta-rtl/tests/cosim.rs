//! Random programs in both simulators and in the hardware; `vta cosim --all` runs more of them.

use std::sync::Arc;

use vta_isa::{AluOp, Body, Design, HwConfig, INSN_BYTES, Insn};
use vta_rtl::{
    Campaign, Candidate, Cosim, RtlModel, SOURCES, Summary, Trial, TrialOptions, candidates, shrink,
};
use vta_sim::{MemoryModel, generate};

fn candidate(name: &str) -> Candidate {
    let found = candidates().find(|candidate| candidate.name == name);
    found.unwrap_or_else(|| panic!("no design {name}"))
}

fn design(candidate: &Candidate) -> Design {
    let config = HwConfig::from_json(candidate.config).expect("a valid file");
    config.design().expect("a valid design")
}

/// The hardware from these sources; none, with a notice, where Verilator is missing.
fn model(design: &Design, sources: &[(&str, &str)]) -> Option<Arc<RtlModel>> {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return None;
    }
    let model = RtlModel::build_from(design, sources, false, &|_, _, _| {});
    Some(Arc::new(model.unwrap_or_else(|error| panic!("{error}"))))
}

fn campaign(design: &Design, model: Option<Arc<RtlModel>>, programs: u64) -> Campaign<'_> {
    Campaign {
        design,
        model,
        seeds: 1..1 + programs,
        options: TrialOptions::default(),
    }
}

fn no_difference(name: &str) {
    let design = design(&candidate(name));
    let Some(model) = model(&design, SOURCES) else {
        return;
    };
    if let Err(failure) = campaign(&design, Some(model), 40).run(&|| {}) {
        let differences = failure.differences.iter().map(ToString::to_string);
        let differences = differences.collect::<Vec<_>>().join("\n");
        panic!("{name}, seed {}:\n{differences}", failure.seed);
    }
}

#[test]
fn the_default_design_has_no_difference() {
    no_difference("default");
}

#[test]
fn the_least_design_has_no_difference() {
    no_difference("least");
}

#[test]
fn two_bit_operands_on_a_wide_bus_have_no_difference() {
    no_difference("bits_2");
}

/// A mistake in the sources is found, and a small program shows it.
#[test]
fn a_difference_is_found_and_made_small() {
    let design = design(&candidate("least"));
    let mistake = |(name, text): &(&'static str, &'static str)| {
        let wrong = match *name {
            "vta_alu.sv" => text.replacen("<", ">", 1),
            _ => String::new(),
        };
        (
            *name,
            if wrong.is_empty() {
                (*text).to_owned()
            } else {
                wrong
            },
        )
    };
    let sources: Vec<_> = SOURCES.iter().map(mistake).collect();
    let sources: Vec<_> = sources
        .iter()
        .map(|(name, text)| (*name, &text[..]))
        .collect();
    let Some(model) = model(&design, &sources) else {
        return;
    };
    let campaign = campaign(&design, Some(model.clone()), 40);
    let failure = campaign
        .run(&|| {})
        .expect_err("a comparison the other way round");
    let mut simulators = Cosim::new(&design, Some(&model));
    let small = shrink(&design, &failure.trial, |trial| {
        simulators.run(trial).is_err()
    });
    assert!(simulators.run(&small).is_err());
    assert!(
        small.count < failure.trial.count && small.count < 8,
        "{}",
        small.count
    );
}

#[test]
fn the_simulators_agree_and_every_bin_of_the_coverage_is_met() {
    let mut all: Option<Summary> = None;
    // Other seeds for each design, or all would meet the same few scenes.
    for (start, candidate) in (0..).step_by(40).zip(candidates()) {
        let design = design(&candidate);
        let options = TrialOptions {
            latency: candidate.latency,
            ..TrialOptions::default()
        };
        let campaign = Campaign {
            seeds: start..start + 40,
            options,
            ..campaign(&design, None, 40)
        };
        let summary = campaign.run(&|| {}).unwrap_or_else(|failure| {
            panic!(
                "{}, seed {}: {}",
                candidate.name, failure.seed, failure.differences[0]
            )
        });
        match &mut all {
            Some(all) => all.add(&summary),
            None => all = Some(summary),
        }
    }
    for (bin, count) in all.expect("some design").coverage.counts() {
        assert!(count >= 10, "{}, {bin}: {count}", bin.group());
    }
}

#[test]
fn the_designs_are_all_that_there_are() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hardware/dv/designs");
    let files = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let named = candidates().filter(|candidate| candidate.name != "default");
    let mut expected: Vec<String> = named.map(|it| format!("{}.json", it.name)).collect();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn what_does_not_show_is_left_out() {
    let design = Design::default();
    let decode = |trial: &Trial| -> Vec<Insn> {
        let words = trial.insns().chunks(INSN_BYTES);
        words
            .map(|word| Insn::decode(&design, word.try_into().unwrap()).unwrap())
            .collect()
    };
    let multiplies =
        |insn: &Insn| matches!(&insn.body, Body::Alu(alu) if alu.op() == Some(AluOp::Mul));
    let trial = Trial::new(generate(&design, 3, 60), 0, MemoryModel::default());
    assert!(decode(&trial).iter().any(multiplies));
    let small = shrink(&design, &trial, |trial| {
        decode(trial).iter().any(multiplies)
    });
    let insns = decode(&small);
    assert_eq!(insns.len(), 2, "{insns:?}");
    assert!(multiplies(&insns[0]) && insns[1].body == Body::Finish);
    assert_eq!((small.memory.latency, small.memory.stalls), (0, None));
}
