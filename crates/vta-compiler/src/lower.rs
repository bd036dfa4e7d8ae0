//! Lowering of one packed operator: naive nest, schedule, commands.

use vta_graph::{Graph, Node, Op};
use vta_isa::{Design, MemType, Uop};
use vta_program::{CommandStream, Loop, Operand, StreamError};
use vta_tir::Program;

use crate::emit::{Command, EmitError, Folded};
use crate::epilogue::{self, Step};
use crate::ops::add::{self, AddShape};
use crate::ops::conv::{self, ConvShape};
use crate::ops::{pool, schedule, stages, tiling};
use crate::options::CompileOptions;
use crate::partition::Selected;
use crate::tokens::Ordered;

/// An operator as a scheduled loop nest, with the per-channel vectors that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The nest as first written, for dumps and as the meaning of `scheduled`.
    pub naive: Program,
    /// The nest in its end form.
    pub scheduled: Program,
    /// What the schedule chose, in registers of a tile, for a person.
    pub schedule: String,
    /// Elements of parameter `p`: `[channel block, vector, batch lane, lane]`.
    pub vectors: Vec<i32>,
    /// Elements of parameter `e`, identity weights: `[block_out, block_in]`.
    pub identity: Vec<i8>,
}

/// Why an operator cannot be lowered: every cause is a bug of the compiler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A schedule primitive refused.
    #[error(transparent)]
    Schedule(#[from] vta_tir::schedule::ScheduleError),
    /// A nest breaks a rule of its language, or does not fit the scratchpads.
    #[error(transparent)]
    Verify(#[from] vta_tir::VerifyError),
    /// A nest has no instructions.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// An instruction has no encoding.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Lowers `node` of a packed graph with the arithmetic that was selected for it.
///
/// # Errors
/// Bugs of the compiler: what cannot run was sorted out before.
///
/// # Panics
/// If `node` is no operator of the accelerator, or `selected` belongs to another.
pub(crate) fn lower(
    graph: &Graph,
    node: &Node,
    selected: &Selected,
    design: &Design,
    options: &CompileOptions,
) -> Result<Lowered, LowerError> {
    let name = identifier(&node.name);
    let lowered = match (&node.op, selected) {
        (Op::VtaConv(c), Selected::Conv(steps)) => {
            let passes = node
                .inputs
                .get(3)
                .map_or(0, |&v| graph.value(v).ty.shape[1]);
            let shape = ConvShape::conv(c, passes);
            let vectors_of_steps = stages::vectors(steps);
            let tile = tiling::conv(&shape, vectors_of_steps, design, options.latency_hiding)
                .expect("partition found a tile");
            let naive = conv::naive(&name, &shape, steps, design);
            let scheduled = schedule::conv(naive.clone(), &shape, &tile, steps, design)?;
            Lowered {
                naive,
                scheduled,
                schedule: tile.to_string(),
                vectors: vectors(steps, design),
                identity: Vec::new(),
            }
        }
        (
            Op::VtaAdd {
                shape,
                in_layouts,
                out_layout,
                ..
            },
            Selected::Add(steps),
        ) => {
            let shape = AddShape::new(*shape, in_layouts, out_layout);
            let tile = tiling::add(&shape, steps, design).expect("partition found a tile");
            let naive = add::naive(&name, &shape, steps, design);
            let scheduled = schedule::add(naive.clone(), &tile, steps, design)?;
            Lowered {
                naive,
                scheduled,
                schedule: tile.to_string(),
                vectors: vectors(&steps.epilogue, design),
                identity: steps.entry.weights(design),
            }
        }
        (Op::VtaMaxPool(packed) | Op::VtaSumPool(packed, _), Selected::Pool(steps)) => {
            let shape = ConvShape::pool(packed);
            let tile = tiling::pool(&shape, steps, design).expect("partition found a tile");
            let naive = pool::naive(&name, &shape, steps, design);
            let scheduled = schedule::pool(naive.clone(), &tile, steps, design)?;
            Lowered {
                naive,
                scheduled,
                schedule: tile.to_string(),
                vectors: vectors(&steps.epilogue, design),
                identity: steps.entry().weights(design),
            }
        }
        _ => unreachable!("an operator with its own arithmetic"),
    };
    let depth = |mem| design.depth(mem).into();
    let limits = vta_tir::Limits {
        geometry: schedule::geometry(design),
        inp: depth(MemType::Inp),
        wgt: depth(MemType::Wgt),
        acc: depth(MemType::Acc),
    };
    vta_tir::verify_on(&lowered.scheduled, &limits)?;
    Ok(lowered)
}

/// Appends commands with their tokens.
///
/// # Errors
/// Those of the stream, which are bugs of the compiler.
pub(crate) fn append(steps: Vec<Ordered>, stream: &mut CommandStream) -> Result<(), StreamError> {
    for step in steps {
        for from in step.pops() {
            stream.dep_pop(from, step.module)?;
        }
        match &step.command {
            Some(Command::Load { mem, block }) => stream.load_2d(*mem, *block)?,
            Some(Command::Store { block }) => stream.store_2d(*block)?,
            Some(Command::Gemm { reset, kernel }) => {
                let (id, loops) = intern(kernel, stream)?;
                stream.gemm(id, *reset, loops)?;
            }
            Some(Command::Alu { op, imm, kernel }) => {
                let (id, loops) = intern(kernel, stream)?;
                stream.alu(id, *op, imm.map_or(Operand::Acc, Operand::Imm), loops)?;
            }
            None => stream.sync(step.module)?,
        }
        for to in step.pushes() {
            stream.dep_push(step.module, to)?;
        }
    }
    Ok(())
}

fn intern(
    kernel: &Folded,
    stream: &mut CommandStream,
) -> Result<(vta_program::KernelId, [Loop; 2]), StreamError> {
    let uops: Vec<Uop> = kernel
        .uops
        .iter()
        .map(|u| Uop {
            dst: u[0] as u32,
            src: u[1] as u32,
            wgt: u[2] as u32,
        })
        .collect();
    let loops = kernel.hardware.map(|l| Loop {
        extent: l.extent as u32,
        dst: l.step[0] as u32,
        src: l.step[1] as u32,
        wgt: l.step[2] as u32,
    });
    Ok((stream.intern(&uops)?, loops))
}

/// The vectors of `steps` as the elements of parameter `p`.
fn vectors(steps: &[Step], design: &Design) -> Vec<i32> {
    let columns: Vec<&Vec<i32>> = steps
        .iter()
        .filter_map(|s| match &s.operand {
            epilogue::Operand::Vector(v) => Some(v),
            epilogue::Operand::Imm(_) => None,
        })
        .collect();
    let lanes = design.block_out();
    let blocks = columns.first().map_or(0, |c| c.len() / lanes);
    let mut out = Vec::with_capacity(blocks * columns.len() * design.batch() * lanes);
    for block in 0..blocks {
        for column in &columns {
            for _ in 0..design.batch() {
                out.extend_from_slice(&column[block * lanes..(block + 1) * lanes]);
            }
        }
    }
    out
}

/// A node's name as the name of a loop nest: letters, digits and underscores.
fn identifier(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    match name.chars().next() {
        Some(c) if c.is_ascii_alphabetic() || c == '_' => name,
        _ => format!("_{name}"),
    }
}
