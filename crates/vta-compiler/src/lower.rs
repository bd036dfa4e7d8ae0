//! Lowering of one packed operator: naive nest, schedule, commands.

use std::fmt::Display;

use vta_graph::{Graph, Node, Op};
use vta_isa::{ChannelRequant, Design, Feature, Uop};
use vta_program::{CommandStream, Loop, Operand, StreamError};
use vta_tir::Program;
use vta_tir::schedule::{ScheduleError, Script, Traced};

use crate::emit::{Command, EmitError, Folded};
use crate::epilogue::Epilogue;
use crate::layers;
use crate::ops::conv::{self, ConvShape};
use crate::ops::elementwise::{self, ElementShape};
use crate::ops::spread::{self, SpreadShape};
use crate::ops::tiling::{self, Fit};
use crate::ops::{entry, pool, schedule, stages};
use crate::options::CompileOptions;
use crate::partition::Selected;
use crate::search::{Candidate, Searched};
use crate::tokens::Ordered;

/// An operator as a scheduled loop nest, with the per-channel vectors that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The nest as first written, which is the meaning of `scheduled`, and the primitives that were applied to it.
    pub script: Script,
    /// The nest in its end form.
    pub scheduled: Program,
    /// What the schedule chose, in registers of a tile, for a person.
    pub schedule: String,
    /// Whether accumulators begin at a vector, at least [`crate::epilogue::floor`].
    pub presets: bool,
    /// Whether every lane of what it stored is within what it clamps to: a convolution's is, if its batches fill their rows.
    pub settles: bool,
    /// Elements of parameter `p`: `[channel block, vector, batch lane, lane]`.
    pub vectors: Vec<i32>,
    /// What the store rescales each channel by: parameter `q`, `[channel block, lane, word]`.
    pub records: Vec<ChannelRequant>,
    /// Elements of parameter `e`, identity weights: `[block_out, block_in]`.
    pub identity: Vec<i8>,
}

/// Why an operator cannot be lowered: every cause is a bug of the compiler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A schedule primitive refused.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A nest breaks a rule of its language, or does not fit the scratchpads.
    #[error(transparent)]
    Verify(#[from] vta_tir::VerifyError),
    /// A nest has no instructions.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// An instruction has no encoding.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A stream of its own does not run to its end.
    #[error("it cannot be timed: {0}")]
    Time(String),
    /// The checker found a race, a deadlock or tokens left over.
    #[error("its stream is wrong: {0}")]
    Check(String),
}

/// An operator of the accelerator with the schedules that it can have.
pub(crate) struct Offer<'a> {
    naive: Program,
    candidates: Vec<Candidate>,
    schedule: Schedule<'a>,
    vectors: Vec<i32>,
    presets: bool,
    settles: bool,
    records: &'a [ChannelRequant],
    identity: Vec<i8>,
    what: String,
}

/// Applies a candidate to the naive nest.
type Schedule<'a> = Box<dyn Fn(Program, usize) -> Result<Traced, ScheduleError> + Send + Sync + 'a>;

impl Searched for Offer<'_> {
    fn naive(&self) -> &Program {
        &self.naive
    }

    fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    fn scheduled(&self, candidate: usize) -> Result<Program, ScheduleError> {
        let scheduled = (self.schedule)(self.naive.clone(), candidate)?;
        Ok(scheduled.into_parts().0)
    }

    fn is_constant(&self, param: &str) -> bool {
        let [_, diagonal] = conv::RESIDUAL;
        [
            conv::WEIGHTS,
            diagonal,
            stages::VECTORS,
            stages::RECORDS,
            entry::IDENTITY,
        ]
        .contains(&param)
    }

    fn presets(&self) -> bool {
        self.presets
    }

    fn settles(&self) -> bool {
        self.settles
    }

    fn what(&self) -> &str {
        &self.what
    }
}

/// What `fits` offer, and how to apply one of them.
fn offered<'a, T: Display + Copy + Send + Sync + 'a>(
    fits: Vec<Fit<T>>,
    design: &Design,
    apply: impl Fn(&mut Traced, &T) -> Result<(), ScheduleError> + Send + Sync + 'a,
) -> (Vec<Candidate>, Schedule<'a>) {
    let candidates = fits.iter().map(|fit| Candidate {
        text: fit.tile.to_string(),
        bound: fit.bound,
    });
    let (candidates, geometry) = (candidates.collect(), schedule::geometry(design));
    let apply = move |naive, i: usize| {
        let mut nest = Traced::new(naive, geometry);
        apply(&mut nest, &fits[i].tile)?;
        Ok(nest)
    };
    (candidates, Box::new(apply))
}

/// The schedules that `node` of a packed graph can have with the arithmetic that was selected for it.
///
/// # Panics
/// If `node` is no operator of the accelerator, or `selected` belongs to another.
pub(crate) fn offer<'a>(
    graph: &Graph,
    node: &Node,
    selected: &'a Selected,
    design: &'a Design,
    options: &CompileOptions,
) -> Offer<'a> {
    let name = identifier(&node.name);
    let what = layers::described(graph, node);
    let overlap = options.latency_hiding;
    match (&node.op, selected) {
        (Op::VtaConv(c), Selected::Conv(epilogue)) => {
            let passes = node
                .inputs
                .get(3)
                .map_or(0, |&v| graph.value(v).ty.shape[1]);
            let shape = ConvShape::conv(c, passes);
            let naive = conv::naive(&name, &shape, epilogue, design);
            let fits = tiling::conv(&shape, epilogue, design, overlap);
            let (candidates, schedule) = offered(fits, design, move |nest, tile| {
                schedule::conv(nest, &shape, tile, epilogue, design)
            });
            Offer {
                naive,
                candidates,
                schedule,
                vectors: vectors(epilogue, design),
                presets: epilogue.preset.is_some(),
                settles: c.out_shape[0] % design.batch() == 0 && !design.has(Feature::SignWgt),
                records: &epilogue.records,
                identity: Vec::new(),
                what,
            }
        }
        (_, Selected::Elementwise(steps)) => {
            let shape = match &node.op {
                Op::VtaAdd(pair, _) | Op::VtaMul(pair, _) => ElementShape::pair(pair),
                Op::VtaPiecewise {
                    shape,
                    in_layout,
                    out_layout,
                    ..
                } => ElementShape::single(*shape, in_layout, out_layout),
                _ => unreachable!("an operator on elements"),
            };
            let naive = elementwise::naive(&name, &shape, steps, design);
            let fits = tiling::elementwise(&shape, steps, design, overlap);
            let (candidates, schedule) = offered(fits, design, move |nest, tile| {
                schedule::elementwise(nest, &shape, tile, steps, design)
            });
            Offer {
                naive,
                candidates,
                schedule,
                vectors: vectors(&steps.epilogue, design),
                presets: false,
                settles: false,
                records: &steps.epilogue.records,
                identity: steps.entry.weights(design),
                what,
            }
        }
        (Op::VtaMaxPool(packed) | Op::VtaSumPool(packed, _), Selected::Pool(steps)) => {
            let shape = ConvShape::pool(packed);
            let naive = pool::naive(&name, &shape, steps, design);
            let fits = tiling::pool(&shape, steps, design, overlap);
            let (candidates, schedule) = offered(fits, design, move |nest, tile| {
                schedule::pool(nest, &shape, tile, steps, design)
            });
            Offer {
                naive,
                candidates,
                schedule,
                vectors: vectors(&steps.epilogue, design),
                presets: false,
                settles: false,
                records: &steps.epilogue.records,
                identity: steps.entry().weights(design),
                what,
            }
        }
        (Op::VtaSpread(packed), Selected::Spread(steps)) => {
            let shape = SpreadShape::new(packed);
            let naive = spread::naive(&name, &shape, steps, design);
            let fits = tiling::spread(&shape, steps, design, overlap);
            let (candidates, schedule) = offered(fits, design, move |nest, tile| {
                schedule::spread(nest, &shape, tile, steps, design)
            });
            Offer {
                naive,
                candidates,
                schedule,
                vectors: vectors(&steps.epilogue, design),
                presets: false,
                settles: false,
                records: &steps.epilogue.records,
                identity: steps.entry.weights(design),
                what,
            }
        }
        _ => unreachable!("an operator with its own arithmetic"),
    }
}

/// Lowers an operator with the schedule that was chosen.
///
/// # Errors
/// Bugs of the compiler: what cannot run was sorted out before.
pub(crate) fn lower(offer: Offer, choice: usize, design: &Design) -> Result<Lowered, LowerError> {
    let nest = (offer.schedule)(offer.naive.clone(), choice)?;
    let (scheduled, lines) = nest.into_parts();
    let lowered = Lowered {
        script: Script::new(offer.naive, lines),
        scheduled,
        schedule: offer.candidates[choice].text.clone(),
        vectors: offer.vectors,
        presets: offer.presets,
        settles: offer.settles,
        records: offer.records.to_vec(),
        identity: offer.identity,
    };
    vta_tir::verify_on(&lowered.scheduled, &schedule::limits(design))?;
    Ok(lowered)
}

/// Notes the kernels of commands in their order, so that one load brings many of them on chip.
///
/// # Errors
/// Those of the stream, which are bugs of the compiler.
pub(crate) fn announce<'a>(
    commands: impl IntoIterator<Item = &'a Command>,
    stream: &mut CommandStream,
) -> Result<(), StreamError> {
    for command in commands {
        if let Command::Gemm { kernel, .. } | Command::Alu { kernel, .. } = command {
            intern(kernel, stream)?;
        }
    }
    Ok(())
}

/// Appends commands with their tokens.
///
/// # Errors
/// Those of the stream, which are bugs of the compiler.
pub(crate) fn append<'a>(
    steps: impl IntoIterator<Item = &'a Ordered>,
    stream: &mut CommandStream,
) -> Result<(), StreamError> {
    for step in steps {
        for from in step.pops() {
            stream.dep_pop(from, step.module)?;
        }
        match &step.command {
            Some(Command::Load { mem, block }) => stream.load_2d(*mem, *block)?,
            Some(Command::Store { block, entry: None }) => stream.store_2d(*block)?,
            Some(Command::Store {
                block,
                entry: Some(entry),
            }) => stream.requant_2d(*block, *entry)?,
            Some(Command::Gemm { mode, kernel }) => {
                let (id, loops) = intern(kernel, stream)?;
                stream.gemm(id, *mode, loops)?;
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

/// The vectors of an epilogue as the elements of parameter `p`.
fn vectors(epilogue: &Epilogue, design: &Design) -> Vec<i32> {
    let columns: Vec<&Vec<i32>> = epilogue.columns().collect();
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
