//! Weights move early: into time in which the load module would wait.
//!
//! Loads run in their order. Those of an operator's inputs wait for the operator before, and everything behind them
//! waits too, the next operator's weights among it. A timing of the stream shows where the load module waits; weights
//! that computation waits for move there, as many of them as fit, if nothing reads or fills their place in between.
//! What moves costs no time where it moves to, and the order of all other commands stays.

use vta_isa::{Design, GemmMode, MemType, Module};
use vta_program::{Block2d, Pads};

use crate::emit::Command;
use crate::lower::LowerError;
use crate::timing::{LATENCY, Timed};
use crate::tokens::{self, Ordered};

/// Times that weights are moved, each after a timing of its own.
const ROUNDS: usize = 3;

/// Cycles that a load takes beside those of its elements and the latency, with a margin for who else is at the bus.
const OVERHEAD: u64 = 64;

/// The fewest elements that are worth a load of their own.
const FEWEST: u64 = 4;

/// The commands of a stream, operator by operator, with weights loaded where that makes it faster. `end` is where the
/// micro-ops lie.
///
/// # Errors
/// Bugs of the compiler.
pub(crate) fn early(
    mut operators: Vec<Vec<Command>>,
    end: u64,
    design: &Design,
) -> Result<Vec<Vec<Command>>, LowerError> {
    let mut timed = Timing::new(&operators, end, design)?;
    for _ in 0..ROUNDS {
        let moved = moved(&operators, &timed, design);
        let again = Timing::new(&moved, end, design)?;
        if again.cycles() >= timed.cycles() {
            break;
        }
        (operators, timed) = (moved, again);
    }
    Ok(operators)
}

/// Cycles of commands.
struct Timing {
    timed: Timed,
    /// The step of each command.
    steps: Vec<usize>,
    modules: Vec<Module>,
}

impl Timing {
    fn new(operators: &[Vec<Command>], end: u64, design: &Design) -> Result<Self, LowerError> {
        let ordered: Vec<Ordered> = tokens::order(operators.to_vec(), design, true)
            .into_iter()
            .flatten()
            .collect();
        let steps = ordered.iter().enumerate();
        Ok(Timing {
            steps: steps
                .filter(|(_, s)| s.command.is_some())
                .map(|(i, _)| i)
                .collect(),
            modules: ordered.iter().map(|s| s.module).collect(),
            timed: Timed::new(&ordered, end, design)?,
        })
    }

    fn cycles(&self) -> u64 {
        self.timed
            .insns
            .iter()
            .map(|t| t.retired)
            .max()
            .unwrap_or(0)
    }

    /// The cycle in which a command's last instruction retires.
    fn over(&self, command: usize) -> u64 {
        let insns = &self.timed.insns[self.timed.spans[self.steps[command]].clone()];
        insns.iter().map(|t| t.retired).max().unwrap_or(0)
    }

    /// Whether a command waited for a token.
    fn waited(&self, command: usize) -> bool {
        let insns = &self.timed.insns[self.timed.spans[self.steps[command]].clone()];
        insns.iter().any(|t| t.taken > t.ready)
    }

    /// Where the load module waited for tokens.
    fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        // A step of load without a command carries tokens of the one behind it.
        let mut begins = None;
        let mut commands = self.steps.iter().enumerate().peekable();
        for (step, span) in self.timed.spans.iter().enumerate() {
            let command = commands.next_if(|&(_, &at)| at == step).map(|(i, _)| i);
            if self.modules[step] != Module::Load {
                continue;
            }
            for insn in &self.timed.insns[span.clone()] {
                if insn.taken > insn.ready && begins.is_none() {
                    begins = Some((insn.ready, insn.taken));
                }
            }
            if let (Some((from, to)), Some(before)) = (begins, command) {
                gaps.push(Gap { before, from, to });
            }
            if command.is_some() {
                begins = None;
            }
        }
        gaps
    }
}

/// Cycles in which the load module waits.
struct Gap {
    /// The load that it then begins.
    before: usize,
    from: u64,
    to: u64,
}

/// Weights in the place of a command, and before it.
#[derive(Clone, Default)]
struct Moves {
    /// Loads before it.
    before: Vec<Block2d>,
    /// What is left of it, if it changed.
    rest: Option<Option<Block2d>>,
}

fn moved(operators: &[Vec<Command>], timing: &Timing, design: &Design) -> Vec<Vec<Command>> {
    let commands: Vec<&Command> = operators.iter().flatten().collect();
    let mut gaps = timing.gaps();
    let mut moves = vec![Moves::default(); commands.len()];
    let first_reads = first_reads(&commands, design);
    // The last command that touched each element of the weights.
    let mut touched: Vec<Option<usize>> = vec![None; design.depth(MemType::Wgt) as usize];
    let beats = (design.elem_bytes(MemType::Wgt) as u64).div_ceil(design.bus_bytes() as u64);
    let alone = OVERHEAD + u64::from(LATENCY);
    for (i, command) in commands.iter().enumerate() {
        match command {
            Command::Load {
                mem: MemType::Wgt,
                block,
            } => {
                let late = first_reads[i].is_some_and(|read| timing.waited(read));
                let before = touched[block.on_chip()].iter().flatten().max().copied();
                touched[block.on_chip()].fill(Some(i));
                if !late || block.pads != Pads::NONE {
                    continue;
                }
                let free = before.map_or(0, |command| timing.over(command));
                let mut rest = Some(*block);
                for gap in &mut gaps {
                    let follows = before.is_none_or(|command| gap.before > command);
                    let from = gap.from.max(free);
                    let (Some(block), true) = (rest, follows && gap.before < i) else {
                        continue;
                    };
                    let room = gap.to.saturating_sub(from + alone) / beats;
                    if room < FEWEST {
                        continue;
                    }
                    let (part, left) = split(&block, room);
                    let Some(part) = part else { continue };
                    gap.from = from + alone + elements(&part) * beats;
                    moves[gap.before].before.push(part);
                    rest = left;
                }
                if rest != Some(*block) {
                    moves[i].rest = Some(rest);
                }
            }
            Command::Gemm {
                mode: GemmMode::Accumulate | GemmMode::Overwrite,
                kernel,
            } => touched[kernel.reach(2)].fill(Some(i)),
            _ => {}
        }
    }
    let mut moves = moves.into_iter();
    let load = |block| Command::Load {
        mem: MemType::Wgt,
        block,
    };
    let of_operator = |operator: &Vec<Command>| {
        let mut out = Vec::with_capacity(operator.len());
        for command in operator {
            let Moves { before, rest } = moves.next().expect("one for each command");
            out.extend(before.into_iter().map(load));
            match rest {
                None => out.push(command.clone()),
                Some(rest) => out.extend(rest.map(load)),
            }
        }
        out
    };
    operators.iter().map(of_operator).collect()
}

/// Of each load of weights: the first command that reads any of them.
fn first_reads(commands: &[&Command], design: &Design) -> Vec<Option<usize>> {
    let mut next: Vec<Option<usize>> = vec![None; design.depth(MemType::Wgt) as usize];
    let mut reads = vec![None; commands.len()];
    for (i, command) in commands.iter().enumerate().rev() {
        match command {
            Command::Load {
                mem: MemType::Wgt,
                block,
            } => {
                reads[i] = next[block.on_chip()].iter().flatten().min().copied();
                next[block.on_chip()].fill(None);
            }
            Command::Gemm {
                mode: GemmMode::Accumulate | GemmMode::Overwrite,
                kernel,
            } => next[kernel.reach(2)].fill(Some(i)),
            _ => {}
        }
    }
    reads
}

fn elements(block: &Block2d) -> u64 {
    u64::from(block.x_size) * u64::from(block.y_size)
}

/// At most `room` elements from the start of a block without padding, in whole rows if it has several, and the rest.
fn split(block: &Block2d, room: u64) -> (Option<Block2d>, Option<Block2d>) {
    if elements(block) <= room {
        return (Some(*block), None);
    }
    if block.y_size > 1 {
        let rows = (room / u64::from(block.x_size)) as u32;
        let rest = Block2d {
            sram_base: block.sram_base + rows * block.x_size,
            dram_elem: block.dram_elem + u64::from(rows) * u64::from(block.x_stride),
            y_size: block.y_size - rows,
            ..*block
        };
        let part = Block2d {
            y_size: rows,
            ..*block
        };
        return ((rows > 0).then_some(part), Some(rest));
    }
    let run = |first: u32, len: u32| {
        Block2d::run(
            block.sram_base + first,
            block.dram_elem + u64::from(first),
            len,
        )
    };
    let len = room as u32;
    (Some(run(0, len)), Some(run(len, block.x_size - len)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::Folded;
    use crate::emit::fold::Loop;
    use proptest::prelude::*;

    /// An operator: its weights from `from` to `[at, at + len)` in `rows`, behind its input, which the operator before
    /// stored; products with them; a store.
    fn operator(index: u64, from: u64, at: u32, len: u32, rows: u32, work: u64) -> Vec<Command> {
        let out = |index: u64| 0x1_0000 + index * 64;
        let times = |extent, step| Loop {
            extent,
            step: [0, 0, step],
        };
        let weights = Block2d {
            x_size: len,
            y_size: rows,
            x_stride: len + 3,
            ..Block2d::run(at, from, len)
        };
        let kernel = Folded {
            hardware: [times(work, 0), times((len * rows).into(), 1)],
            uops: vec![[index, index, at.into()]],
        };
        let input = Block2d::run(index as u32, out(index), 1);
        let result = Block2d::run(index as u32, out(index + 1), 1);
        vec![
            Command::Load {
                mem: MemType::Inp,
                block: input,
            },
            Command::Load {
                mem: MemType::Wgt,
                block: weights,
            },
            Command::Gemm {
                mode: GemmMode::Accumulate,
                kernel,
            },
            Command::Store {
                block: result,
                entry: None,
            },
        ]
    }

    /// Where the weights of each product came from, one command after the other.
    fn origins(operators: &[Vec<Command>]) -> Vec<Vec<Option<u64>>> {
        let mut weights = vec![None; 1 << 10];
        let mut seen = Vec::new();
        for command in operators.iter().flatten() {
            match command {
                Command::Load {
                    mem: MemType::Wgt,
                    block,
                } => {
                    let rows = 0..u64::from(block.y_size);
                    let from = rows.flat_map(|y| {
                        let first = block.dram_elem + y * u64::from(block.x_stride);
                        first..first + u64::from(block.x_size)
                    });
                    block
                        .on_chip()
                        .zip(from)
                        .for_each(|(at, from)| weights[at] = Some(from));
                }
                Command::Gemm { kernel, .. } => {
                    seen.push(kernel.elements(2).map(|i| weights[i as usize]).collect());
                }
                _ => {}
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn products_have_the_same_weights(
            shapes in prop::collection::vec((0u32..900, 1u32..30, 1u32..4, 1u64..60), 2..12),
        ) {
            let design = Design::default();
            let operators: Vec<Vec<Command>> = shapes
                .into_iter()
                .enumerate()
                .map(|(i, (at, len, rows, work))| {
                    operator(i as u64, 1000 * i as u64, at, len, rows, work)
                })
                .collect();
            let timing = Timing::new(&operators, 1 << 25, &design).expect("it runs");
            let moved = moved(&operators, &timing, &design);
            prop_assert_eq!(origins(&moved), origins(&operators));
        }
    }

    #[test]
    fn weights_come_while_the_operator_before_computes() {
        let design = Design::default();
        let operators = vec![
            operator(0, 0, 0, 30, 2, 200),
            operator(1, 1000, 100, 30, 2, 1),
        ];
        let loads = |operators: &[Vec<Command>]| -> Vec<usize> {
            let of = |commands: &Vec<Command>| {
                let loads = commands.iter().filter(|command| {
                    matches!(
                        command,
                        Command::Load {
                            mem: MemType::Wgt,
                            ..
                        }
                    )
                });
                loads.count()
            };
            operators.iter().map(of).collect()
        };
        let before = Timing::new(&operators, 1 << 25, &design)
            .expect("it runs")
            .cycles();
        let moved = early(operators, 1 << 25, &design).expect("it runs");
        let after = Timing::new(&moved, 1 << 25, &design)
            .expect("it runs")
            .cycles();
        assert_eq!(loads(&moved), [1, 1]);
        assert!(matches!(
            moved[1][0],
            Command::Load {
                mem: MemType::Wgt,
                ..
            }
        ));
        assert!(after + 400 < before, "{after} of {before} cycles");
    }
}
