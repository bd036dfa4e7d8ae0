//! A GEMM instruction as blocks of a matrix product.
//!
//! An instruction executes micro-ops inside two loops: `acc[d] += inp[s] * wgt[w]` with three indices that are
//! affine in the loops. Additions modulo a power of two may come in any order, so a step belongs to a *row*
//! (which accumulators, and the first input that goes into them) and to a *link* of a chain (which
//! weights, and how far from the row's first input). All rows of a [`Family`] take all links of its chain:
//! a weight tile that is loaded once serves many rows, and accumulators stay in registers along the chain.
//!
//! A loop that does not move the weights makes rows, one that does not move the accumulators makes links, and
//! around the rest the families are repeated. Micro-ops with the same accumulators are one chain; chains of the
//! same weights and distances are one family.

use vta_isa::Uop;

use crate::access::Kernel;

/// Rows, or links, that all families of an instruction write out: more are repetitions.
const MOST: usize = 1 << 16;

/// Where a row lies: its first accumulator lane and its first input value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) acc: usize,
    pub(super) inp: usize,
}

/// One factor of a row's sum: input values relative to the row's first, and a weight tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) inp: isize,
    pub(super) wgt: usize,
}

/// Rows that all take the same links.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) rows: Vec<Row>,
    pub(super) links: Vec<Link>,
    extent: Extent,
    distinct: bool,
}

/// The first and the last row of accumulators, the first and the last input, the last weight tile of a family.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    pub(super) acc: [usize; 2],
    pub(super) inp: [isize; 2],
    pub(super) wgt: usize,
}

/// Elements of the two sides of a product, in lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) block_in: usize,
    pub(super) block_out: usize,
}

/// The loops around families.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    count: usize,
    by: [usize; 3],
}

/// One instruction's families; kept from one to the next for its room.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    families: Vec<Family>,
    used: usize,
    repeats: Vec<Repeat>,
    order: Vec<u32>,
}

impl Blocks {
    /// Arranges the steps of `kernel`, whose indices are in range. Rows that loops make may coincide; those of
    /// micro-ops do not, and without `loop_rows` there are no others.
    pub(super) fn arrange(
        &mut self,
        kernel: &Kernel,
        uops: &[Uop],
        geometry: Geometry,
        loop_rows: bool,
    ) {
        let Geometry {
            batch,
            block_in,
            block_out,
        } = geometry;
        self.group(uops, geometry);
        self.families[..self.used]
            .iter_mut()
            .for_each(Family::measure);
        self.repeats.clear();
        let mut loops = [kernel.iter_out, kernel.iter_in].map(|count| Repeat {
            count: count as usize,
            by: [0; 3],
        });
        for (i, repeat) in loops.iter_mut().enumerate() {
            let [d, s, w] = [kernel.dst[i], kernel.src[i], kernel.wgt[i]].map(|f| f as usize);
            repeat.by = [d * batch * block_out, s * batch * block_in, w];
        }
        // Small steps first: rows of which each is beyond all before it are seen to be distinct.
        loops.sort_unstable_by_key(|repeat| repeat.by[0]);
        for Repeat { count, by } in loops {
            let families = &mut self.families[..self.used];
            let fit = |len: fn(&Family) -> usize| {
                families
                    .iter()
                    .map(len)
                    .sum::<usize>()
                    .saturating_mul(count)
                    <= MOST
            };
            if loop_rows && by[2] == 0 && by[0] > 0 && fit(|f| f.rows.len()) {
                families
                    .iter_mut()
                    .for_each(|f| f.more_rows(count, by, block_out));
            } else if by[0] == 0 && fit(|f| f.links.len()) {
                families.iter_mut().for_each(|f| f.more_links(count, by));
            } else {
                self.repeats.push(Repeat { count, by });
            }
        }
    }

    /// All families of the last instruction.
    pub(super) fn families(&self) -> &[Family] {
        &self.families[..self.used]
    }

    /// The families of one iteration of the loops.
    fn group(&mut self, uops: &[Uop], geometry: Geometry) {
        self.used = 0;
        if uops.iter().all(|uop| uop.dst == uops[0].dst) {
            self.begin(uops.iter(), geometry);
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..uops.len() as u32);
        order.sort_unstable_by_key(|&i| (uops[i as usize].dst, i));
        for chain in order.chunk_by(|&a, &b| uops[a as usize].dst == uops[b as usize].dst) {
            let chain = chain.iter().map(|&i| &uops[i as usize]);
            // Chains of one weight tile tend to be neighbours; a long search would cost more than it saves.
            let late = self.used.saturating_sub(32);
            let families = &mut self.families[late..self.used];
            match families
                .iter_mut()
                .rfind(|f| f.takes(chain.clone(), geometry))
            {
                Some(family) => family.add_row(chain, geometry),
                None => self.begin(chain, geometry),
            }
        }
        self.order = order;
    }

    /// Begins a family with one row.
    fn begin<'a>(&mut self, chain: impl Iterator<Item = &'a Uop> + Clone, geometry: Geometry) {
        if self.used == self.families.len() {
            self.families.push(Family::default());
        }
        let family = &mut self.families[self.used];
        self.used += 1;
        family.rows.clear();
        family.links.clear();
        family.links.extend(links(chain.clone(), geometry));
        family.add_row(chain, geometry);
    }

    /// Calls `f` with each family and what its rows and weights are moved by, in an order that has nothing to
    /// do with the instruction's.
    pub(super) fn each(&self, mut f: impl FnMut(&Family, [usize; 3])) {
        let once = Repeat {
            count: 1,
            by: [0; 3],
        };
        let repeat = |i: usize| *self.repeats.get(i).unwrap_or(&once);
        let [outer, inner] = [0, 1].map(repeat);
        for o in 0..outer.count {
            for i in 0..inner.count {
                let at = [0, 1, 2].map(|k| o * outer.by[k] + i * inner.by[k]);
                self.families().iter().for_each(|family| f(family, at));
            }
        }
    }
}

/// The links of a chain.
fn links<'a>(
    chain: impl Iterator<Item = &'a Uop> + Clone,
    geometry: Geometry,
) -> impl Iterator<Item = Link> {
    let lanes = (geometry.batch * geometry.block_in) as isize;
    let first = chain.clone().next().map_or(0, |uop| uop.src as isize);
    chain.map(move |uop| Link {
        inp: (uop.src as isize - first) * lanes,
        wgt: uop.wgt as usize,
    })
}

impl Family {
    /// Where rows and links reach.
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Whether every row with every link does, looked at one by one.
    pub(super) fn lies_within(&self, extent: Extent) -> bool {
        let inp = |row: &Row, link: &Link| row.inp as isize + link.inp;
        let ends = extent.inp[0]..=extent.inp[1];
        self.rows.iter().all(|row| {
            row.acc <= extent.acc[1] && self.links.iter().all(|link| ends.contains(&inp(row, link)))
        }) && self.links.iter().all(|link| link.wgt <= extent.wgt)
    }

    /// Whether all rows are known to differ.
    pub(super) fn is_distinct(&self) -> bool {
        self.distinct
    }

    /// Measures what micro-ops alone have made.
    fn measure(&mut self) {
        let mut extent = Extent {
            acc: [usize::MAX, 0],
            inp: [isize::MAX, isize::MIN],
            wgt: 0,
        };
        let (mut first, mut last) = (isize::MAX, isize::MIN);
        for row in &self.rows {
            extent.acc = [extent.acc[0].min(row.acc), extent.acc[1].max(row.acc)];
            (first, last) = (first.min(row.inp as isize), last.max(row.inp as isize));
        }
        for link in &self.links {
            extent.inp = [extent.inp[0].min(link.inp), extent.inp[1].max(link.inp)];
            extent.wgt = extent.wgt.max(link.wgt);
        }
        extent.inp = [extent.inp[0] + first, extent.inp[1] + last];
        self.extent = extent;
        self.distinct = true;
    }

    /// Whether a chain is the family's, begun elsewhere.
    fn takes<'a>(&self, chain: impl Iterator<Item = &'a Uop> + Clone, geometry: Geometry) -> bool {
        links(chain, geometry).eq(self.links.iter().copied())
    }

    fn add_row<'a>(&mut self, mut chain: impl Iterator<Item = &'a Uop>, geometry: Geometry) {
        let Some(first) = chain.next() else { return };
        let element =
            first.dst as usize * geometry.batch..(first.dst as usize + 1) * geometry.batch;
        let inputs = first.src as usize * geometry.batch..;
        self.rows.extend(element.zip(inputs).map(|(acc, inp)| Row {
            acc: acc * geometry.block_out,
            inp: inp * geometry.block_in,
        }));
    }

    fn more_rows(&mut self, count: usize, [acc, inp, _]: [usize; 3], columns: usize) {
        let rows = self.rows.len();
        let [first, last] = self.extent.acc;
        self.distinct &= acc >= last - first + columns || count == 1;
        self.extent.acc[1] += (count - 1) * acc;
        self.extent.inp[1] += ((count - 1) * inp) as isize;
        for i in 1..count {
            for k in 0..rows {
                let row = self.rows[k];
                self.rows.push(Row {
                    acc: row.acc + i * acc,
                    inp: row.inp + i * inp,
                });
            }
        }
    }

    fn more_links(&mut self, count: usize, [_, inp, wgt]: [usize; 3]) {
        let links = self.links.len();
        self.extent.inp[1] += ((count - 1) * inp) as isize;
        self.extent.wgt += (count - 1) * wgt;
        for i in 1..count {
            for k in 0..links {
                let link = self.links[k];
                self.links.push(Link {
                    inp: link.inp + (i * inp) as isize,
                    wgt: link.wgt + i * wgt,
                });
            }
        }
    }
}
