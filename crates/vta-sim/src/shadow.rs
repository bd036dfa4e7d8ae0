//! Which module touched each element last: the books of happens-before.
//!
//! Every memory has one module that writes it: load writes INP, WGT and RQT, compute ACC, store DRAM. So one
//! entry a module is enough for an element: the writer's entry counts its last write, another's its last
//! read (the writer's own reads are ordered by the program). An access conflicts with an entry that its clock
//! does not cover: a write with every other module's, a read with the writer's. The micro-op memory is left
//! out: compute alone touches it.
//!
//! What an instruction touches is mostly neighbours, and the entries of a module lie side by side, so that a whole
//! stretch is compared, and filled, at once.

mod indices;
#[cfg(test)]
mod tests;

use std::ops::Range;

use vta_isa::{Design, MemType, Module, PAGE_BYTES, Uop};

use crate::access::{Action, Transfer};
use crate::decoded::Decoded;
use crate::dram::Dram;
use crate::fault::{Direction, Operand, Place};
use crate::kernel::{HostSimd, Vectorized};
use crate::tokens::{Clock, MODULES, slot};
use indices::Indices;

/// Of some elements in a row the last access of each module, as its count of instructions; 0 for none. Of modules
/// that never touch this memory there is nothing.
#[derive(Default)]
struct Cells([Vec<u32>; 3]);

impl Cells {
    fn new(count: usize, modules: impl Iterator<Item = Module>) -> Cells {
        let mut cells = Cells::default();
        modules.for_each(|module| cells.0[slot(module)] = vec![0; count]);
        cells
    }

    fn get_mut(&mut self, elements: Range<usize>) -> [&mut [u32]; 3] {
        let all = self.0.each_mut();
        all.map(|counts| counts.get_mut(elements.clone()).unwrap_or_default())
    }
}

/// Neighbouring elements at the moment they are accessed.
pub(crate) struct Stretch<'a> {
    /// The first one, and from one to the next.
    place: Place,
    step: u64,
    direction: Direction,
    writer: Module,
    last: [&'a mut [u32]; 3],
}

impl Stretch<'_> {
    /// The modules whose last accesses an instruction of `module` has to come after, with the counts of each.
    pub(crate) fn rivals(&self, module: Module) -> impl Iterator<Item = (Module, &[u32])> {
        MODULES
            .into_iter()
            .filter(move |&other| {
                other != module && (self.direction == Direction::Write || other == self.writer)
            })
            .map(|other| (other, &*self.last[slot(other)]))
    }

    /// Where the element at a position lies.
    fn place(&self, at: usize) -> Place {
        match self.place {
            Place::Sram(memory, first) => Place::Sram(memory, first + at as u64),
            Place::Dram(first) => Place::Dram(first + at as u64 * self.step),
        }
    }

    /// What the last access of `module` was.
    fn direction_of(&self, module: Module) -> Direction {
        if module == self.writer {
            Direction::Write
        } else {
            Direction::Read
        }
    }

    /// Enters the access of the instruction of `module` with this clock.
    pub(crate) fn enter(&mut self, module: Module, clock: &Clock) {
        if self.direction_of(module) == self.direction {
            self.last[slot(module)].fill(clock[slot(module)]);
        }
    }
}

/// An element that a rival module's instruction touched last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) place: Place,
    pub(crate) direction: Direction,
    /// The rival's instruction, and what it did.
    pub(crate) count: u32,
    pub(crate) other_direction: Direction,
}

/// What an instruction meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meetings {
    /// The first conflict with each module.
    pub(crate) races: [Option<Conflict>; 3],
    /// For a LOAD of micro-ops, the first element that a STORE wrote in order before, with that STORE.
    pub(crate) earlier: Option<(Place, u32)>,
}

/// The books of all memories.
pub(crate) struct Shadow {
    inp: Cells,
    wgt: Cells,
    acc: Cells,
    rqt: Cells,
    /// By page of the image; only of pages that are watched, and without a cell before the first access.
    dram: Vec<Option<Cells>>,
    base: u64,
    /// Bytes of which the bounds of every access to what is watched are multiples: of its smallest element.
    granule: usize,
    indices: Indices,
    simd: HostSimd,
}

/// The most of some counts.
struct Latest<'a>(&'a [u32]);

impl Vectorized for Latest<'_> {
    type Output = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        let mut latest = 0;
        for &count in self.0 {
            latest = latest.max(count);
        }
        latest
    }
}

impl Shadow {
    /// Books for a design and an image, with no page of DRAM watched.
    pub(crate) fn new(design: &Design, dram: &Dram) -> Shadow {
        let cells = |memory, modules: [Module; 2]| {
            let has = design.has_memory(memory);
            let count = usize::from(has) * design.depth(memory) as usize;
            Cells::new(count, modules.into_iter())
        };
        // Pages and granules are counted from an aligned address.
        let base = dram.base - dram.base % PAGE_BYTES as u64;
        let pages = (dram.end() - base).div_ceil(PAGE_BYTES as u64);
        Shadow {
            inp: cells(MemType::Inp, [Module::Load, Module::Compute]),
            wgt: cells(MemType::Wgt, [Module::Load, Module::Compute]),
            acc: cells(MemType::Acc, [Module::Compute, Module::Store]),
            rqt: cells(MemType::Rqt, [Module::Load, Module::Store]),
            dram: (0..pages).map(|_| None).collect(),
            base,
            granule: design
                .memories()
                .map(|memory| design.elem_bytes(memory))
                .min()
                .unwrap_or(1),
            indices: Indices::default(),
            simd: HostSimd::best(),
        }
    }

    /// Watches what the STOREs of a stream write, before its first access; what none writes needs no books. They are
    /// as fine as the elements that move there: micro-ops seldom do.
    pub(crate) fn watch_stores(&mut self, design: &Design, dram: &Dram, code: &Decoded) {
        let insns = code.insns().iter().flatten();
        let transfers = insns.filter_map(|insn| match &insn.action {
            Ok(action @ (Action::Load(transfer) | Action::Store(transfer))) => {
                let inside = action.check(design, dram, &[]).is_ok();
                inside.then_some(transfer)
            }
            _ => None,
        });
        for store in transfers.clone().filter(|t| t.memory == MemType::Out) {
            (0..store.rows).for_each(|row| self.watch(store.addr(row), store.row_bytes));
        }
        self.granule = PAGE_BYTES;
        for transfer in transfers {
            let elem = design.elem_bytes(transfer.memory);
            let watched = |row| {
                let pages = self.pages(transfer.addr(row), transfer.row_bytes);
                self.dram[pages].iter().any(Option::is_some)
            };
            if elem < self.granule && (0..transfer.rows).any(watched) {
                self.granule = elem;
            }
        }
    }

    /// Watches the pages of a part of DRAM.
    pub(crate) fn watch(&mut self, addr: u64, bytes: usize) {
        let pages = self.pages(addr, bytes);
        for page in &mut self.dram[pages] {
            page.get_or_insert_default();
        }
    }

    fn pages(&self, addr: u64, bytes: usize) -> Range<usize> {
        let start = (addr - self.base) as usize;
        start / PAGE_BYTES..(start + bytes).div_ceil(PAGE_BYTES)
    }

    /// Enters what an instruction of `module` with this clock touches; gives what it meets.
    pub(crate) fn access(
        &mut self,
        action: &Action,
        uops: &[Uop],
        module: Module,
        clock: &Clock,
    ) -> Meetings {
        let mut meetings = Meetings::default();
        let simd = self.simd;
        let loads_uops =
            matches!(action, Action::Load(transfer) if transfer.memory == MemType::Uop);
        self.visit(action, uops, |mut stretch| {
            let Meetings { races, earlier } = &mut meetings;
            for (rival, counts) in stretch.rivals(module) {
                let known = clock[slot(rival)];
                let latest = simd.run(Latest(counts));
                if latest > known && races[slot(rival)].is_none() {
                    let at = counts.iter().position(|&count| count > known);
                    races[slot(rival)] = at.map(|at| Conflict {
                        place: stretch.place(at),
                        direction: stretch.direction,
                        count: counts[at],
                        other_direction: stretch.direction_of(rival),
                    });
                }
                if loads_uops && latest > 0 && earlier.is_none() {
                    let at = counts.iter().position(|count| (1..=known).contains(count));
                    *earlier = at.map(|at| (stretch.place(at), counts[at]));
                }
            }
            stretch.enter(module, clock);
        });
        meetings
    }

    /// Calls `f` for all elements that `action` touches and that a second module could touch, once a
    /// direction. Of micro-ops executed, the largest index has to be in range.
    pub(crate) fn visit(&mut self, action: &Action, uops: &[Uop], mut f: impl FnMut(Stretch<'_>)) {
        match action {
            Action::Sync | Action::Finish => {}
            Action::Load(transfer) => {
                self.visit_dram(transfer, Direction::Read, &mut f);
                match transfer.memory {
                    MemType::Uop => {}
                    memory => self.visit_sram(memory, Direction::Write, transfer.span(), &mut f),
                }
            }
            Action::Store(transfer) => {
                self.visit_sram(MemType::Acc, Direction::Read, transfer.span(), &mut f);
                // A STORE of nothing rescales nothing.
                if let (1.., Some(records)) = (transfer.rows, &transfer.requant) {
                    self.visit_sram(MemType::Rqt, Direction::Read, records.clone(), &mut f);
                }
                self.visit_dram(transfer, Direction::Write, &mut f);
            }
            Action::Kernel(kernel) => {
                if kernel.steps() == 0 {
                    return;
                }
                let mut indices = std::mem::take(&mut self.indices);
                for &(operand, memory) in kernel.operands() {
                    let direction = match operand {
                        Operand::Dst => Direction::Write,
                        Operand::Src | Operand::Wgt => Direction::Read,
                    };
                    // Compute's own reads of its accumulators conflict with nothing.
                    if memory != MemType::Acc || direction == Direction::Write {
                        indices.cover(kernel, operand, &uops[kernel.uop_range()]);
                        for elements in indices.stretches() {
                            self.visit_sram(memory, direction, elements, &mut f);
                        }
                    }
                }
                self.indices = indices;
            }
        }
    }

    fn visit_sram(
        &mut self,
        memory: MemType,
        direction: Direction,
        elements: Range<usize>,
        f: &mut impl FnMut(Stretch<'_>),
    ) {
        let (cells, memory, writer) = match memory {
            MemType::Inp => (&mut self.inp, memory, Module::Load),
            MemType::Wgt => (&mut self.wgt, memory, Module::Load),
            MemType::Rqt => (&mut self.rqt, memory, Module::Load),
            _ => (&mut self.acc, MemType::Acc, Module::Compute),
        };
        f(Stretch {
            place: Place::Sram(memory, elements.start as u64),
            step: 1,
            direction,
            writer,
            last: cells.get_mut(elements),
        });
    }

    fn visit_dram(
        &mut self,
        transfer: &Transfer,
        direction: Direction,
        f: &mut impl FnMut(Stretch<'_>),
    ) {
        let (granule, per_page) = (self.granule, PAGE_BYTES / self.granule);
        for row in 0..transfer.rows {
            let first = (transfer.addr(row) - self.base) as usize / granule;
            let end = first + transfer.row_bytes / granule;
            let mut at = first;
            while at < end {
                let (page, stop) = (at / per_page, end.min((at / per_page + 1) * per_page));
                if let Some(cells) = &mut self.dram[page] {
                    if cells.0[0].is_empty() {
                        *cells = Cells::new(per_page, MODULES.into_iter());
                    }
                    f(Stretch {
                        place: Place::Dram(self.base + (at * granule) as u64),
                        step: granule as u64,
                        direction,
                        writer: Module::Store,
                        last: cells.get_mut(at - page * per_page..stop - page * per_page),
                    });
                }
                at = stop;
            }
        }
    }
}
