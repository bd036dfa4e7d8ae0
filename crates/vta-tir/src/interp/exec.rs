//! Running compiled statements.

use super::compile::{Index, Node, Op, Source, Spot, Val, compile};
use super::{Array, Arrays, InterpError, MAX_VALUES, Place};
use crate::expr::Name;
use crate::intrinsics::{RECORD_WORDS, requantized};
use crate::program::{DType, ELEM_RANK, Program};
use crate::value::{Value, ValueOp};

/// A live buffer: row-major, compact.
struct Memory {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<i32>,
}

struct Machine<'a> {
    vars: Vec<i64>,
    names: Vec<&'a Name>,
    memories: Vec<Memory>,
    /// Values that may still be allocated.
    room: usize,
    steps: u64,
}

pub(super) fn run(
    program: &Program,
    arrays: &mut Arrays,
    max_steps: u64,
) -> Result<(), InterpError> {
    let mut machine = Machine {
        vars: Vec::new(),
        names: Vec::new(),
        memories: Vec::new(),
        room: MAX_VALUES,
        steps: max_steps,
    };
    for param in &program.params {
        let Array { shape, data } = arrays
            .remove(&param.buffer.name)
            .expect("arguments were checked before");
        machine.memories.push(Memory {
            dtype: param.buffer.dtype,
            shape,
            data,
        });
    }
    let outcome = machine.block(&compile(program));
    for (param, Memory { shape, data, .. }) in program.params.iter().zip(machine.memories) {
        arrays.insert(param.buffer.name.clone(), Array { shape, data });
    }
    outcome
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    fn block(&mut self, body: &[Node<'a>]) -> Result<(), InterpError> {
        body.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node<'a>) -> Result<(), InterpError> {
        match &node.op {
            Op::For { var, extent, body } => {
                let extent = self
                    .index(extent)
                    .map_err(|reason| self.failed(node, reason))?;
                self.names.push(var);
                self.vars.push(0);
                for value in 0..extent {
                    if let Some(last) = self.vars.last_mut() {
                        *last = value;
                    }
                    self.step().map_err(|reason| self.failed(node, reason))?;
                    self.block(body)?;
                }
                self.vars.pop();
                self.names.pop();
                Ok(())
            }
            Op::Alloc { dtype, shape, body } => {
                let memory = self
                    .allocate(*dtype, shape)
                    .map_err(|reason| self.failed(node, reason))?;
                let values = memory.data.len();
                self.room -= values;
                self.memories.push(memory);
                self.block(body)?;
                self.memories.pop();
                self.room += values;
                Ok(())
            }
            leaf => self.leaf(leaf).map_err(|reason| self.failed(node, reason)),
        }
    }

    fn failed(&self, node: &Node<'_>, reason: String) -> InterpError {
        let place = self
            .names
            .iter()
            .map(|name| (*name).clone())
            .zip(self.vars.iter().copied());
        InterpError::Failed {
            statement: node.stmt.to_string(),
            place: Place(place.collect()),
            reason,
        }
    }

    fn step(&mut self) -> Step<()> {
        self.steps = self
            .steps
            .checked_sub(1)
            .ok_or("the program runs too long")?;
        Ok(())
    }

    fn allocate(&self, dtype: DType, shape: &[Index]) -> Step<Memory> {
        let mut extents = Vec::with_capacity(shape.len());
        let mut values = 1usize;
        for extent in shape {
            let extent = self.index(extent)?;
            let extent = usize::try_from(extent).map_err(|_| format!("an extent of {extent}"))?;
            extents.push(extent);
            values = values
                .checked_mul(extent)
                .filter(|v| *v <= self.room)
                .ok_or("more than this interpreter holds")?;
        }
        Ok(Memory {
            dtype,
            shape: extents,
            data: vec![0; values],
        })
    }

    fn leaf(&mut self, op: &Op<'a>) -> Step<()> {
        match op {
            Op::For { .. } | Op::Alloc { .. } => unreachable!("no leaf"),
            Op::Write {
                dst,
                value,
                accumulate,
            } => {
                let value = self.value(value)?;
                let at = self.inside(dst)?;
                let memory = &mut self.memories[dst.buffer];
                let old = if *accumulate {
                    i64::from(memory.data[at])
                } else {
                    0
                };
                memory.data[at] = memory.dtype.wrap(old.wrapping_add(value));
            }
            Op::Copy {
                dst,
                src,
                padded,
                extents,
                by,
            } => self.copy(dst, src, *padded, extents, by.as_ref())?,
            Op::Gemm { acc, inp, wgt } => self.gemm(acc, inp, wgt)?,
            Op::Reset { acc } => {
                let (at, size) = self.element(acc)?;
                self.memories[acc.buffer].data[at..at + size].fill(0);
            }
            Op::Alu { op, dst, src } => self.alu(*op, dst, src)?,
        }
        Ok(())
    }

    fn copy(
        &mut self,
        dst: &Spot,
        src: &Spot,
        padded: Option<i32>,
        extents: &[Index],
        by: Option<&Spot>,
    ) -> Step<()> {
        let records = match by {
            Some(by) => {
                let (at, size) = self.element(by)?;
                self.memories[by.buffer].data[at..at + size].to_vec()
            }
            None => Vec::new(),
        };
        let columns = records.len() / RECORD_WORDS as usize;
        let extents = self.indices(extents)?;
        let (to, from) = (self.indices(&dst.idx)?, self.indices(&src.idx)?);
        if extents.iter().any(|extent| *extent <= 0) {
            return Ok(());
        }
        let size = elem_size(&self.memories[dst.buffer]);
        let mut step = vec![0; extents.len()];
        loop {
            self.step()?;
            let shifted = |origin: &[i64]| -> Vec<i64> {
                origin.iter().zip(&step).map(|(o, s)| o + s).collect()
            };
            let (to, from) = (shifted(&to), shifted(&from));
            let target = size
                * self.memories[dst.buffer]
                    .flat(&to)
                    .map_err(|d| self.outside(dst.buffer, &to, d))?;
            let source = match self.memories[src.buffer].flat(&from) {
                Ok(source) => Ok(size * source),
                Err(d) => match padded {
                    Some(with) => Err(with),
                    None => return Err(self.outside(src.buffer, &from, d)),
                },
            };
            for lane in 0..size {
                let value = match source {
                    Ok(source) => self.memories[src.buffer].data[source + lane],
                    Err(with) => with,
                };
                let value = match columns {
                    0 => i64::from(value),
                    _ => {
                        let record = lane % columns * RECORD_WORDS as usize;
                        let word = |i: i64| Value::Const(records[record + i as usize].into());
                        constant(&requantized(Value::Const(value.into()), word))
                    }
                };
                let from = self.memories[src.buffer].dtype;
                let memory = &mut self.memories[dst.buffer];
                let cut = from != DType::S1 && memory.dtype == DType::S1;
                if cut && !matches!(value, -1 | 0) {
                    return Err(format!("a sign is stored of -1 or 0, not of {value}"));
                }
                memory.data[target + lane] = memory.dtype.wrap(value);
            }
            // The next step of the box, last dimension fastest.
            let Some(d) = (0..step.len()).rev().find(|d| step[*d] + 1 < extents[*d]) else {
                return Ok(());
            };
            step[d] += 1;
            step[d + 1..].fill(0);
        }
    }

    fn gemm(&mut self, acc: &Spot, inp: &Spot, wgt: &Spot) -> Step<()> {
        let ((a, lanes), (i, inputs), (w, weights)) =
            (self.element(acc)?, self.element(inp)?, self.element(wgt)?);
        let block_in = self.memories[inp.buffer].shape.last().copied().unwrap_or(1);
        let block_out = self.memories[acc.buffer].shape.last().copied().unwrap_or(1);
        for lane in 0..lanes {
            let (row, column) = (lane / block_out * block_in, lane % block_out * block_in);
            if row + block_in > inputs || column + block_in > weights {
                return Err("element shapes disagree".into());
            }
            let row = &self.memories[inp.buffer].data[i + row..][..block_in];
            let column = &self.memories[wgt.buffer].data[w + column..][..block_in];
            let products = row
                .iter()
                .zip(column)
                .map(|(x, w)| i64::from(*x).wrapping_mul(i64::from(*w)));
            let sum = products.fold(0, i64::wrapping_add);
            let memory = &mut self.memories[acc.buffer];
            memory.data[a + lane] = memory
                .dtype
                .wrap(i64::from(memory.data[a + lane]).wrapping_add(sum));
        }
        Ok(())
    }

    fn alu(&mut self, op: ValueOp, dst: &Spot, src: &Source) -> Step<()> {
        let (at, size) = self.element(dst)?;
        let src = match src {
            Source::Imm(imm) => Err(*imm),
            Source::Elem(spot) => Ok((spot.buffer, self.element(spot)?.0)),
        };
        for lane in 0..size {
            let right = match src {
                Ok((buffer, start)) => i64::from(self.memories[buffer].data[start + lane]),
                Err(imm) => imm,
            };
            let memory = &mut self.memories[dst.buffer];
            memory.data[at + lane] = memory
                .dtype
                .wrap(op.apply(i64::from(memory.data[at + lane]), right));
        }
        Ok(())
    }

    fn value(&self, value: &Val) -> Step<i64> {
        Ok(match value {
            Val::Const(c) => *c,
            Val::Read { spot, padded } => match self.locate(spot)? {
                Ok(at) => i64::from(self.memories[spot.buffer].data[at]),
                Err(d) => match padded {
                    Some(with) => i64::from(*with),
                    None => return Err(self.outside(spot.buffer, &self.indices(&spot.idx)?, d)),
                },
            },
            Val::Bin(op, a, b) => op.apply(self.value(a)?, self.value(b)?),
            Val::Cast(dtype, a) => i64::from(dtype.wrap(self.value(a)?)),
        })
    }

    fn indices(&self, idx: &[Index]) -> Step<Vec<i64>> {
        idx.iter().map(|index| self.index(index)).collect()
    }

    fn index(&self, index: &Index) -> Step<i64> {
        match index {
            Index::Linear { constant, terms } => terms
                .iter()
                .try_fold(*constant, |sum, (slot, c)| {
                    sum.checked_add(self.vars[*slot].checked_mul(*c)?)
                })
                .ok_or_else(|| "an index overflows 64 bits".into()),
            Index::Bin(op, a, b) => {
                let (a, b) = (self.index(a)?, self.index(b)?);
                op.apply(a, b)
                    .ok_or_else(|| "an index divides by zero or overflows 64 bits".into())
            }
        }
    }

    /// The position of a full-rank place, or the dimension in which it lies outside.
    fn locate(&self, spot: &Spot) -> Step<Result<usize, usize>> {
        let memory = &self.memories[spot.buffer];
        let mut at = 0;
        for (d, (index, extent)) in spot.idx.iter().zip(&memory.shape).enumerate() {
            match usize::try_from(self.index(index)?) {
                Ok(index) if index < *extent => at = at * extent + index,
                _ => return Ok(Err(d)),
            }
        }
        Ok(Ok(at))
    }

    fn inside(&self, spot: &Spot) -> Step<usize> {
        match self.locate(spot)? {
            Ok(at) => Ok(at),
            Err(d) => Err(self.outside(spot.buffer, &self.indices(&spot.idx)?, d)),
        }
    }

    /// Start and size of an element.
    fn element(&self, spot: &Spot) -> Step<(usize, usize)> {
        let size = elem_size(&self.memories[spot.buffer]);
        Ok((self.inside(spot)? * size, size))
    }

    fn outside(&self, buffer: usize, idx: &[i64], d: usize) -> String {
        format!(
            "index {} of dimension {d} is outside {:?}",
            idx[d], self.memories[buffer].shape
        )
    }
}

impl Memory {
    /// The position of an index over the first dimensions, or the dimension in which it lies outside.
    fn flat(&self, idx: &[i64]) -> Result<usize, usize> {
        let mut at = 0;
        for (d, (index, extent)) in idx.iter().zip(&self.shape).enumerate() {
            match usize::try_from(*index) {
                Ok(index) if index < *extent => at = at * extent + index,
                _ => return Err(d),
            }
        }
        Ok(at)
    }
}

/// The value of an expression over numbers.
fn constant(value: &Value) -> i64 {
    match value {
        Value::Const(c) => *c,
        Value::Bin(op, a, b) => op.apply(constant(a), constant(b)),
        Value::Cast(dtype, a) => dtype.wrap(constant(a)).into(),
        Value::Read { .. } => unreachable!("no buffer is read"),
    }
}

fn elem_size(memory: &Memory) -> usize {
    memory.shape[memory.shape.len() - ELEM_RANK..]
        .iter()
        .product()
}
