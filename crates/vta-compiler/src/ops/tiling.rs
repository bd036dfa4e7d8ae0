//! Tile sizes: the splits of an operator that fit the scratchpads, and what they promise.

use std::collections::BTreeMap;
use std::fmt;

use vta_graph::passes::im2col::Work;
use vta_isa::{Design, Feature, MemType};

use super::conv::ConvShape;
use super::elementwise::{ElementShape, ElementSteps, Nest, What, Wide};
use super::entry::Entry;
use super::pool::{PoolSteps, Taps};
use super::pooled::Pooling;
use super::spread::{SpreadShape, SpreadSteps};
use super::stages;
use crate::epilogue::Epilogue;

/// A tile that fits, with what can be said of its cycles before they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit<T> {
    /// The tile.
    pub tile: T,
    /// Cycles of the busiest module, as if all tiles were whole and began with nothing on chip: about what it cannot do
    /// without.
    pub bound: u64,
    /// Cycles that it may take, with what does not overlap.
    pub estimate: u64,
}

/// Tile of a convolution, in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTile {
    /// Output channel blocks.
    pub co: usize,
    /// Output rows.
    pub y: usize,
    /// Output columns.
    pub x: usize,
    /// Input channel blocks of one round of the reduction.
    pub ci: usize,
    /// Whether the tiles of all channels come one after the other, under an input that stays.
    pub channels_last: bool,
    /// What has two places on chip.
    pub twice: Twice,
}

/// What of a convolution has two places on chip, so that one tile moves while the other is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Twice {
    /// Inputs.
    pub inp: bool,
    /// Weights.
    pub wgt: bool,
    /// Accumulators.
    pub acc: bool,
}

impl Twice {
    const NOTHING: Twice = Twice {
        inp: false,
        wgt: false,
        acc: false,
    };
}

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.inp, "inp"), (self.wgt, "wgt"), (self.acc, "acc")];
        let parts: Vec<_> = parts.iter().filter(|part| part.0).map(|p| p.1).collect();
        match parts.len() {
            0 => Ok(()),
            3 => f.write_str(" twice"),
            _ => write!(f, " twice {}", parts.join(" ")),
        }
    }
}

impl fmt::Display for ConvTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConvTile {
            co,
            y,
            x,
            ci,
            channels_last,
            twice,
        } = self;
        if *channels_last {
            write!(f, "y {y} x {x} co {co} ci {ci}{twice}")
        } else {
            write!(f, "co {co} y {y} x {x} ci {ci}{twice}")
        }
    }
}

/// Cycles that count for what a tile costs whatever its size, such as its share of instructions.
const TILE_OVERHEAD: u64 = 16;

/// The share of its estimate by which a tile falls behind with every better one that resembles it.
const RESEMBLANCE: u64 = 128;

/// At most so many tiles are offered.
const OFFERED: usize = 32;

/// Whether a tile of one register of a convolution's result fits, or of one row where its sums are pooled.
pub fn conv_fits(shape: &ConvShape, vectors: usize, design: &Design) -> bool {
    if let Some(pool) = &shape.pool {
        return !pooled(shape, pool, vectors, design, false).is_empty();
    }
    let tile = ConvTile {
        co: 1,
        y: 1,
        x: 1,
        ci: 1,
        channels_last: false,
        twice: Twice::NOTHING,
    };
    ConvCost {
        shape,
        vectors,
        stages: resets(design),
        design,
    }
    .fits(&tile)
}

/// The tiles of a convolution of `shape` that fit, the most promising ones first; with two places of
/// things on chip only if transfers may `overlap` computation.
pub fn conv(
    shape: &ConvShape,
    epilogue: &Epilogue,
    design: &Design,
    overlap: bool,
) -> Vec<Fit<ConvTile>> {
    if let Some(pool) = &shape.pool {
        return pooled(shape, pool, epilogue.vectors(), design, overlap);
    }
    let [_, co, oh, ow] = shape.output;
    let cost = ConvCost {
        shape,
        vectors: epilogue.vectors(),
        stages: resets(design) + epilogue.steps.len(),
        design,
    };
    let mut fits = Vec::new();
    for ci in parts(shape.group[0]) {
        for co in parts(co)
            .into_iter()
            .filter(|&c| c <= shape.most_channels())
        {
            for y in parts(oh) {
                for x in parts(ow) {
                    let tile = ConvTile {
                        co,
                        y,
                        x,
                        ci,
                        channels_last: false,
                        twice: Twice::NOTHING,
                    };
                    if cost.fits(&tile) {
                        cost.variants(tile, overlap, &mut fits);
                    }
                }
            }
        }
    }
    promising(fits, |tile| {
        (tile.channels_last, tile.twice, tile.co, tile.ci)
    })
}

/// The tiles of a convolution with pooled sums that fit, in all columns of the result, the most promising ones first. The
/// sums under two tiles are computed twice.
pub fn pooled(
    shape: &ConvShape,
    pool: &Pooling,
    vectors: usize,
    design: &Design,
    overlap: bool,
) -> Vec<Fit<ConvTile>> {
    let [_, ci, ..] = shape.input;
    let [_, co, _, ow] = shape.output;
    let [kh, kw] = shape.kernel;
    let [rows, columns] = pool.output;
    let depth = |mem| design.depth(mem) as usize;
    let mut fits = Vec::new();
    for (co, y) in product(&parts(co), &parts(rows)) {
        let sums = pool.rows(y);
        let (held, _) = stages::held(vectors, co, shape.output[1], design);
        let acc = co * (sums * ow + y * columns) + held;
        if acc > depth(MemType::Acc) || !holds_records(design, co) {
            continue;
        }
        for (ci, places) in product(&parts(ci), &[[2, 2], [2, 1], [1, 1]]) {
            let wgt = co * ci * kh * kw;
            let inp = ci * shape.reach(sums, 0) * shape.reach(ow, 1);
            let room =
                inp * places[0] <= depth(MemType::Inp) && wgt * places[1] <= depth(MemType::Wgt);
            if !room || (!overlap && places != [1, 1]) {
                continue;
            }
            let tile = ConvTile {
                co,
                y,
                x: columns,
                ci,
                channels_last: false,
                twice: Twice {
                    inp: places[0] > 1,
                    wgt: places[1] > 1,
                    acc: false,
                },
            };
            let bound = pooled_cycles(shape, pool, &tile, design);
            let last = (co * y * columns) as u64 * beats(design, MemType::Out);
            let first = inp as u64 * beats(design, MemType::Inp);
            let estimate = bound + first + last + if places[0] == 1 { bound / 4 } else { 0 };
            fits.push(Fit {
                tile,
                bound,
                estimate,
            });
        }
    }
    promising(fits, |tile| (tile.twice, tile.co, tile.ci))
}

/// All pairs.
fn product<A: Copy, B: Copy>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (*a, *b)));
    pairs.collect()
}

/// Times that an accumulator is made zero before products are added to it.
fn resets(design: &Design) -> usize {
    usize::from(!design.has(Feature::GemmOverwrite))
}

/// Cycles of a convolution with pooled sums before its epilogue: of computation or of loads, whichever are more.
pub fn pooled_cycles(shape: &ConvShape, pool: &Pooling, tile: &ConvTile, design: &Design) -> u64 {
    let [n, ci, ..] = shape.input;
    let [_, co, _, ow] = shape.output;
    let taps: usize = shape.kernel.iter().product();
    let [rows, _] = pool.output;
    let sums = pool.rows(tile.y);
    let registers = rows.div_ceil(tile.y) * sums * ow;
    let compute = n * co * (registers * (ci * taps + resets(design)) + pool.operations(rows));
    let visits = n * co.div_ceil(tile.co) * rows.div_ceil(tile.y);
    let rounds = ci.div_ceil(tile.ci);
    let inp = visits * ci * shape.reach(sums, 0) * shape.reach(ow, 1);
    let reloads = if rounds == 1 {
        n
    } else {
        visits.div_ceil(co.div_ceil(tile.co))
    };
    let wgt = reloads * co * ci * taps;
    let bytes = inp * design.elem_bytes(MemType::Inp) + wgt * design.elem_bytes(MemType::Wgt);
    let load = bytes as u64 / design.bus_bytes() as u64;
    (compute as u64).max(load) + (visits * rounds) as u64 * TILE_OVERHEAD
}

/// What a tile of a convolution takes.
struct ConvCost<'a> {
    shape: &'a ConvShape,
    /// Per-channel vectors of its epilogue.
    vectors: usize,
    /// Passes over an accumulator beside the products.
    stages: usize,
    design: &'a Design,
}

impl ConvCost<'_> {
    /// Elements of a tile of inputs, weights and accumulators.
    fn elements(&self, tile: &ConvTile) -> [usize; 3] {
        let [kh, kw] = self.shape.kernel;
        [
            self.shape.channels(tile.co, tile.ci)
                * self.shape.reach(tile.y, 0)
                * self.shape.reach(tile.x, 1),
            tile.co * tile.ci * kh * kw,
            tile.co * tile.y * tile.x,
        ]
    }

    /// Times that a residual is multiplied by weights.
    fn passes(&self) -> usize {
        self.shape.residual.as_ref().map_or(0, |r| r.passes)
    }

    fn fits(&self, tile: &ConvTile) -> bool {
        let [inp, wgt, acc] = self.elements(tile);
        let inp = inp + if self.passes() > 0 { acc } else { 0 };
        let wgt = wgt + tile.co * self.passes();
        let blocks = self.shape.output[1];
        let (held, stay) = stages::held(self.vectors, tile.co, blocks, self.design);
        let depth = |mem| self.design.depth(mem) as usize;
        let places = |twice| 1 + usize::from(twice);
        inp * places(tile.twice.inp) <= depth(MemType::Inp)
            && wgt * places(tile.twice.wgt) <= depth(MemType::Wgt)
            && acc * places(tile.twice.acc) + held * places(tile.twice.acc && !stay)
                <= depth(MemType::Acc)
            && holds_records(self.design, tile.co * places(tile.twice.acc))
    }

    /// The ways to take tiles of one size.
    fn variants(&self, tile: ConvTile, overlap: bool, fits: &mut Vec<Fit<ConvTile>>) {
        let several = tile.co < self.shape.output[1] && self.shape.is_dense();
        for channels_last in [false, true] {
            // A reduction in rounds takes the input anew for each tile of channels anyway.
            if channels_last && !(several && tile.ci >= self.shape.group[0]) {
                continue;
            }
            for bits in 0..8 {
                let twice = Twice {
                    inp: bits & 1 == 0,
                    wgt: bits & 2 == 0,
                    acc: bits & 4 == 0,
                };
                let tile = ConvTile {
                    channels_last,
                    twice,
                    ..tile
                };
                if (overlap || twice == Twice::NOTHING) && self.fits(&tile) {
                    fits.push(self.fit(tile));
                }
            }
        }
    }

    fn fit(&self, tile: ConvTile) -> Fit<ConvTile> {
        let (n, ci) = (self.shape.input[0], self.shape.group[0]);
        let [_, co, oh, ow] = self.shape.output;
        let [kh, kw] = self.shape.kernel;
        let [inp, wgt, acc] = self.elements(&tile).map(|n| n as u64);
        let beats = |mem| beats(self.design, mem);
        let planes = (oh.div_ceil(tile.y) * ow.div_ceil(tile.x)) as u64;
        let rounds = ci.div_ceil(tile.ci) as u64;
        let (images, outer) = (n as u64, co.div_ceil(tile.co) as u64);
        let visits = images * outer * planes * rounds;
        // What an inner loop does not change stays.
        let inp_loads = if tile.channels_last {
            images * planes
        } else {
            visits
        };
        let wgt_loads = if rounds == 1 && !tile.channels_last {
            images * outer
        } else {
            visits
        };
        let load = [
            inp_loads * inp * beats(MemType::Inp),
            wgt_loads * wgt * beats(MemType::Wgt),
        ];
        let vectors = (n * co * oh * ow) as u64;
        let compute = vectors * (ci * kh * kw + self.passes() + self.stages) as u64;
        let residual = if self.passes() > 0 {
            vectors * beats(MemType::Inp)
        } else {
            0
        };
        let store = vectors * beats(MemType::Out);
        let once = |cycles: u64, twice: bool, loads: u64| match twice || loads == 1 {
            true => 0,
            false => cycles,
        };
        let tiles = images * outer * planes;
        let waits = once(load[0], tile.twice.inp, inp_loads)
            + once(residual, tile.twice.inp, tiles)
            + once(load[1], tile.twice.wgt, wgt_loads)
            + once(store, tile.twice.acc, tiles);
        // What comes first waits for the operator before; so do weights without room beside its.
        let places = 1 + u64::from(tile.twice.wgt);
        let room = u64::from(self.design.depth(MemType::Wgt)) >= wgt * (places + 1);
        let first = inp * beats(MemType::Inp) + if room { 0 } else { wgt * beats(MemType::Wgt) };
        let last = acc * beats(MemType::Out);
        let loads = load[0] + load[1] + residual;
        Fit {
            tile,
            bound: loads.max(compute).max(store),
            estimate: loads.max(compute + waits).max(store) + first + last + visits * TILE_OVERHEAD,
        }
    }
}

/// About the cycles of a network's first convolution: of products and the usual epilogue, or of its input's way on chip,
/// and a part of the shorter one, which does not overlap.
pub fn first_layer(work: &Work, design: &Design) -> usize {
    let steps = if design.has(Feature::RequantStore) {
        resets(design)
    } else {
        4
    };
    let load = work.inputs * beats(design, MemType::Inp) as usize;
    let compute = work.products + work.results * steps;
    load.max(compute) + load.min(compute) / 16
}

/// Whether the records of so many channel blocks fit the table of a design whose stores rescale.
fn holds_records(design: &Design, blocks: usize) -> bool {
    let entries = design.requant_entries() as usize;
    entries == 0 || blocks <= entries
}

/// Cycles that the bus takes for an element.
fn beats(design: &Design, mem: MemType) -> u64 {
    (design.elem_bytes(mem) as u64).div_ceil(design.bus_bytes() as u64)
}

/// In the order of the estimates, where what resembles `alike` better ones counts for less: a search that times
/// only some should see different ones.
fn promising<T, K: Ord>(mut fits: Vec<Fit<T>>, alike: impl Fn(&T) -> K) -> Vec<Fit<T>> {
    fits.sort_by_key(|fit| (fit.estimate, fit.bound));
    let mut seen: BTreeMap<K, u64> = BTreeMap::new();
    let mut ranked: Vec<(u64, Fit<T>)> = fits
        .into_iter()
        .map(|fit| {
            let before = seen.entry(alike(&fit.tile)).or_insert(0);
            *before += 1;
            (
                fit.estimate + fit.estimate / RESEMBLANCE * (*before - 1),
                fit,
            )
        })
        .collect();
    ranked.sort_by_key(|(estimate, _)| *estimate);
    ranked.truncate(OFFERED);
    ranked.into_iter().map(|(_, fit)| fit).collect()
}

/// Tile of an operator on elements or a pooling, in registers of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElementTile {
    /// Channel blocks.
    pub c: usize,
    /// Rows.
    pub y: usize,
    /// Columns.
    pub x: usize,
    /// Whether operands and results of two tiles lie on chip.
    pub twice: bool,
}

impl fmt::Display for ElementTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ElementTile { c, y, x, twice } = self;
        let twice = if *twice { " twice" } else { "" };
        write!(f, "c {c} y {y} x {x}{twice}")
    }
}

/// Elements that a tile takes of the input scratchpad and of the register file, and bytes that it loads.
struct Takes {
    inp: usize,
    acc: usize,
    loaded: usize,
}

/// The tiles of an operator on elements that fit the register file with its wide tensors and the vectors of
/// `steps`, and the input scratchpad if operands enter through it, the most promising ones first.
pub fn elementwise(
    shape: &ElementShape,
    steps: &ElementSteps,
    design: &Design,
    overlap: bool,
) -> Vec<Fit<ElementTile>> {
    let vectors = steps.epilogue.vectors();
    let wide = steps.nests.iter().filter(|nest| !shape.is_narrow(nest));
    let passes = wide.count() + steps.epilogue.steps.len() + 1;
    let loads = steps
        .nests
        .iter()
        .filter(|nest| matches!(nest.what, What::Load(_)));
    let (narrow, whole): (Vec<&Nest>, Vec<&Nest>) = loads.partition(|nest| shape.is_narrow(nest));
    registers(
        shape.extents,
        vectors,
        passes as u64,
        design,
        overlap,
        |tile| {
            let (all, one) = (tile.c * tile.y * tile.x, tile.c);
            let second = if shape.spread { one } else { all };
            let tensors = steps.tensors();
            let acc = tensors
                .iter()
                .map(|&wide| if wide == Wide::Acc { all } else { second });
            let inp = if shape.operands.len() > 1 {
                all + second
            } else {
                all
            };
            let (inp, loaded) = match steps.entry {
                Entry::Identity => (inp, inp),
                Entry::Acc8 => (0, whole.len() * all + narrow.len() * one),
            };
            Takes {
                inp,
                acc: acc.sum(),
                loaded,
            }
        },
    )
}

/// Rows of a window that come in at a time: all of them, or a part of those of a sum that no scratchpad holds.
pub fn pool_rows(shape: &ConvShape, steps: &PoolSteps, design: &Design) -> usize {
    let [rows, _] = shape.kernel;
    let holds = |rows: usize, share: usize| {
        let reach = (rows - 1)
            .saturating_mul(shape.dilation[0])
            .saturating_add(1);
        reach.saturating_mul(shape.reach(1, 1)) <= design.depth(MemType::Inp) as usize / share
    };
    // A window beyond the input is mostly padding; what the ALU brings together stays in its order.
    if steps.taps != Taps::Gemm || rows > shape.input[2] || holds(rows, 1) {
        return rows;
    }
    // The rows of two rounds lie on chip.
    let mut parts = parts(rows).into_iter();
    parts.find(|&rows| holds(rows, 2)).unwrap_or(1)
}

/// The tiles of a pooling of `shape` that fit with the values under their windows, the most promising ones
/// first.
pub fn pool(
    shape: &ConvShape,
    steps: &PoolSteps,
    design: &Design,
    overlap: bool,
) -> Vec<Fit<ElementTile>> {
    let vectors = steps.epilogue.vectors();
    let window: usize = shape.kernel.iter().product();
    let passes = (window + steps.last_stage()) as u64;
    let round = ConvShape {
        kernel: [pool_rows(shape, steps, design), shape.kernel[1]],
        ..shape.clone()
    };
    registers(shape.output, vectors, passes, design, overlap, |tile| {
        let input = (round.reach(tile.y, 0)).saturating_mul(tile.c * round.reach(tile.x, 1));
        let output = tile.c * tile.y * tile.x;
        let (inp, acc) = match steps.taps {
            Taps::Alu(_) => (0, output + input),
            Taps::Gemm => (input, output),
            Taps::GemmMax => (input, output + output * window),
        };
        Takes {
            inp,
            acc,
            loaded: input,
        }
    })
}

/// The tiles of an enlargement of `shape` that fit, the most promising ones first.
pub fn spread(
    shape: &SpreadShape,
    steps: &SpreadSteps,
    design: &Design,
    overlap: bool,
) -> Vec<Fit<ElementTile>> {
    let vectors = steps.epilogue.vectors();
    let passes = steps.last_stage() as u64;
    let [n, c, h, w] = shape.extents;
    let [i, j] = shape.parts();
    let extents = [n * i * j, c, h, w];
    registers(extents, vectors, passes, design, overlap, |tile| {
        let all = tile.c * tile.y * tile.x;
        Takes {
            inp: match steps.entry {
                Entry::Identity => all,
                Entry::Acc8 => 0,
            },
            acc: all,
            loaded: all,
        }
    })
}

/// The tiles of an operator over `extents` that stores what it computes in `passes` over every register.
fn registers(
    extents: [usize; 4],
    vectors: usize,
    passes: u64,
    design: &Design,
    overlap: bool,
    takes: impl Fn(&ElementTile) -> Takes,
) -> Vec<Fit<ElementTile>> {
    let [n, c, h, w] = extents;
    let depth = |mem| design.depth(mem) as usize;
    let mut fits = Vec::new();
    for tc in parts(c) {
        for ty in parts(h) {
            for tx in parts(w) {
                for twice in [true, false] {
                    let tile = ElementTile {
                        c: tc,
                        y: ty,
                        x: tx,
                        twice,
                    };
                    let (takes, places) = (takes(&tile), 1 + usize::from(twice));
                    let (held, stay) = stages::held(vectors, tc, c, design);
                    let held = held * if stay { 1 } else { places };
                    let acc = takes.acc.saturating_mul(places).saturating_add(held);
                    let inp = takes.inp.saturating_mul(places);
                    let fits_once = inp <= depth(MemType::Inp)
                        && acc <= depth(MemType::Acc)
                        && holds_records(design, tc * places);
                    if (twice && !overlap) || !fits_once {
                        continue;
                    }
                    let tiles = (n * c.div_ceil(tc) * h.div_ceil(ty) * w.div_ceil(tx)) as u64;
                    let beats = beats(design, MemType::Out);
                    let load = tiles * takes.loaded as u64 * beats;
                    let registers = (n * c * h * w) as u64;
                    let (compute, store) = (registers * passes, registers * beats);
                    let bound = compute.max(store).max(load);
                    // Loads into the register file and computation take turns.
                    let beside = if takes.inp > 0 && twice { 0 } else { load };
                    let waits = if twice { 0 } else { store };
                    let tile_store = (tc * ty * tx) as u64 * beats;
                    fits.push(Fit {
                        tile,
                        bound,
                        estimate: bound.max(compute + beside + waits)
                            + tile_store
                            + tiles * TILE_OVERHEAD,
                    });
                }
            }
        }
    }
    promising(fits, |tile| (tile.twice, tile.c))
}

/// The sizes into which `n` splits evenly: `n, ceil(n/2), ceil(n/3), ... 1`.
fn parts(n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (1..=n).map(|k| n.div_ceil(k)).collect();
    all.dedup();
    all
}
