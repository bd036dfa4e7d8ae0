//! The compiler from end to end: this file is its table of contents.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use vta_graph::passes::{self, align_phases, im2col, pack, part_padding, pool_sums};
use vta_graph::{Graph, NodeId, Op, ValueId};
use vta_isa::{Design, PAGE_BYTES};
use vta_program::{
    CommandStream, ImageSection, InsnRange, Place, Placement, Program, SlotId, Step, StreamError,
};

use crate::arena::{Arena, leaves_segment};
use crate::emit::{Command, Contents, End, Rotation};
use crate::error::CompileError;
use crate::lower::{self, Lowered};
use crate::ops::entry::Entry;
use crate::ops::tiling;
use crate::options::{CompileOptions, Offload};
use crate::partition::{self, Partition};
use crate::records::Records;
use crate::segment::{self, Segment};
use crate::slots::Slots;
use crate::watch::Watch;
use crate::{check, layers, plan, prefetch, search, tokens};

/// A compiled network with what the compiler thought on its way.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What devices run.
    pub program: Program,
    /// The graph in packed form.
    pub packed: Graph,
    /// Every operator of the accelerator as loop nests, by node of `packed`, in order.
    pub nests: Vec<(NodeId, Lowered)>,
    /// What the search for schedules found, or was told.
    pub records: Records,
}

/// Compiles an integer graph (see `vta_graph::passes::to_integers`) for a design.
///
/// # Errors
/// An invalid graph; everything else is a bug of the compiler and says so.
pub fn compile(integer: &Graph, design: &Design) -> Result<Compiled, CompileError> {
    compile_with(integer, design, &CompileOptions::default())
}

/// Compiles an integer graph as `options` say. They change where and when things happen, never a result.
///
/// # Errors
/// As [`compile`].
pub fn compile_with(
    integer: &Graph,
    design: &Design,
    options: &CompileOptions,
) -> Result<Compiled, CompileError> {
    compile_watched(integer, design, options, &mut ())
}

/// As [`compile_with`], while someone watches.
///
/// # Errors
/// As [`compile`].
pub fn compile_watched(
    integer: &Graph,
    design: &Design,
    options: &CompileOptions,
    watch: &mut dyn Watch,
) -> Result<Compiled, CompileError> {
    let mut graph = integer.clone();
    let weight = partition::registers(design).weight;
    let moves = weight.holds(0) && weight.holds(1);
    let passes: &[&str] = match options.offload {
        Offload::All => &[
            "dense_to_conv",
            "slice_to_conv",
            "fold_padding",
            "pad_to_conv",
            "rescale_to_pool",
            "part_concats",
            "fold_bias",
        ],
        _ => &["fold_padding", "fold_bias"],
    };
    // What these make are convolutions with weights of 1 and 0.
    let moving = |name: &&str| matches!(*name, "slice_to_conv" | "pad_to_conv");
    let passes: Vec<&str> = (passes.iter().copied())
        .filter(|name| moves || !moving(name))
        .collect();
    passes::run_watched(&mut graph, &passes, &mut |pass, graph| {
        watch.graph(pass, graph)
    })?;
    if options.offload == Offload::All && Entry::of(design).is_some() {
        let activation = partition::activation(design);
        align_phases::run(&mut graph, design.block_out(), activation, weight)?;
        watch.graph("align_phases", &graph);
    }
    let (mut graph, partition) = arranged(graph, design, options)?;
    watch.graph("partition", &graph);
    let reasons = reasons(&graph, &partition);
    let origin = pack::run(&mut graph, &partition.chosen, partition::registers(design))?;
    watch.graph("pack", &graph);
    let segments = segment::segments(&graph);
    let (nests, records) = nests(&graph, &origin, &partition, design, options)?;
    nests
        .iter()
        .for_each(|(_, nest)| watch.nest("naive", &nest.script.naive));
    for (_, nest) in &nests {
        watch.nest("schedule", &nest.scheduled);
    }
    for (_, nest) in &nests {
        watch.script("script", &nest.script);
    }
    let arena = Arena::plan(&graph, &segments, &nests, design);
    let mut program = assemble(&graph, &segments, &arena, design)?;
    let mut walked = walked(&graph, &segments, &nests, &arena, design)?;
    let end = arena.end;
    watch_bare("walk", &walked, end, design, watch)?;
    if options.latency_hiding {
        walked = prefetched(&graph, walked, end, design)?;
    }
    watch_bare("prefetch", &walked, end, design, watch)?;
    let emitted = emit(&mut program, walked, arena, design, options)?;
    for stream in &program.streams {
        watch.stream("tokens", stream);
    }
    program.placement = placement(&graph, &segments, &reasons, design);
    program.layers = layers::layers(&graph, &segments, &nests, &emitted);
    check::streams(&program, design)?;
    Ok(Compiled {
        program,
        packed: graph,
        nests,
        records,
    })
}

/// The graph, with the first convolution's input arranged where the accelerator runs that convolution and maxima taken of sums
/// where that is faster, and what runs where.
fn arranged(
    graph: Graph,
    design: &Design,
    options: &CompileOptions,
) -> Result<(Graph, Partition), CompileError> {
    let mut arranged = graph.clone();
    let blocks = [design.block_in(), design.block_out()];
    im2col::run(&mut arranged, blocks, |work| {
        tiling::first_layer(work, design)
    })?;
    let (arranged, chosen) = pooled(arranged, design, options)?;
    let is_patches = |v: &ValueId| {
        let mut nodes = arranged.nodes.iter();
        nodes.any(|n| n.output == *v && matches!(n.op, Op::Im2col { .. }))
    };
    let in_vain = (0..)
        .zip(&arranged.nodes)
        .any(|(i, node)| node.inputs.iter().any(is_patches) && !chosen.chosen.contains(&NodeId(i)));
    if in_vain {
        return pooled(graph, design, options);
    }
    Ok((arranged, chosen))
}

/// The graph with maxima taken of sums where that is faster, and what runs where. A convolution that the accelerator
/// then would not run keeps its pooling apart. Tensors have one border each, where the design needs borders.
fn pooled(
    mut graph: Graph,
    design: &Design,
    options: &CompileOptions,
) -> Result<(Graph, Partition), CompileError> {
    let borders = partition::registers(design).padding != pack::Padding::Any;
    if options.offload == Offload::All && borders {
        part_padding::run(&mut graph)?;
    }
    let mut refused = BTreeSet::new();
    loop {
        let mut pooled = graph.clone();
        if options.offload == Offload::All {
            pool_sums::run(&mut pooled, |graph, conv, pool| {
                !refused.contains(&conv.name) && partition::pools_sums(graph, conv, pool, design)
            })?;
        }
        let chosen = partition::partition(&pooled, design, options);
        let in_vain = partition::pooled_on_host(&pooled, &chosen);
        if in_vain.is_subset(&refused) {
            return Ok((pooled, chosen));
        }
        refused.extend(in_vain);
    }
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

/// Every operator of the accelerator with the schedule that was found for it, and the records of that.
fn nests(
    graph: &Graph,
    origin: &[Option<NodeId>],
    partition: &Partition,
    design: &Design,
    options: &CompileOptions,
) -> Result<(Vec<(NodeId, Lowered)>, Records), CompileError> {
    let accelerated = origin
        .iter()
        .enumerate()
        .filter_map(|(i, id)| Some((NodeId(i as u32), partition.selected.get(&(*id)?)?)));
    let (ids, offers): (Vec<NodeId>, Vec<lower::Offer>) = accelerated
        .map(|(id, selected)| {
            let node = graph.node(id);
            (id, lower::offer(graph, node, selected, design, options))
        })
        .unzip();
    let failed = |id: NodeId| {
        move |source| CompileError::Lower {
            node: graph.node(id).name.clone(),
            source,
        }
    };
    let (choices, records) = if options.latency_hiding {
        search::choose(&offers, &options.records, design)
            .map_err(|(i, source)| failed(ids[i])(source))?
    } else {
        (vec![0; offers.len()], Records::default())
    };
    let lowered: Result<Vec<_>, CompileError> = ids
        .into_par_iter()
        .zip(offers)
        .zip(choices)
        .map(|((id, offer), choice)| {
            let lowered = lower::lower(offer, choice, design).map_err(failed(id))?;
            Ok((id, lowered))
        })
        .collect();
    Ok((lowered?, records))
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
        layers: Vec::new(),
        notes: BTreeMap::new(),
    })
}

/// The commands of a segment, by operator.
type Walked = Vec<(NodeId, Vec<Command>)>;

/// What the operators of each accelerated segment walk into.
fn walked(
    graph: &Graph,
    segments: &[Segment],
    nests: &[(NodeId, Lowered)],
    arena: &Arena,
    design: &Design,
) -> Result<Vec<Walked>, CompileError> {
    let lowered: BTreeMap<NodeId, &Lowered> = nests.iter().map(|(id, l)| (*id, l)).collect();
    let of_segment = |segment: &Segment| -> Result<Walked, CompileError> {
        let operators = segment.nodes.iter().filter(|id| lowered.contains_key(id));
        let mut walked = Vec::new();
        let (mut contents, mut rotation) = (Contents::new(design), Rotation::new(design));
        for (&id, end) in operators.zip([End::Low, End::High].into_iter().cycle()) {
            let (nest, params) = (&lowered[&id].scheduled, arena.params(graph, id));
            let commands = rotation.walk(design, nest, &params, end);
            let commands = commands.map_err(|error| CompileError::Lower {
                node: graph.node(id).name.clone(),
                source: error.into(),
            })?;
            let Lowered {
                presets, settles, ..
            } = *lowered[&id];
            walked.push((id, contents.preset(commands, presets, settles)));
        }
        Ok(walked)
    };
    let accelerated = segments.iter().filter(|segment| segment.accelerated);
    accelerated.map(of_segment).collect()
}

/// One stream for each accelerated segment, then the micro-ops behind everything else. Gives the
/// instructions of each node.
fn emit(
    program: &mut Program,
    walked: Vec<Walked>,
    arena: Arena,
    design: &Design,
    options: &CompileOptions,
) -> Result<BTreeMap<NodeId, InsnRange>, CompileError> {
    let mut emitted = BTreeMap::new();
    let mut commands = CommandStream::new(design);
    let mut streams = Vec::new();
    for operators in walked {
        let stream = streams.len();
        let stream_error = |source| CompileError::Stream { stream, source };
        let (nodes, sequence): (Vec<NodeId>, Vec<_>) = operators.into_iter().unzip();
        lower::announce(sequence.iter().flatten(), &mut commands).map_err(stream_error)?;
        let ordered = tokens::order(sequence, design, options.latency_hiding);
        for (id, steps) in nodes.into_iter().zip(ordered) {
            let first = commands.insns().len() as u32;
            lower::append(&steps, &mut commands).map_err(stream_error)?;
            let range = InsnRange {
                stream: stream as u32,
                first,
                count: commands.insns().len() as u32 - first,
            };
            emitted.insert(id, range);
        }
        let finished = commands.finish().map_err(stream_error)?;
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
    Ok(emitted)
}

/// The same with weights loaded early.
fn prefetched(
    graph: &Graph,
    walked: Vec<Walked>,
    end: u64,
    design: &Design,
) -> Result<Vec<Walked>, CompileError> {
    let early = |operators: Walked| {
        let (nodes, commands): (Vec<NodeId>, Vec<_>) = operators.into_iter().unzip();
        match prefetch::early(commands, end, design) {
            Ok(commands) => Ok(nodes.into_iter().zip(commands).collect()),
            Err(source) => Err(CompileError::Lower {
                node: graph.node(nodes[0]).name.clone(),
                source,
            }),
        }
    };
    walked.into_iter().map(early).collect()
}

/// Shows the streams without any token.
fn watch_bare(
    step: &str,
    walked: &[Walked],
    end: u64,
    design: &Design,
    watch: &mut dyn Watch,
) -> Result<(), CompileError> {
    if !watch.wants(step) {
        return Ok(());
    }
    for (stream, operators) in walked.iter().enumerate() {
        let bare = bare(operators, design, end);
        let bare = bare.map_err(|source| CompileError::Stream { stream, source })?;
        watch.stream(step, &bare);
    }
    Ok(())
}

/// The stream of `operators` without any token.
fn bare(
    operators: &[(NodeId, Vec<Command>)],
    design: &Design,
    uop_base: u64,
) -> Result<Vec<u8>, StreamError> {
    let mut commands = CommandStream::new(design);
    for (_, steps) in operators {
        lower::append(&tokens::without(steps), &mut commands)?;
    }
    commands.finish()?.encode(design, uop_base)
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
            let (device, reason) = if node.op == Op::VtaConcat {
                let reason = "its operands are stored side by side in the first place";
                (Place::Vta, reason.to_string())
            } else if segment.accelerated {
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
