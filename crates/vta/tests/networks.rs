//! Every network of the data folder and of the zoo: the integer interpreter, fsim and cycle give the same bytes.
//!
//! The large ones take minutes: `cargo test --release -p vta --test networks -- --include-ignored`.

use std::path::PathBuf;

use vta::{Calibration, DeviceKind, Devices, Model, Module, Options, Samples};
use vta_graph::interp;
use vta_isa::{Design, HwConfig};
use vta_program::Place;
use vta_rtl::candidates;
use vta_sim::MemoryModel;

/// Inputs are small enough for every run of the tests.
const SMALL: [&str; 8] = [
    "autoencoder_ad01_f32",
    "dscnn_kws_f32",
    "dscnn_kws_int8_qdq",
    "mnist_8",
    "mobilenetv1_025_vww96_f32",
    "mobilenetv1_025_vww96_int8_qdq",
    "resnet8_cifar10_f32",
    "resnet8_cifar10_int8_qdq",
];
const LARGE: [&str; 4] = [
    "mobilenetv2_imagenet_f32",
    "mobilenetv2_imagenet_int8_qdq_nchw",
    "resnet20_cifar10_f32",
    "squeezenet1_1_imagenet_f32",
];

/// A model of the data folder; says so where there is none.
fn model(name: &str) -> Option<Model> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("VTA_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(format!("models/{name}.onnx"));
    if !path.is_file() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(Model::open(&path).unwrap())
}

fn design(name: &str) -> Design {
    let candidate = candidates().find(|candidate| candidate.name == name);
    let config = HwConfig::from_json(candidate.unwrap().config).unwrap();
    config.design().unwrap()
}

fn agree(model: &Model, design: &Design, what: &str) {
    let calibration = match model.is_quantized() {
        true => Calibration::None,
        false => Calibration::Synthetic { seed: 1 },
    };
    let options = Options {
        design: design.clone(),
        calibration,
        ..Options::default()
    };
    let built = vta::compile(model, &options, &()).unwrap();
    let input = [Samples::noise(2, model.input().unwrap()).get(0).unwrap()];
    let expected = interp::run_graph(&built.integer, &input).unwrap();
    let memory = MemoryModel::default();
    let trace = false;
    let cycle = DeviceKind::Cycle { memory, trace };
    for kind in [DeviceKind::default(), cycle] {
        let devices = Devices::new(design, &kind, &()).unwrap();
        let mut module = Module::load_on(built.program.clone(), &devices).unwrap();
        assert_eq!(module.run(&input).unwrap(), expected, "{what}, {kind:?}");
    }
}

#[test]
fn small_models() {
    for name in SMALL {
        if let Some(model) = model(name) {
            agree(&model, &Design::default(), name);
        }
    }
}

/// Between its first layer and the logits a binarized network is on the accelerator, whatever the blocks.
#[test]
fn binarized() {
    let graph = vta_zoo::build("binarynet", 1).unwrap();
    let model = Model::from_bytes("binarynet", &vta_onnx::export(&graph).unwrap()).unwrap();
    for config in ["signs", "sign_inp"] {
        let design = design(config);
        agree(&model, &design, config);
        let options = Options {
            design,
            ..Options::default()
        };
        let built = vta::compile(&model, &options, &()).unwrap();
        let count = |op: &str, device| {
            let placed = built.program.placement.iter();
            placed.filter(|p| p.op == op && p.device == device).count()
        };
        // Five convolutions and two dense layers; the last layer's results are no signs.
        assert_eq!(
            count("vta.conv", Place::Vta),
            7,
            "{:?}",
            built.program.placement
        );
        assert_eq!(
            (count("conv", Place::Host), count("dense", Place::Host)),
            (1, 1)
        );
    }
}

#[test]
fn eight_designs() {
    let designs = [
        "batch_2",
        "block_8",
        "block_32",
        "block_8_16",
        "wgt_4",
        "acc_16",
        "bus_512",
        "small",
    ];
    for name in ["mnist_8", "dscnn_kws_f32", "resnet8_cifar10_f32"] {
        if let Some(model) = model(name) {
            for config in designs {
                agree(&model, &design(config), &format!("{name} on {config}"));
            }
        }
    }
}

#[test]
#[ignore = "it takes minutes; hardware/nightly.sh networks runs it"]
fn large_models() {
    for name in LARGE {
        if let Some(model) = model(name) {
            agree(&model, &Design::default(), name);
        }
    }
}

#[test]
#[ignore = "it takes minutes; hardware/nightly.sh networks runs it"]
fn zoo() {
    for name in vta_zoo::NAMES {
        let model = Model::from_graph(vta_zoo::build(name, 1).unwrap()).unwrap();
        agree(&model, &Design::default(), name);
    }
}
