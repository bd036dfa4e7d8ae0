//! Zeros that need not be written: where products are all that is added to them, the first ones
//! overwrite what is there.
//!
//! A reset goes if the first that any command does with each of its accumulators is to add a product,
//! and if each GEMM that does so can be split: into the first products of its accumulators, each
//! accumulator once, and the rest of them. The order of the sums changes, which is sound because they
//! wrap.

use std::collections::BTreeSet;
use std::ops::Range;

use vta_isa::{Design, GemmMode, MemType};

use super::Command;
use super::fold::{Folded, Loop};

/// Rewrites the commands of a program for a design whose GEMM can overwrite.
pub(super) fn overwrite(commands: Vec<Command>, design: &Design) -> Vec<Command> {
    let depth = design.depth(MemType::Acc) as usize;
    let mut splits: Vec<Option<Vec<Command>>> = vec![None; commands.len()];
    let mut at = 0;
    while at < commands.len() {
        // Resets that follow each other are those of one nest.
        let resets: Vec<&Folded> = commands[at..].iter().map_while(reset).collect();
        let after = at + resets.len();
        if let Some(firsts) = firsts(&resets, &commands[after..], depth) {
            splits[at..after].fill(Some(Vec::new()));
            for (distance, split) in firsts {
                splits[after + distance] = Some(split);
            }
        }
        at = after.max(at + 1);
    }
    let split = splits.into_iter().zip(commands);
    split
        .flat_map(|(split, command)| split.unwrap_or_else(|| vec![command]))
        .collect()
}

fn reset(command: &Command) -> Option<&Folded> {
    match command {
        Command::Gemm {
            mode: GemmMode::Reset,
            kernel,
        } => Some(kernel),
        _ => None,
    }
}

/// The commands after some resets that add the first products to their zeros, each with what takes its
/// place; `None` if zeros are used otherwise.
fn firsts(
    resets: &[&Folded],
    commands: &[Command],
    depth: usize,
) -> Option<Vec<(usize, Vec<Command>)>> {
    let mut zeros = Zeros::new(resets, depth);
    let mut firsts = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        if zeros.left == 0 {
            break;
        }
        match command {
            Command::Gemm {
                mode: GemmMode::Accumulate,
                kernel,
            } if zeros.meet(kernel.reach(0)) => {
                let (first, rest) = split(kernel);
                zeros.take(&first)?;
                let gemm = |mode| move |kernel| Command::Gemm { mode, kernel };
                let first = [first].into_iter().map(gemm(GemmMode::Overwrite));
                let rest = rest.into_iter().map(gemm(GemmMode::Accumulate));
                firsts.push((at, first.chain(rest).collect()));
            }
            other if touched(other).into_iter().any(|range| zeros.meet(range)) => return None,
            _ => {}
        }
    }
    (zeros.left == 0).then_some(firsts)
}

/// The accumulators that a command reads or writes, or more.
fn touched(command: &Command) -> [Range<usize>; 2] {
    match command {
        Command::Load { mem, block } if *mem == MemType::Acc || *mem == MemType::Acc8 => {
            [block.on_chip(), 0..0]
        }
        Command::Load { .. } => [0..0, 0..0],
        Command::Store { block, .. } => [block.on_chip(), 0..0],
        Command::Gemm { kernel, .. } => [kernel.reach(0), 0..0],
        Command::Alu { kernel, .. } => [kernel.reach(0), kernel.reach(1)],
    }
}

/// The accumulators of a reset that are still zero.
struct Zeros {
    is_zero: Vec<bool>,
    left: usize,
}

impl Zeros {
    fn new(resets: &[&Folded], depth: usize) -> Zeros {
        let mut is_zero = vec![false; depth];
        for at in resets.iter().flat_map(|kernel| kernel.elements(0)) {
            is_zero[at as usize] = true;
        }
        let left = is_zero.iter().filter(|&&zero| zero).count();
        Zeros { is_zero, left }
    }

    fn meet(&self, range: Range<usize>) -> bool {
        self.is_zero[range].contains(&true)
    }

    /// Takes the destinations of a kernel, unless one of them is not zero or comes twice.
    fn take(&mut self, kernel: &Folded) -> Option<()> {
        for at in kernel.elements(0) {
            if !std::mem::take(&mut self.is_zero[at as usize]) {
                return None;
            }
            self.left -= 1;
        }
        Some(())
    }
}

/// The first product of each accumulator, if the micro-ops' destinations stay apart in the loops, and
/// the others.
fn split(kernel: &Folded) -> (Folded, Vec<Folded>) {
    let (mut once, mut again) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for &uop in &kernel.uops {
        let list = if seen.insert(uop[0]) {
            &mut once
        } else {
            &mut again
        };
        list.push(uop);
    }
    let with = |uops| Folded {
        uops,
        ..kernel.clone()
    };
    let mut rest = Vec::new();
    if !again.is_empty() {
        rest.push(with(again));
    }
    let mut first = with(once);
    for at in 0..first.hardware.len() {
        let Loop { extent, step } = first.hardware[at];
        if step[0] > 0 || extent == 1 {
            continue;
        }
        let mut later = first.clone();
        later.hardware[at].extent = extent - 1;
        for uop in &mut later.uops {
            for (index, step) in uop.iter_mut().zip(step) {
                *index += step;
            }
        }
        rest.push(later);
        first.hardware[at].extent = 1;
    }
    (first, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fold::{Limits, Nest, OPERANDS, fold};
    use proptest::prelude::*;

    /// Elements of the register file, and the indices of everything that follows.
    const DEPTH: usize = 2048;

    /// What accumulators hold after `commands`, with a number of its own for each product.
    fn run(commands: &[Command]) -> Vec<u64> {
        let mut acc: Vec<u64> = (0..DEPTH as u64).map(|i| i << 40).collect();
        for command in commands {
            let Command::Gemm { mode, kernel } = command else {
                continue;
            };
            let operands = kernel.elements(1).zip(kernel.elements(2));
            for (dst, (src, wgt)) in kernel.elements(0).zip(operands) {
                let product = ((src + 1) * 0x9e37_79b9) ^ (wgt << 20);
                acc[dst as usize] = match mode {
                    GemmMode::Accumulate => acc[dst as usize].wrapping_add(product),
                    GemmMode::Overwrite => product,
                    GemmMode::Reset => 0,
                };
            }
        }
        acc
    }

    fn gemm(mode: GemmMode, nest: &Nest, limits: &Limits) -> Vec<Command> {
        let kernels = fold(nest, limits).into_iter();
        kernels
            .map(|kernel| Command::Gemm { mode, kernel })
            .collect()
    }

    fn products(commands: &[Command]) -> usize {
        let gemm = commands.iter().filter_map(|command| match command {
            Command::Gemm { mode, kernel } if *mode != GemmMode::Reset => Some(kernel),
            _ => None,
        });
        gemm.map(|kernel| kernel.count() as usize).sum()
    }

    /// A tile of outputs, blocks of them packed one after the other, and loops that sum up.
    fn tile() -> impl Strategy<Value = (Vec<u64>, Vec<Loop>)> {
        let sums = prop::collection::vec((1u64..5, 0u64..6, 0u64..6), 0..4);
        let sums = sums.prop_map(|sums| {
            let each = |(extent, src, wgt)| Loop {
                extent,
                step: [0, src, wgt],
            };
            sums.into_iter().map(each).collect()
        });
        (prop::collection::vec(1u64..6, 1..4), sums)
    }

    proptest! {
        #[test]
        fn sums_are_the_same_and_nothing_is_reset(
            (tile, sums) in tile(),
            order in any::<prop::sample::Index>(),
            parts in 1u64..4,
            iter in 3u64..40,
            uops in 4u64..60,
        ) {
            let limits = Limits { iter, step: [200; OPERANDS], uops };
            let mut outputs = Vec::new();
            let mut stride = 1;
            for &extent in tile.iter().rev() {
                outputs.push(Loop { extent, step: [stride, extent + 1, 0] });
                stride *= extent;
            }
            let nest = |base, loops| Nest { base, loops };
            let mut commands =
                gemm(GemmMode::Reset, &nest([3, 0, 0], outputs.clone()), &limits);
            // Sums among the outputs' loops, then the same of other operands.
            let mut loops = outputs.clone();
            for (i, &sum) in sums.iter().enumerate() {
                loops.insert((order.index(loops.len() + 1) + i) % (loops.len() + 1), sum);
            }
            for part in 0..parts {
                let nest = nest([3, 40 * part, 7 * part], loops.clone());
                commands.extend(gemm(GemmMode::Accumulate, &nest, &limits));
            }
            let design = vta_isa::HwConfig {
                features: vec!["gemm_overwrite".into()],
                ..Default::default()
            };
            let less = overwrite(commands.clone(), &design.design().unwrap());
            prop_assert_eq!(run(&less), run(&commands));
            prop_assert_eq!(products(&less), products(&commands));
            prop_assert!(!less.iter().any(|command| reset(command).is_some()), "{:?}", less);
        }
    }
}
