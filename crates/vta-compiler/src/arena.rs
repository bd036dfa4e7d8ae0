//! The layout of device memory: constants, then activations by lifetime.

use std::collections::BTreeMap;

use vta_graph::{Graph, NodeId, Op, Tensor, ValueId};
use vta_isa::{ChannelRequant, Design};
use vta_program::{ImageSection, bits};

use crate::lower::Lowered;
use crate::ops::{conv, elementwise, entry, stages};
use crate::plan::{self, Request};
use crate::segment::{self, Segment};

/// Where everything lies in device memory, in bytes from the start of the arena.
pub(crate) struct Arena {
    /// Activations, by value.
    pub(crate) values: BTreeMap<ValueId, u64>,
    /// Packed weights, by value.
    weights: BTreeMap<ValueId, u64>,
    /// Constants of an operator's own, by node and parameter.
    own: BTreeMap<(NodeId, &'static str), u64>,
    /// Initial contents.
    pub(crate) image: Vec<ImageSection>,
    /// End of all of it, on a page: micro-ops follow.
    pub(crate) end: u64,
}

impl Arena {
    /// Plans the memory of a packed graph.
    pub(crate) fn plan(
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
            if !lowered.records.is_empty() {
                let image = lowered.records.iter().flat_map(ChannelRequant::to_bytes);
                let at = arena.constant(image.collect());
                arena.own.insert((*id, stages::RECORDS), at);
            }
            if !lowered.identity.is_empty() {
                let mut image = Vec::new();
                bits::pack(&lowered.identity, design.wgt_bits(), &mut image);
                let at = arena.constant(image);
                arena.own.insert((*id, entry::IDENTITY), at);
            }
        }
        let parts = parts(graph, design);
        let lifetimes = whole(lifetimes(graph, segments), &parts);
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
        // A result comes after its operands, so that its own place is known before theirs.
        for (&part, &(result, offset)) in parts.iter().rev() {
            arena.values.insert(part, arena.values[&result] + offset);
        }
        arena
    }

    /// Addresses of the parameters of an operator's loop nest.
    pub(crate) fn params(&self, graph: &Graph, id: NodeId) -> BTreeMap<String, u64> {
        let node = graph.node(id);
        let names: &[&str] = match node.op {
            Op::VtaAdd(..) | Op::VtaMul(..) | Op::VtaPiecewise { .. } => &elementwise::OPERANDS,
            _ => {
                let [residual, diagonal] = conv::RESIDUAL;
                &["x", "w", residual, diagonal]
            }
        };
        let mut params = BTreeMap::new();
        for (name, v) in names.iter().zip(&node.inputs) {
            let at = self.weights.get(v).or_else(|| self.values.get(v));
            params.insert(name.to_string(), *at.expect("a planned value"));
        }
        params.insert("y".to_string(), self.values[&node.output]);
        for name in [stages::VECTORS, stages::RECORDS, entry::IDENTITY] {
            if let Some(&at) = self.own.get(&(id, name)) {
                params.insert(name.to_string(), at);
            }
        }
        params
    }

    fn constant(&mut self, bytes: Vec<u8>) -> u64 {
        let offset = self.end;
        self.end += plan::aligned(bytes.len() as u64);
        self.image.push(ImageSection { offset, bytes });
        offset
    }
}

/// Of each operand of a concatenation: the result, and its place there in bytes.
fn parts(graph: &Graph, design: &Design) -> BTreeMap<ValueId, (ValueId, u64)> {
    let mut out = BTreeMap::new();
    for node in graph.nodes.iter().filter(|n| n.op == Op::VtaConcat) {
        let mut offset = 0;
        for &v in &node.inputs {
            out.insert(v, (node.output, offset as u64));
            let elems = graph.value(v).ty.len();
            offset += bits::packed_bytes(elems, design.inp_bits()).expect("a checked shape");
        }
    }
    out
}

/// The lifetimes of whole tensors: those of its parts are a result's own.
fn whole(
    lifetimes: BTreeMap<ValueId, (usize, usize)>,
    parts: &BTreeMap<ValueId, (ValueId, u64)>,
) -> BTreeMap<ValueId, (usize, usize)> {
    let mut out: BTreeMap<ValueId, (usize, usize)> = BTreeMap::new();
    for (mut v, (first, last)) in lifetimes {
        while let Some(&(result, _)) = parts.get(&v) {
            v = result;
        }
        let life = out.entry(v).or_insert((first, last));
        *life = (life.0.min(first), life.1.max(last));
    }
    out
}

/// The elements of a narrow tensor as they lie in device memory.
fn dense(tensor: &Tensor, bits: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let values = tensor.as_i8().expect("narrow values").iter();
    let stored: Vec<i8> = values.map(|&v| tensor.dtype().stored(v)).collect();
    bits::pack(&stored, bits, &mut out);
    out
}

/// What is stored as the border around a tensor that the accelerator writes.
fn border_fill(graph: &Graph, v: ValueId) -> Option<i8> {
    let node = graph.nodes.iter().find(|n| n.output == v)?;
    let layout = match &node.op {
        // Operands of one border; the host stores its own whole.
        Op::VtaConcat => return node.inputs.iter().find_map(|&v| border_fill(graph, v)),
        Op::VtaConv(c) => &c.out_layout,
        Op::VtaAdd(pair, _) | Op::VtaMul(pair, _) => &pair.out_layout,
        Op::VtaPiecewise { out_layout, .. } => out_layout,
        Op::VtaMaxPool(p) | Op::VtaSumPool(p, _) => &p.out_layout,
        Op::VtaSpread(p) => &p.out_layout,
        _ => return None,
    };
    layout
        .border
        .iter()
        .any(|&b| b > 0)
        .then(|| graph.value(v).ty.dtype.stored(layout.fill as i8))
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
pub(crate) fn leaves_segment(graph: &Graph, segments: &[Segment], v: ValueId) -> bool {
    graph.outputs.contains(&v)
        || segments
            .iter()
            .filter(|s| !s.accelerated)
            .flat_map(|s| &s.nodes)
            .any(|&n| graph.node(n).inputs.contains(&v))
}
