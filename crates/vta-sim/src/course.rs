//! The order in which the instructions of a stream run, kept for its next run.
//!
//! Whose turn it is follows from tokens and queues, not from data: a stream that came to its end once comes there again
//! in the same order, unless memory holds a fault. Where it does, what the queues hold at that instruction is found by
//! going there once more.

use crate::decoded::Decoded;
use crate::fault::{Cause, Fault};
use crate::func::Run;
use crate::machine::{Execute, Issue, Machine, Order};
use vta_isa::Design;

/// The order in a run that began with some tokens.
#[derive(Debug)]
pub(crate) struct Course {
    tokens: [u64; 4],
    order: Order,
    /// Positions in the stream.
    indices: Vec<u32>,
    leftover: [usize; 4],
}

impl Course {
    /// Runs a stream; gives the tokens that are left.
    pub(crate) fn run(
        design: &Design,
        code: &Decoded,
        tokens: [u64; 4],
        order: Order,
        run: &mut Run<'_>,
    ) -> Result<[usize; 4], Fault> {
        match code.course() {
            Some(course) if (course.tokens, course.order) == (tokens, order) => {
                course.again(design, code, run)
            }
            _ => {
                let indices = Vec::with_capacity(code.insns().len());
                let mut machine = Machine::new(design, code, tokens)?;
                let mut recorded = Recorded { run, indices };
                machine.run(order, &mut recorded)?;
                let leftover = machine.tokens();
                code.keep(Course {
                    tokens,
                    order,
                    indices: recorded.indices,
                    leftover,
                });
                Ok(leftover)
            }
        }
    }

    fn again(
        &self,
        design: &Design,
        code: &Decoded,
        run: &mut Run<'_>,
    ) -> Result<[usize; 4], Fault> {
        for (before, &index) in self.indices.iter().enumerate() {
            let insn = code.get(design, index);
            let done = insn.and_then(|insn| run.carry_out(&insn.action));
            if let Err(cause) = done {
                let cause = Some(cause);
                let mut machine = Machine::new(design, code, self.tokens)?;
                machine.run(self.order, &mut Stop { before, cause })?;
            }
        }
        Ok(self.leftover)
    }
}

/// Runs instructions, and keeps their order.
struct Recorded<'a, 'b> {
    run: &'a mut Run<'b>,
    indices: Vec<u32>,
}

impl Execute for Recorded<'_, '_> {
    fn execute(&mut self, issue: &Issue<'_>, causes: &mut Vec<Cause>) {
        self.indices.push(issue.index());
        self.run.execute(issue, causes);
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}

/// Finds the cause of a fault in the instruction behind so many.
struct Stop {
    before: usize,
    cause: Option<Cause>,
}

impl Execute for Stop {
    fn execute(&mut self, _: &Issue<'_>, causes: &mut Vec<Cause>) {
        match self.before.checked_sub(1) {
            Some(before) => self.before = before,
            None => causes.extend(self.cause.take()),
        }
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}
