//! The models of the data folder: every convolution and dense layer on the accelerator, bit for
//! bit as the integer network has it. How accurate they are is for `vta eval` to measure.

use std::path::PathBuf;

use vta::{Calibration, DeviceKind, Devices, Model, Options, Recipe, Samples};
use vta_graph::{Graph, Op};
use vta_isa::Design;

const CALIBRATION_INPUTS: usize = 8;
const INPUTS: usize = 3;

/// The data folder; says so where there is none.
fn data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("VTA_DATA").map_or_else(beside, PathBuf::from);
    let found = folder.join("models").is_dir();
    if !found {
        eprintln!("skipped: there is no {}", folder.display());
    }
    found.then_some(folder)
}

fn recipe(scale: f64, mean: &[f64], std: &[f64]) -> Recipe {
    Recipe {
        scale: Some(scale),
        mean: mean.to_vec(),
        std: std.to_vec(),
        ..Recipe::default()
    }
}

fn imagenet() -> Recipe {
    recipe(1.0 / 255.0, &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
}

/// Convolutions and dense layers: in integers, and in floats.
fn layers(graph: &Graph) -> [usize; 2] {
    let count = |is: fn(&Op) -> bool| graph.nodes.iter().filter(|n| is(&n.op)).count();
    [
        count(|op| matches!(op, Op::QConv(..) | Op::QDense(_))),
        count(|op| matches!(op, Op::Conv(_) | Op::Dense | Op::MatMul)),
    ]
}

fn check(name: &str, calibration: &str, set: &str, recipe: &Recipe) {
    let Some(data) = data() else { return };
    let model = Model::open(&data.join(format!("models/{name}.onnx"))).unwrap();
    let (preprocess, ty) = (recipe.resolve(&model).unwrap(), model.input().unwrap());
    let open = |path: &str| Samples::open(&data.join(path), &preprocess, ty).unwrap();
    let calibration = match model.is_quantized() {
        true => Calibration::None,
        false => {
            let samples = open(calibration);
            let inputs = (0..CALIBRATION_INPUTS).map(|i| vec![samples.get(i).unwrap()]);
            Calibration::Inputs(inputs.collect())
        }
    };
    let options = Options {
        calibration,
        preprocess: Some(preprocess.clone()),
        ..Options::default()
    };
    let built = vta::compile(&model, &options, &()).unwrap();
    let [integer, float] = layers(&built.integer);
    let on_vta = built
        .program
        .placement
        .iter()
        .filter(|p| p.op == "vta.conv")
        .count();
    assert!(integer > 0 && float == 0, "{:?}", built.islands);
    assert_eq!(on_vta, integer, "{:#?}", built.program.placement);
    let devices = Devices::new(&Design::default(), &DeviceKind::default(), &()).unwrap();
    let result = vta::evaluate(&built, &open(set), INPUTS, &devices, &()).unwrap();
    assert!(result.bit_exact, "{result:?}");
}

#[test]
fn cifar10() {
    check(
        "resnet8_cifar10_f32",
        "calib/cifar10",
        "dev/cifar10",
        &Recipe::default(),
    );
    check(
        "resnet8_cifar10_int8_qdq",
        "",
        "dev/cifar10",
        &Recipe::default(),
    );
    check(
        "resnet20_cifar10_f32",
        "calib/cifar10",
        "dev/cifar10",
        &imagenet(),
    );
}

#[test]
fn mnist() {
    check("mnist_8", "calib/mnist", "dev/mnist", &Recipe::default());
}

#[test]
fn keywords() {
    let recipe = recipe(1.0, &[83.0], &[1.0 / 0.584_702_908_992_767_3]);
    check("dscnn_kws_f32", "calib/kws", "dev/kws", &recipe);
    check("dscnn_kws_int8_qdq", "", "dev/kws", &Recipe::default());
}

#[test]
fn wake_words() {
    let recipe = recipe(1.0 / 255.0, &[], &[]);
    check(
        "mobilenetv1_025_vww96_f32",
        "calib/vww96",
        "dev/vww96",
        &recipe,
    );
    check(
        "mobilenetv1_025_vww96_int8_qdq",
        "",
        "dev/vww96",
        &Recipe::default(),
    );
}

#[test]
fn anomalies() {
    check(
        "autoencoder_ad01_f32",
        "dev/ad01",
        "dev/ad01",
        &Recipe::default(),
    );
}

#[test]
fn photographs() {
    check(
        "mobilenetv2_imagenet_int8_qdq_nchw",
        "",
        "dev/photos_cc",
        &imagenet(),
    );
}
