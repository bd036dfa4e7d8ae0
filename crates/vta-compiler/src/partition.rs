//! Partition: which operators of an integer graph the accelerator runs, and why the others
//! stay on the host.
//!
//! There is nothing to name: every operator that has a schedule, fits the design and is proven not to
//! overflow goes to the accelerator, unless it is of a kind that is not offloaded.

mod conv;
mod copies;
mod pooling;

use std::collections::BTreeMap;

use vta_graph::passes::pack;
use vta_graph::quant::QuantTarget;
use vta_graph::quant::bounds::{self, Interval};
use vta_graph::{BlockedLayout, DType, Graph, Node, NodeId, Op, PackedPair, Requant, ValueId};
use vta_isa::{AluOp, Design, Feature};

use crate::epilogue::Epilogue;
use crate::ops::elementwise::{ElementShape, ElementSteps};
use crate::ops::entry::Entry;
use crate::ops::pool::PoolSteps;
use crate::ops::spread::SpreadSteps;
use crate::ops::tiling;
use crate::options::CompileOptions;

use conv::conv;
use copies::{concat, slice, spread};
use pooling::{max_pool, sum_pool};
pub use pooling::{pooled_on_host, pools_sums};

/// The arithmetic selected for an operator of the accelerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// A convolution: what follows the sums.
    Conv(Epilogue),
    /// A sum, a product, a function.
    Elementwise(ElementSteps),
    /// A maximum or a sum over windows.
    Pool(PoolSteps),
    /// A copy to the positions of blocks.
    Spread(SpreadSteps),
}

/// Where each node of a graph runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Nodes of the accelerator.
    pub chosen: Vec<NodeId>,
    /// The arithmetic, by the node that produces the operator's result.
    pub selected: BTreeMap<NodeId, Selected>,
    /// Why a node stays on the host, by node.
    pub host: BTreeMap<NodeId, String>,
}

/// The registers of a design.
pub fn registers(design: &Design) -> pack::Registers {
    pack::Registers {
        batch: design.batch(),
        block_in: design.block_in(),
        block_out: design.block_out(),
        weight: weight(design),
        padding: padding(design),
    }
}

/// The type of a design's activations.
pub(crate) fn activation(design: &Design) -> DType {
    quant_target(design).activation().expect("a design's width")
}

/// The type of a design's weights.
fn weight(design: &Design) -> DType {
    quant_target(design).weight().expect("a design's width")
}

/// What a LOAD of the design pads with.
fn padding(design: &Design) -> pack::Padding {
    if design.has(Feature::LoadPad) {
        return pack::Padding::Any;
    }
    // Of cleared bits, which among signs are +1.
    pack::Padding::Fixed(activation(design).settled(0) as i32)
}

/// What quantization for a design has to know of it.
pub fn quant_target(design: &Design) -> QuantTarget {
    QuantTarget {
        inp_bits: design.inp_bits(),
        wgt_bits: design.wgt_bits(),
        acc_bits: design.acc_bits(),
        sign_inp: design.has(Feature::SignInp),
        sign_wgt: design.has(Feature::SignWgt),
        residuals: Entry::has_identity(design) && design.acc_bits() == 32,
    }
}

/// Decides where each node of `graph` runs.
pub fn partition(graph: &Graph, design: &Design, options: &CompileOptions) -> Partition {
    let consumers = graph.consumers();
    let ranges = bounds::value_bounds(graph);
    let mut out = Partition::default();
    for (i, node) in graph.nodes.iter().enumerate() {
        let id = NodeId(i as u32);
        if out.chosen.contains(&id) {
            continue;
        }
        if let Some(why) = options.offload.refusal(&node.op) {
            out.host.insert(id, why.to_owned());
            continue;
        }
        match &node.op {
            Op::QConv(..) => {
                let readers = &consumers[node.output.0 as usize];
                match conv(graph, node, readers, &consumers, &ranges, design) {
                    Ok((between, requantize, steps)) => {
                        out.chosen.push(id);
                        out.chosen.extend(between);
                        out.chosen.push(requantize);
                        out.selected.insert(requantize, Selected::Conv(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            Op::QSumPool(..) => {
                let readers = &consumers[node.output.0 as usize];
                match sum_pool(graph, node, readers, &ranges, design) {
                    Ok((requantize, steps)) => {
                        out.chosen.extend([id, requantize]);
                        out.selected.insert(requantize, Selected::Pool(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            Op::MaxPool(..) => match max_pool(graph, node, &ranges, design) {
                Ok(steps) => {
                    out.chosen.push(id);
                    out.selected.insert(id, Selected::Pool(steps));
                }
                Err(why) => {
                    out.host.insert(id, why);
                }
            },
            Op::Concat { axis } => match concat(graph, node, *axis, &out.chosen, design) {
                Ok(()) => out.chosen.push(id),
                Err(why) => {
                    out.host.insert(id, why);
                }
            },
            Op::Slice { .. } => match slice(graph, node, &out.chosen, &ranges, design) {
                Ok(steps) => {
                    out.chosen.push(id);
                    out.selected.insert(id, Selected::Pool(steps));
                }
                Err(why) => {
                    out.host.insert(id, why);
                }
            },
            &Op::Resize { factors: block } | &Op::DepthToSpace { block, .. } => {
                match spread(graph, node, block, &out.chosen, &ranges, design) {
                    Ok(steps) => {
                        out.chosen.push(id);
                        out.selected.insert(id, Selected::Spread(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            Op::QAdd(..) | Op::QMul(..) | Op::QPiecewise(..) => {
                match elementwise(graph, node, &ranges, design) {
                    Ok(steps) => {
                        out.chosen.push(id);
                        out.selected.insert(id, Selected::Elementwise(steps));
                    }
                    Err(why) => {
                        out.host.insert(id, why);
                    }
                }
            }
            op => {
                out.host.insert(id, host_reason(op).to_string());
            }
        }
    }
    while let Some(id) = pack::unshareable(graph, &out.chosen, padding(design)) {
        out.chosen.retain(|&c| c != id);
        let why = "its result and its operands are padded with different values";
        out.host.insert(id, why.to_string());
    }
    out
}

/// Why an operator that is no convolution, addition or pooling runs on the host.
pub fn host_reason(op: &Op) -> &'static str {
    match op {
        Op::Quantize(..) | Op::Dequantize(_) => "conversion between float and integers",
        Op::Pack(_) | Op::Unpack { .. } => "change between the host's and the blocked layout",
        Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Im2col { .. } => "arrangement of elements has no accelerator schedule",
        Op::QDense(_) => "its sums are not requantized alone, or its shape is not rank 2",
        Op::Requantize(..) | Op::QAccumulate { .. } => "it follows an operator of the host",
        _ => "float arithmetic",
    }
}

fn elementwise(
    graph: &Graph,
    node: &Node,
    ranges: &[Option<Interval>],
    design: &Design,
) -> Result<ElementSteps, String> {
    let result = four(graph, node.output)?;
    width("output", graph.value(node.output).ty.dtype, design)?;
    let mut operands = Vec::new();
    for &v in &node.inputs {
        width("operand", graph.value(v).ty.dtype, design)?;
        if graph.constant(v).is_some() {
            return Err("an operand is constant".to_string());
        }
        operands.push(ranges[v.0 as usize].ok_or("an operand has no proven interval")?);
    }
    let layout = borderless(design, design.block_out());
    let shape = match node.inputs[..] {
        [_, b] => ElementShape::pair(&PackedPair {
            in_shapes: [result, four(graph, b)?],
            in_layouts: [layout.clone(), layout.clone()],
            out_layout: layout,
        }),
        _ => ElementShape::single(result, &layout, &layout),
    };
    let lanes = shape.extents[1] * design.block_out();
    let steps = match (&node.op, &operands[..]) {
        (Op::QAdd(add, _), &[a, b]) => ElementSteps::sum(add, [a, b], lanes, design),
        (Op::QMul(mul, _), &[a, b]) => ElementSteps::product(mul, [a, b], lanes, design),
        (Op::QPiecewise(map, _), &[x]) => ElementSteps::function(map, x, lanes, design),
        _ => unreachable!("an operator on elements"),
    }?;
    operations(steps.operations(), design)?;
    if tiling::elementwise(&shape, &steps, design, false).is_empty() {
        return Err("not even one register of its operands fits the scratchpad".to_string());
    }
    Ok(steps)
}

/// The requantization that alone reads the sums of `node`.
fn requantized<'a>(
    graph: &'a Graph,
    node: &Node,
    readers: &[NodeId],
    design: &Design,
) -> Result<(NodeId, &'a Requant), String> {
    let requantize = match readers {
        [reader] if !graph.outputs.contains(&node.output) => *reader,
        _ => return Err("its sums are read by more than a requantization".to_string()),
    };
    let Op::Requantize(requant, out) = &graph.node(requantize).op else {
        return Err("its sums are not requantized".to_string());
    };
    width("output", *out, design)?;
    Ok((requantize, requant))
}

/// Whether all that pads `x` does it with one value.
fn padded_alike(graph: &Graph, x: ValueId, design: &Design) -> Result<(), String> {
    if pack::is_padded_alike(graph, x, padding(design)) {
        return Ok(());
    }
    Err("its input is padded with different zero points, and a tensor has one border".to_string())
}

/// The layout of a tensor without a border, in blocks of `lanes` channels.
fn borderless(design: &Design, lanes: usize) -> BlockedLayout {
    BlockedLayout {
        batch: design.batch(),
        lanes,
        border: [0; 4],
        fill: 0,
    }
}

fn operations(mut needed: impl Iterator<Item = AluOp>, design: &Design) -> Result<(), String> {
    match needed.find(|&op| !design.has_alu(op)) {
        None => Ok(()),
        Some(op) => Err(format!(
            "it needs the ALU operation {op}, which the design lacks"
        )),
    }
}

fn width(what: &str, dtype: DType, design: &Design) -> Result<(), String> {
    let wanted = activation(design);
    if wanted == dtype {
        return Ok(());
    }
    Err(format!(
        "its {what} is {dtype}, and the design takes {wanted}"
    ))
}

fn four(graph: &Graph, v: ValueId) -> Result<[usize; 4], String> {
    let ty = &graph.value(v).ty;
    ty.shape[..]
        .try_into()
        .map_err(|_| format!("a tensor of {ty} has no NCHW shape"))
}
