//! A stream read once: what of each instruction does not depend on memory.

use std::sync::Arc;

use vta_isa::{Deps, Design, INSN_BYTES, Insn, Module};

use crate::access::Action;
use crate::fault::Cause;

/// The instructions of a stream up to its end or its first FINISH.
#[derive(Debug)]
pub(crate) struct Decoded {
    stream: Vec<u8>,
    /// With the reason where an opcode is undefined.
    insns: Vec<Result<DecodedInsn, String>>,
}

#[derive(Debug)]
pub(crate) struct DecodedInsn {
    pub(crate) module: Module,
    pub(crate) deps: Deps,
    /// Checked as far as its fields tell.
    pub(crate) action: Result<Action, Cause>,
}

impl Decoded {
    pub(crate) fn new(design: &Design, stream: &[u8]) -> Decoded {
        let mut insns = Vec::with_capacity(stream.len() / INSN_BYTES);
        for bytes in stream.chunks_exact(INSN_BYTES) {
            let insn = Insn::decode(design, bytes.try_into().expect("16 bytes"));
            let insn = insn.map_err(|error| error.to_string());
            let insn = insn.map(|insn| DecodedInsn {
                module: insn.module(design),
                deps: insn.deps,
                action: Action::of(design, &insn),
            });
            let last = matches!(&insn, Ok(insn) if matches!(insn.action, Ok(Action::Finish)));
            insns.push(insn);
            if last {
                break;
            }
        }
        Decoded {
            stream: stream.to_vec(),
            insns,
        }
    }

    /// The bytes, all of them.
    pub(crate) fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// The instructions, with the reason where an opcode is undefined.
    pub(crate) fn insns(&self) -> &[Result<DecodedInsn, String>] {
        &self.insns
    }

    /// The instruction at a position of the stream, not behind FINISH.
    pub(crate) fn get(&self, index: u32) -> Result<&DecodedInsn, Cause> {
        let insn = self.insns[index as usize].as_ref();
        insn.map_err(|message| Cause::Decode {
            message: message.clone(),
        })
    }
}

/// The streams that ran last: a network's are the same in every inference.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Vec<Arc<Decoded>>);

/// How many streams are kept.
const KEPT: usize = 16;

impl Recent {
    /// A stream decoded, now or before.
    pub(crate) fn decoded(&mut self, design: &Design, stream: &[u8]) -> Arc<Decoded> {
        let known = self.0.iter().rposition(|known| known.stream == stream);
        let decoded = match known {
            Some(known) => self.0.remove(known),
            None => Arc::new(Decoded::new(design, stream)),
        };
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push(decoded.clone());
        decoded
    }
}
