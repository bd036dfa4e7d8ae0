//! The networks are the published ones: multiplications and parameters agree.

use vta_graph::interp::run_with;
use vta_graph::{Graph, Op, Tensor, ValueId};
use vta_zoo::{NAMES, build};

/// Multiplications of all convolutions and dense layers.
fn macs(g: &Graph) -> usize {
    g.nodes
        .iter()
        .filter(|n| matches!(n.op, Op::Conv(_) | Op::Dense))
        .map(|n| {
            let weight = &g.value(n.inputs[1]).ty;
            let terms = weight.len() / weight.shape[0];
            g.value(n.output).ty.len() * terms
        })
        .sum()
}

/// Trained numbers: all constants but the running statistics.
fn parameters(g: &Graph) -> usize {
    g.values
        .iter()
        .filter(|v| v.constant.is_some() && !v.name.contains(".running_") && !v.ty.shape.is_empty())
        .map(|v| v.ty.len())
        .sum()
}

#[test]
fn sizes_are_the_published_ones() {
    let published = [
        // Of the 78,666 that are published without the biases before batch normalization and its running statistics,
        // with normalization in shortcuts.
        ("resnet8", 12_501_632, 78_042),
        ("resnet18", 1_814_073_344, 11_689_512),
        ("resnet34", 3_663_761_408, 21_797_672),
        ("resnet50", 4_089_184_256, 25_557_032),
        ("resnet101", 7_801_405_440, 44_549_160),
        ("mobilenet_v2", 300_774_272, 3_504_872),
        ("mobilenet_v3_small", 56_510_400, 2_542_856),
        ("segmenter", 15_515_648, 58_612),
        ("binarynet", 155_128_832, 3_512_788),
    ];
    assert_eq!(NAMES, published.map(|p| p.0));
    for (name, m, p) in published {
        let g = build(name, 1).unwrap();
        g.verify().unwrap();
        assert_eq!((macs(&g), parameters(&g)), (m, p), "{name}");
        let types = [&g.inputs, &g.outputs].map(|v| g.value(v[0]).ty.to_string());
        let expected = match name {
            "resnet8" | "binarynet" => ["f32[1,3,32,32]", "f32[1,10]"],
            "segmenter" => ["f32[1,3,64,64]", "f32[1,6,64,64]"],
            _ => ["f32[1,3,224,224]", "f32[1,1000]"],
        };
        assert_eq!(types, expected, "{name}");
    }
}

#[test]
fn a_seed_gives_one_network() {
    let g = build("mobilenet_v2", 7).unwrap();
    assert_eq!(g, build("mobilenet_v2", 7).unwrap());
    assert_ne!(g, build("mobilenet_v2", 8).unwrap());
    // Drawn values must not change between releases either: measurements refer to seeds.
    let first = &g.values.iter().find_map(|v| v.constant.as_ref()).unwrap();
    assert_eq!(
        first.as_f32().unwrap()[..4],
        [-0.45071873, -0.08759578, -0.052422844, -0.1900065]
    );
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let why = build("vgg16", 0).unwrap_err().to_string();
    assert!(
        why.contains("`vgg16`") && why.contains("mobilenet_v2"),
        "{why}"
    );
}

/// Quantization on such a network is only meaningful if no layer vanishes or explodes.
#[test]
fn activations_stay_in_range() {
    for name in ["resnet18", "mobilenet_v2", "mobilenet_v3_small"] {
        let g = build(name, 3).unwrap();
        let image = (0..3 * 224 * 224).map(|i: u32| {
            let noise = i.wrapping_mul(2_654_435_761) >> 8;
            (noise as f32 / (1 << 24) as f32 - 0.5) * 3.46
        });
        let image = Tensor::f32([1, 3, 224, 224], image.collect());
        let mut check = |id: ValueId, t: &Tensor| {
            // A sixth of a value that is checked, which one layer computes together with what follows.
            if g.value(id).name.ends_with(".gate.scaled") {
                return;
            }
            let v = t.as_f32().unwrap();
            let square = v.iter().map(|x| x * x).sum::<f32>() / v.len() as f32;
            assert!(
                (0.005..20.0).contains(&square),
                "{name}: mean square {square} of {}",
                g.value(id).name
            );
        };
        run_with(&g, &[image], &mut check).unwrap();
    }
}
