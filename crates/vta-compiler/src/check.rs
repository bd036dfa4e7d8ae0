//! Every emitted stream is checked before it leaves: no race, no deadlock, no token left over.

use vta_isa::Design;
use vta_program::Program;
use vta_sim::{CheckOptions, Dram, check};

use crate::pipeline::CompileError;

/// Checks all streams of `program` on the arena as it is before the first inference.
pub(crate) fn streams(program: &Program, design: &Design) -> Result<(), CompileError> {
    let mut arena = vec![0; program.arena_bytes as usize];
    for section in &program.image {
        let at = section.offset as usize;
        arena[at..at + section.bytes.len()].copy_from_slice(&section.bytes);
    }
    let dram = Dram::new(0, arena);
    for (stream, insns) in program.streams.iter().enumerate() {
        check(design, &dram, insns, &CheckOptions::default()).map_err(|faults| {
            let findings: Vec<String> = faults.iter().map(ToString::to_string).collect();
            CompileError::Check {
                stream,
                findings: findings.join("\n"),
            }
        })?;
    }
    Ok(())
}
