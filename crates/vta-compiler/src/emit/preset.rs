//! Accumulators that begin at a vector: one `MAX` in the place of a reset and an `ADD`.
//!
//! An accumulator whose low bits a convolution stored holds at most [`floor`](crate::epilogue::floor), in every lane, if its
//! batches fill their rows: a lane without a channel has weights of 0. The vector that its next sum begins at is at least
//! that. Where all accumulators of a tile
//! are known to hold no more, the larger one of both is the vector. At the first tiles, and where vectors lay before,
//! the reset stays.

use std::ops::Range;

use vta_isa::{AluOp, Design, GemmMode, MemType};

use super::{Command, Folded};

/// What is known of the accumulators from one command to the next.
pub struct Contents {
    /// Of each accumulator: whether it holds at most what a store leaves behind.
    small: Vec<bool>,
}

impl Contents {
    /// Nothing is known.
    pub fn new(design: &Design) -> Self {
        Contents {
            small: vec![false; design.depth(MemType::Acc) as usize],
        }
    }

    /// The commands of an operator, whose accumulators begin at a vector if it `presets` them, and which leaves no more
    /// than [`floor`](crate::epilogue::floor) in every lane of what it stored if it `settles` them.
    pub fn preset(&mut self, commands: Vec<Command>, presets: bool, settles: bool) -> Vec<Command> {
        let mut out = Vec::with_capacity(commands.len());
        let mut commands = commands.into_iter().peekable();
        while let Some(command) = commands.next() {
            let mut adds = Vec::new();
            if let (
                Command::Gemm {
                    mode: GemmMode::Reset,
                    kernel,
                },
                true,
            ) = (&command, presets)
            {
                let mut count = kernel.count();
                while count > 0 {
                    let Some(add) = commands.next_if(|next| adds_vector(next, count)) else {
                        break;
                    };
                    count -= kernel_of(&add).count();
                    adds.push(add);
                }
                if count == 0 && self.all_small(kernel, &adds) {
                    adds.iter_mut().for_each(larger);
                    adds.iter().for_each(|command| self.note(command, settles));
                    out.append(&mut adds);
                    continue;
                }
            }
            self.note(&command, settles);
            out.push(command);
            adds.iter().for_each(|command| self.note(command, settles));
            out.append(&mut adds);
        }
        out
    }

    /// Whether `adds` change what `reset` zeroes, each accumulator once, and all of it is small.
    fn all_small(&self, reset: &Folded, adds: &[Command]) -> bool {
        let mut waits = vec![false; self.small.len()];
        reset.elements(0).for_each(|i| waits[i as usize] = true);
        let mut changed = adds.iter().flat_map(|add| kernel_of(add).elements(0));
        changed.all(|i| std::mem::take(&mut waits[i as usize]) && self.small[i as usize])
    }

    fn note(&mut self, command: &Command, settles: bool) {
        let (small, at) = match command {
            Command::Gemm {
                mode: GemmMode::Reset,
                kernel,
            } => {
                kernel
                    .elements(0)
                    .for_each(|i| self.small[i as usize] = true);
                return;
            }
            Command::Gemm { kernel, .. } | Command::Alu { kernel, .. } => (false, kernel.reach(0)),
            Command::Load {
                mem: MemType::Acc | MemType::Acc8,
                block,
            } => (false, block.on_chip()),
            Command::Store { block, entry: None } => (settles, block.on_chip()),
            Command::Load { .. } | Command::Store { .. } => return,
        };
        let at: Range<usize> = at;
        self.small[at].fill(small);
    }
}

/// Whether a command adds vectors to at most `count` accumulators.
fn adds_vector(command: &Command, count: u64) -> bool {
    match command {
        Command::Alu {
            op: AluOp::Add,
            imm: None,
            kernel,
        } => kernel.count() <= count,
        _ => false,
    }
}

fn larger(command: &mut Command) {
    if let Command::Alu { op, .. } = command {
        *op = AluOp::Max;
    }
}

fn kernel_of(command: &Command) -> &Folded {
    match command {
        Command::Gemm { kernel, .. } | Command::Alu { kernel, .. } => kernel,
        Command::Load { .. } | Command::Store { .. } => unreachable!("a computation"),
    }
}
