//! What Verilator has to say about the sources.

use std::fs;

use vta_isa::Design;

use crate::RtlError;
use crate::model::UNROLL;
use crate::sources::{SOURCES, Sources};
use crate::tools::{Verilator, run};

/// What is waived, with the reasons.
const WAIVERS: (&str, &str) = (
    "verilator.vlt",
    include_str!("../../../hardware/verilator.vlt"),
);

/// Checks the hardware of `design` with all of Verilator's warnings but those that
/// `hardware/verilator.vlt` waives; what is left of them is the error.
pub fn lint(design: &Design) -> Result<(), RtlError> {
    let sources = Sources::new(design, SOURCES)?;
    let verilator = Verilator::find()?;
    let directory = tempfile::tempdir().map_err(RtlError::io(&std::env::temp_dir()))?;
    let rtl = sources
        .rtl
        .iter()
        .map(|(name, text)| (&name[..], &text[..]));
    for (name, text) in rtl.chain([WAIVERS]) {
        let path = directory.path().join(name);
        fs::write(&path, text).map_err(RtlError::io(&path))?;
    }
    let mut lint = verilator.command();
    lint.args(["--lint-only", "-Wall", "--top-module", "vta_top"]);
    lint.args(UNROLL);
    lint.arg(WAIVERS.0);
    lint.args(sources.rtl.iter().map(|(name, _)| name));
    run(&mut lint, directory.path())
}
