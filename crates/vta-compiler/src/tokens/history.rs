//! What commands touched: for each element on chip and each stretch of DRAM, how many commands of a
//! module there were when it was last touched.

use std::ops::Range;

use vta_isa::{Design, GemmMode, MemType};
use vta_program::Block2d;

use super::Clock;
use crate::emit::Command;

/// Bytes of DRAM that are told apart: a few elements.
const STRETCH: u64 = 64;

/// Whether the load module fills a memory.
pub(super) fn is_loaded(mem: MemType) -> bool {
    matches!(mem, MemType::Inp | MemType::Wgt | MemType::Rqt)
}

/// A place that commands touch.
#[derive(Clone, Debug)]
struct Touch {
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

/// By place: the last command of each module that read, and that wrote.
#[derive(Default)]
struct Marks {
    reads: Vec<Clock>,
    writes: Vec<Clock>,
}

pub(super) struct History {
    design: Design,
    places: [Marks; PLACES],
}

impl History {
    pub(super) fn new(design: &Design) -> Self {
        History {
            design: design.clone(),
            places: Default::default(),
        }
    }

    /// How many commands of each module have to be over before this one.
    pub(super) fn needs(&self, command: &Command) -> Clock {
        let mut needs = Clock::default();
        for touch in self.touches(command) {
            let marks = &self.places[touch.place as usize];
            needs = later(needs, last(&marks.writes, &touch.at));
            if touch.writes {
                needs = later(needs, last(&marks.reads, &touch.at));
            }
        }
        needs
    }

    /// This is command `count` of its module.
    pub(super) fn record(&mut self, command: &Command, count: usize) {
        let module = super::module(command);
        for touch in self.touches(command) {
            let marks = &mut self.places[touch.place as usize];
            let marks = if touch.writes {
                &mut marks.writes
            } else {
                &mut marks.reads
            };
            if marks.len() < touch.at.end {
                marks.resize(touch.at.end, Clock::default());
            }
            for mark in &mut marks[touch.at] {
                mark[module as usize] = count;
            }
        }
    }

    fn touches(&self, command: &Command) -> Vec<Touch> {
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
        for y in 0..u64::from(block.y_size) {
            let first = block.dram_elem + y * u64::from(block.x_stride);
            let end = first + u64::from(block.x_size);
            row((first * bytes / STRETCH) as usize..(end * bytes).div_ceil(STRETCH) as usize);
        }
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

fn last(marks: &[Clock], at: &Range<usize>) -> Clock {
    let end = at.end.min(marks.len());
    let marks = marks.get(at.start..end).unwrap_or_default();
    marks.iter().copied().fold(Clock::default(), later)
}

fn later(a: Clock, b: Clock) -> Clock {
    [a[0].max(b[0]), a[1].max(b[1]), a[2].max(b[2])]
}
