//! A matrix product of any size as one raw instruction stream.

use anyhow::{Context, Result};
use vta_isa::{Design, GemmMode, MemType, Module, PAGE_BYTES, Uop};
use vta_program::{Block2d, CommandStream, Loop, Pads, bits};
use vta_sim::{Counters, Dram, FuncSim, RunOptions};

/// Numbers of elements (of their memories) that a product spans, or a tile of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// Rows of the input and of the result, in steps of `batch`.
    m: u32,
    /// Rows of the weights and columns of the result, in steps of `block_out`.
    n: u32,
    /// What is summed over, in steps of `block_in`.
    k: u32,
}

/// `out[M,N] = low bits of (inp[M,K] * wgt[N,K]^T)` in blocked layouts, ready to run.
///
/// In DRAM: `inp[M/batch][K/block_in][batch][block_in]`,
/// `wgt[N/block_out][K/block_in][block_out][block_in]`,
/// `out[M/batch][N/block_out][batch][block_out]`; what exceeds `M`, `N` and `K` is zero.
pub struct Gemm {
    design: Design,
    /// `[M, N, K]`.
    size: [usize; 3],
    dram: Dram,
    stream: Vec<u8>,
    out: u64,
}

impl Gemm {
    /// The product of `inp` (`[M, K]`) and `wgt` (`[N, K]`), row-major, for `size = [M, N, K]`.
    ///
    /// # Errors
    /// A product that the design's addresses do not reach.
    pub fn new(design: &Design, size: [usize; 3], inp: &[i8], wgt: &[i8]) -> Result<Gemm> {
        let [m, n, k] = size;
        let block = |len: usize, block: usize| u32::try_from(len.div_ceil(block));
        let all = Extent {
            m: block(m, design.batch())?,
            n: block(n, design.block_out())?,
            k: block(k, design.block_in())?,
        };
        let mut arena = Arena {
            design,
            bytes: vec![0; PAGE_BYTES],
        };
        let inp = blocked(inp, [m, k], [design.batch(), design.block_in()]);
        let inp = arena.place(MemType::Inp, &inp)?;
        let wgt = blocked(wgt, [n, k], [design.block_out(), design.block_in()]);
        let wgt = arena.place(MemType::Wgt, &wgt)?;
        let zeros = vec![0; all.m as usize * all.n as usize * design.lanes(MemType::Out)];
        let out = arena.place(MemType::Out, &zeros)?;

        let mut commands = CommandStream::new(design);
        emit(&mut commands, all, tile(design, all), [inp, wgt, out])?;
        let stream = commands.finish()?;
        let uops = arena.append(&commands.uop_pool().bytes());
        Ok(Gemm {
            design: design.clone(),
            size,
            stream: stream.encode(design, uops)?,
            dram: Dram::new(0, arena.bytes),
            out: out * design.elem_bytes(MemType::Out) as u64,
        })
    }

    /// Multiply-accumulates that the product asks for, padding not counted.
    pub fn macs(&self) -> u64 {
        self.size.iter().map(|&len| len as u64).product()
    }

    /// Runs the stream.
    ///
    /// # Errors
    /// A fault of the simulator.
    pub fn run(&mut self, sim: &mut FuncSim) -> Result<Counters> {
        let report = sim.run(&mut self.dram, &self.stream, &RunOptions::default())?;
        Ok(report.counters)
    }

    /// The result, `[M, N]` row-major.
    pub fn result(&self) -> Vec<i8> {
        let [m, n, _] = self.size;
        let (batch, block) = (self.design.batch(), self.design.block_out());
        let columns = n.div_ceil(block);
        let bits = self.design.out_bits();
        let mut values = vec![0; m.div_ceil(batch) * columns * batch * block];
        bits::unpack(&self.dram.bytes[self.out as usize..], bits, &mut values);
        let at = |i: usize| {
            let (row, column) = (i / n, i % n);
            let elem = row / batch * columns + column / block;
            values[(elem * batch + row % batch) * block + column % block]
        };
        (0..m * n).map(at).collect()
    }
}

/// The DRAM image, every tensor on a page of its own.
struct Arena<'a> {
    design: &'a Design,
    bytes: Vec<u8>,
}

impl Arena<'_> {
    /// Packs `values`; gives the index of the first element.
    fn place(&mut self, mem: MemType, values: &[i8]) -> Result<u64> {
        let mut packed = Vec::new();
        bits::pack(values, self.design.value_bits(mem), &mut packed);
        let elem_bytes = self.design.elem_bytes(mem) as u64;
        let offset = self.append(&packed);
        (offset % elem_bytes == 0)
            .then_some(offset / elem_bytes)
            .context("an element larger than a page")
    }

    fn append(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len().next_multiple_of(PAGE_BYTES);
        self.bytes.resize(end, 0);
        offset as u64
    }
}

/// A row-major matrix in blocks of `[rows, columns]`, filled up with zeros.
fn blocked(values: &[i8], [height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<i8> {
    let across = width.div_ceil(columns);
    let mut out = vec![0; height.div_ceil(rows) * across * rows * columns];
    for (y, row) in values.chunks(width).enumerate() {
        for (x, &value) in row.iter().enumerate() {
            let elem = y / rows * across + x / columns;
            out[(elem * rows + y % rows) * columns + x % columns] = value;
        }
    }
    out
}

/// A tile that fits the scratchpads and the fields: its smallest side doubles while it can.
fn tile(design: &Design, all: Extent) -> Extent {
    let depth = |mem| u64::from(design.depth(mem));
    let fits = |t: Extent| {
        let elems = |a: u32, b: u32| u64::from(a) * u64::from(b);
        elems(t.m, t.n) <= depth(MemType::Acc).min(depth(MemType::Out))
            && elems(t.m, t.k) <= depth(MemType::Inp)
            && elems(t.n, t.k) <= depth(MemType::Wgt)
            && t.m.max(t.n) <= design.max_iter()
            && t.n <= design.max_factor_dst()
            && t.k <= design.max_factor_src().min(design.max_factor_wgt())
    };
    let mut tile = Extent { m: 1, n: 1, k: 1 };
    loop {
        let Extent { m, n, k } = tile;
        let mut grown = [
            (
                m,
                Extent {
                    m: all.m.min(2 * m),
                    ..tile
                },
            ),
            (
                n,
                Extent {
                    n: all.n.min(2 * n),
                    ..tile
                },
            ),
            (
                k,
                Extent {
                    k: all.k.min(2 * k),
                    ..tile
                },
            ),
        ];
        grown.sort_by_key(|&(side, _)| side);
        let next = grown
            .iter()
            .map(|&(_, t)| t)
            .find(|&t| t != tile && fits(t));
        match next {
            Some(next) => tile = next,
            None => return tile,
        }
    }
}

/// The loops over tiles: every tile of the result stays on chip until its sums are complete.
fn emit(
    commands: &mut CommandStream,
    all: Extent,
    tile: Extent,
    [inp, wgt, out]: [u64; 3],
) -> Result<()> {
    let zero = commands.intern(&[Uop::default()])?;
    let starts = |all: u32, step: u32| (0..all).step_by(step as usize);
    let mut last = None;
    let mut turn = |module: Module, commands: &mut CommandStream| -> Result<()> {
        if let Some(from) = last.replace(module).filter(|&from| from != module) {
            commands.dep_push(from, module)?;
            commands.dep_pop(from, module)?;
        }
        Ok(())
    };
    for row in starts(all.m, tile.m) {
        for column in starts(all.n, tile.n) {
            let (m, n) = (tile.m.min(all.m - row), tile.n.min(all.n - column));
            let loops = |k: u32| {
                let outer = Loop {
                    extent: m,
                    dst: n,
                    src: k,
                    wgt: 0,
                };
                [
                    outer,
                    Loop {
                        extent: n,
                        dst: 1,
                        src: 0,
                        wgt: k,
                    },
                ]
            };
            turn(Module::Compute, commands)?;
            commands.gemm(zero, GemmMode::Reset, loops(0))?;
            for depth in starts(all.k, tile.k) {
                let k = tile.k.min(all.k - depth);
                let from = |matrix: u64, row: u32| {
                    let dram_elem = matrix + u64::from(row) * u64::from(all.k) + u64::from(depth);
                    Block2d {
                        dram_elem,
                        x_size: k,
                        x_stride: all.k,
                        ..Block2d::default()
                    }
                };
                turn(Module::Load, commands)?;
                commands.load_2d(
                    MemType::Inp,
                    Block2d {
                        y_size: m,
                        ..from(inp, row)
                    },
                )?;
                // Weights come by way of load as well, so that one token covers both.
                commands.load_2d(
                    MemType::Wgt,
                    Block2d {
                        y_size: n,
                        ..from(wgt, column)
                    },
                )?;
                let uops = (0..k).map(|k| Uop {
                    dst: 0,
                    src: k,
                    wgt: k,
                });
                let kernel = commands.intern(&uops.collect::<Vec<_>>())?;
                turn(Module::Compute, commands)?;
                commands.gemm(kernel, GemmMode::Accumulate, loops(k))?;
            }
            turn(Module::Store, commands)?;
            commands.store_2d(Block2d {
                sram_base: 0,
                dram_elem: out + u64::from(row) * u64::from(all.n) + u64::from(column),
                x_size: n,
                y_size: m,
                x_stride: all.n,
                pads: Pads::NONE,
            })?;
        }
    }
    Ok(())
}
