//! Enlargement: registers that come in once and are stored where rows and columns of the result are apart.
//!
//! Rows and columns of the result are two dimensions each, of blocks and within a block, so that a store of one position
//! of all blocks is a box, of which each element is as far from the next as a block is wide.

use vta_graph::{BlockedLayout, PackedSpread, Requant};
use vta_isa::{AluOp, Design};
use vta_tir::{Access, Buffer, DType, Direction, Expr, Program, Scope, Stmt, Value, ValueOp, var};

use super::entry::{Entry, IDENTITY};
use super::stages;
use crate::epilogue::Epilogue;

/// Extents of an enlargement over blocked tensors, in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadShape {
    /// Batch blocks, channel blocks of the result, rows, columns of the input.
    pub extents: [usize; 4],
    /// Where row 0 and column 0 of the input lie in its bordered tensor, and that tensor's rows and columns.
    pub input: [usize; 4],
    /// The same of the result, in blocks.
    pub result: [usize; 4],
    /// Rows and columns of a block.
    pub block: [usize; 2],
    /// Whether an element stands at each position of its block. Else the input has channel blocks for each position.
    pub repeats: bool,
}

impl SpreadShape {
    /// The extents of a packed operator.
    pub fn new(p: &PackedSpread) -> Self {
        let [n, _, h, w] = p.in_shape;
        let [blocks, channels] = p.channel_blocks();
        let within = |layout: &BlockedLayout, [rows, columns]: [usize; 2]| {
            let [top, left, bottom, right] = layout.border;
            let [top, bottom] = [top / rows, bottom / rows];
            let [left, right] = [left / columns, right / columns];
            [top, left, top + h + bottom, left + w + right]
        };
        SpreadShape {
            extents: [n.div_ceil(p.in_layout.batch), channels, h, w],
            input: within(&p.in_layout, [1, 1]),
            result: within(&p.out_layout, p.block),
            block: p.block,
            repeats: blocks == channels,
        }
    }

    /// Positions of a block, rows and columns, that have channels of their own.
    pub fn parts(&self) -> [usize; 2] {
        if self.repeats { [1, 1] } else { self.block }
    }

    /// How many loops outside of the channels go over parts.
    pub fn part_loops(&self) -> usize {
        if self.repeats { 0 } else { 2 }
    }

    /// Row and column of a part in stage `stage`.
    fn part(&self, stage: usize) -> [Expr; 2] {
        if self.repeats {
            only()
        } else {
            position(stage)
        }
    }

    /// The loops of stage `stage` over registers of `lanes`.
    fn loops(&self, stage: usize, lanes: [usize; 2]) -> Vec<(String, i64)> {
        let [n, c, h, w] = self.extents;
        let dims = stages::DIMS.iter().zip([n, c, h, w, lanes[0], lanes[1]]);
        let mut loops: Vec<_> = dims
            .map(|(d, e)| (stages::name(d, stage), e as i64))
            .collect();
        if !self.repeats {
            loops.splice(1..1, self.positions(stage));
        }
        loops
    }

    /// The loops over the positions of a block in stage `stage`.
    fn positions(&self, stage: usize) -> [(String, i64); 2] {
        let [i, j] = self.block;
        [("i", i), ("j", j)].map(|(d, e)| (stages::name(d, stage), e as i64))
    }
}

/// The arithmetic of an enlargement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadSteps {
    /// How values come in.
    pub entry: Entry,
    /// What follows: nothing, but for signs.
    pub epilogue: Epilogue,
}

impl SpreadSteps {
    /// Of values within `bounds`, in `lanes` channels.
    ///
    /// # Errors
    /// A design that cannot bring activations into accumulators.
    pub fn new(bounds: (i64, i64), lanes: usize, design: &Design) -> Result<Self, String> {
        let entry = Entry::required(design)?;
        let epilogue = match stages::activation(design) {
            // A sign is stored of -1 or 0.
            DType::S1 => {
                let sign = Requant::identity(vta_graph::DType::S1);
                Epilogue::new(&sign, &vec![bounds; lanes], design).map_err(|e| e.to_string())?
            }
            _ => Epilogue::default(),
        };
        Ok(SpreadSteps { entry, epilogue })
    }

    /// The stage behind the one that brings values in.
    pub fn first_step(&self) -> usize {
        match self.entry {
            Entry::Acc8 => 1,
            Entry::Identity => 2,
        }
    }

    /// The stage that stores the result.
    pub fn last_stage(&self) -> usize {
        self.first_step() + self.epilogue.steps.len()
    }

    /// The ALU operations that it takes.
    pub fn operations(&self) -> impl Iterator<Item = AluOp> + '_ {
        self.epilogue.operations()
    }
}

/// A register: its part, row and column of that, channel block, row, row of its block, column, column of its block.
fn at(stage: usize, part: [Expr; 2], origin: [usize; 2], position: [Expr; 2]) -> Vec<Expr> {
    let [n, c, y, x, b, l] = stages::DIMS.map(|d| var(stages::name(d, stage)));
    let ([pi, pj], [i, j]) = (part, position);
    let (y, x) = (y + origin[0] as i64, x + origin[1] as i64);
    vec![n, pi, pj, c, y, i, x, j, b, l]
}

/// What names the only one.
fn only() -> [Expr; 2] {
    [0.into(), 0.into()]
}

/// Row and column within a block in stage `stage`.
fn position(stage: usize) -> [Expr; 2] {
    ["i", "j"].map(|d| var(stages::name(d, stage)))
}

/// The naive program: parameters `x`, identity weights `e` where values enter by them, what the epilogue reads, and `y`.
pub fn naive(name: &str, shape: &SpreadShape, steps: &SpreadSteps, design: &Design) -> Program {
    let (b, bi, bo) = (design.batch(), design.block_in(), design.block_out());
    let [n, c, h, w] = shape.extents;
    let [pi, pj] = shape.parts();
    let [i, j] = shape.block;
    let dims = |d: &[usize]| d.iter().map(|&e| Expr::from(e as i64)).collect::<Vec<_>>();
    let narrow = stages::activation(design);
    let wide = DType::of_bits(design.acc_bits()).expect("a design's width");
    let [top, left, rows, columns] = shape.input;
    let input = dims(&[n, pi, pj, c, rows, 1, columns, 1, b, bo]);
    let mut program = Program::new(name).param(Direction::In, "x", narrow, input);
    if steps.entry == Entry::Identity {
        let weights = stages::weight(design);
        program = program.param(Direction::In, IDENTITY, weights, dims(&[1, bo, bi]));
    }
    program = stages::params(program, &steps.epilogue, c, design);
    let [_, _, rows, columns] = shape.result;
    let result = dims(&[n, 1, 1, c, rows, i, columns, j, b, bo]);
    program = program.param(Direction::Out, "y", narrow, result);

    let acc = |stage| Access::new("acc", at(stage, shape.part(stage), [0, 0], only()));
    let from = |stage| at(stage, shape.part(stage), [top, left], only());
    let assign = |stage, value| Stmt::Assign {
        dst: acc(stage),
        value,
    };
    let mut bodies = match steps.entry {
        Entry::Acc8 => vec![assign(0, Access::new("x", from(0)).read())],
        Entry::Identity => {
            let mut from = from(1);
            let lane = std::mem::replace(&mut from[9], var("k1"));
            let weight = Access::new(IDENTITY, [0.into(), lane, var("k1")]).read();
            let sum = Stmt::Accumulate {
                dst: acc(1),
                value: Access::new("x", from).read().bin(ValueOp::Mul, weight),
            };
            let sums = Stmt::for_("k1", bi as i64, vec![sum]);
            vec![assign(0, Value::Const(0)), sums]
        }
    };
    let mut vector = 0;
    for step in &steps.epilogue.steps {
        bodies.push(stages::step(step, bodies.len(), acc, &mut vector));
    }
    for (stage, body) in bodies.into_iter().enumerate() {
        let loops = shape.loops(stage, [b, bo]);
        program.body.extend(Stmt::nest(loops, vec![body]));
    }

    // To all positions of its block, or to that of its part.
    let last = steps.last_stage();
    let mut loops = shape.loops(last, [b, bo]);
    if shape.repeats {
        loops.splice(4..4, shape.positions(last));
    }
    let value = Access::new("acc", at(last, shape.part(last), [0, 0], only())).read();
    let [top, left, ..] = shape.result;
    let store = Stmt::Assign {
        dst: Access::new("y", at(last, only(), [top, left], position(last))),
        value: stages::rescaled(value, &steps.epilogue, last).cast(narrow),
    };
    program.body.extend(Stmt::nest(loops, vec![store]));
    let buffer = dims(&[n, pi, pj, c, h, 1, w, 1, b, bo]);
    program.body = vec![Stmt::Alloc {
        buffer: Buffer::new("acc", Scope::Dram, wide, buffer),
        body: program.body,
    }];
    program
}
