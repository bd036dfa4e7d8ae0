//! Tile sizes: the split of an operator that fits the scratchpads and moves the fewest bytes.

use std::fmt;

use vta_isa::{Design, MemType};

use super::add::{AddShape, AddSteps, Entry};
use super::conv::ConvShape;
use super::pool::{PoolSteps, Taps};
use super::pooled::Pooling;
use super::stages;

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
    /// Whether operands and accumulators of two tiles lie on chip, so that one moves while the other is
    /// computed.
    pub double: bool,
}

impl fmt::Display for ConvTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConvTile {
            co,
            y,
            x,
            ci,
            double,
        } = self;
        let double = if *double { "double " } else { "" };
        write!(f, "{double}co {co} y {y} x {x} ci {ci}")
    }
}

/// Bytes that an instruction's overhead counts for, so that equal traffic prefers fewer tiles.
const TILE_OVERHEAD: u64 = 256;

/// The tile of `shape` that moves the fewest bytes, given `vectors` per-channel vectors, among those that
/// fit twice if two may lie on chip, or else once; `None` if not even a tile of one register fits.
pub fn conv(shape: &ConvShape, vectors: usize, design: &Design, double: bool) -> Option<ConvTile> {
    let fitting = |double| match &shape.pool {
        Some(pool) => pooled(shape, pool, vectors, design, double),
        None => fitting(shape, vectors, design, double),
    };
    let twice = double.then(|| fitting(true));
    let once = || fitting(false);
    twice.flatten().or_else(once)
}

/// The tile of a convolution with pooled sums, in all columns of the result; `None` if not even a row of it fits. As the sums
/// under two tiles are computed twice, it is the one of the fewest cycles, of computation or of transfers.
pub fn pooled(
    shape: &ConvShape,
    pool: &Pooling,
    vectors: usize,
    design: &Design,
    double: bool,
) -> Option<ConvTile> {
    let cost = |tile: &ConvTile| pooled_cycles(shape, pool, tile, design);
    let [n, ci, ..] = shape.input;
    let [_, co, _, ow] = shape.output;
    let [kh, kw] = shape.kernel;
    let [rows, columns] = pool.output;
    let places = if double { 2 } else { 1 };
    let depth = |mem| design.depth(mem) as usize;
    let mut best: Option<(u64, ConvTile)> = None;
    for tco in parts(co) {
        for ty in parts(rows) {
            let sums = pool.rows(ty);
            let acc = tco * (sums * ow + ty * columns + vectors);
            if acc > depth(MemType::Acc) {
                continue;
            }
            for tci in parts(ci) {
                let wgt = places * tco * tci * kh * kw;
                let inp = places * tci * shape.reach(sums, 0) * shape.reach(ow, 1);
                if wgt > depth(MemType::Wgt) || inp > depth(MemType::Inp) {
                    continue;
                }
                let tile = ConvTile {
                    co: tco,
                    y: ty,
                    x: columns,
                    ci: tci,
                    double,
                };
                let cycles = cost(&tile);
                if n > 0 && best.is_none_or(|(least, _)| cycles < least) {
                    best = Some((cycles, tile));
                }
            }
        }
    }
    best.map(|(_, tile)| tile)
}

/// Cycles of a convolution with pooled sums before its epilogue: of computation or of loads, whichever are more.
pub fn pooled_cycles(shape: &ConvShape, pool: &Pooling, tile: &ConvTile, design: &Design) -> u64 {
    let [n, ci, ..] = shape.input;
    let [_, co, _, ow] = shape.output;
    let taps: usize = shape.kernel.iter().product();
    let [rows, _] = pool.output;
    let sums = pool.rows(tile.y);
    let registers = rows.div_ceil(tile.y) * sums * ow;
    let compute = n * co * (registers * (ci * taps + 1) + pool.operations(rows));
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
    (compute as u64).max(load) + (visits * rounds) as u64 * TILE_OVERHEAD / 8
}

fn fitting(shape: &ConvShape, vectors: usize, design: &Design, double: bool) -> Option<ConvTile> {
    let n = shape.input[0];
    let [_, co, oh, ow] = shape.output;
    let ci = shape.group[0];
    let [kh, kw] = shape.kernel;
    let depth = |mem| design.depth(mem) as usize / if double { 2 } else { 1 };
    let passes = shape.residual.as_ref().map_or(0, |r| r.passes);
    let bytes = |mem| design.elem_bytes(mem) as u64;
    let mut best: Option<(u64, ConvTile)> = None;
    for tci in parts(ci) {
        for tco in parts(co)
            .into_iter()
            .filter(|&t| t <= shape.most_channels())
        {
            let wgt = tco * tci * kh * kw + tco * passes;
            if wgt > depth(MemType::Wgt) {
                continue;
            }
            for ty in parts(oh) {
                for tx in parts(ow) {
                    let residual = if passes > 0 { tco * ty * tx } else { 0 };
                    let window = shape.reach(ty, 0) * shape.reach(tx, 1);
                    let inp = shape.channels(tco, tci) * window + residual;
                    let acc = tco * ty * tx + tco * vectors;
                    if inp > depth(MemType::Inp) || acc > depth(MemType::Acc) {
                        continue;
                    }
                    let rounds = ci.div_ceil(tci) as u64;
                    let planes = (oh.div_ceil(ty) * ow.div_ceil(tx)) as u64;
                    let outer = (n * co.div_ceil(tco)) as u64;
                    let visits = outer * planes * rounds;
                    // Weights stay while a single round covers the whole reduction.
                    let reloads = if rounds == 1 { outer } else { visits };
                    let cost = visits * (inp as u64 * bytes(MemType::Inp) + TILE_OVERHEAD)
                        + reloads * wgt as u64 * bytes(MemType::Wgt);
                    let tile = ConvTile {
                        co: tco,
                        y: ty,
                        x: tx,
                        ci: tci,
                        double,
                    };
                    if best.is_none_or(|(least, _)| cost < least) {
                        best = Some((cost, tile));
                    }
                }
            }
        }
    }
    best.map(|(_, tile)| tile)
}

/// Tile of an addition or a pooling, in registers of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddTile {
    /// Channel blocks.
    pub c: usize,
    /// Rows.
    pub y: usize,
    /// Columns.
    pub x: usize,
}

impl fmt::Display for AddTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AddTile { c, y, x } = self;
        write!(f, "c {c} y {y} x {x}")
    }
}

/// The largest tile of `shape` of which both operands fit the register file, beside the
/// vectors of `steps`, and the input scratchpad if they enter through it.
pub fn add(shape: &AddShape, steps: &AddSteps, design: &Design) -> Option<AddTile> {
    let vectors = stages::vectors(&steps.epilogue);
    let [_, c, h, w] = shape.extents;
    let depth = design.depth(MemType::Acc) as usize;
    let inputs = design.depth(MemType::Inp) as usize;
    let mut best: Option<(usize, AddTile)> = None;
    for tc in parts(c) {
        for ty in parts(h) {
            for tx in parts(w) {
                let operands = 2 * tc * ty * tx;
                let entering = steps.entry == Entry::Identity && operands > inputs;
                if entering || operands + tc * vectors > depth {
                    continue;
                }
                let tiles = c.div_ceil(tc) * h.div_ceil(ty) * w.div_ceil(tx);
                if best.is_none_or(|(fewest, _)| tiles < fewest) {
                    best = Some((
                        tiles,
                        AddTile {
                            c: tc,
                            y: ty,
                            x: tx,
                        },
                    ));
                }
            }
        }
    }
    best.map(|(_, tile)| tile)
}

/// The tile of a pooling of `shape` that moves the fewest bytes; `None` if not even one register
/// of the result fits with the values under its window.
pub fn pool(shape: &ConvShape, steps: &PoolSteps, design: &Design) -> Option<AddTile> {
    let [n, c, oh, ow] = shape.output;
    let vectors = stages::vectors(&steps.epilogue);
    let depth = |mem| design.depth(mem) as usize;
    let window: usize = shape.kernel.iter().product();
    let mut best: Option<(u64, AddTile)> = None;
    for tc in parts(c) {
        for ty in parts(oh) {
            for tx in parts(ow) {
                let input = (shape.reach(ty, 0)).saturating_mul(tc * shape.reach(tx, 1));
                let output = tc * ty * tx;
                let (inp, acc) = match steps.taps {
                    Taps::Alu(_) => (0, output + input),
                    Taps::Gemm => (input, output),
                    Taps::GemmMax => (input, output + output * window),
                };
                if inp > depth(MemType::Inp) || acc + tc * vectors > depth(MemType::Acc) {
                    continue;
                }
                let tiles = n * c.div_ceil(tc) * oh.div_ceil(ty) * ow.div_ceil(tx);
                let bytes = (input * design.elem_bytes(MemType::Out)) as u64;
                let cost = tiles as u64 * (bytes + TILE_OVERHEAD);
                let tile = AddTile {
                    c: tc,
                    y: ty,
                    x: tx,
                };
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, tile));
                }
            }
        }
    }
    best.map(|(_, tile)| tile)
}

/// The sizes into which `n` splits evenly: `n, ceil(n/2), ceil(n/3), ... 1`.
fn parts(n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (1..=n).map(|k| n.div_ceil(k)).collect();
    all.dedup();
    all
}
