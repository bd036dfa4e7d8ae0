//! The schedules: from a naive nest to tiles in the scratchpads and hardware intrinsics.
//!
//! All operators go the same way: every stage is tiled alike and merged under common outer
//! loops, the temporaries shrink to a tile in the register file, operands are cached on chip,
//! and what is left innermost becomes intrinsics.

use vta_isa::{Design, MemType};
use vta_tir::schedule::{ScheduleError, Tensor, Traced};
use vta_tir::{DType, Geometry, Limits, Scope};

use super::conv::{ConvShape, RESIDUAL, WEIGHTS};
use super::elementwise::{ElementShape, ElementSteps, OPERANDS, What, Wide};
use super::entry::{Entry, IDENTITY};
use super::pool::{PoolSteps, Taps};
use super::pooled::{Pooling, SUMS};
use super::spread::{SpreadShape, SpreadSteps};
use super::stages::{self, RECORDS, VECTORS, name};
use super::tiling::{self, ConvTile, ElementTile};
use crate::epilogue::Epilogue;

/// Loops that every stage has in common once it is tiled: batch block, and the tiles.
const OUTER: usize = 4;

/// Puts a convolution on the accelerator in tiles of `tile`.
///
/// # Errors
/// Those of the primitives.
pub fn conv(
    p: &mut Traced,
    shape: &ConvShape,
    tile: &ConvTile,
    epilogue: &Epilogue,
    design: &Design,
) -> Result<(), ScheduleError> {
    if let Some(pool) = &shape.pool {
        return pooled(p, shape, pool, tile, epilogue, design);
    }
    let first = shape.sum_stages();
    let last = first + epilogue.steps.len();
    let order = if tile.channels_last {
        ["y", "x", "c"]
    } else {
        ["c", "y", "x"]
    };
    let preset = epilogue
        .preset
        .is_some()
        .then(|| shape.preset_stage(epilogue));
    for stage in (0..=last).filter(|&s| s != 1).chain(preset) {
        tiled(p, stage, [tile.co, tile.y, tile.x])?;
        let outer = order.map(|d| name(d, stage) + "o");
        p.reorder(&outer.each_ref().map(String::as_str))?;
    }
    for (dim, factor) in [
        ("c1", tile.co),
        ("y1", tile.y),
        ("x1", tile.x),
        ("ci", tile.ci),
    ] {
        p.split(dim, factor as i64)?;
    }
    let outer = order.map(|d| name(d, 1) + "o");
    let inner = ["cio", "c1i", "y1i", "x1i", "cii"];
    let nest: Vec<&str> = outer.iter().map(String::as_str).chain(inner).collect();
    p.reorder(&nest)?;
    if let Some(stage) = preset {
        p.fuse_nests(&name("n", 0), &name("n", stage), OUTER)?;
    }
    merged(p, 0, last)?;
    let innermost = name(order[2], 0) + "o";
    p.sink_alloc("acc", &innermost)?;
    p.set_scope("acc", Scope::Acc)?;

    let rounds = shape.group[0].div_ceil(tile.ci);
    let inp_at = if tile.channels_last { "x0o" } else { "cio" };
    let wgt_at = if rounds == 1 { "c0o" } else { "cio" };
    let inp = cached(p, "x", inp_at, Scope::Inp)?;
    let wgt = cached(p, WEIGHTS, wgt_at, Scope::Wgt)?;
    let mut twice = vec![
        (inp, tile.twice.inp),
        (wgt, tile.twice.wgt),
        ("acc".to_owned(), tile.twice.acc),
    ];
    if shape.residual.is_some() {
        let [activation, weight] = RESIDUAL;
        let activation = cached(p, activation, &innermost, Scope::Inp)?;
        let weight = cached(p, weight, "c0o", Scope::Wgt)?;
        twice.extend([(activation, tile.twice.inp), (weight, tile.twice.wgt)]);
    }
    let operands = operands_of(p, epilogue, ["n0", "c0o"], design)?;
    twice.extend(operands.into_iter().map(|name| (name, tile.twice.acc)));
    for (buffer, _) in twice.iter().filter(|(_, twice)| *twice) {
        p.double_buffer(buffer)?;
    }
    p.tensorize("b0", Tensor::Reset)?;
    for stage in 1..first {
        p.tensorize(&name("b", stage), Tensor::Gemm)?;
    }
    for stage in (first..last).chain(preset) {
        p.tensorize(&name("b", stage), Tensor::Alu)?;
    }
    stored(p, epilogue, last)
}

/// Puts a convolution with a maximum over windows of its sums on the accelerator. A tile is of the result, in all of its
/// columns; the sums under it are computed where it is, those under two tiles twice.
fn pooled(
    p: &mut Traced,
    shape: &ConvShape,
    pool: &Pooling,
    tile: &ConvTile,
    epilogue: &Epilogue,
    design: &Design,
) -> Result<(), ScheduleError> {
    let first = shape.sum_stages();
    let (by_row, last) = (2 + pool.row_stages(), first + epilogue.steps.len());
    for stage in 2..=last {
        let columns = if stage < by_row {
            pool.input[1]
        } else {
            tile.x
        };
        tiled(p, stage, [tile.co, tile.y, columns])?;
    }
    // Where an index stops at the border, the loop that moves it stands outside.
    for stage in 2..first {
        let inner = if stage < by_row {
            ["y", "c", "x"]
        } else {
            ["x", "c", "y"]
        };
        let outer = ["c", "y", "x"].map(|d| format!("{}o", name(d, stage)));
        let inner = inner.map(|d| format!("{}i", name(d, stage)));
        let order: Vec<&str> = outer.iter().chain(&inner).map(String::as_str).collect();
        p.reorder(&order)?;
    }
    merged(p, 2, last)?;
    p.sink_alloc("acc", "x2o")?;
    p.compute_at(SUMS, "x2o")?;
    p.set_scope("acc", Scope::Acc)?;
    p.set_scope(SUMS, Scope::Acc)?;
    p.split("ci", tile.ci as i64)?;
    p.reorder(&["cio", "n1", "c1", "y1", "x1", "cii"])?;

    let rounds = shape.input[1].div_ceil(tile.ci);
    let weights = if rounds == 1 { "c2o" } else { "cio" };
    let operands = [
        (cached(p, "x", "cio", Scope::Inp)?, tile.twice.inp),
        (cached(p, WEIGHTS, weights, Scope::Wgt)?, tile.twice.wgt),
    ];
    operands_of(p, epilogue, ["n2", "c2o"], design)?;
    for (buffer, _) in operands.iter().filter(|(_, twice)| *twice) {
        p.double_buffer(buffer)?;
    }
    for stage in 0..last {
        let kind = match stage {
            0 => Tensor::Reset,
            1 => Tensor::Gemm,
            _ if stage == by_row => Tensor::Reset,
            _ => Tensor::Alu,
        };
        p.tensorize(&name("b", stage), kind)?;
    }
    stored(p, epilogue, last)
}

/// Puts an operator on elements on the accelerator in tiles of `tile`. What is made of an operand of one row and
/// column comes first, once for all rows and columns.
///
/// # Errors
/// Those of the primitives.
pub fn elementwise(
    p: &mut Traced,
    shape: &ElementShape,
    tile: &ElementTile,
    steps: &ElementSteps,
    design: &Design,
) -> Result<(), ScheduleError> {
    let last = steps.last_stage();
    let narrow = steps
        .nests
        .iter()
        .take_while(|nest| shape.is_narrow(nest))
        .count();
    for stage in 0..=last {
        let [y, x] = if stage < narrow {
            [1, 1]
        } else {
            [tile.y, tile.x]
        };
        tiled(p, stage, [tile.c, y, x])?;
    }
    merged(p, narrow, last)?;
    let whole = name("x", narrow) + "o";
    let one = if narrow > 0 {
        merged(p, 0, narrow - 1)?;
        p.fuse_nests("n0", &name("n", narrow), 2)?;
        "c0o"
    } else {
        whole.as_str()
    };
    let mut tiles = Vec::new();
    for wide in steps.tensors() {
        let at = if wide == Wide::Acc { &whole } else { one };
        p.sink_alloc(wide.name(), at)?;
        p.set_scope(wide.name(), Scope::Acc)?;
        tiles.push(wide.name().to_owned());
    }
    if steps.entry == Entry::Identity {
        let operands = OPERANDS.iter().zip([whole.as_str(), one]);
        for (operand, at) in operands.take(shape.operands.len()) {
            tiles.push(cached(p, operand, at, Scope::Inp)?);
        }
        cached(p, IDENTITY, "n0", Scope::Wgt)?;
    }
    tiles.extend(operands_of(p, &steps.epilogue, ["n0", "c0o"], design)?);
    if tile.twice {
        tiles.iter().try_for_each(|t| p.double_buffer(t))?;
    }
    for stage in 0..last {
        let kind = match steps.nests.get(stage).map(|nest| nest.what) {
            Some(What::Load(_)) => {
                p.dma(&format!("{}i", name("c", stage)))?;
                continue;
            }
            Some(What::Reset) => Tensor::Reset,
            Some(What::Identity(_)) => Tensor::Gemm,
            _ => Tensor::Alu,
        };
        p.tensorize(&name("b", stage), kind)?;
    }
    stored(p, &steps.epilogue, last)
}

/// Puts a pooling on the accelerator in tiles of `tile`, in rounds over the rows of a window that is too large.
///
/// # Errors
/// Those of the primitives.
pub fn pool(
    p: &mut Traced,
    shape: &ConvShape,
    tile: &ElementTile,
    steps: &PoolSteps,
    design: &Design,
) -> Result<(), ScheduleError> {
    let (tap, last) = (steps.tap_stage(), steps.last_stage());
    for stage in 0..=last {
        tiled(p, stage, [tile.c, tile.y, tile.x])?;
    }
    merged(p, 0, last)?;
    let private = (steps.taps == Taps::GemmMax).then_some("tap");
    let mut tiles: Vec<String> = private
        .into_iter()
        .chain(["acc"])
        .map(String::from)
        .collect();
    for buffer in &tiles {
        p.sink_alloc(buffer, "x0o")?;
        p.set_scope(buffer, Scope::Acc)?;
    }
    let (rows, window) = (tiling::pool_rows(shape, steps, design), name("ky", tap));
    let round = if rows < shape.kernel[0] {
        p.split(&window, rows as i64)?;
        let inner = ["c", "y", "x", "ky"].map(|d| format!("{}i", name(d, tap)));
        let [c, y, x, ky] = inner.each_ref().map(String::as_str);
        let outer = format!("{window}o");
        p.reorder(&[&outer, c, y, x, ky])?;
        outer
    } else {
        "x0o".to_owned()
    };
    match steps.entry() {
        Entry::Acc8 => {
            let cache = p.cache_read("x", "x0o", Scope::Acc)?;
            let wide = DType::of_bits(design.acc_bits()).expect("a design's width");
            p.widen(&cache.buffer, wide)?;
            p.dma(&cache.copy)?;
            tiles.push(cache.buffer.to_string());
        }
        Entry::Identity => {
            tiles.push(cached(p, "x", &round, Scope::Inp)?);
            cached(p, IDENTITY, "n0", Scope::Wgt)?;
        }
    }
    tiles.extend(operands_of(p, &steps.epilogue, ["n0", "c0o"], design)?);
    if tile.twice {
        tiles.iter().try_for_each(|t| p.double_buffer(t))?;
    }
    for stage in 0..last {
        let kind = match steps.taps {
            _ if stage == 0 => Tensor::Reset,
            Taps::GemmMax if stage + 1 == tap => Tensor::Reset,
            Taps::Gemm | Taps::GemmMax if stage == tap => Tensor::Gemm,
            _ => Tensor::Alu,
        };
        p.tensorize(&name("b", stage), kind)?;
    }
    stored(p, &steps.epilogue, last)
}

/// Puts an enlargement on the accelerator in tiles of `tile`. A store is of one position of all blocks of a channel block.
///
/// # Errors
/// Those of the primitives.
pub fn spread(
    p: &mut Traced,
    shape: &SpreadShape,
    tile: &ElementTile,
    steps: &SpreadSteps,
    design: &Design,
) -> Result<(), ScheduleError> {
    let last = steps.last_stage();
    for stage in 0..=last {
        tiled(p, stage, [tile.c, tile.y, tile.x])?;
    }
    if shape.repeats {
        let order = ["i", "j", "y", "x"].map(|d| name(d, last));
        let [i, j, y, x] = order.each_ref().map(String::as_str);
        p.reorder(&[i, j, &format!("{y}i"), &format!("{x}i")])?;
    }
    for stage in 1..=last {
        p.fuse_nests("n0", &name("n", stage), OUTER + shape.part_loops())?;
    }
    p.sink_alloc("acc", "x0o")?;
    p.set_scope("acc", Scope::Acc)?;
    let mut tiles = vec!["acc".to_owned()];
    if steps.entry == Entry::Identity {
        tiles.push(cached(p, "x", "x0o", Scope::Inp)?);
        cached(p, IDENTITY, "n0", Scope::Wgt)?;
    }
    tiles.extend(operands_of(p, &steps.epilogue, ["n0", "c0o"], design)?);
    if tile.twice {
        tiles.iter().try_for_each(|t| p.double_buffer(t))?;
    }
    for stage in 0..last {
        let kind = match steps.entry {
            Entry::Acc8 if stage == 0 => {
                p.dma(&format!("{}i", name("c", stage)))?;
                continue;
            }
            Entry::Identity if stage == 0 => Tensor::Reset,
            Entry::Identity if stage == 1 => Tensor::Gemm,
            _ => Tensor::Alu,
        };
        p.tensorize(&name("b", stage), kind)?;
    }
    p.dma(&format!("{}i", name("y", last)))
}

/// Splits channels, rows and columns of a stage; the outer loops come to stand outside.
fn tiled(p: &mut Traced, stage: usize, factors: [usize; 3]) -> Result<(), ScheduleError> {
    let dims = ["c", "y", "x"].map(|d| name(d, stage));
    let factors: Vec<(&str, i64)> = dims
        .iter()
        .zip(factors)
        .map(|(d, f)| (d.as_str(), f as i64))
        .collect();
    p.tile(&factors)?;
    Ok(())
}

/// Brings the stages behind `first`, to `last`, under its outer loops.
fn merged(p: &mut Traced, first: usize, last: usize) -> Result<(), ScheduleError> {
    let outer = name("n", first);
    (first + 1..=last).try_for_each(|stage| p.fuse_nests(&outer, &name("n", stage), OUTER))
}

/// Caches what an epilogue reads in one iteration of the inner one of two loops; vectors that stay, in the outer one.
/// Gives the caches that tiles fill.
fn operands_of(
    p: &mut Traced,
    epilogue: &Epilogue,
    [outer, inner]: [&str; 2],
    design: &Design,
) -> Result<Vec<String>, ScheduleError> {
    let mut caches = Vec::new();
    if let Some(column) = epilogue.columns().next() {
        let blocks = column.len() / design.block_out();
        if stages::held(epilogue.vectors(), 1, blocks, design).1 {
            cached(p, VECTORS, outer, Scope::Acc)?;
        } else {
            caches.push(cached(p, VECTORS, inner, Scope::Acc)?);
        }
    }
    if !epilogue.records.is_empty() {
        caches.push(cached(p, RECORDS, inner, Scope::Rqt)?);
    }
    Ok(caches)
}

/// Makes transfers of stage `last`, the store: of a tile, or, where it rescales, of a channel block.
fn stored(p: &mut Traced, epilogue: &Epilogue, last: usize) -> Result<(), ScheduleError> {
    let dim = if epilogue.records.is_empty() {
        "c"
    } else {
        "y"
    };
    p.dma(&format!("{}i", name(dim, last)))
}

/// Caches what one iteration of the loop over `at` reads of `buffer`, brought in by DMA; gives the cache.
fn cached(p: &mut Traced, buffer: &str, at: &str, scope: Scope) -> Result<String, ScheduleError> {
    let cache = p.cache_read(buffer, at, scope)?;
    p.dma(&cache.copy)?;
    Ok(cache.buffer.to_string())
}

/// The shape of a design's registers.
pub fn geometry(design: &Design) -> Geometry {
    Geometry {
        batch: design.batch() as i64,
        block_in: design.block_in() as i64,
        block_out: design.block_out() as i64,
    }
}

/// What a design's scratchpads hold.
pub fn limits(design: &Design) -> Limits {
    let depth = |mem| design.depth(mem).into();
    Limits {
        geometry: geometry(design),
        inp: depth(MemType::Inp),
        wgt: depth(MemType::Wgt),
        acc: depth(MemType::Acc),
        rqt: design.requant_entries().into(),
    }
}
