//! A loop nest by itself as a stream, so that a schedule can be tried without a network around it.

use std::collections::BTreeMap;

use vta_isa::Design;
use vta_program::CommandStream;
use vta_sim::Dram;
use vta_tir::{Expr, Param, Program};

use crate::emit::{self, End};
use crate::lower::{self, LowerError};
use crate::ops::schedule;
use crate::{check, plan, tokens};

/// A loop nest as a stream of its own, with the memory that it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestStream {
    /// The instructions.
    pub insns: Vec<u8>,
    /// Byte address of each parameter.
    pub params: BTreeMap<String, u64>,
    /// Memory from address 0 on: the parameters, still zero, then the micro-ops.
    pub memory: Vec<u8>,
}

/// Compiles a nest in its end form. With `latency_hiding` a command waits for what it needs, without for all that other
/// modules began.
///
/// # Errors
/// A nest that is not in its end form, with the first statement that is no instruction; one that does not fit the
/// design; [`LowerError::Check`] alone is a bug of the compiler.
pub fn compile_nest(
    nest: &Program,
    design: &Design,
    latency_hiding: bool,
) -> Result<NestStream, LowerError> {
    let (params, end) = places(nest);
    let commands = emit::walk(design, nest, &params, End::Low.into())?;
    vta_tir::verify_on(nest, &schedule::limits(design))?;
    let mut stream = CommandStream::new(design);
    lower::announce(&commands, &mut stream)?;
    let ordered = tokens::order(vec![commands], design, latency_hiding);
    lower::append(ordered.iter().flatten(), &mut stream)?;
    let insns = stream.finish()?.encode(design, end)?;
    let mut memory = vec![0; end as usize];
    memory.extend(stream.uop_pool().bytes());
    memory.resize(plan::aligned(memory.len() as u64) as usize, 0);
    let dram = Dram::new(0, memory);
    check::one(&insns, &dram, design).map_err(LowerError::Check)?;
    Ok(NestStream {
        insns,
        params,
        memory: dram.bytes,
    })
}

/// The address of each parameter, one behind the other, and where they end.
fn places(nest: &Program) -> (BTreeMap<String, u64>, u64) {
    let (mut params, mut end) = (BTreeMap::new(), 0);
    for Param { buffer, .. } in &nest.params {
        params.insert(buffer.name.to_string(), end);
        let values: i64 = buffer.shape.iter().filter_map(Expr::as_const).product();
        end += plan::aligned((values as u64 * u64::from(buffer.dtype.bits())).div_ceil(8));
    }
    (params, end)
}
