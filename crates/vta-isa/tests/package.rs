//! The SystemVerilog package: the committed one is current, and its structures are the layouts.

mod common;

use std::collections::HashMap;
use std::{env, fs};

use vta_isa::{Design, FaultCode, HwConfig, Layout, Opcode, Register, sv};

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hardware/rtl/vta_pkg.sv");

#[test]
fn the_committed_package_is_current() {
    let package = sv::package(&Design::default()).unwrap();
    if env::var_os("VTA_BLESS").is_some_and(|value| value == "1") {
        fs::write(PACKAGE, &package).unwrap();
    }
    let committed = fs::read_to_string(PACKAGE).unwrap_or_default();
    assert!(
        committed == package,
        "hardware/rtl/vta_pkg.sv is stale; VTA_BLESS=1 cargo test -p vta-isa rewrites it"
    );
}

/// Reads the packed structure `name`: each member's lowest bit, width and sign, and the total.
fn members(package: &str, name: &str) -> (HashMap<String, (u32, u32, bool)>, u32) {
    let end = package.find(&format!("\n  }} {name};\n")).unwrap();
    let start = package[..end].rfind("struct packed {\n").unwrap();
    let (mut members, mut next) = (HashMap::new(), 0);
    for line in package[start..end]
        .lines()
        .skip(1)
        .collect::<Vec<_>>()
        .iter()
        .rev()
    {
        let words: Vec<&str> = line.trim().trim_end_matches(';').split(' ').collect();
        let range = words.iter().find_map(|word| word.strip_prefix('['));
        let width = range.map_or(1, |range| {
            range.strip_suffix(":0]").unwrap().parse::<u32>().unwrap() + 1
        });
        let member = (next, width, words.contains(&"signed"));
        assert_eq!(members.insert(words[words.len() - 1].into(), member), None);
        next += width;
    }
    (members, next)
}

fn assert_places(package: &str, name: &str, layouts: &[&Layout], total: u32) {
    let (mut members, width) = members(package, name);
    assert_eq!(width, total, "{name}");
    let places = layouts.iter().flat_map(|layout| &layout.places);
    for place in places.filter(|place| place.width > 0) {
        let member = members.remove(place.field.name);
        let expected = (place.lo, place.width, place.field.signed);
        assert_eq!(member, Some(expected), "{name}.{}", place.field.name);
    }
    members.retain(|member, _| !member.starts_with("rsv_"));
    let rest: Vec<String> = members.into_keys().collect();
    let opcode: &[&str] = if total == 128 { &["opcode"] } else { &[] };
    assert_eq!(rest, opcode, "{name}");
}

#[test]
fn structures_have_the_places_of_the_layouts() {
    for (name, design) in common::designs() {
        // Its scratchpads have one element each.
        if name == "single" {
            continue;
        }
        let package = sv::package(&design).unwrap();
        for (name, opcode) in [
            ("mem_insn_t", Opcode::Load),
            ("store_insn_t", Opcode::Store),
            ("gemm_insn_t", Opcode::Gemm),
            ("alu_insn_t", Opcode::Alu),
        ] {
            let layouts = [design.header(), design.layout(opcode)];
            assert_places(&package, name, &layouts, 128);
        }
        assert_places(&package, "uop_t", &[design.uop_layout()], 32);
        let (header, total) = members(&package, "insn_t");
        assert_eq!((header["opcode"], total), ((0, 3, false), 128));
        assert_eq!(header["body"], (7, 121, false));
    }
}

#[test]
fn a_scratchpad_of_one_element_has_no_hardware() {
    let config = HwConfig {
        log_uop_buff_size: 2,
        ..HwConfig::default()
    };
    let error = sv::package(&config.design().unwrap()).unwrap_err();
    assert!(error.to_string().contains("LOG_UOP_BUFF_SIZE"), "{error}");
}

#[test]
fn registers_lie_one_after_another() {
    let offsets = |log_addr_width| {
        let config = HwConfig {
            log_addr_width,
            ..HwConfig::default()
        };
        let design = config.design().unwrap();
        Register::ALL
            .iter()
            .map(|register| register.offset(&design))
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(5), [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]);
    assert_eq!(offsets(6), [0, 4, 8, 12, 20, 28, 36, 44, 52, 60, 64, 68]);
    assert_eq!(FaultCode::from_code(11), Some(FaultCode::Watchdog));
}
