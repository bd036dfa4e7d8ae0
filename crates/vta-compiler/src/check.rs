//! Every emitted stream is checked before it leaves: no race, no deadlock, no token left over.

use vta_isa::Design;
use vta_program::Program;
use vta_sim::{CheckOptions, Dram, check};

use crate::error::CompileError;

/// Checks all streams of `program` on the arena as it is before the first inference.
pub(crate) fn streams(program: &Program, design: &Design) -> Result<(), CompileError> {
    let dram = Dram::new(0, program.arena());
    for (stream, insns) in program.streams.iter().enumerate() {
        one(insns, &dram, design).map_err(|findings| CompileError::Check { stream, findings })?;
    }
    Ok(())
}

/// Checks a stream on memory as it is before; gives what was found.
pub(crate) fn one(insns: &[u8], dram: &Dram, design: &Design) -> Result<(), String> {
    check(design, dram, insns, &CheckOptions::default()).map_err(|faults| {
        let findings: Vec<String> = faults.iter().map(ToString::to_string).collect();
        findings.join("\n")
    })?;
    Ok(())
}
