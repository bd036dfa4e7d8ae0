//! What quantization costs: the data folder's models in floats and in exact integers.
//!
//! `cargo run --release -p vta-onnx --example accuracy -- [OPTIONS] [MODEL...]`
//!
//! Float models are calibrated on `calib/SET`, models that are quantized already keep their
//! scales; both are scored on `dev/SET`. Models of ImageNet, whose inputs are photographs to
//! be decoded, are calibrated on one recorded input and compared on the other.
//!
//! Options: `--method max|mse|entropy|SHARE`, `--symmetric`, `--shift`, `--no-equalize`,
//! `--no-bias-correction`, `--bits INP,WGT,ACC`, `-n IMAGES`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use vta_graph::interp::Interpreter;
use vta_graph::passes::{prepare, to_integers};
use vta_graph::quant::{
    QuantOptions, QuantTarget, RangeMethod, RequantMode, Scheme, post_training,
};
use vta_graph::{DType, Graph, Tensor};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A model, its data set, and what makes its input of a pixel or feature: `(x - mean) * scale`.
struct Model {
    name: &'static str,
    set: &'static str,
    mean: &'static [f32],
    scale: &'static [f32],
}

const fn model(name: &'static str, set: &'static str) -> Model {
    affine(name, set, &[0.0], &[1.0])
}

const fn affine(
    name: &'static str,
    set: &'static str,
    mean: &'static [f32],
    scale: &'static [f32],
) -> Model {
    Model {
        name,
        set,
        mean,
        scale,
    }
}

const MODELS: &[Model] = &[
    model("resnet8_cifar10_f32", "cifar10"),
    affine("resnet8_cifar10_int8_qdq", "cifar10", &[128.0], &[1.0]),
    affine(
        "resnet20_cifar10_f32",
        "cifar10",
        &[255.0 * 0.485, 255.0 * 0.456, 255.0 * 0.406],
        &[
            1.0 / (255.0 * 0.229),
            1.0 / (255.0 * 0.224),
            1.0 / (255.0 * 0.225),
        ],
    ),
    affine("mobilenetv1_025_vww96_f32", "vww96", &[0.0], &[1.0 / 255.0]),
    affine("mobilenetv1_025_vww96_int8_qdq", "vww96", &[128.0], &[1.0]),
    affine("dscnn_kws_f32", "kws", &[83.0], &[0.584_702_9]),
    model("dscnn_kws_int8_qdq", "kws"),
    model("mnist_8", "mnist"),
    model("squeezenet1_1_imagenet_f32", ""),
    model("mobilenetv2_imagenet_f32", ""),
    model("mobilenetv2_imagenet_int8_qdq_nchw", ""),
];

fn main() -> Fallible<()> {
    let dir = env::var_os("VTA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if !dir.join("models").is_dir() {
        println!("skipped: no {}", dir.display());
        return Ok(());
    }
    let (options, images, names) = arguments()?;
    println!(
        "{:34} {:>6} {:>6} {:>6} {:>8} {:>8}",
        "model", "float", "int", "agree", "SNR dB", "seconds"
    );
    for model in MODELS {
        if names.is_empty() || names.iter().any(|n| model.name.contains(n.as_str())) {
            measure(&dir, model, &options, images)?;
        }
    }
    Ok(())
}

fn arguments() -> Fallible<(QuantOptions, usize, Vec<String>)> {
    let (mut options, mut images, mut names) = (QuantOptions::default(), usize::MAX, Vec::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--method" => {
                options.method = match value()?.as_str() {
                    "max" => RangeMethod::Max,
                    "mse" => RangeMethod::Mse,
                    "entropy" => RangeMethod::Entropy,
                    share => RangeMethod::Percentile(share.parse()?),
                }
            }
            "--symmetric" => options.scheme = Scheme::Symmetric,
            "--shift" => options.mode = Some(RequantMode::Shift),
            "--no-equalize" => options.equalize = false,
            "--no-balance" => options.balance = false,
            "--no-bias-correction" => options.correct_bias = false,
            "--bits" => {
                let bits: Result<Vec<u32>, _> = value()?.split(',').map(str::parse).collect();
                let &[inp_bits, wgt_bits, acc_bits] = bits?.as_slice() else {
                    return Err("--bits takes three numbers".into());
                };
                options.target = QuantTarget {
                    inp_bits,
                    wgt_bits,
                    acc_bits,
                    ..options.target
                };
            }
            "-n" => images = value()?.parse()?,
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}").into()),
            _ => names.push(arg),
        }
    }
    Ok((options, images, names))
}

fn measure(dir: &Path, model: &Model, options: &QuantOptions, images: usize) -> Fallible<()> {
    let bytes = fs::read(dir.join("models").join(format!("{}.onnx", model.name)))?;
    let mut float = vta_onnx::import(&bytes)?.graph;
    prepare(&mut float)?;
    let (calibration, inputs, labels) = data(dir, model, &float, images)?;

    let start = Instant::now();
    let mut integer = float.clone();
    if !model.name.contains("qdq") {
        post_training(&float, &calibration, options)?.apply(&mut integer)?;
    }
    let islands = to_integers(&mut integer, &options.target)?;
    integer.verify()?;
    let seconds = start.elapsed().as_secs_f64();

    let (float, integer) = (Interpreter::new(float)?, Interpreter::new(integer)?);
    let (mut float_hits, mut integer_hits, mut agree) = (0, 0, 0);
    let (mut signal, mut noise) = (0.0, 0.0);
    for (i, input) in inputs.iter().enumerate() {
        let [a, b] = [
            &reals(&float.run(input)?[0]),
            &reals(&integer.run(input)?[0]),
        ];
        let (top_a, top_b) = (top(a), top(b));
        agree += usize::from(top_a == top_b);
        float_hits += usize::from(labels.get(i) == Some(&top_a));
        integer_hits += usize::from(labels.get(i) == Some(&top_b));
        let square = |v: f32| f64::from(v).powi(2);
        signal += a.iter().map(|&v| square(v)).sum::<f64>();
        noise += a.iter().zip(b).map(|(a, b)| square(a - b)).sum::<f64>();
    }
    let share = |hits: usize| hits as f64 / inputs.len() as f64;
    println!(
        "{:34} {:6.4} {:6.4} {:6.4} {:8.2} {:8.2}",
        model.name,
        share(float_hits),
        share(integer_hits),
        share(agree),
        10.0 * (signal / noise).log10(),
        seconds
    );
    for island in islands {
        println!(
            "  in floats: {} ({}): {}",
            island.node, island.op, island.why
        );
    }
    Ok(())
}

type Runs = Vec<Vec<Tensor>>;

/// Calibration inputs, inputs to score, and their labels.
fn data(
    dir: &Path,
    model: &Model,
    graph: &Graph,
    images: usize,
) -> Fallible<(Runs, Runs, Vec<usize>)> {
    if model.set.is_empty() {
        let golden = dir.join("golden").join(model.name);
        let one = |file| -> Fallible<Runs> {
            let (shape, values) = read(&golden.join(file))?;
            Ok(vec![vec![Tensor::f32(shape, values)]])
        };
        return Ok((one("in1.npy")?, one("in0.npy")?, Vec::new()));
    }
    let dev = dir.join("dev").join(model.set);
    let (_, labels) = read(&dev.join("y.npy"))?;
    let labels = labels.into_iter().map(|y| y as usize).collect();
    let calibration = preprocess(&dir.join("calib").join(model.set), model, graph, usize::MAX)?;
    Ok((calibration, preprocess(&dev, model, graph, images)?, labels))
}

fn preprocess(set: &Path, model: &Model, graph: &Graph, images: usize) -> Fallible<Runs> {
    let (shape, values) = read(&set.join("x.npy"))?;
    let ty = &graph.value(graph.inputs[0]).ty;
    let channels = if shape.len() == 4 { shape[3] } else { 1 };
    let image = shape[1..].iter().product();
    let runs = values.chunks(image).take(images).map(|pixels| {
        let at = |i: usize| {
            let c = i % channels;
            (pixels[i] - model.mean[c % model.mean.len()]) * model.scale[c % model.scale.len()]
        };
        let tensor = match ty.dtype {
            DType::F32 => {
                let plane = image / channels;
                let nchw = (0..image).map(|i| at(i % plane * channels + i / plane));
                Tensor::f32(ty.shape.clone(), nchw.collect())
            }
            // Quantized models take their images channels last.
            dtype => {
                let integers: Vec<i64> = (0..image).map(|i| at(i) as i64).collect();
                Tensor::from_ints(dtype, ty.shape.clone(), &integers)
            }
        };
        vec![tensor]
    });
    Ok(runs.collect())
}

fn read(path: &Path) -> Fallible<(Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let npy = npyz::NpyFile::new(&bytes[..])?;
    let shape = npy.shape().iter().map(|&d| d as usize).collect();
    let values = match npy.dtype().descr().trim_matches(['\'', '"']) {
        "<f4" => npy.into_vec::<f32>()?,
        "|u1" => npy.into_vec::<u8>()?.into_iter().map(f32::from).collect(),
        "|i1" => npy.into_vec::<i8>()?.into_iter().map(f32::from).collect(),
        "<u2" => npy.into_vec::<u16>()?.into_iter().map(f32::from).collect(),
        other => return Err(format!("{}: element type {other}", path.display()).into()),
    };
    Ok((shape, values))
}

fn reals(tensor: &Tensor) -> Vec<f32> {
    let integers = || tensor.to_ints().unwrap_or_default();
    match tensor.as_f32() {
        Some(v) => v.to_vec(),
        None => integers().into_iter().map(|v| v as f32).collect(),
    }
}

fn top(v: &[f32]) -> usize {
    let best = |a: usize, b: usize| if v[b] > v[a] { b } else { a };
    (0..v.len()).reduce(best).unwrap_or(0)
}
