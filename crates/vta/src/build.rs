//! From a network to a program.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_compiler::{CompileOptions, Offload, Watch};
use vta_graph::passes::{Island, to_integers_watched};
use vta_graph::quant::{QuantOptions, RangeMethod, RequantMode, Scheme, post_training};
use vta_graph::{DType, Data, Graph, Tensor, TensorType};
use vta_isa::Design;
use vta_program::{Preprocess, Program};

use crate::{Error, Model, Progress, Result};

/// Inputs that synthetic calibration draws.
const SYNTHETIC_INPUTS: usize = 2;

/// Where the ranges of activations come from.
#[derive(Clone, Debug, Default)]
pub enum Calibration {
    /// Nowhere: the network must bring its own scales.
    #[default]
    None,
    /// Typical inputs, each the tensors of one run.
    Inputs(Vec<Vec<Tensor>>),
    /// Noise of variance 1, shaped like the input: for networks without trained weights.
    Synthetic {
        /// Seed of the noise.
        seed: u64,
    },
}

/// What a network is compiled for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The design.
    pub design: Design,
    /// Needed by float networks; the others keep their scales.
    pub calibration: Calibration,
    /// How to quantize; the widths are the design's, whatever these options say.
    pub quant: QuantOptions,
    /// What the compiler may do.
    pub compiler: CompileOptions,
    /// Kept in the program.
    pub preprocess: Option<Preprocess>,
    /// Names of the classes, kept in the program.
    pub labels: Vec<String>,
}

/// A compiled network, and what it was on the way.
#[derive(Clone, Debug)]
pub struct Built {
    /// What a device runs.
    pub program: Program,
    /// The network as it came, prepared.
    pub float: Graph,
    /// The network in exact integers: what the program must equal bit for bit.
    pub integer: Graph,
    /// What stayed in floats, and why.
    pub islands: Vec<Island>,
}

/// A network in exact integers.
pub(crate) struct Integers {
    pub(crate) graph: Graph,
    /// What stayed in floats, and why.
    pub(crate) islands: Vec<Island>,
    /// How it was quantized.
    how: String,
}

/// Quantizes, where the network is not yet.
///
/// # Errors
/// A float network without calibration, inputs that do not fit.
pub(crate) fn integers(
    model: &Model,
    options: &Options,
    progress: &dyn Progress,
    watch: &mut dyn Watch,
) -> Result<Integers> {
    let target = vta_compiler::quant_target(&options.design);
    let mut integer = model.graph().clone();
    let how = if model.is_quantized() {
        "scales of its own".to_owned()
    } else {
        progress.stage("quantizing", 0);
        let quant = QuantOptions {
            target,
            ..options.quant
        };
        let (inputs, source) = calibration(model, &options.calibration)?;
        post_training(&mut integer, &inputs, &quant)?;
        watch.graph("quantize", &integer);
        format!("{source}; {}", choices(&quant))
    };
    let islands = to_integers_watched(&mut integer, &target, &mut |pass, graph| {
        watch.graph(pass, graph)
    })?;
    Ok(Integers {
        graph: integer,
        islands,
        how,
    })
}

/// Quantizes (where the network is not yet) and compiles.
///
/// # Errors
/// A float network without calibration, inputs that do not fit, labels that are not as many as
/// classes; anything else is a bug.
pub fn compile(model: &Model, options: &Options, progress: &dyn Progress) -> Result<Built> {
    compile_watched(model, options, progress, &mut ())
}

/// As [`compile`], while someone watches: `quantize`, the passes to integers, and the compiler's steps.
///
/// # Errors
/// As [`compile`].
pub fn compile_watched(
    model: &Model,
    options: &Options,
    progress: &dyn Progress,
    watch: &mut dyn Watch,
) -> Result<Built> {
    let Integers {
        graph: integer,
        islands,
        how,
    } = integers(model, options, progress, watch)?;
    progress.stage("compiling", 0);
    let compiled =
        vta_compiler::compile_watched(&integer, &options.design, &options.compiler, watch)?;
    let mut program = compiled.program;
    program.notes.insert("quantization".into(), how);
    program.notes.extend(restrictions(&options.compiler));
    if !model.notes().is_empty() {
        let assumed = model.notes().join("; ");
        program.notes.insert("import".into(), assumed);
    }
    program.preprocess = options.preprocess.clone();
    program.labels = labels(&integer, &options.labels)?;
    Ok(Built {
        program,
        float: model.graph().clone(),
        integer,
        islands,
    })
}

/// The inputs to calibrate with, and what to say of them.
fn calibration(model: &Model, calibration: &Calibration) -> Result<(Vec<Vec<Tensor>>, String)> {
    match calibration {
        Calibration::None => Err(Error::input(format!(
            "the network `{}` is of floats and must be calibrated",
            model.graph().name
        ))
        .help(
            "give typical inputs with --calib DIR or --calib FILE.npy; or, where the weights are \
             not trained either, noise with --calib synthetic:SEED",
        )),
        Calibration::Inputs(inputs) => Ok((
            inputs.clone(),
            format!("calibrated on {} inputs", inputs.len()),
        )),
        &Calibration::Synthetic { seed } => {
            let source = format!(
                "calibrated on synthetic noise of seed {seed}, not on data: its accuracy means \
                 nothing"
            );
            Ok((noise(model.graph(), seed), source))
        }
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

fn choices(quant: &QuantOptions) -> String {
    let method = match quant.method {
        RangeMethod::Max => "whole ranges".to_owned(),
        RangeMethod::Percentile(share) => format!("ranges of {share} of the values"),
        RangeMethod::Mse => "ranges of least squared error".to_owned(),
        RangeMethod::Entropy => "ranges of least divergence".to_owned(),
    };
    let scheme = match quant.scheme {
        Scheme::Symmetric => "symmetric",
        Scheme::Asymmetric => "asymmetric",
    };
    let mode = match quant.mode {
        RequantMode::Multiply => "multiply and shift",
        RequantMode::ChannelShift => "a shift for each channel",
        RequantMode::Shift => "shift",
    };
    format!("{scheme}, {method}, {mode}")
}

/// A network compiled again, as `options` tell the compiler.
pub(crate) fn recompile(built: &Built, options: &Options) -> Result<Program> {
    let compiled = vta_compiler::compile_with(&built.integer, &options.design, &options.compiler)?;
    Ok(Program {
        notes: built.program.notes.clone(),
        ..compiled.program
    })
}

/// What the compiler was not allowed to do.
fn restrictions(options: &CompileOptions) -> Vec<(String, String)> {
    let offload = match options.offload {
        Offload::All => None,
        Offload::Conv => Some("convolutions alone"),
        Offload::None => Some("nothing"),
    };
    let hiding = (!options.latency_hiding).then_some("off");
    [("offload", offload), ("latency hiding", hiding)]
        .into_iter()
        .filter_map(|(what, note)| Some((what.to_owned(), note?.to_owned())))
        .collect()
}

/// The names of the classes, if they are as many.
fn labels(graph: &Graph, labels: &[String]) -> Result<Vec<String>> {
    let classes = graph
        .outputs
        .first()
        .map_or(0, |&v| graph.value(v).ty.len());
    if !labels.is_empty() && labels.len() != classes {
        return Err(Error::input(format!(
            "{} labels for a network of {classes} classes",
            labels.len()
        ))
        .help("give one label a line, in the order of the classes"));
    }
    Ok(labels.to_vec())
}
