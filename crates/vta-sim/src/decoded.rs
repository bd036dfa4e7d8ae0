//! A stream read once: what of each instruction does not depend on memory.

use std::sync::{Arc, OnceLock};

use vta_isa::{Deps, Design, INSN_BYTES, Insn, Module};

use crate::access::Action;
use crate::course::Course;
use crate::cycle::Code;
use crate::fault::Cause;
use crate::machine::bytes;
use crate::meter::Meter;

/// The instructions of a stream up to its end or its first FINISH.
#[derive(Debug)]
pub(crate) struct Decoded {
    stream: Vec<u8>,
    /// None where an opcode is undefined.
    insns: Vec<Option<DecodedInsn>>,
    meter: OnceLock<Meter>,
    code: OnceLock<Code>,
    course: OnceLock<Course>,
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
            let insn = insn.ok().map(|insn| DecodedInsn {
                module: insn.module(design),
                deps: insn.deps,
                action: Action::of(design, &insn),
            });
            let last = matches!(&insn, Some(insn) if matches!(insn.action, Ok(Action::Finish)));
            insns.push(insn);
            if last {
                break;
            }
        }
        Decoded {
            stream: stream.to_vec(),
            insns,
            meter: OnceLock::new(),
            code: OnceLock::new(),
            course: OnceLock::new(),
        }
    }

    /// The bytes, all of them.
    pub(crate) fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// The instructions; none where an opcode is undefined.
    pub(crate) fn insns(&self) -> &[Option<DecodedInsn>] {
        &self.insns
    }

    /// What its timing depends on. The design is the one that it was decoded for.
    pub(crate) fn code(&self, design: &Design) -> &Code {
        self.code.get_or_init(|| Code::new(design, self))
    }

    /// The order of its instructions in the first run that came to its end.
    pub(crate) fn course(&self) -> Option<&Course> {
        self.course.get()
    }

    /// Keeps that order.
    pub(crate) fn keep(&self, course: Course) {
        // Others say the same of the run that is kept.
        let _ = self.course.set(course);
    }

    /// What all of its instructions do that are no fault: in a run to FINISH, what the run does.
    pub(crate) fn meter(&self, design: &Design) -> &Meter {
        self.meter.get_or_init(|| {
            let mut meter = Meter::unlimited();
            let actions = self.insns.iter().flatten().map(|insn| &insn.action);
            // Without limits, nothing is refused.
            let counted = actions.flatten().map(|action| meter.count(design, action));
            counted.for_each(drop);
            meter
        })
    }

    /// The instruction at a position of the stream, not behind FINISH.
    pub(crate) fn get(&self, design: &Design, index: u32) -> Result<&DecodedInsn, Cause> {
        self.insns[index as usize].as_ref().ok_or_else(|| {
            let error = Insn::decode(design, bytes(&self.stream, index)).err();
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            Cause::Decode { message }
        })
    }
}

/// The streams that ran last: a network's are the same in every inference.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Vec<Arc<Decoded>>);

/// How many streams are kept, and of how many bytes in all where there are several.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 16 << 20;

impl Recent {
    /// A stream decoded, now or before.
    pub(crate) fn decoded(&mut self, design: &Design, stream: &[u8]) -> Arc<Decoded> {
        let known = self.0.iter().rposition(|known| known.stream == stream);
        let decoded = match known {
            Some(known) => self.0.remove(known),
            None => Arc::new(Decoded::new(design, stream)),
        };
        self.0.push(decoded.clone());
        let bytes =
            |kept: &[Arc<Decoded>]| kept.iter().map(|known| known.stream.len()).sum::<usize>();
        while self.0.len() > KEPT || self.0.len() > 1 && bytes(&self.0) > KEPT_BYTES {
            self.0.remove(0);
        }
        decoded
    }
}
