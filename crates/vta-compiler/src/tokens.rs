//! Dependence tokens: from commands that are right one after the other to a stream that is
//! right on three concurrent modules.
//!
//! The order kept here is the conservative one: whenever the next command belongs to another
//! module, it waits for the one before it. Load and store share no queue, so a hand-over between
//! them passes through compute.

use vta_isa::Module;
use vta_program::{CommandStream, StreamError};

/// Keeps the modules strictly in program order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Serial {
    last: Option<Module>,
}

impl Serial {
    /// Says that the next command runs on `module`.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) fn before(
        &mut self,
        module: Module,
        stream: &mut CommandStream,
    ) -> Result<(), StreamError> {
        let Some(mut from) = self.last.replace(module).filter(|&last| last != module) else {
            return Ok(());
        };
        if from != Module::Compute && module != Module::Compute {
            hand_over(from, Module::Compute, stream)?;
            from = Module::Compute;
        }
        hand_over(from, module, stream)
    }
}

fn hand_over(from: Module, to: Module, stream: &mut CommandStream) -> Result<(), StreamError> {
    stream.dep_push(from, to)?;
    stream.dep_pop(from, to)
}
