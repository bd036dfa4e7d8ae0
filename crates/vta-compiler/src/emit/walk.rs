//! The walk over the end form of a loop nest: outer loops are run, inner nests are folded.
//!
//! What comes out is right when executed one command after the other; tokens are a later pass.

mod operations;

use std::collections::BTreeMap;

use vta_isa::{AluOp, Design, Feature, GemmMode, MemType};
use vta_program::{Block2d, Pads};
use vta_tir::{Access, Buffer, DType, EvalError, Expr, Name, Program, Scope, Stmt};

use super::dma;
use super::fold::Folded;
use super::overwrite::overwrite;

/// One instruction of a sequential program, its micro-kernel spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A block into a scratchpad; its addresses are absolute, in elements of `mem`.
    Load {
        /// What is loaded.
        mem: MemType,
        /// The block.
        block: Block2d,
    },
    /// A block of outputs to DRAM, addresses as for `Load`.
    Store {
        /// The block.
        block: Block2d,
        /// The element of the table whose records rescale it.
        entry: Option<u32>,
    },
    /// Matrix products, or zeroing.
    Gemm {
        /// What becomes of accumulators.
        mode: GemmMode,
        /// Loops and micro-operations.
        kernel: Folded,
    },
    /// Vector operations on accumulators.
    Alu {
        /// The operation.
        op: AluOp,
        /// The immediate; without one the source register is the operand.
        imm: Option<i32>,
        /// Loops and micro-operations.
        kernel: Folded,
    },
}

/// Why a loop nest has no instructions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A tile is larger than its scratchpad: the schedule chose it wrongly.
    #[error("buffer `{buffer}` needs {needed} elements of {mem}, of which {free} are free")]
    Capacity {
        /// The buffer.
        buffer: Name,
        /// Its memory.
        mem: &'static str,
        /// Elements that it needs.
        needed: u64,
        /// Elements that are free.
        free: u64,
    },
    /// The program is not in its end form.
    #[error("program `{program}`: {why}")]
    Form {
        /// Name of the program.
        program: String,
        /// What stands in the way.
        why: String,
    },
    /// An index has no value.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

/// The commands of `program`, whose parameters lie at the byte addresses `params` in DRAM.
///
/// # Errors
/// A program that is not in its end form, and tiles that do not fit.
pub fn walk(
    design: &Design,
    program: &Program,
    params: &BTreeMap<String, u64>,
    places: Places,
) -> Result<Vec<Command>, EmitError> {
    let mut w = Walker {
        design,
        program: &program.name,
        vars: Vec::new(),
        placed: Vec::new(),
        places,
        used: BTreeMap::new(),
        turns: BTreeMap::new(),
        out: Vec::new(),
    };
    for param in &program.params {
        let name: &str = &param.buffer.name;
        let address = *params
            .get(name)
            .ok_or_else(|| w.form(format!("parameter `{name}` has no address")))?;
        let dims = w.extents(param.buffer.leading())?;
        w.placed.push(Placed {
            buffer: &param.buffer,
            at: address,
            dims,
        });
    }
    w.body(&program.body)?;
    Ok(if design.has(Feature::GemmOverwrite) {
        overwrite(w.out, design)
    } else {
        w.out
    })
}

/// Where a program takes its places on chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The end of the scratchpads, except that of weights, which begin at the first element.
    pub end: End,
    /// Whether weights that have two places lie in the second one first.
    pub second_weights_first: bool,
}

impl From<End> for Places {
    fn from(end: End) -> Self {
        Places {
            end,
            second_weights_first: false,
        }
    }
}

/// An end of the scratchpads. Where one program ends at one and the next begins at the other, the next can begin early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first elements.
    Low,
    /// The last ones.
    High,
}

struct Placed<'a> {
    buffer: &'a Buffer,
    /// Byte address in DRAM, element index on chip.
    at: u64,
    /// Leading extents.
    dims: Vec<u64>,
}

struct Walker<'a> {
    design: &'a Design,
    program: &'a str,
    vars: Vec<(&'a Name, i64)>,
    placed: Vec<Placed<'a>>,
    places: Places,
    used: BTreeMap<Scope, u64>,
    /// Of each allocation with two places: their distance, and which of them is next.
    turns: BTreeMap<&'a Name, (u64, bool)>,
    out: Vec<Command>,
}

impl<'a> Walker<'a> {
    fn form(&self, why: String) -> EmitError {
        EmitError::Form {
            program: self.program.to_string(),
            why,
        }
    }

    fn eval(&self, e: &Expr) -> Result<i64, EvalError> {
        e.eval(&|name| {
            self.vars
                .iter()
                .rev()
                .find(|(v, _)| *v == name)
                .map(|(_, x)| *x)
        })
    }

    fn extents(&self, shape: &[Expr]) -> Result<Vec<u64>, EmitError> {
        shape
            .iter()
            .map(|e| Ok(self.eval(e)?.max(0) as u64))
            .collect()
    }

    fn find(&self, name: &Name) -> Result<&Placed<'a>, EmitError> {
        self.placed
            .iter()
            .rev()
            .find(|p| p.buffer.name == *name)
            .ok_or_else(|| self.form(format!("buffer `{name}` is not in scope")))
    }

    fn body(&mut self, body: &'a [Stmt]) -> Result<(), EmitError> {
        body.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &'a Stmt) -> Result<(), EmitError> {
        if self.fold(stmt)? {
            return Ok(());
        }
        match stmt {
            Stmt::For { var, extent, body } => {
                for i in 0..self.eval(extent)? {
                    self.vars.push((var, i));
                    self.body(body)?;
                    self.vars.pop();
                }
                Ok(())
            }
            Stmt::Alloc { buffer, body } => self.alloc(buffer, body),
            Stmt::Load {
                dst,
                src,
                extents,
                padded,
            } => self.load(dst, src, extents, *padded),
            Stmt::Store {
                dst,
                src,
                extents,
                by,
            } => self.store(dst, src, extents, by.as_ref()),
            other => Err(self.form(format!("`{other}` is not an instruction yet"))),
        }
    }

    fn alloc(&mut self, buffer: &'a Buffer, body: &'a [Stmt]) -> Result<(), EmitError> {
        let mem = scratchpad(buffer.scope)
            .ok_or_else(|| self.form(format!("buffer `{}` lies in no scratchpad", buffer.name)))?;
        self.has_width_of(buffer, mem)?;
        let dims = self.extents(buffer.leading())?;
        let size: u64 = dims.iter().product();
        let (needed, turn) = if buffer.double {
            let second = self.places.second_weights_first && buffer.scope == Scope::Wgt;
            let (distance, turn) = self.turns.entry(&buffer.name).or_insert((0, second));
            *distance = size.max(*distance);
            *turn = !*turn;
            (2 * *distance, if *turn { 0 } else { *distance })
        } else {
            (size, 0)
        };
        let used = *self.used.get(&buffer.scope).unwrap_or(&0);
        let depth = u64::from(self.design.depth(mem) / self.unit(mem));
        let free = depth - used;
        if needed > free {
            let mem = buffer.scope.name();
            return Err(EmitError::Capacity {
                buffer: buffer.name.clone(),
                mem,
                needed,
                free,
            });
        }
        let at = turn
            + match self.places.end {
                End::High if buffer.scope != Scope::Wgt => depth - used - needed,
                End::Low | End::High => used,
            };
        self.used.insert(buffer.scope, used + needed);
        self.placed.push(Placed { buffer, at, dims });
        self.body(body)?;
        self.placed.pop();
        self.used.insert(buffer.scope, used);
        Ok(())
    }

    /// Values of a record are words, whatever the width of what they rescale.
    fn has_width_of(&self, buffer: &Buffer, mem: MemType) -> Result<(), EmitError> {
        let bits = self.design.value_bits(mem);
        if mem == MemType::Rqt || buffer.dtype.bits() == bits {
            return Ok(());
        }
        let (name, dtype) = (&buffer.name, buffer.dtype.name());
        Err(self.form(format!(
            "buffer `{name}` holds {dtype}, where values of {} have {bits} bits",
            mem.name()
        )))
    }

    fn load(
        &mut self,
        dst: &Access,
        src: &Access,
        extents: &[Expr],
        padded: Option<i32>,
    ) -> Result<(), EmitError> {
        let (to, from) = (self.find(&dst.buffer)?, self.find(&src.buffer)?);
        let mem = match (
            scratchpad(to.buffer.scope),
            to.buffer.dtype == from.buffer.dtype,
        ) {
            (Some(mem), true) => mem,
            (Some(MemType::Acc), false) if from.buffer.dtype == DType::I8 => MemType::Acc8,
            _ => {
                let (d, s) = (&to.buffer.name, &from.buffer.name);
                return Err(self.form(format!("no LOAD brings `{s}` into `{d}`")));
            }
        };
        for block in self.blocks(mem, (dst, to), (src, from), extents, padded)? {
            self.out.push(Command::Load { mem, block });
        }
        Ok(())
    }

    fn store(
        &mut self,
        dst: &Access,
        src: &Access,
        extents: &[Expr],
        by: Option<&Access>,
    ) -> Result<(), EmitError> {
        let entry = match by {
            Some(by) => {
                let table = self.find(&by.buffer)?;
                Some((table.at + flat(&self.indices(by)?, &table.dims)) as u32)
            }
            None => None,
        };
        let (to, from) = (self.find(&dst.buffer)?, self.find(&src.buffer)?);
        self.has_width_of(to.buffer, MemType::Out)?;
        for block in self.blocks(MemType::Out, (src, from), (dst, to), extents, None)? {
            self.out.push(Command::Store { block, entry });
        }
        Ok(())
    }

    /// The blocks of a box between a scratchpad and DRAM, with absolute addresses.
    fn blocks(
        &self,
        mem: MemType,
        (chip_access, chip): (&Access, &Placed),
        (dram_access, dram): (&Access, &Placed),
        extents: &[Expr],
        padded: Option<i32>,
    ) -> Result<Vec<Block2d>, EmitError> {
        let extents = self.extents(extents)?;
        let chip_at = self.indices(chip_access)?;
        let dram_at = self.indices(dram_access)?;
        let rank = extents.len();
        let ranks = [
            chip_at.len(),
            dram_at.len(),
            chip.dims.len(),
            dram.dims.len(),
        ];
        if ranks.iter().any(|&r| r != rank) {
            return Err(self.form(format!(
                "a transfer between ranks {ranks:?} of a box of {rank}"
            )));
        }
        let inside = |at: &[i64], dims: &[u64]| {
            (0..rank).all(|d| at[d] >= 0 && at[d] as u64 + extents[d] <= dims[d])
        };
        if !inside(&chip_at, &chip.dims) || !(padded.is_some() || inside(&dram_at, &dram.dims)) {
            return Err(self.form(format!(
                "a transfer of {extents:?} at {chip_at:?} in `{}` and {dram_at:?} in `{}` leaves them",
                chip.buffer.name, dram.buffer.name
            )));
        }
        // An element of the table is a record a column, each an element of the memory.
        let unit = self.unit(mem);
        let elem = self.design.elem_bytes(mem) as u64 * u64::from(unit);
        if dram.at % elem != 0 {
            return Err(self.form(format!("`{}` starts inside an element", dram.buffer.name)));
        }
        // Dimensions from `whole` on are consecutive on chip; each index before them is a block
        // of its own.
        let whole = (0..rank)
            .rev()
            .find(|&d| extents[d] != chip.dims[d])
            .unwrap_or(0);
        // A sign is its lowest bit, clear for +1.
        let stored = |value: i32| match dram.buffer.dtype {
            DType::S1 => value >> 1,
            _ => value,
        };
        let mut out = Vec::new();
        let blocks: u64 = extents[..whole].iter().product();
        for i in 0..blocks {
            let mut rest = i;
            let (mut chip_at, mut dram_at, mut size) =
                (chip_at.clone(), dram_at.clone(), extents.clone());
            for d in (0..whole).rev() {
                let step = (rest % extents[d]) as i64;
                rest /= extents[d];
                chip_at[d] += step;
                dram_at[d] += step;
                size[d] = 1;
            }
            let sram = chip.at + flat(&chip_at, &chip.dims);
            for b in dma::blocks(&dram.dims, &dram_at, &size) {
                let padding = b.pads != Pads::NONE;
                out.push(Block2d {
                    pads: Pads {
                        value: padded.filter(|_| padding).map_or(0, stored),
                        ..b.pads
                    },
                    sram_base: (sram as u32 + b.sram_base) * unit,
                    dram_elem: (dram.at / elem + b.dram_elem) * u64::from(unit),
                    x_size: b.x_size * unit,
                    x_stride: b.x_stride * unit,
                    ..b
                });
            }
        }
        Ok(out)
    }

    /// Elements of a memory in one of a buffer in it.
    fn unit(&self, mem: MemType) -> u32 {
        if mem == MemType::Rqt {
            self.design.block_out() as u32
        } else {
            1
        }
    }

    fn indices(&self, access: &Access) -> Result<Vec<i64>, EvalError> {
        access.idx.iter().map(|e| self.eval(e)).collect()
    }
}

fn flat(at: &[i64], dims: &[u64]) -> u64 {
    at.iter()
        .zip(dims)
        .fold(0, |sum, (&i, &d)| sum * d + i as u64)
}

fn scratchpad(scope: Scope) -> Option<MemType> {
    match scope {
        Scope::Inp => Some(MemType::Inp),
        Scope::Wgt => Some(MemType::Wgt),
        Scope::Acc => Some(MemType::Acc),
        Scope::Rqt => Some(MemType::Rqt),
        Scope::Dram | Scope::Out | Scope::Uop => None,
    }
}
