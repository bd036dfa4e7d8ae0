//! From a float network to the scales of its integers, and the file that keeps them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use vta_graph::passes::{to_integers, unsigned_to_signed};
use vta_graph::quant::{
    QuantOptions, QuantReport, QuantTarget, RequantMode, post_training, report,
};
use vta_graph::text::{self, PrintOptions, RangesFile};
use vta_graph::{DType, Data, Graph, Tensor, TensorType};
use vta_isa::{Design, Feature};

use crate::{Calibration, Error, Model, Options, Progress, Result};

/// Inputs that synthetic calibration draws.
const SYNTHETIC_INPUTS: usize = 2;

/// Quantizes a float network, or takes the ranges that it was given. [`crate::compile`] starts
/// with it.
///
/// # Errors
/// A network that brings its own scales; no calibration, or inputs that do not fit; ranges of
/// another network or other widths.
pub fn quantize(model: &Model, options: &Options, progress: &dyn Progress) -> Result<RangesFile> {
    if model.is_quantized() {
        return Err(Error::input(format!(
            "the network `{}` brings scales of its own",
            model.graph().name
        ))
        .help("compile it as it is, without ranges"));
    }
    let target = vta_compiler::quant_target(&options.design);
    let (inputs, source) = match &options.calibration {
        Calibration::None => return Err(uncalibrated(model)),
        Calibration::Ranges(file) => return fitting(model, target, file),
        Calibration::Inputs(inputs) => (
            inputs.clone(),
            format!("calibrated on {} inputs", inputs.len()),
        ),
        &Calibration::Synthetic { seed } => {
            let source = format!(
                "calibrated on synthetic noise of seed {seed}, not on data: its accuracy means \
                 nothing"
            );
            (noise(model.graph(), seed), source)
        }
    };
    progress.stage("quantizing", 0);
    // Where stores rescale, a multiplier costs no operation.
    let multiplies = options.design.has(Feature::RequantStore);
    let free = multiplies.then_some(RequantMode::Multiply);
    let quant = QuantOptions {
        target,
        mode: options.quant.mode.or(free),
        ..options.quant
    };
    Ok(RangesFile {
        model: digest(model.graph()),
        note: format!("{source}; {quant}"),
        quantization: post_training(model.graph(), &inputs, &quant)?,
    })
}

/// What quantization for a design loses on these inputs, layer by layer: with these ranges, or with
/// the scales that the network brings.
///
/// # Errors
/// Ranges of another network, inputs that do not fit.
pub fn quant_report(
    model: &Model,
    ranges: Option<&RangesFile>,
    design: &Design,
    inputs: &[Vec<Tensor>],
) -> Result<QuantReport> {
    let mut quantized = model.graph().clone();
    let mut float = None;
    if let Some(ranges) = ranges {
        let mut equalized = quantized.clone();
        ranges.quantization.equalize(&mut equalized)?;
        float = Some(equalized);
        ranges.quantization.apply(&mut quantized)?;
    }
    unsigned_to_signed::run(&mut quantized)?;
    let mut integer = quantized.clone();
    to_integers(&mut integer, &vta_compiler::quant_target(design))?;
    Ok(report(float.as_ref(), &quantized, &integer, inputs)?)
}

/// Reads a file of ranges.
pub fn parse_ranges(text: &str) -> Result<RangesFile> {
    text::parse_ranges(text).map_err(|error| {
        Error::input(format!("no ranges: {error}"))
            .help("give a file that `vta quantize` wrote, complete and unchanged")
    })
}

/// The ranges, if they are those of the network.
fn fitting(model: &Model, target: QuantTarget, file: &RangesFile) -> Result<RangesFile> {
    let again = "quantize again, with vta quantize";
    if file.model != digest(model.graph()) {
        return Err(Error::input(format!(
            "the ranges are of another network than `{}`, or of another version of it",
            model.graph().name
        ))
        .help(again));
    }
    let widths = |t: QuantTarget| {
        let sums = if t.residuals { "" } else { "out" };
        format!(
            "inputs of {} bits, weights of {} and accumulators of {}, with{sums} residuals in sums",
            t.inp_bits, t.wgt_bits, t.acc_bits
        )
    };
    if file.quantization.target != target {
        return Err(Error::input(format!(
            "the ranges are for {}, the design has {}",
            widths(file.quantization.target),
            widths(target)
        ))
        .help("quantize for this design, with vta quantize --config"));
    }
    Ok(file.clone())
}

fn uncalibrated(model: &Model) -> Error {
    Error::input(format!(
        "the network `{}` is of floats and must be calibrated",
        model.graph().name
    ))
    .help(
        "give typical inputs with --calib DIR or --calib FILE.npy; or, where the weights are \
         not trained either, noise with --calib synthetic:SEED",
    )
}

/// Tells prepared networks apart, whatever their files are called.
fn digest(graph: &Graph) -> String {
    let mut structure = graph.clone();
    structure.name.clear();
    let mut hash = Sha256::new();
    hash.update(text::print(&structure, PrintOptions { data: false }));
    for value in &graph.values {
        let Some(constant) = &value.constant else {
            continue;
        };
        match constant.data() {
            Data::F32(v) => hash_each(&mut hash, v, |x| x.to_le_bytes()),
            Data::I64(v) => hash_each(&mut hash, v, |x| x.to_le_bytes()),
            Data::I32(v) => hash_each(&mut hash, v, |x| x.to_le_bytes()),
            Data::I8(v) => hash_each(&mut hash, v, |x| x.to_le_bytes()),
            Data::U8(v) => hash.update(v),
        }
    }
    let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

fn hash_each<T: Copy, const N: usize>(hash: &mut Sha256, values: &[T], bytes: fn(T) -> [u8; N]) {
    const AT_ONCE: usize = 4096;
    let mut buffer = [[0; N]; AT_ONCE];
    for part in values.chunks(AT_ONCE) {
        for (to, &value) in buffer.iter_mut().zip(part) {
            *to = bytes(value);
        }
        hash.update(buffer[..part.len()].as_flattened());
    }
}

fn noise(graph: &Graph, seed: u64) -> Vec<Vec<Tensor>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut run = || {
        let inputs = graph.inputs.iter().map(|&v| &graph.value(v).ty);
        inputs.map(|ty| synthetic(ty, &mut rng)).collect()
    };
    (0..SYNTHETIC_INPUTS).map(|_| run()).collect()
}

/// Noise of mean 0 and variance 1 for floats, of all values for integers.
pub(crate) fn synthetic(ty: &TensorType, rng: &mut impl Rng) -> Tensor {
    match ty.dtype.range() {
        Some((lo, hi)) => {
            let values: Vec<i64> = (0..ty.len()).map(|_| rng.random_range(lo..=hi)).collect();
            Tensor::from_ints(ty.dtype, ty.shape.clone(), &values)
        }
        None if ty.dtype == DType::Bool => {
            let values = (0..ty.len()).map(|_| rng.random_range(0..=1));
            Tensor::new(ty.clone(), Data::U8(values.collect()))
        }
        None => {
            let limit = 3f32.sqrt();
            let values = (0..ty.len()).map(|_| rng.random_range(-limit..limit));
            Tensor::f32(ty.shape.clone(), values.collect())
        }
    }
}
