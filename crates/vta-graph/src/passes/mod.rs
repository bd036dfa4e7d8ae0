//! The passes: each a file, a name in [`ALL`] and a folder of tests.
//!
//! A pass takes a verified graph to a verified graph with the same inputs and outputs, of the
//! same names and types. The float passes keep the results up to rounding; passes on integers
//! keep them bit for bit.

mod channel;
mod rewrite;

pub mod affine_to_conv;
pub mod align_phases;
pub mod binary_weights;
pub mod canonicalize;
pub mod dead_code;
pub mod dense_to_conv;
pub mod fold_batch_norm;
pub mod fold_bias;
pub mod fold_constants;
pub mod fold_padding;
pub mod im2col;
pub mod lower_qdq;
pub mod pack;
pub mod pad_to_conv;
pub mod part_concats;
pub mod part_padding;
pub mod pool_sums;
pub mod rescale_to_pool;
pub mod sink_resize;
pub mod sink_transposes;
pub mod slice_to_conv;
pub mod unsigned_to_signed;

pub use lower_qdq::Island;

use crate::quant::QuantTarget;
use crate::{DType, Graph, GraphError};

/// A pass that needs no more than a graph.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its name: that of its file, of its flag and of the folder of its tests.
    pub name: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// Runs it.
    pub run: fn(&mut Graph) -> Result<(), GraphError>,
}

/// Every pass, in the order in which a graph first meets them.
pub const ALL: &[Pass] = &[
    Pass {
        name: "fold_constants",
        doc: "compute nodes whose inputs are all constant",
        run: fold_constants::run,
    },
    Pass {
        name: "canonicalize",
        doc: "bring equal things to one form: dense, bias, padding, global pooling",
        run: canonicalize::run,
    },
    Pass {
        name: "sink_transposes",
        doc: "move transposes towards the outputs until they cancel",
        run: sink_transposes::run,
    },
    Pass {
        name: "sink_resize",
        doc: "move resizing and depth_to_space towards the outputs, past what works by element",
        run: sink_resize::run,
    },
    Pass {
        name: "fold_batch_norm",
        doc: "fold batch normalization and scaling into the layer before",
        run: fold_batch_norm::run,
    },
    Pass {
        name: "affine_to_conv",
        doc: "make scaling and shifting of channels depthwise convolutions",
        run: affine_to_conv::run,
    },
    Pass {
        name: "binary_weights",
        doc: "make weights of plus or minus one number, of a layer that reads signs, signs with a scale",
        run: binary_weights::run,
    },
    Pass {
        name: "unsigned_to_signed",
        doc: "make unsigned quantized bytes signed",
        run: unsigned_to_signed::run,
    },
    Pass {
        name: "lower_qdq",
        doc: "turn dequantize, operator, quantize into exact integer operators (8/8/32 bits)",
        run: |graph| lower_qdq::run(graph, &QuantTarget::default()).map(drop),
    },
    Pass {
        name: "dense_to_conv",
        doc: "make a quantized dense layer a convolution of its unflattened input",
        run: dense_to_conv::run,
    },
    Pass {
        name: "fold_bias",
        doc: "move the bias of a quantized convolution into its requantization",
        run: fold_bias::run,
    },
    Pass {
        name: "slice_to_conv",
        doc: "make a slice of channels a convolution with weights of 1",
        run: slice_to_conv::run,
    },
    Pass {
        name: "fold_padding",
        doc: "move padding of any value into the quantized convolution behind it",
        run: fold_padding::run,
    },
    Pass {
        name: "pad_to_conv",
        doc: "make rows and columns around integers the padding of a convolution",
        run: pad_to_conv::run,
    },
    Pass {
        name: "rescale_to_pool",
        doc: "make a rescaling of narrow values a sum over windows of one position",
        run: rescale_to_pool::run,
    },
    Pass {
        name: "part_concats",
        doc: "copy operands that two concatenations have in common",
        run: part_concats::run,
    },
    Pass {
        name: "align_phases",
        doc: "let the channels of each position of depth_to_space fill whole blocks (of 16 lanes)",
        run: |graph| align_phases::run(graph, 16, DType::I8, DType::I8),
    },
    Pass {
        name: "im2col",
        doc: "let the host arrange the patches of an input with few channels (16 input lanes)",
        run: |graph| im2col::run(graph, [16, 16], |work| work.products),
    },
    Pass {
        name: "part_padding",
        doc: "copy operands that convolutions pad with different values",
        run: part_padding::run,
    },
    Pass {
        name: "pool_sums",
        doc: "take the maximum over windows of a convolution's sums before their requantization",
        run: |graph| pool_sums::run(graph, |_, _, _| true),
    },
    Pass {
        name: "dead_code",
        doc: "drop what no output depends on",
        run: dead_code::run,
    },
];

/// The pass of that name.
pub fn by_name(name: &str) -> Option<&'static Pass> {
    ALL.iter().find(|p| p.name == name)
}

/// Someone who looks at the graph after each pass, told by its name.
pub type Watch<'a> = dyn FnMut(&str, &Graph) + 'a;

/// Prepares an imported graph, float or quantized: the float passes, until nothing changes
/// that one of them could use.
///
/// # Errors
/// If a constant node cannot be computed.
pub fn prepare(graph: &mut Graph) -> Result<(), GraphError> {
    prepare_watched(graph, &mut |_, _| {})
}

/// As [`prepare`], while someone watches.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_watched(graph: &mut Graph, watch: &mut Watch) -> Result<(), GraphError> {
    // Once transposes are gone, layers side by side meet their biases, and scales their layers.
    let names = [
        "fold_constants",
        "canonicalize",
        "sink_transposes",
        "sink_resize",
        "fold_constants",
        "canonicalize",
        "fold_batch_norm",
        "affine_to_conv",
        "canonicalize",
        "binary_weights",
        "dead_code",
    ];
    run_watched(graph, &names, watch)
}

/// Runs the passes of these names one after the other, while someone watches; unknown ones are left out.
///
/// # Errors
/// Those of the passes.
pub fn run_watched(graph: &mut Graph, names: &[&str], watch: &mut Watch) -> Result<(), GraphError> {
    for pass in names.iter().filter_map(|name| by_name(name)) {
        (pass.run)(graph)?;
        watch(pass.name, graph);
    }
    Ok(())
}

/// Makes a prepared graph with `quantize` and `dequantize` one of exact integers, for a design
/// of these widths. Returns what stayed in floats, with the reason.
///
/// # Errors
/// None on a verified graph.
pub fn to_integers(graph: &mut Graph, target: &QuantTarget) -> Result<Vec<Island>, GraphError> {
    to_integers_watched(graph, target, &mut |_, _| {})
}

/// As [`to_integers`], while someone watches.
///
/// # Errors
/// As [`to_integers`].
pub fn to_integers_watched(
    graph: &mut Graph,
    target: &QuantTarget,
    watch: &mut Watch,
) -> Result<Vec<Island>, GraphError> {
    run_watched(graph, &["unsigned_to_signed"], watch)?;
    let islands = lower_qdq::run(graph, target)?;
    watch("lower_qdq", graph);
    run_watched(graph, &["dead_code"], watch)?;
    Ok(islands)
}
