//! Verilator has nothing to say about the hardware of any of the designs.

use vta_isa::HwConfig;
use vta_rtl::{RtlModel, candidates, lint};

#[test]
fn the_hardware_is_free_of_warnings() {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return;
    }
    let mut designs: Vec<_> = candidates().collect();
    designs.dedup_by_key(|candidate| candidate.name);
    for candidate in designs {
        let config = HwConfig::from_json(candidate.config).expect("a valid file");
        let design = config.design().expect("a valid design");
        lint(&design).unwrap_or_else(|error| panic!("{}: {error}", candidate.name));
    }
}
