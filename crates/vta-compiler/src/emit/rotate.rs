//! The places of weights: behind those of the operator before.
//!
//! Each operator takes the next stretch of the scratchpad, so that weights of several operators to come can be there
//! already. Where a stretch would end behind the last element, it begins at the first.

use vta_isa::{Design, GemmMode, MemType};

use super::Command;

/// Where the next operator's weights begin.
pub struct Rotation {
    next: u64,
    depth: u64,
}

impl Rotation {
    /// At the first element.
    pub fn new(design: &Design) -> Self {
        Rotation {
            next: 0,
            depth: design.depth(MemType::Wgt).into(),
        }
    }

    /// Moves the weights of an operator, which begin at element 0, to their place.
    pub fn place(&mut self, commands: &mut [Command]) {
        let ends = commands.iter().map(|command| match command {
            Command::Load {
                mem: MemType::Wgt,
                block,
            } => block.on_chip().end,
            Command::Gemm {
                mode: GemmMode::Accumulate | GemmMode::Overwrite,
                kernel,
            } => kernel.reach(2).end,
            _ => 0,
        });
        let size = ends.max().unwrap_or(0) as u64;
        if self.next + size > self.depth {
            self.next = 0;
        }
        for command in commands {
            match command {
                Command::Load {
                    mem: MemType::Wgt,
                    block,
                } => block.sram_base += self.next as u32,
                Command::Gemm {
                    mode: GemmMode::Accumulate | GemmMode::Overwrite,
                    kernel,
                } => kernel.uops.iter_mut().for_each(|uop| uop[2] += self.next),
                _ => {}
            }
        }
        self.next += size;
    }
}
