//! Which module touched each element last: the books of happens-before.
//!
//! Every memory has one module that writes it: load writes INP, WGT and RQT, compute ACC, store DRAM. So one
//! entry a module is enough for an element: the writer's entry counts its last write, another's its last
//! read (the writer's own reads are ordered by the program). An access conflicts with an entry that its clock
//! does not cover: a write with every other module's, a read with the writer's. The micro-op memory is left
//! out: compute alone touches it.

use vta_isa::{Design, MemType, Module, PAGE_BYTES, Uop};

use crate::access::{Action, Kernel, Transfer, index};
use crate::dram::Dram;
use crate::fault::{Direction, Operand, Place};
use crate::tokens::{Clock, MODULES, slot};

/// The last access of each module, as its count of instructions; 0 for none.
pub(crate) type Cell = [u32; 3];

/// One element at the moment it is accessed.
pub(crate) struct Touch<'a> {
    pub(crate) place: Place,
    pub(crate) direction: Direction,
    writer: Module,
    pub(crate) cell: &'a mut Cell,
}

impl Touch<'_> {
    /// The modules, with their counts, whose last access an instruction of `module` has to come after.
    pub(crate) fn rivals(&self, module: Module) -> impl Iterator<Item = (Module, u32)> {
        MODULES
            .into_iter()
            .filter(move |&other| {
                other != module && (self.direction == Direction::Write || other == self.writer)
            })
            .map(|other| (other, self.cell[slot(other)]))
    }

    /// What the last access of `module` was.
    pub(crate) fn direction_of(&self, module: Module) -> Direction {
        if module == self.writer {
            Direction::Write
        } else {
            Direction::Read
        }
    }

    /// Enters the access of the instruction of `module` with this clock.
    pub(crate) fn enter(&mut self, module: Module, clock: &Clock) {
        if self.direction_of(module) == self.direction {
            self.cell[slot(module)] = clock[slot(module)];
        }
    }
}

/// The books of all memories.
pub(crate) struct Shadow {
    inp: Vec<Cell>,
    wgt: Vec<Cell>,
    acc: Vec<Cell>,
    rqt: Vec<Cell>,
    /// By page of the image; only the pages that are watched.
    dram: Vec<Option<Box<[Cell]>>>,
    base: u64,
    /// Bytes of the smallest element: the bounds of every access are multiples of it.
    granule: usize,
    indices: IndexSet,
}

impl Shadow {
    /// Books for a design and an image, with no page of DRAM watched.
    pub(crate) fn new(design: &Design, dram: &Dram) -> Shadow {
        let cells = |memory| {
            let has = design.has_memory(memory);
            vec![Cell::default(); usize::from(has) * design.depth(memory) as usize]
        };
        // Pages and granules are counted from an aligned address.
        let base = dram.base - dram.base % PAGE_BYTES as u64;
        let pages = (dram.end() - base).div_ceil(PAGE_BYTES as u64);
        Shadow {
            inp: cells(MemType::Inp),
            wgt: cells(MemType::Wgt),
            acc: cells(MemType::Acc),
            rqt: cells(MemType::Rqt),
            dram: (0..pages).map(|_| None).collect(),
            base,
            granule: design
                .memories()
                .map(|memory| design.elem_bytes(memory))
                .min()
                .unwrap_or(1),
            indices: IndexSet::default(),
        }
    }

    /// Watches the pages of a part of DRAM, from its next access on. What no STORE writes needs no books.
    pub(crate) fn watch(&mut self, addr: u64, bytes: usize) {
        let start = (addr - self.base) as usize;
        for page in &mut self.dram[start / PAGE_BYTES..(start + bytes).div_ceil(PAGE_BYTES)] {
            page.get_or_insert_with(|| vec![Cell::default(); PAGE_BYTES / self.granule].into());
        }
    }

    /// Calls `f` for each element that `action` touches and that a second module could touch, once a
    /// direction. Of micro-ops executed, the largest index has to be in range.
    pub(crate) fn visit(&mut self, action: &Action, uops: &[Uop], mut f: impl FnMut(Touch<'_>)) {
        match action {
            Action::Sync | Action::Finish => {}
            Action::Load(transfer) => {
                self.visit_dram(transfer, Direction::Read, &mut f);
                let span = transfer.span();
                match transfer.memory {
                    MemType::Uop => {}
                    memory => self.visit_sram(memory, Direction::Write, span, f),
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
                        self.visit_sram(memory, direction, indices.iter(), &mut f);
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
        elements: impl Iterator<Item = usize>,
        mut f: impl FnMut(Touch<'_>),
    ) {
        let (cells, memory, writer) = match memory {
            MemType::Inp => (&mut self.inp, memory, Module::Load),
            MemType::Wgt => (&mut self.wgt, memory, Module::Load),
            MemType::Rqt => (&mut self.rqt, memory, Module::Load),
            _ => (&mut self.acc, MemType::Acc, Module::Compute),
        };
        for element in elements {
            let place = Place::Sram(memory, element as u64);
            f(Touch {
                place,
                direction,
                writer,
                cell: &mut cells[element],
            });
        }
    }

    fn visit_dram(
        &mut self,
        transfer: &Transfer,
        direction: Direction,
        f: &mut impl FnMut(Touch<'_>),
    ) {
        let (granule, per_page) = (self.granule, PAGE_BYTES / self.granule);
        for row in 0..transfer.rows {
            let first = (transfer.addr(row) - self.base) as usize / granule;
            let end = first + transfer.row_bytes / granule;
            let mut at = first;
            while at < end {
                let (page, stop) = (at / per_page, end.min((at / per_page + 1) * per_page));
                if let Some(cells) = &mut self.dram[page] {
                    for (i, cell) in cells[at - page * per_page..stop - page * per_page]
                        .iter_mut()
                        .enumerate()
                    {
                        let place = Place::Dram(self.base + ((at + i) * granule) as u64);
                        f(Touch {
                            place,
                            direction,
                            writer: Module::Store,
                            cell,
                        });
                    }
                }
                at = stop;
            }
        }
    }
}

/// The set of indices that an operand of a kernel takes.
#[derive(Default)]
struct IndexSet {
    words: Vec<u64>,
    shifted: Vec<u64>,
}

impl IndexSet {
    /// Becomes the indices of `operand`, which were checked to be in range.
    fn cover(&mut self, kernel: &Kernel, operand: Operand, uops: &[Uop]) {
        let factors = kernel.factors(operand);
        let max = uops
            .iter()
            .map(|uop| index(uop, operand))
            .max()
            .unwrap_or(0) as usize;
        let loops = [(kernel.iter_out, factors[0]), (kernel.iter_in, factors[1])];
        let last: usize = loops
            .iter()
            .map(|&(n, factor)| (n as usize - 1) * factor as usize)
            .sum();
        self.words.clear();
        self.words.resize((max + last) / 64 + 1, 0);
        for uop in uops {
            let index = index(uop, operand) as usize;
            self.words[index / 64] |= 1 << (index % 64);
        }
        // Doubling: the indices of 2n iterations are those of n and those of n moved by n factors.
        for (n, factor) in loops.map(|(n, factor)| (n as usize, factor as usize)) {
            let mut have = 1;
            while factor > 0 && have < n {
                let step = have.min(n - have);
                self.add_shifted(step * factor);
                have += step;
            }
        }
    }

    fn add_shifted(&mut self, by: usize) {
        let (words, bits) = (by / 64, by % 64);
        self.shifted.clone_from(&self.words);
        for to in (words..self.words.len()).rev() {
            let from = to - words;
            let low = if bits == 0 || from == 0 {
                0
            } else {
                self.shifted[from - 1] >> (64 - bits)
            };
            self.words[to] |= self.shifted[from] << bits | low;
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|&rest| rest != 0)
                .map(move |rest| i * 64 + rest.trailing_zeros() as usize)
        })
    }
}
