//! Micro-op loops folded into the two hardware loops.
//!
//! A perfect nest around one GEMM or ALU operation visits register indices that are affine in
//! the loop variables. Two of the loops become the instruction's own; the rest is unrolled
//! into micro-operations. The order of visits changes, which is sound because sums wrap, maxima
//! and minima have no order, and every other operation touches each destination once.

use std::ops::Range;

/// Operands of an operation: destination, source, weight.
pub const OPERANDS: usize = 3;

/// One loop: its trip count and how far each operand's index moves with an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Trip count.
    pub extent: u64,
    /// Index steps of destination, source and weight.
    pub step: [u64; OPERANDS],
}

/// A nest of loops, outermost first, around one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nest {
    /// Indices in the first iteration.
    pub base: [u64; OPERANDS],
    /// The loops.
    pub loops: Vec<Loop>,
}

/// What an instruction can hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest trip count of a hardware loop.
    pub iter: u64,
    /// Largest step of each operand.
    pub step: [u64; OPERANDS],
    /// Most micro-operations of one kernel.
    pub uops: u64,
}

/// One instruction: two hardware loops, outer first, around micro-operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The hardware loops; an unused one has extent 1.
    pub hardware: [Loop; 2],
    /// Indices of each micro-operation in the first iteration.
    pub uops: Vec<[u64; OPERANDS]>,
}

impl Folded {
    /// Times that an operation runs.
    pub fn count(&self) -> u64 {
        let [outer, inner] = self.hardware;
        outer.extent * inner.extent * self.uops.len() as u64
    }

    /// The index of `operand` each time.
    pub fn elements(&self, operand: usize) -> impl Iterator<Item = u64> + '_ {
        let [outer, inner] = self.hardware;
        (0..outer.extent)
            .flat_map(move |i| (0..inner.extent).map(move |j| [i, j]))
            .flat_map(move |[i, j]| {
                let step = i * outer.step[operand] + j * inner.step[operand];
                self.uops.iter().map(move |uop| uop[operand] + step)
            })
    }

    /// From the first index of `operand` to the last.
    pub fn reach(&self, operand: usize) -> Range<usize> {
        let uops = self.uops.iter().map(|uop| uop[operand]);
        let loops = self.hardware.iter();
        let reach: u64 = loops
            .map(|l| l.extent.saturating_sub(1) * l.step[operand])
            .sum();
        let first = uops.clone().min().unwrap_or(0);
        let end = uops.max().map_or(0, |last| last + reach + 1);
        first as usize..end as usize
    }
}

const ONCE: Loop = Loop {
    extent: 1,
    step: [0; OPERANDS],
};

/// The fewest micro-operations that run `nest`, as one instruction or, where a kernel would
/// not fit, several.
pub fn fold(nest: &Nest, limits: &Limits) -> Vec<Folded> {
    let mut out = Vec::new();
    if nest.loops.iter().all(|l| l.extent > 0) {
        split(
            &Nest {
                base: nest.base,
                loops: merge(&nest.loops, limits),
            },
            limits,
            &mut out,
        );
    }
    out
}

/// Drops loops of one iteration and joins neighbours that step as one longer loop would.
fn merge(loops: &[Loop], limits: &Limits) -> Vec<Loop> {
    let mut out: Vec<Loop> = Vec::new();
    for &inner in loops.iter().filter(|l| l.extent != 1) {
        match out.last_mut() {
            Some(outer)
                if (0..OPERANDS).all(|i| outer.step[i] == inner.step[i] * inner.extent)
                    && outer.extent * inner.extent <= limits.iter =>
            {
                *outer = Loop {
                    extent: outer.extent * inner.extent,
                    step: inner.step,
                };
            }
            _ => out.push(inner),
        }
    }
    out
}

fn split(nest: &Nest, limits: &Limits, out: &mut Vec<Folded>) {
    let chosen = hardware(&nest.loops, limits);
    let unrolled: Vec<Loop> = (0..nest.loops.len())
        .filter(|i| !chosen.contains(i))
        .map(|i| nest.loops[i])
        .collect();
    let uops: u64 = unrolled.iter().map(|l| l.extent).product();
    if uops > limits.uops {
        // One instruction for each iteration of the outermost loop that would be unrolled.
        let at = (0..nest.loops.len())
            .find(|i| !chosen.contains(i))
            .expect("a loop is unrolled");
        let Loop { extent, step } = nest.loops[at];
        for i in 0..extent {
            let mut part = nest.clone();
            part.loops.remove(at);
            for (base, step) in part.base.iter_mut().zip(step) {
                *base += i * step;
            }
            split(&part, limits, out);
        }
        return;
    }
    let mut hardware = [ONCE; 2];
    for (slot, &i) in hardware.iter_mut().rev().zip(chosen.iter().rev()) {
        *slot = nest.loops[i];
    }
    out.push(Folded {
        hardware,
        uops: unroll(nest.base, &unrolled),
    });
}

/// The loops that the hardware runs: the longest two whose steps and trip counts fit.
fn hardware(loops: &[Loop], limits: &Limits) -> Vec<usize> {
    let mut fit: Vec<usize> = (0..loops.len())
        .filter(|&i| {
            loops[i].extent <= limits.iter
                && (0..OPERANDS).all(|k| loops[i].step[k] <= limits.step[k])
        })
        .collect();
    fit.sort_by_key(|&i| (std::cmp::Reverse(loops[i].extent), i));
    fit.truncate(2);
    fit.sort_unstable();
    fit
}

fn unroll(base: [u64; OPERANDS], loops: &[Loop]) -> Vec<[u64; OPERANDS]> {
    let mut all = vec![base];
    for l in loops {
        all = all
            .iter()
            .flat_map(|at| {
                (0..l.extent).map(move |i| std::array::from_fn(|k| at[k] + i * l.step[k]))
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn visits(nest: &Nest) -> Vec<[u64; OPERANDS]> {
        let mut v = unroll(nest.base, &nest.loops);
        v.sort_unstable();
        v
    }

    proptest! {
        #[test]
        fn visits_the_same_indices(
            base in prop::array::uniform3(0u64..50),
            loops in prop::collection::vec((1u64..6, prop::array::uniform3(0u64..40)), 0..5),
            iter in 1u64..40,
            step in prop::array::uniform3(0u64..40),
            uops in 1u64..40,
        ) {
            let nest = Nest {
                base,
                loops: loops.into_iter().map(|(extent, step)| Loop { extent, step }).collect(),
            };
            let limits = Limits { iter, step, uops };
            let folded = fold(&nest, &limits);
            let mut all = Vec::new();
            for f in &folded {
                prop_assert!(f.uops.len() as u64 <= uops);
                for l in f.hardware {
                    prop_assert!(l.extent <= iter);
                    prop_assert!(l == ONCE || (0..OPERANDS).all(|k| l.step[k] <= step[k]));
                }
                for &u in &f.uops {
                    all.extend(unroll(u, &f.hardware));
                }
            }
            all.sort_unstable();
            prop_assert_eq!(all, visits(&nest));
        }
    }

    #[test]
    fn a_tile_needs_one_micro_operation() {
        // 2 channel blocks of 7 rows of 14 columns, all consecutive.
        let nest = Nest {
            base: [5, 0, 0],
            loops: vec![
                Loop {
                    extent: 2,
                    step: [98, 1, 0],
                },
                Loop {
                    extent: 7,
                    step: [14, 0, 0],
                },
                Loop {
                    extent: 14,
                    step: [1, 0, 0],
                },
            ],
        };
        let limits = Limits {
            iter: 16383,
            step: [2047; 3],
            uops: 8192,
        };
        let folded = fold(&nest, &limits);
        assert_eq!(folded.len(), 1);
        assert_eq!(folded[0].uops, [[5, 0, 0]]);
        assert_eq!(
            folded[0].hardware[1],
            Loop {
                extent: 98,
                step: [1, 0, 0]
            }
        );
    }
}
