//! From a network to a program.

use vta_compiler::records::Records;
use vta_compiler::{CompileOptions, Offload, Watch};
use vta_graph::passes::{Island, to_integers_watched};
use vta_graph::quant::QuantOptions;
use vta_graph::text::RangesFile;
use vta_graph::{Graph, Tensor};
use vta_isa::Design;
use vta_program::{Preprocess, Program};

use crate::{Error, Model, Progress, Result, quantize};

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
    /// What [`quantize`] decided before.
    Ranges(Box<RangesFile>),
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
    /// The schedules that were found.
    pub records: Records,
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
/// Those of [`quantize`] for a float network.
pub(crate) fn integers(
    model: &Model,
    options: &Options,
    progress: &dyn Progress,
    watch: &mut dyn Watch,
) -> Result<Integers> {
    let mut integer = model.graph().clone();
    let how = if model.is_quantized() {
        "scales of its own".to_owned()
    } else {
        let ranges = quantize(model, options, progress)?;
        let applied = ranges.quantization.apply(&mut integer);
        applied.map_err(|e| Error::from(e).at("ranges"))?;
        watch.graph("quantize", &integer);
        ranges.note
    };
    let target = vta_compiler::quant_target(&options.design);
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
/// Those of [`quantize`] for a float network, labels that are not as many as classes; anything else is a bug.
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
        records: compiled.records,
    })
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
