//! Operators on one or two activations, element by element: sums, products and functions of straight pieces.
//!
//! All of them are one list of nests over a few wide tensors: operands enter, operations with numbers change them,
//! one is combined with another, and what follows the result ends it.

use vta_graph::quant::bounds::Interval;
use vta_graph::{AddEpilogue, BlockedLayout, MulEpilogue, PackedPair, Pieces, Piecewise, Requant};
use vta_isa::{AluOp, Design};
use vta_tir::{Access, Buffer, DType, Direction, Expr, Program, Scope, Stmt, Value, ValueOp, var};

use super::entry::{Entry, IDENTITY};
use super::stages;
use crate::epilogue::Epilogue;

/// Names of the parameters of two operands; a single one is the first.
pub const OPERANDS: [&str; 2] = ["a", "b"];

/// Extents of an operator over blocked tensors, in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementShape {
    /// Batch blocks, channel blocks, rows, columns of the result.
    pub extents: [usize; 4],
    /// First row and column of the data in each operand, and rows and columns of the bordered tensor.
    pub operands: Vec<[usize; 4]>,
    /// The same of the result.
    pub result: [usize; 4],
    /// Whether the second operand has one row and column for all of the first's.
    pub spread: bool,
}

impl ElementShape {
    /// The extents of an operator on two activations.
    pub fn pair(pair: &PackedPair) -> Self {
        let [shape, other] = pair.in_shapes;
        let operands = pair.in_layouts.iter().zip(pair.in_shapes);
        ElementShape {
            extents: extents(shape, &pair.out_layout),
            operands: operands
                .map(|(layout, shape)| within(layout, shape))
                .collect(),
            result: within(&pair.out_layout, shape),
            spread: other != shape,
        }
    }

    /// The extents of an operator on one.
    pub fn single(shape: [usize; 4], input: &BlockedLayout, output: &BlockedLayout) -> Self {
        ElementShape {
            extents: extents(shape, output),
            operands: vec![within(input, shape)],
            result: within(output, shape),
            spread: false,
        }
    }

    /// Whether a nest runs over the one row and column of the second operand alone.
    pub fn is_narrow(&self, nest: &Nest) -> bool {
        self.spread && nest.on != Wide::Acc
    }
}

fn extents([n, c, h, w]: [usize; 4], layout: &BlockedLayout) -> [usize; 4] {
    [n.div_ceil(layout.batch), c.div_ceil(layout.lanes), h, w]
}

fn within(layout: &BlockedLayout, [_, _, h, w]: [usize; 4]) -> [usize; 4] {
    let [top, left, bottom, right] = layout.border;
    [top, left, top + h + bottom, left + w + right]
}

/// A wide tensor between operands and result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wide {
    /// What becomes the result.
    Acc,
    /// What the second operand becomes.
    Addend,
    /// A piece of a function of several.
    Piece,
}

impl Wide {
    /// Its name in a program.
    pub fn name(self) -> &'static str {
        match self {
            Wide::Acc => "acc",
            Wide::Addend => "addend",
            Wide::Piece => "piece",
        }
    }
}

/// A nest over all elements of a wide tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nest {
    /// The tensor that it writes.
    pub on: Wide,
    /// What it writes.
    pub what: What,
}

/// What a nest writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The operand of that number, widened.
    Load(usize),
    /// Zero.
    Reset,
    /// The sum of itself and the operand of that number, by identity weights.
    Identity(usize),
    /// An operation of itself and a number.
    Step(AluOp, i32),
    /// An operation of itself and another.
    Combine(AluOp, Wide),
}

/// The nests of an operator, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementSteps {
    /// How operands come in.
    pub entry: Entry,
    /// Those that make the second operand come first.
    pub nests: Vec<Nest>,
    /// What follows the result.
    pub epilogue: Epilogue,
}

impl ElementSteps {
    /// The ALU operations that it takes.
    pub fn operations(&self) -> impl Iterator<Item = AluOp> + '_ {
        let nests = self.nests.iter().filter_map(|nest| match nest.what {
            What::Step(op, _) | What::Combine(op, _) => Some(op),
            _ => None,
        });
        nests.chain(self.epilogue.operations())
    }

    /// The wide tensors.
    pub fn tensors(&self) -> Vec<Wide> {
        let mut all: Vec<Wide> = self.nests.iter().map(|nest| nest.on).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The stage that stores the result.
    pub fn last_stage(&self) -> usize {
        self.nests.len() + self.epilogue.steps.len()
    }

    /// A sum of operands whose values lie within `ranges`, for all of `lanes` channels alike.
    ///
    /// # Errors
    /// A design that cannot bring operands in, numbers that are no immediates, and values that could leave the
    /// accumulator.
    pub fn sum(
        add: &AddEpilogue,
        ranges: [Interval; 2],
        lanes: usize,
        design: &Design,
    ) -> Result<Self, String> {
        let mut b = Writer::new(design)?;
        let addend = b.enter(Wide::Addend, 1, ranges[1]);
        let addend = b.step(Wide::Addend, addend, AluOp::Mul, add.mult_b.into())?;
        let acc = b.enter(Wide::Acc, 0, ranges[0]);
        let acc = b.step(Wide::Acc, acc, AluOp::Mul, add.mult_a.into())?;
        let sum = b.combine(Wide::Acc, acc, AluOp::Add, Wide::Addend, addend)?;
        b.finish(sum, (add.add, add.shift, add.lo, add.hi), lanes)
    }

    /// A product, likewise.
    ///
    /// # Errors
    /// As [`ElementSteps::sum`].
    pub fn product(
        mul: &MulEpilogue,
        ranges: [Interval; 2],
        lanes: usize,
        design: &Design,
    ) -> Result<Self, String> {
        let mut b = Writer::new(design)?;
        let gate = b.function(Wide::Addend, 1, &mul.gate, ranges[1])?;
        let acc = b.enter(Wide::Acc, 0, ranges[0]);
        let acc = b.step(Wide::Acc, acc, AluOp::Add, -i64::from(mul.zero_point))?;
        let product = b.combine(Wide::Acc, acc, AluOp::Mul, Wide::Addend, gate)?;
        b.finish(product, (mul.add, mul.shift, mul.lo, mul.hi), lanes)
    }

    /// A function of one operand, likewise.
    ///
    /// # Errors
    /// As [`ElementSteps::sum`].
    pub fn function(
        map: &Piecewise,
        range: Interval,
        lanes: usize,
        design: &Design,
    ) -> Result<Self, String> {
        let mut b = Writer::new(design)?;
        // Rounding and zero point belong to the epilogue.
        let pieces = Pieces {
            add: 0,
            ..map.function.clone()
        };
        let sum = b.function(Wide::Acc, 0, &pieces, range)?;
        b.finish(sum, (map.function.add, map.shift, map.lo, map.hi), lanes)
    }
}

/// Nests under construction, which proves of each that its values fit an accumulator.
struct Writer<'a> {
    entry: Entry,
    nests: Vec<Nest>,
    design: &'a Design,
}

impl<'a> Writer<'a> {
    fn new(design: &'a Design) -> Result<Self, String> {
        Ok(Writer {
            entry: Entry::required(design)?,
            nests: Vec::new(),
            design,
        })
    }

    fn push(&mut self, on: Wide, what: What) {
        self.nests.push(Nest { on, what });
    }

    fn enter(&mut self, on: Wide, operand: usize, range: Interval) -> Interval {
        match self.entry {
            Entry::Acc8 => self.push(on, What::Load(operand)),
            Entry::Identity => {
                self.push(on, What::Reset);
                self.push(on, What::Identity(operand));
            }
        }
        range
    }

    /// An operation with a number, unless it changes nothing.
    fn step(
        &mut self,
        on: Wide,
        (low, high): Interval,
        op: AluOp,
        number: i64,
    ) -> Result<Interval, String> {
        let (least, most) = self.design.imm_range();
        let immediate = i32::try_from(number)
            .ok()
            .filter(|n| (least..=most).contains(n));
        // What leaves 64 bits leaves every accumulator, saturated or not.
        let of = |v: i64| match op {
            AluOp::Min => v.min(number),
            AluOp::Max => v.max(number),
            AluOp::Add => v.saturating_add(number),
            AluOp::Mul => v.saturating_mul(number),
            AluOp::Shr => v >> number,
        };
        let (first, last) = (of(low), of(high));
        if (first, last) == (low, high) && !(op == AluOp::Mul && number != 1) {
            return Ok((low, high));
        }
        let immediate =
            immediate.ok_or_else(|| format!("its number {number} is wider than an immediate"))?;
        self.push(on, What::Step(op, immediate));
        self.fits((first.min(last), first.max(last)))
    }

    fn combine(
        &mut self,
        on: Wide,
        a: Interval,
        op: AluOp,
        from: Wide,
        b: Interval,
    ) -> Result<Interval, String> {
        self.push(on, What::Combine(op, from));
        match op {
            AluOp::Add => self.fits((a.0.saturating_add(b.0), a.1.saturating_add(b.1))),
            AluOp::Mul => {
                let ends = [a.0, a.1]
                    .into_iter()
                    .flat_map(|a| [a.saturating_mul(b.0), a.saturating_mul(b.1)]);
                let hull = ends
                    .map(|v| (v, v))
                    .reduce(|x, y| (x.0.min(y.0), x.1.max(y.1)));
                self.fits(hull.expect("four ends"))
            }
            _ => unreachable!("operands are added or multiplied"),
        }
    }

    /// A function of an operand. The first piece, which is the steepest, takes the addend: before it is multiplied
    /// as far as that is a whole number of times.
    fn function(
        &mut self,
        on: Wide,
        operand: usize,
        function: &Pieces,
        range: Interval,
    ) -> Result<Interval, String> {
        let mut pieces = function.pieces.clone();
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.mult.unsigned_abs()));
        let mut total = None;
        for piece in pieces {
            let to = if total.is_none() { on } else { Wide::Piece };
            let mult = i64::from(piece.mult);
            let mut value = self.enter(to, operand, range);
            value = self.step(to, value, AluOp::Max, piece.lo.into())?;
            value = self.step(to, value, AluOp::Min, piece.hi.into())?;
            let (least, most) = self.design.imm_range();
            let whole = match function.add {
                add if total.is_some() || (i64::from(least)..=i64::from(most)).contains(&add) => 0,
                add => {
                    let rounded = add.saturating_add(mult / 2);
                    rounded.checked_div_euclid(mult).unwrap_or(0)
                }
            };
            value = self.step(to, value, AluOp::Add, whole)?;
            value = self.step(to, value, AluOp::Mul, mult)?;
            total = Some(match total {
                None => {
                    let rest = function.add.saturating_sub(whole.saturating_mul(mult));
                    self.step(to, value, AluOp::Add, rest)?
                }
                Some(sum) => self.combine(on, sum, AluOp::Add, to, value)?,
            });
        }
        total.ok_or_else(|| "a function without pieces".to_string())
    }

    fn fits(&self, (low, high): Interval) -> Result<Interval, String> {
        let half = 1i64 << (self.design.acc_bits() - 1);
        if low < -half || high >= half {
            return Err(format!(
                "what an accumulator holds can reach {low}..{high}, beyond {} bits",
                self.design.acc_bits()
            ));
        }
        Ok((low, high))
    }

    fn finish(
        self,
        sum: Interval,
        (add, shift, lo, hi): (i64, u32, i32, i32),
        lanes: usize,
    ) -> Result<ElementSteps, String> {
        let requant = Requant {
            mult: vec![1],
            add: vec![add],
            shift,
            lo,
            hi,
        };
        let epilogue =
            Epilogue::new(&requant, &vec![sum; lanes], self.design).map_err(|e| e.to_string())?;
        Ok(ElementSteps {
            entry: self.entry,
            nests: self.nests,
            epilogue,
        })
    }
}

/// The naive program: parameters [`OPERANDS`], identity weights `e` where operands enter by them, the epilogue's vectors
/// `p` if it has any, and `y`.
pub fn naive(name: &str, shape: &ElementShape, steps: &ElementSteps, design: &Design) -> Program {
    let (b, bi, bo) = (design.batch(), design.block_in(), design.block_out());
    let dims = |d: &[usize]| d.iter().map(|&e| Expr::from(e as i64)).collect::<Vec<_>>();
    let dtype = |bits| DType::of_bits(bits).expect("a design's width");
    let [n, c, h, w] = shape.extents;
    let bordered = |[_, _, rows, columns]: [usize; 4]| dims(&[n, c, rows, columns, b, bo]);
    let narrow = stages::activation(design);
    let mut program = Program::new(name);
    for (name, border) in OPERANDS.iter().zip(&shape.operands) {
        program = program.param(Direction::In, *name, narrow, bordered(*border));
    }
    if steps.entry == Entry::Identity {
        let dtype = stages::weight(design);
        program = program.param(Direction::In, IDENTITY, dtype, dims(&[1, bo, bi]));
    }
    program = stages::params(program, &steps.epilogue, c, design);
    program = program.param(Direction::Out, "y", narrow, bordered(shape.result));

    let whole = [n, c, h, w, b, bo];
    let one = [n, c, 1, 1, b, bo];
    for (stage, nest) in steps.nests.iter().enumerate() {
        let extents = if shape.is_narrow(nest) { &one } else { &whole };
        let body = statement(stage, nest, shape, bi);
        program.body.extend(stages::nest(stage, extents, body));
    }
    let [top, left, ..] = shape.result;
    let first = steps.nests.len();
    stages::append_epilogue(
        &mut program,
        first,
        &whole,
        &steps.epilogue,
        [top, left],
        design,
    );

    for wide in steps.tensors().into_iter().rev() {
        let extents = if shape.spread && wide != Wide::Acc {
            &one
        } else {
            &whole
        };
        let buffer = Buffer::new(
            wide.name(),
            Scope::Dram,
            dtype(design.acc_bits()),
            dims(extents),
        );
        program.body = vec![Stmt::Alloc {
            buffer,
            body: program.body,
        }];
    }
    program
}

/// The statement within a nest.
fn statement(stage: usize, nest: &Nest, shape: &ElementShape, lanes: usize) -> Stmt {
    let dst = || Access::new(nest.on.name(), stages::index(stage));
    let operand = |i: usize| {
        let [top, left, ..] = shape.operands[i];
        let mut at = stages::index(stage);
        for (at, origin) in at[2..4].iter_mut().zip([top, left]) {
            *at = at.clone() + origin as i64;
        }
        at
    };
    let value = match nest.what {
        What::Load(i) => Access::new(OPERANDS[i], operand(i)).read(),
        What::Reset => Value::Const(0),
        What::Identity(i) => {
            let k = stages::name("k", stage);
            let mut from = operand(i);
            let lane = std::mem::replace(&mut from[5], var(k.as_str()));
            let weight = Access::new(IDENTITY, [Expr::from(0), lane, var(k.as_str())]);
            let value = Access::new(OPERANDS[i], from)
                .read()
                .bin(ValueOp::Mul, weight.read());
            let sum = Stmt::Accumulate { dst: dst(), value };
            return Stmt::for_(k, lanes as i64, vec![sum]);
        }
        What::Step(op, number) => {
            let number = Value::Const(number.into());
            dst().read().bin(stages::tir_op(op).value_op(), number)
        }
        What::Combine(op, from) => {
            let mut at = stages::index(stage);
            if shape.spread && nest.on == Wide::Acc {
                (at[2], at[3]) = (Expr::from(0), Expr::from(0));
            }
            let other = Access::new(from.name(), at).read();
            dst().read().bin(stages::tir_op(op).value_op(), other)
        }
    };
    Stmt::Assign { dst: dst(), value }
}
