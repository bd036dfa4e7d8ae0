//! What the commands on networks share: how one is read, quantized and fed.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use vta::{
    Built, Calibration, CompileOptions, Error, Model, Offload, Options, Recipe, Result, Samples,
    digits,
};
use vta_compiler::Watch;
use vta_graph::quant::{QuantOptions, RangeMethod, RequantMode, Scheme};
use vta_isa::Design;
use vta_program::Program;

use super::Target;
use crate::bar::Bar;
use crate::parse::{Source, fraction, method, source};

/// How a network becomes a program.
#[derive(Args)]
pub(super) struct Compilation {
    /// Typical inputs that tell a float network's ranges: a folder, an .npy file or a photo; or
    /// noise, for networks without trained weights.
    #[arg(long, value_name = "DIR|FILE|synthetic:SEED", value_parser = source)]
    calib: Option<Source>,
    /// The scales of a float network, from vta quantize: instead of --calib and of what tells how to
    /// quantize.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["calib", "Quantization"])]
    ranges: Option<PathBuf>,
    /// The names of the classes, one a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    pixels: Pixels,
    #[command(flatten)]
    quantization: Quantization,
    #[command(flatten)]
    restrictions: Restrictions,
    #[command(flatten)]
    target: Target,
}

/// From raw data to the network's input: value = (x * scale - mean) / std.
#[derive(Args)]
#[command(next_help_heading = "Preprocessing")]
struct Pixels {
    /// Multiplier of raw data, as a number or a fraction such as 1/255 [default: 1].
    #[arg(long, value_name = "S", value_parser = fraction, allow_hyphen_values = true)]
    scale: Option<f64>,
    /// Subtracted after scaling: one for all channels, or one for each.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = fraction)]
    #[arg(allow_hyphen_values = true)]
    mean: Vec<f64>,
    /// Divisor after that: one for all channels, or one for each.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = fraction)]
    #[arg(allow_hyphen_values = true)]
    std: Vec<f64>,
    /// Short side of photos before the middle is cut out [default: 8/7 of the input].
    #[arg(long, value_name = "PIXELS")]
    resize: Option<u32>,
}

/// How a float network becomes one of integers.
#[derive(Args)]
#[group(id = "Quantization", multiple = true)]
#[command(next_help_heading = "Quantization of float networks")]
struct Quantization {
    /// What of an activation's values integers cover: mse (least squared error; the default),
    /// max (all), entropy (least divergence), or a share of the values such as 0.9999.
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<RangeMethod>,
    /// Where zero lies in the integers [default: asymmetric].
    #[arg(long, value_name = "SCHEME")]
    zero: Option<Zero>,
    /// How scales are carried out [default: channel-shift, or multiply on designs with requant_store].
    #[arg(long, value_name = "HOW")]
    requant: Option<Requant>,
    /// Give all weights of a layer one scale, not one for each output channel.
    #[arg(long)]
    per_layer: bool,
    /// Leave the ranges of channels as they are.
    #[arg(long)]
    no_equalize: bool,
    /// Round each weight to the nearest integer.
    #[arg(long)]
    no_balance: bool,
    /// Leave biases as they are.
    #[arg(long)]
    no_bias_correction: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Zero {
    /// In the middle.
    Symmetric,
    /// Wherever the range has it.
    Asymmetric,
}

#[derive(Clone, Copy, ValueEnum)]
enum Requant {
    /// By a multiplier for each channel and a shift.
    Multiply,
    /// By a shift for each channel.
    ChannelShift,
    /// By a shift alone.
    Shift,
}

/// What the compiler may do. Results are the same, bit for bit.
#[derive(Args)]
#[command(next_help_heading = "Compilation")]
struct Restrictions {
    /// Which operators may leave the host [default: all].
    #[arg(long, value_name = "WHICH")]
    offload: Option<Operators>,
    /// Whether transfers overlap computation [default: on].
    #[arg(long, value_name = "WHETHER")]
    latency_hiding: Option<Switch>,
    /// A log of schedules found before. What it lacks is searched and added; without one, the search is
    /// repeated each time, with the same result.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Operators {
    /// None.
    None,
    /// Convolutions alone.
    Conv,
    /// All that the accelerator can run.
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    /// Load, compute and store take turns.
    Off,
    /// Each waits only for what it needs.
    On,
}

impl Restrictions {
    fn options(&self) -> CompileOptions {
        let default = CompileOptions::default();
        CompileOptions {
            offload: self.offload.map_or(default.offload, |which| match which {
                Operators::None => Offload::None,
                Operators::Conv => Offload::Conv,
                Operators::All => Offload::All,
            }),
            latency_hiding: self
                .latency_hiding
                .map_or(default.latency_hiding, |switch| {
                    matches!(switch, Switch::On)
                }),
            ..default
        }
    }
}

impl Quantization {
    fn options(&self) -> QuantOptions {
        let default = QuantOptions::default();
        QuantOptions {
            method: self.method.unwrap_or(default.method),
            scheme: self.zero.map_or(default.scheme, |zero| match zero {
                Zero::Symmetric => Scheme::Symmetric,
                Zero::Asymmetric => Scheme::Asymmetric,
            }),
            mode: self.requant.map(|requant| match requant {
                Requant::Multiply => RequantMode::Multiply,
                Requant::ChannelShift => RequantMode::ChannelShift,
                Requant::Shift => RequantMode::Shift,
            }),
            per_channel: default.per_channel && !self.per_layer,
            equalize: default.equalize && !self.no_equalize,
            balance: default.balance && !self.no_balance,
            correct_bias: default.correct_bias && !self.no_bias_correction,
            ..default
        }
    }
}

impl Pixels {
    /// What is said here; what is not, as in `otherwise`.
    fn recipe(&self, otherwise: Recipe) -> Recipe {
        let or = |given: &Vec<f64>, otherwise: Vec<f64>| match given.is_empty() {
            true => otherwise,
            false => given.clone(),
        };
        Recipe {
            scale: self.scale.or(otherwise.scale),
            mean: or(&self.mean, otherwise.mean),
            std: or(&self.std, otherwise.std),
            short_side: self.resize.or(otherwise.short_side),
        }
    }
}

/// A network and how it is to be compiled.
pub(super) struct Job {
    pub(super) model: Model,
    pub(super) options: Options,
    /// Where the schedules that were found are kept.
    records: Option<PathBuf>,
}

impl Compilation {
    /// The network of a file.
    pub(super) fn open(&self, path: &Path) -> Result<Job> {
        self.open_watched(path, &mut ())
    }

    /// The same, while someone watches the passes that prepare it.
    pub(super) fn open_watched(&self, path: &Path, watch: &mut dyn Watch) -> Result<Job> {
        let model = Model::open_watched(path, watch)?;
        self.job(
            model,
            Recipe::default(),
            |_| Ok(Calibration::None),
            Vec::new(),
        )
    }

    /// The digits network, which brings what it needs.
    pub(super) fn digits(&self) -> Result<Job> {
        let (model, recipe) = (digits::model()?, digits::recipe());
        self.job(model, recipe, digits::calibration, digits::labels())
    }

    /// The design that networks are compiled for.
    pub(super) fn design(&self) -> Result<Design> {
        self.target.design()
    }

    /// The design for a program that is compiled already: its own, unless another one is named.
    pub(super) fn design_of(&self, program: &Program) -> Result<Design> {
        let recipe = self.pixels.recipe(Recipe::default());
        let tells_how = recipe != Recipe::default()
            || self.quantization.options() != QuantOptions::default()
            || self.restrictions.options() != CompileOptions::default()
            || self.restrictions.records.is_some();
        if tells_how || self.calib.is_some() || self.ranges.is_some() || self.labels.is_some() {
            return Err(Error::input("the network is compiled already").help(
                "leave out what tells how (--calib, --ranges, --labels, preprocessing, quantization, --offload, --latency-hiding, --records), or give the ONNX file",
            ));
        }
        match self.target.config.as_str() {
            Target::DEFAULT => Ok(program.config.clone().design()?),
            name => vta::design(name),
        }
    }

    /// Refuses what only a compilation takes.
    ///
    /// # Errors
    /// Names the first such option that was given.
    pub(super) fn only_quantizes(&self) -> Result<()> {
        let restrictions = &self.restrictions;
        let given = [
            ("--labels", self.labels.is_some()),
            ("--offload", restrictions.offload.is_some()),
            ("--latency-hiding", restrictions.latency_hiding.is_some()),
            ("--records", restrictions.records.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::input(format!(
                "{option} is for compiling, and quantize compiles nothing"
            ))
            .help(format!("leave out {option}, or give it to vta compile"))),
            None => Ok(()),
        }
    }

    /// Which of the options that tell how to quantize was given.
    fn quantizes_by(&self) -> Option<&'static str> {
        let Quantization {
            method,
            zero,
            requant,
            per_layer,
            no_equalize,
            no_balance,
            no_bias_correction,
        } = &self.quantization;
        let given = [
            ("--ranges", self.ranges.is_some()),
            ("--calib", self.calib.is_some()),
            ("--method", method.is_some()),
            ("--zero", zero.is_some()),
            ("--requant", requant.is_some()),
            ("--per-layer", *per_layer),
            ("--no-equalize", *no_equalize),
            ("--no-balance", *no_balance),
            ("--no-bias-correction", *no_bias_correction),
        ];
        given
            .into_iter()
            .find(|(_, given)| *given)
            .map(|(option, _)| option)
    }

    /// The ranges of the file that was given.
    fn ranges(&self) -> Result<Calibration> {
        let path = self.ranges.as_deref().unwrap_or(Path::new(""));
        let file = vta::parse_ranges(&vta::read_text(path)?);
        let file = file.map_err(|e| e.at(path.display()))?;
        Ok(Calibration::Ranges(Box::new(file)))
    }

    fn job(
        &self,
        model: Model,
        recipe: Recipe,
        calibration: impl Fn(&Model) -> Result<Calibration>,
        labels: Vec<String>,
    ) -> Result<Job> {
        let design = self.target.design()?;
        // A network of several inputs has no recipe: files cannot feed it, noise can calibrate it.
        let preprocess = match model.input() {
            Ok(_) => Some(self.pixels.recipe(recipe).resolve(&model)?),
            Err(_) => None,
        };
        let calibration = match &self.calib {
            _ if model.is_quantized() => match self.quantizes_by() {
                Some(option) => {
                    let name = &model.graph().name;
                    let error = format!("the network `{name}` brings scales of its own");
                    return Err(Error::input(error).help(format!("leave out {option}")));
                }
                None => Calibration::None,
            },
            _ if self.ranges.is_some() => self.ranges()?,
            None => calibration(&model)?,
            &Some(Source::Synthetic(seed)) => Calibration::Synthetic { seed },
            Some(Source::Path(path)) => {
                let (ty, preprocess) = (model.input()?, preprocess.as_ref());
                let preprocess = preprocess.cloned().unwrap_or_default();
                Calibration::Inputs(Samples::open(path, &preprocess, ty)?.all()?)
            }
        };
        let labels = match &self.labels {
            Some(path) => vta::read_labels(path)?,
            None => labels,
        };
        let mut compiler = self.restrictions.options();
        let records = self.restrictions.records.clone();
        if let Some(path) = &records {
            compiler.records = vta::read_records(path)?;
        }
        Ok(Job {
            records,
            options: Options {
                design,
                calibration,
                quant: self.quantization.options(),
                compiler,
                preprocess,
                labels,
            },
            model,
        })
    }
}

impl Job {
    pub(super) fn compile(&self, bar: &Bar) -> Result<Built> {
        self.compile_watched(bar, &mut ())
    }

    pub(super) fn compile_watched(&self, bar: &Bar, watch: &mut dyn Watch) -> Result<Built> {
        let built = vta::compile_watched(&self.model, &self.options, bar, watch)?;
        if let Some(path) = &self.records {
            let mut records = self.options.compiler.records.clone();
            records.merge(built.records.clone());
            if records != self.options.compiler.records {
                vta::write(path, records.to_string().as_bytes())?;
            }
        }
        Ok(built)
    }
}
