//! The schedules: from a naive nest to tiles in the scratchpads and hardware intrinsics.
//!
//! All operators go the same way: every stage is tiled alike and merged under common outer
//! loops, the temporaries shrink to a tile in the register file, operands are cached on chip,
//! and what is left innermost becomes intrinsics.

use vta_isa::Design;
use vta_tir::schedule::{
    ScheduleError, Tensor, cache_read, compute_at, dma, double_buffer, fuse_nests, reorder,
    set_scope, sink_alloc, split, tensorize, widen,
};
use vta_tir::{DType, Geometry, Program, Scope};

use super::add::{AddSteps, Entry, IDENTITY};
use super::conv::{ConvShape, RESIDUAL, WEIGHTS};
use super::pool::{PoolSteps, Taps};
use super::pooled::{Pooling, SUMS};
use super::stages::{self, RECORDS, VECTORS, name};
use super::tiling::{AddTile, ConvTile};
use crate::epilogue::Epilogue;

/// Loops that every stage has in common once it is tiled: batch block, and the tiles.
const OUTER: usize = 4;

/// Puts a convolution on the accelerator in tiles of `tile`.
///
/// # Errors
/// Those of the primitives.
pub fn conv(
    mut p: Program,
    shape: &ConvShape,
    tile: &ConvTile,
    epilogue: &Epilogue,
    design: &Design,
) -> Result<Program, ScheduleError> {
    if let Some(pool) = &shape.pool {
        return pooled(p, shape, pool, tile, epilogue, design);
    }
    let geometry = geometry(design);
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
        tiled(&mut p, stage, [tile.co, tile.y, tile.x])?;
        let outer = order.map(|d| name(d, stage) + "o");
        reorder(&mut p, &outer.each_ref().map(String::as_str))?;
    }
    for (dim, factor) in [
        ("c1", tile.co),
        ("y1", tile.y),
        ("x1", tile.x),
        ("ci", tile.ci),
    ] {
        split(&mut p, dim, factor as i64)?;
    }
    let outer = order.map(|d| name(d, 1) + "o");
    let inner = ["cio", "c1i", "y1i", "x1i", "cii"];
    let nest: Vec<&str> = outer.iter().map(String::as_str).chain(inner).collect();
    reorder(&mut p, &nest)?;
    if let Some(stage) = preset {
        fuse_nests(&mut p, &name("n", 0), &name("n", stage), OUTER)?;
    }
    merged(&mut p, 0, last)?;
    let innermost = name(order[2], 0) + "o";
    sink_alloc(&mut p, "acc", &innermost)?;
    set_scope(&mut p, "acc", Scope::Acc)?;

    let rounds = shape.group[0].div_ceil(tile.ci);
    let inp_at = if tile.channels_last { "x0o" } else { "cio" };
    let wgt_at = if rounds == 1 { "c0o" } else { "cio" };
    let inp = cached(&mut p, "x", inp_at, Scope::Inp)?;
    let wgt = cached(&mut p, WEIGHTS, wgt_at, Scope::Wgt)?;
    let mut twice = vec![
        (inp, tile.twice.inp),
        (wgt, tile.twice.wgt),
        ("acc".to_owned(), tile.twice.acc),
    ];
    if shape.residual.is_some() {
        let [activation, weight] = RESIDUAL;
        let activation = cached(&mut p, activation, &innermost, Scope::Inp)?;
        let weight = cached(&mut p, weight, "c0o", Scope::Wgt)?;
        twice.extend([(activation, tile.twice.inp), (weight, tile.twice.wgt)]);
    }
    let operands = operands_of(&mut p, epilogue, ["n0", "c0o"], design)?;
    twice.extend(operands.into_iter().map(|name| (name, tile.twice.acc)));
    for (buffer, _) in twice.iter().filter(|(_, twice)| *twice) {
        double_buffer(&mut p, buffer)?;
    }
    tensorize(&mut p, "b0", Tensor::Reset, &geometry)?;
    for stage in 1..first {
        tensorize(&mut p, &name("b", stage), Tensor::Gemm, &geometry)?;
    }
    for stage in (first..last).chain(preset) {
        tensorize(&mut p, &name("b", stage), Tensor::Alu, &geometry)?;
    }
    stored(&mut p, epilogue, last)?;
    Ok(p)
}

/// Puts a convolution with a maximum over windows of its sums on the accelerator. A tile is of the result, in all of its
/// columns; the sums under it are computed where it is, those under two tiles twice.
fn pooled(
    mut p: Program,
    shape: &ConvShape,
    pool: &Pooling,
    tile: &ConvTile,
    epilogue: &Epilogue,
    design: &Design,
) -> Result<Program, ScheduleError> {
    let geometry = geometry(design);
    let first = shape.sum_stages();
    let (by_row, last) = (2 + pool.row_stages(), first + epilogue.steps.len());
    for stage in 2..=last {
        let columns = if stage < by_row {
            pool.input[1]
        } else {
            tile.x
        };
        tiled(&mut p, stage, [tile.co, tile.y, columns])?;
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
        reorder(&mut p, &order)?;
    }
    merged(&mut p, 2, last)?;
    sink_alloc(&mut p, "acc", "x2o")?;
    compute_at(&mut p, SUMS, "x2o")?;
    set_scope(&mut p, "acc", Scope::Acc)?;
    set_scope(&mut p, SUMS, Scope::Acc)?;
    split(&mut p, "ci", tile.ci as i64)?;
    reorder(&mut p, &["cio", "n1", "c1", "y1", "x1", "cii"])?;

    let rounds = shape.input[1].div_ceil(tile.ci);
    let weights = if rounds == 1 { "c2o" } else { "cio" };
    let operands = [
        (cached(&mut p, "x", "cio", Scope::Inp)?, tile.twice.inp),
        (
            cached(&mut p, WEIGHTS, weights, Scope::Wgt)?,
            tile.twice.wgt,
        ),
    ];
    operands_of(&mut p, epilogue, ["n2", "c2o"], design)?;
    for (buffer, _) in operands.iter().filter(|(_, twice)| *twice) {
        double_buffer(&mut p, buffer)?;
    }
    for stage in 0..last {
        let kind = match stage {
            0 => Tensor::Reset,
            1 => Tensor::Gemm,
            _ if stage == by_row => Tensor::Reset,
            _ => Tensor::Alu,
        };
        tensorize(&mut p, &name("b", stage), kind, &geometry)?;
    }
    stored(&mut p, epilogue, last)?;
    Ok(p)
}

/// Puts an addition on the accelerator in tiles of `tile`.
///
/// # Errors
/// Those of the primitives.
pub fn add(
    mut p: Program,
    tile: &AddTile,
    steps: &AddSteps,
    design: &Design,
) -> Result<Program, ScheduleError> {
    let geometry = geometry(design);
    let last = steps.stages() - 1;
    for stage in 0..=last {
        tiled(&mut p, stage, [tile.c, tile.y, tile.x])?;
    }
    merged(&mut p, 0, last)?;
    let mut tiles = vec!["acc".to_owned(), "addend".to_owned()];
    for buffer in &tiles {
        sink_alloc(&mut p, buffer, "x0o")?;
        set_scope(&mut p, buffer, Scope::Acc)?;
    }
    let entry = steps.entry.stages();
    match steps.entry {
        Entry::Acc8 => {
            for stage in 0..entry {
                dma(&mut p, &format!("{}i", name("c", stage)))?;
            }
        }
        Entry::Identity => {
            tiles.push(cached(&mut p, "a", "x0o", Scope::Inp)?);
            tiles.push(cached(&mut p, "b", "x0o", Scope::Inp)?);
            cached(&mut p, IDENTITY, "n0", Scope::Wgt)?;
            for stage in (0..entry).step_by(2) {
                tensorize(&mut p, &name("b", stage), Tensor::Reset, &geometry)?;
                tensorize(&mut p, &name("b", stage + 1), Tensor::Gemm, &geometry)?;
            }
        }
    }
    tiles.extend(operands_of(&mut p, &steps.epilogue, ["n0", "c0o"], design)?);
    if tile.twice {
        tiles.iter().try_for_each(|t| double_buffer(&mut p, t))?;
    }
    for stage in entry..last {
        tensorize(&mut p, &name("b", stage), Tensor::Alu, &geometry)?;
    }
    stored(&mut p, &steps.epilogue, last)?;
    Ok(p)
}

/// Puts a pooling on the accelerator in tiles of `tile`.
///
/// # Errors
/// Those of the primitives.
pub fn pool(
    mut p: Program,
    tile: &AddTile,
    steps: &PoolSteps,
    design: &Design,
) -> Result<Program, ScheduleError> {
    let geometry = geometry(design);
    let (tap, last) = (steps.tap_stage(), steps.last_stage());
    for stage in 0..=last {
        tiled(&mut p, stage, [tile.c, tile.y, tile.x])?;
    }
    merged(&mut p, 0, last)?;
    let private = (steps.taps == Taps::GemmMax).then_some("tap");
    let mut tiles: Vec<String> = private
        .into_iter()
        .chain(["acc"])
        .map(String::from)
        .collect();
    for buffer in &tiles {
        sink_alloc(&mut p, buffer, "x0o")?;
        set_scope(&mut p, buffer, Scope::Acc)?;
    }
    match steps.entry() {
        Entry::Acc8 => {
            let cache = cache_read(&mut p, "x", "x0o", Scope::Acc)?;
            let wide = DType::of_bits(design.acc_bits()).expect("a design's width");
            widen(&mut p, &cache.buffer, wide)?;
            dma(&mut p, &cache.copy)?;
            tiles.push(cache.buffer.to_string());
        }
        Entry::Identity => {
            tiles.push(cached(&mut p, "x", "x0o", Scope::Inp)?);
            cached(&mut p, IDENTITY, "n0", Scope::Wgt)?;
        }
    }
    tiles.extend(operands_of(&mut p, &steps.epilogue, ["n0", "c0o"], design)?);
    if tile.twice {
        tiles.iter().try_for_each(|t| double_buffer(&mut p, t))?;
    }
    for stage in 0..last {
        let kind = match steps.taps {
            _ if stage == 0 => Tensor::Reset,
            Taps::GemmMax if stage + 1 == tap => Tensor::Reset,
            Taps::Gemm | Taps::GemmMax if stage == tap => Tensor::Gemm,
            _ => Tensor::Alu,
        };
        tensorize(&mut p, &name("b", stage), kind, &geometry)?;
    }
    stored(&mut p, &steps.epilogue, last)?;
    Ok(p)
}

/// Splits channels, rows and columns of a stage; the outer loops come to stand outside.
fn tiled(p: &mut Program, stage: usize, factors: [usize; 3]) -> Result<(), ScheduleError> {
    let dims = ["c", "y", "x"].map(|d| name(d, stage));
    let factors: Vec<(&str, i64)> = dims
        .iter()
        .zip(factors)
        .map(|(d, f)| (d.as_str(), f as i64))
        .collect();
    vta_tir::schedule::tile(p, &factors)?;
    Ok(())
}

/// Brings the stages behind `first`, to `last`, under its outer loops.
fn merged(p: &mut Program, first: usize, last: usize) -> Result<(), ScheduleError> {
    let outer = name("n", first);
    (first + 1..=last).try_for_each(|stage| fuse_nests(p, &outer, &name("n", stage), OUTER))
}

/// Caches what an epilogue reads in one iteration of the inner one of two loops; vectors that stay, in the outer one.
/// Gives the caches that tiles fill.
fn operands_of(
    p: &mut Program,
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
fn stored(p: &mut Program, epilogue: &Epilogue, last: usize) -> Result<(), ScheduleError> {
    let dim = if epilogue.records.is_empty() {
        "c"
    } else {
        "y"
    };
    dma(p, &format!("{}i", name(dim, last)))
}

/// Caches what one iteration of the loop over `at` reads of `buffer`, brought in by DMA; gives the cache.
fn cached(p: &mut Program, buffer: &str, at: &str, scope: Scope) -> Result<String, ScheduleError> {
    let cache = cache_read(p, buffer, at, scope)?;
    dma(p, &cache.copy)?;
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
