//! The places of weights: behind those of the operator before.
//!
//! Each operator takes the next stretch of the scratchpad, so that weights of several operators to come can be there
//! already. Where a stretch would end behind the last element, it begins at the first, or ends at the last: whichever
//! leaves more of the weights before it alone.

use std::collections::BTreeMap;
use std::ops::Range;

use vta_isa::{Design, GemmMode, MemType};
use vta_tir::Program;

use super::{Command, EmitError, End, Places, walk};

/// Where the last operator's weights are.
pub struct Rotation {
    last: Range<u64>,
    depth: u64,
}

impl Rotation {
    /// There are none.
    pub fn new(design: &Design) -> Self {
        Rotation {
            last: 0..0,
            depth: design.depth(MemType::Wgt).into(),
        }
    }

    /// The commands of a program with its weights in their place; where these begin among those of the program before, the
    /// second of two places is filled first.
    ///
    /// # Errors
    /// Those of [`walk`].
    pub fn walk(
        &mut self,
        design: &Design,
        program: &Program,
        params: &BTreeMap<String, u64>,
        end: End,
    ) -> Result<Vec<Command>, EmitError> {
        let mut commands = walk(design, program, params, end.into())?;
        let size = size_of_weights(&commands);
        let last = self.last.clone();
        let first = if last.end + size <= self.depth {
            last.end
        } else if size.saturating_sub(last.start) <= (last.end + size).saturating_sub(self.depth) {
            0
        } else {
            self.depth - size
        };
        if last.contains(&first) && first > 0 {
            let places = Places {
                end,
                second_weights_first: true,
            };
            let turned = walk(design, program, params, places)?;
            // A single tile, or a smaller last one, takes more room so.
            if size_of_weights(&turned) <= size {
                commands = turned;
            }
        }
        commands
            .iter_mut()
            .for_each(|command| shift_weights(command, first));
        self.last = first..first + size;
        Ok(commands)
    }
}

/// Elements from the first one to the last that commands touch.
fn size_of_weights(commands: &[Command]) -> u64 {
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
    ends.max().unwrap_or(0) as u64
}

fn shift_weights(command: &mut Command, by: u64) {
    match command {
        Command::Load {
            mem: MemType::Wgt,
            block,
        } => block.sram_base += by as u32,
        Command::Gemm {
            mode: GemmMode::Accumulate | GemmMode::Overwrite,
            kernel,
        } => kernel.uops.iter_mut().for_each(|uop| uop[2] += by),
        _ => {}
    }
}
