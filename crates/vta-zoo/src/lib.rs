//! Standard networks with seeded weights, as graphs.
//!
//! For everything that depends on the shape of a network but not on what it has learned:
//! compile time, cycles, memory, bit-exactness on large shapes. The architectures are those of
//! torchvision: one image `f32[1,3,224,224]` in, `f32[1,1000]` logits out, batch normalization
//! kept as nodes. `resnet8` is that of MLPerf Tiny: `f32[1,3,32,32]` in, `f32[1,10]` out.
//! `binarynet` is a binarized network of the same types, `segmenter` one that gives each pixel of `f32[1,3,64,64]` a label
//! of six.
//!
//! The weights know nothing: they are drawn so that activations stay in a sane range through
//! all layers, and an accuracy measured on them means nothing.

mod binarynet;
mod builder;
mod mobilenet;
mod mobilenet_v3;
mod resnet;
mod segmenter;

use vta_graph::Graph;

use builder::Builder;

/// The networks that [`build`] knows.
pub const NAMES: &[&str] = &[
    "resnet8",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "segmenter",
    "binarynet",
];

/// The name is none of [`NAMES`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no network is called `{name}`; there are {}", NAMES.join(", "))]
pub struct UnknownNetwork {
    /// The name asked for.
    pub name: String,
}

/// The network called `name` with weights drawn from `seed`.
///
/// The same name and seed give the same graph, bit for bit, on every machine: only integer
/// arithmetic and correctly rounded operations make the weights.
///
/// # Errors
/// If `name` is none of [`NAMES`].
pub fn build(name: &str, seed: u64) -> Result<Graph, UnknownNetwork> {
    let b = Builder::new(name, seed);
    Ok(match name {
        "resnet8" => resnet::tiny(b),
        "resnet18" => resnet::build(b, resnet::Block::Basic, [2, 2, 2, 2]),
        "resnet34" => resnet::build(b, resnet::Block::Basic, [3, 4, 6, 3]),
        "resnet50" => resnet::build(b, resnet::Block::Bottleneck, [3, 4, 6, 3]),
        "resnet101" => resnet::build(b, resnet::Block::Bottleneck, [3, 4, 23, 3]),
        "mobilenet_v2" => mobilenet::build(b),
        "mobilenet_v3_small" => mobilenet_v3::build(b),
        "segmenter" => segmenter::build(b),
        "binarynet" => binarynet::build(b),
        _ => {
            return Err(UnknownNetwork {
                name: name.to_string(),
            });
        }
    })
}
