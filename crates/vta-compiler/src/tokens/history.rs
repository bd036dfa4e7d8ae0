//! What commands touched: for elements on chip and stretches of DRAM, how many commands of a module there were when
//! they were last touched.

use std::ops::Range;

use vta_isa::{Design, GemmMode, MemType, Module};
use vta_program::Block2d;

use super::Clock;
use crate::emit::Command;

/// Bytes of DRAM that are told apart: a few elements.
const STRETCH: u64 = 64;

/// Whether the load module fills a memory.
pub(super) fn is_loaded(mem: MemType) -> bool {
    matches!(mem, MemType::Inp | MemType::Wgt | MemType::Rqt)
}

/// A range of a place that a command touches.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    place: Place,
    at: Range<usize>,
    writes: bool,
}

/// Accumulators stand for the outputs too, which change with them.
#[derive(Clone, Copy, Debug)]
enum Place {
    Inp,
    Wgt,
    Acc,
    Rqt,
    Dram,
}

const PLACES: usize = 5;

/// The last command of one module that touched each element; 0 if none did.
#[derive(Default)]
struct Marks {
    counts: Vec<u32>,
    latest: u32,
}

impl Marks {
    /// The last command that touched any of a range.
    fn last(&self, at: &Range<usize>) -> u32 {
        let end = at.end.min(self.counts.len());
        let counts = self.counts.get(at.start..end).unwrap_or_default();
        counts.iter().fold(0, |last, &count| last.max(count))
    }

    /// The commands come in their order.
    fn put(&mut self, at: Range<usize>, count: u32) {
        if self.counts.len() < at.end {
            self.counts.resize(at.end, 0);
        }
        self.counts[at].fill(count);
        self.latest = count;
    }
}

/// By place: what each module read, and what it wrote.
pub(super) struct History {
    design: Design,
    reads: [[Marks; 3]; PLACES],
    writes: [[Marks; 3]; PLACES],
}

impl History {
    pub(super) fn new(design: &Design) -> Self {
        History {
            design: design.clone(),
            reads: Default::default(),
            writes: Default::default(),
        }
    }

    /// How many commands of each other module have to be over before one of `module` that touches this; no more than
    /// it knows of anyway need not be exact.
    pub(super) fn needs(&self, touches: &[Touch], module: Module, knows: Clock) -> Clock {
        let mut needs = Clock::default();
        for touch in touches {
            let reads = touch.writes.then_some(&self.reads);
            for places in reads.into_iter().chain([&self.writes]) {
                for (other, marks) in places[touch.place as usize].iter().enumerate() {
                    if other != module as usize && marks.latest as usize > knows[other] {
                        needs[other] = needs[other].max(marks.last(&touch.at) as usize);
                    }
                }
            }
        }
        needs
    }

    /// Command `count` of its module touches this.
    pub(super) fn record(&mut self, touches: Vec<Touch>, module: Module, count: usize) {
        for touch in touches {
            let places = match touch.writes {
                true => &mut self.writes,
                false => &mut self.reads,
            };
            places[touch.place as usize][module as usize].put(touch.at, count as u32);
        }
    }

    pub(super) fn touches(&self, command: &Command) -> Vec<Touch> {
        let mut touches = Vec::new();
        let mut touch = |place, at, writes| touches.push(Touch { place, at, writes });
        match command {
            Command::Load { mem, block } => {
                touch(place(*mem), block.on_chip(), true);
                self.rows(*mem, block, |at| touch(Place::Dram, at, false));
            }
            Command::Store { block, entry } => {
                touch(Place::Acc, block.on_chip(), false);
                if let Some(entry) = entry {
                    let records = self.design.block_out();
                    let first = *entry as usize * records;
                    touch(Place::Rqt, first..first + records, false);
                }
                self.rows(MemType::Out, block, |at| touch(Place::Dram, at, true));
            }
            Command::Gemm { mode, kernel } => {
                touch(Place::Acc, kernel.reach(0), true);
                if *mode != GemmMode::Reset {
                    touch(Place::Inp, kernel.reach(1), false);
                    touch(Place::Wgt, kernel.reach(2), false);
                }
            }
            Command::Alu { imm, kernel, .. } => {
                touch(Place::Acc, kernel.reach(0), true);
                if imm.is_none() {
                    touch(Place::Acc, kernel.reach(1), false);
                }
            }
        }
        touches
    }

    fn rows(&self, mem: MemType, block: &Block2d, mut row: impl FnMut(Range<usize>)) {
        let bytes = self.design.elem_bytes(mem) as u64;
        let rows = (0..u64::from(block.y_size)).map(|y| {
            let first = block.dram_elem + y * u64::from(block.x_stride);
            let end = first + u64::from(block.x_size);
            (first * bytes / STRETCH) as usize..(end * bytes).div_ceil(STRETCH) as usize
        });
        // Rows that meet are one.
        let last = rows.reduce(|before, next| {
            if before.contains(&next.start) || before.end == next.start {
                return before.start..next.end.max(before.end);
            }
            row(before);
            next
        });
        last.into_iter().for_each(row);
    }
}

fn place(mem: MemType) -> Place {
    match mem {
        MemType::Inp => Place::Inp,
        MemType::Wgt => Place::Wgt,
        MemType::Rqt => Place::Rqt,
        _ => Place::Acc,
    }
}
