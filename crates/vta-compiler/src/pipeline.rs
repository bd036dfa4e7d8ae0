//! The compiler from end to end: this file is its table of contents.

use std::collections::BTreeMap;

use vta_graph::passes::{dense_to_conv, fold_bias, pack};
use vta_graph::{Graph, GraphError, NodeId, Op, Tensor, ValueId};
use vta_isa::{Design, PAGE_BYTES};
use vta_program::{
    CommandStream, ImageSection, Place, Placement, Program, SlotId, Step, StreamError, bits,
};

use crate::lower::{self, LowerError, Lowered};
use crate::ops::{add, stages};
use crate::partition::{self, Partition};
use crate::plan::{self, Request};
use crate::segment::{self, Segment};
use crate::tokens::Serial;
use crate::{check, slots::Slots};

/// Why a network does not compile.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The graph is wrong.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An operator of the accelerator has no instructions: a bug of the compiler.
    #[error("node `{node}`: {source} (this is a bug of the compiler)")]
    Lower {
        /// The node.
        node: String,
        /// The cause.
        source: LowerError,
    },
    /// A stream cannot be finished: a bug of the compiler.
    #[error("stream {stream}: {source} (this is a bug of the compiler)")]
    Stream {
        /// Index of the stream.
        stream: usize,
        /// The cause.
        source: StreamError,
    },
    /// The checker found a race, a deadlock or tokens left over: a bug of the compiler.
    #[error("stream {stream} is wrong (this is a bug of the compiler): {findings}")]
    Check {
        /// Index of the stream.
        stream: usize,
        /// What the checker says.
        findings: String,
    },
}

/// A compiled network with what the compiler thought on its way.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What devices run.
    pub program: Program,
    /// The graph in packed form.
    pub packed: Graph,
    /// Every operator of the accelerator as loop nests, by node of `packed`, in order.
    pub nests: Vec<(NodeId, Lowered)>,
}

/// Compiles an integer graph (see `vta_graph::passes::to_integers`) for a design.
///
/// # Errors
/// An invalid graph; everything else is a bug of the compiler and says so.
pub fn compile(integer: &Graph, design: &Design) -> Result<Compiled, CompileError> {
    let mut graph = integer.clone();
    dense_to_conv::run(&mut graph)?;
    fold_bias::run(&mut graph)?;
    let partition = partition::partition(&graph, design);
    let reasons = reasons(&graph, &partition);
    let origin = pack::run(&mut graph, &partition.chosen, partition::registers(design))?;
    let segments = segment::segments(&graph);
    let nests = nests(&graph, &origin, &partition, design)?;
    let arena = Arena::plan(&graph, &segments, &nests, design);
    let mut program = assemble(&graph, &segments, &arena, design)?;
    emit(&mut program, &graph, &segments, &nests, arena, design)?;
    program.placement = placement(&graph, &segments, &reasons, design);
    check::streams(&program, design)?;
    Ok(Compiled {
        program,
        packed: graph,
        nests,
    })
}

/// Why a node stays on the host, by the name of its output, which packing keeps.
fn reasons(graph: &Graph, partition: &Partition) -> BTreeMap<String, String> {
    let name = |id: &NodeId| graph.value(graph.node(*id).output).name.clone();
    partition
        .host
        .iter()
        .map(|(id, why)| (name(id), why.clone()))
        .collect()
}

fn nests(
    graph: &Graph,
    origin: &[Option<NodeId>],
    partition: &Partition,
    design: &Design,
) -> Result<Vec<(NodeId, Lowered)>, CompileError> {
    let accelerated = origin
        .iter()
        .enumerate()
        .filter_map(|(i, id)| Some((i, (*id)?)));
    accelerated
        .map(|(i, old)| {
            let node = &graph.nodes[i];
            let lowered =
                lower::lower(node, &partition.selected[&old], design).map_err(|source| {
                    CompileError::Lower {
                        node: node.name.clone(),
                        source,
                    }
                })?;
            Ok((NodeId(i as u32), lowered))
        })
        .collect()
}

/// Where everything lies in device memory, in bytes from the start of the arena.
struct Arena {
    /// Activations, by value.
    values: BTreeMap<ValueId, u64>,
    /// Packed weights, by value.
    weights: BTreeMap<ValueId, u64>,
    /// Constants of an operator's own, by node and parameter.
    own: BTreeMap<(NodeId, &'static str), u64>,
    /// Initial contents.
    image: Vec<ImageSection>,
    /// End of all of it, on a page: micro-ops follow.
    end: u64,
}

impl Arena {
    fn plan(
        graph: &Graph,
        segments: &[Segment],
        nests: &[(NodeId, Lowered)],
        design: &Design,
    ) -> Arena {
        let mut arena = Arena {
            values: BTreeMap::new(),
            weights: BTreeMap::new(),
            own: BTreeMap::new(),
            image: Vec::new(),
            end: 0,
        };
        for (id, lowered) in nests {
            for &v in &graph.node(*id).inputs {
                if let (Some(weight), false) = (graph.constant(v), arena.weights.contains_key(&v)) {
                    let at = arena.constant(dense(weight, design.wgt_bits()));
                    arena.weights.insert(v, at);
                }
            }
            if !lowered.vectors.is_empty() {
                let bytes = design.acc_bits() as usize / 8;
                let image = lowered
                    .vectors
                    .iter()
                    .flat_map(|v| v.to_le_bytes()[..bytes].to_vec());
                let at = arena.constant(image.collect());
                arena.own.insert((*id, stages::VECTORS), at);
            }
            if !lowered.identity.is_empty() {
                let mut image = Vec::new();
                bits::pack(&lowered.identity, design.wgt_bits(), &mut image);
                let at = arena.constant(image);
                arena.own.insert((*id, add::IDENTITY), at);
            }
        }
        let lifetimes = lifetimes(graph, segments);
        let mut shared = Vec::new();
        for (&v, &(first, last)) in &lifetimes {
            let elems = graph.value(v).ty.len();
            let bytes = bits::packed_bytes(elems, design.inp_bits()).expect("a checked shape");
            match border_fill(graph, v) {
                // A border is written once, so that its tensor shares its place with none.
                Some(fill) => {
                    let mut image = Vec::with_capacity(bytes);
                    bits::pack(&vec![fill; elems], design.inp_bits(), &mut image);
                    let at = arena.constant(image);
                    arena.values.insert(v, at);
                }
                None => shared.push((
                    v,
                    Request {
                        bytes: bytes as u64,
                        first,
                        last,
                    },
                )),
            }
        }
        let requests: Vec<Request> = shared.iter().map(|(_, r)| r.clone()).collect();
        let (offsets, span) = plan::place(&requests);
        for ((v, _), offset) in shared.iter().zip(offsets) {
            arena.values.insert(*v, arena.end + offset);
        }
        arena.end += span;
        arena
    }

    fn constant(&mut self, bytes: Vec<u8>) -> u64 {
        let offset = self.end;
        self.end += plan::aligned(bytes.len() as u64);
        self.image.push(ImageSection { offset, bytes });
        offset
    }
}

/// The elements of a narrow tensor as they lie in device memory.
fn dense(tensor: &Tensor, bits: u32) -> Vec<u8> {
    let mut out = Vec::new();
    bits::pack(tensor.as_i8().expect("narrow values"), bits, &mut out);
    out
}

/// The value of the border around a tensor that the accelerator writes.
fn border_fill(graph: &Graph, v: ValueId) -> Option<i8> {
    let node = graph.nodes.iter().find(|n| n.output == v)?;
    let layout = match &node.op {
        Op::VtaConv(c) => &c.out_layout,
        Op::VtaAdd { out_layout, .. } => out_layout,
        _ => return None,
    };
    layout
        .border
        .iter()
        .any(|&b| b > 0)
        .then_some(layout.fill as i8)
}

/// First and last position, in the order of execution, at which each activation in device
/// memory holds something that is still read.
fn lifetimes(graph: &Graph, segments: &[Segment]) -> BTreeMap<ValueId, (usize, usize)> {
    let mut position = vec![0; graph.nodes.len()];
    let mut segment_end = vec![0; graph.nodes.len()];
    let mut at = 0;
    for segment in segments {
        let end = at + segment.nodes.len();
        for node in &segment.nodes {
            position[node.0 as usize] = at;
            segment_end[node.0 as usize] = end - 1;
            at += 1;
        }
    }
    let producers = graph.producers();
    let mut out: BTreeMap<ValueId, (usize, usize)> = BTreeMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if !segment::is_accelerated(&node.op) {
            continue;
        }
        for &v in node.inputs.iter().filter(|&&v| graph.constant(v).is_none()) {
            let first = producers[v.0 as usize].map_or(0, |p| {
                let from = p.0 as usize;
                // What the host makes is there from the end of its segment on.
                if segment::is_accelerated(&graph.nodes[from].op) {
                    position[from]
                } else {
                    segment_end[from]
                }
            });
            let life = out.entry(v).or_insert((first, first));
            life.1 = life.1.max(position[i]);
        }
        // A result for the host stays until the stream has ended.
        let for_host = leaves_segment(graph, segments, node.output);
        let life = out.entry(node.output).or_insert((position[i], position[i]));
        if for_host {
            life.1 = life.1.max(segment_end[i]);
        }
    }
    out
}

/// Whether a value is read by the host, or is an output of the graph.
fn leaves_segment(graph: &Graph, segments: &[Segment], v: ValueId) -> bool {
    graph.outputs.contains(&v)
        || segments
            .iter()
            .filter(|s| !s.accelerated)
            .flat_map(|s| &s.nodes)
            .any(|&n| graph.node(n).inputs.contains(&v))
}

/// The steps of an inference, with streams still empty.
fn assemble(
    graph: &Graph,
    segments: &[Segment],
    arena: &Arena,
    design: &Design,
) -> Result<Program, CompileError> {
    let mut slots = Slots::new(graph);
    let inputs: Vec<SlotId> = graph.inputs.iter().map(|&v| slots.of(v)).collect();
    let bits = design.inp_bits();
    let mut steps = Vec::new();
    let mut streams = 0;
    for segment in segments {
        let made = segment.nodes.iter().map(|&n| graph.node(n).output);
        if segment.accelerated {
            steps.push(Step::Run { stream: streams });
            streams += 1;
            for v in made.filter(|&v| leaves_segment(graph, segments, v)) {
                let (slot, offset) = (slots.of(v), arena.values[&v]);
                steps.push(Step::Download { slot, offset, bits });
            }
        } else {
            steps.push(slots.host_step(&segment.nodes)?);
            for v in made {
                if let Some(&offset) = arena.values.get(&v) {
                    steps.push(Step::Upload {
                        slot: slots.of(v),
                        offset,
                        bits,
                    });
                }
            }
        }
    }
    let constants = slots.constant_outputs();
    steps.extend(constants);
    let outputs = graph.outputs.iter().map(|&v| slots.of(v)).collect();
    Ok(Program {
        config: design.config().clone(),
        name: graph.name.clone(),
        arena_bytes: 0,
        image: Vec::new(),
        streams: Vec::new(),
        steps,
        slots: slots.into_slots(),
        inputs,
        outputs,
        preprocess: None,
        labels: Vec::new(),
        placement: Vec::new(),
        notes: BTreeMap::new(),
    })
}

/// One stream for each accelerated segment, then the micro-ops behind everything else.
fn emit(
    program: &mut Program,
    graph: &Graph,
    segments: &[Segment],
    nests: &[(NodeId, Lowered)],
    arena: Arena,
    design: &Design,
) -> Result<(), CompileError> {
    let lowered: BTreeMap<NodeId, &Lowered> = nests.iter().map(|(id, l)| (*id, l)).collect();
    let mut commands = CommandStream::new(design);
    let mut streams = Vec::new();
    for segment in segments.iter().filter(|s| s.accelerated) {
        let mut serial = Serial::default();
        for &id in &segment.nodes {
            let node = graph.node(id);
            let mut params = BTreeMap::new();
            let names: &[&str] = match node.op {
                Op::VtaConv(_) => &["x", "w"],
                _ => &["a", "b"],
            };
            for (&name, v) in names.iter().zip(&node.inputs) {
                let at = arena.weights.get(v).or_else(|| arena.values.get(v));
                params.insert(name.to_string(), *at.expect("a planned value"));
            }
            params.insert("y".to_string(), arena.values[&node.output]);
            for name in [stages::VECTORS, add::IDENTITY] {
                if let Some(&at) = arena.own.get(&(id, name)) {
                    params.insert(name.to_string(), at);
                }
            }
            lower::emit(&lowered[&id].scheduled, &params, &mut serial, &mut commands).map_err(
                |source| CompileError::Lower {
                    node: node.name.clone(),
                    source,
                },
            )?;
        }
        let stream = streams.len();
        let finished = commands
            .finish()
            .map_err(|source| CompileError::Stream { stream, source })?;
        streams.push(finished);
    }
    let uops = commands.uop_pool().bytes();
    let uop_base = arena.end;
    program.arena_bytes = uop_base + plan::aligned(uops.len() as u64).max(PAGE_BYTES as u64);
    program.image = arena.image;
    if !uops.is_empty() {
        program.image.push(ImageSection {
            offset: uop_base,
            bytes: uops,
        });
    }
    for (stream, s) in streams.iter().enumerate() {
        let bytes = s
            .encode(design, uop_base)
            .map_err(|source| CompileError::Stream { stream, source })?;
        program.streams.push(bytes);
    }
    Ok(())
}

/// Where each node of the packed graph runs, in the order of execution.
fn placement(
    graph: &Graph,
    segments: &[Segment],
    reasons: &BTreeMap<String, String>,
    design: &Design,
) -> Vec<Placement> {
    let mut out = Vec::new();
    for segment in segments {
        for &id in &segment.nodes {
            let node = graph.node(id);
            let (device, reason) = if segment.accelerated {
                (
                    Place::Vta,
                    format!(
                        "scheduled; its sums provably fit {} bits",
                        design.acc_bits()
                    ),
                )
            } else {
                let name = &graph.value(node.output).name;
                let reason = reasons.get(name).cloned();
                let default = || partition::host_reason(&node.op).to_string();
                (Place::Host, reason.unwrap_or_else(default))
            };
            let op = node.op.name().to_string();
            out.push(Placement {
                node: node.name.clone(),
                op,
                device,
                reason,
            });
        }
    }
    out
}
