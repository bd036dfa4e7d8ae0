//! `vta run`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use vta::{Built, Error, Judge, Judgement, Preprocess, Result, Samples, digits, score};
use vta_graph::{Tensor, TensorType};

use super::device::OnDevice;
use super::network::{Compilation, Job};
use super::runs::{self, Runs};
use crate::bar::Bar;
use crate::parse::{Source, source};
use crate::{output, report};

/// Compile a network and run it on one input.
///
/// Without a network: the handwritten digits network that comes with this program.
#[derive(Args)]
pub(super) struct Run {
    /// The network, an ONNX file.
    #[arg(requires = "input")]
    model: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    device: OnDevice,
    /// Only run: leave out what compares with the float and the integer network.
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    output: Output,
}

/// Which input.
#[derive(Args)]
pub(super) struct Input {
    /// The input: a JPEG or PNG image, an .npy array, or a folder of them; or noise.
    #[arg(long, value_name = "IMAGE|FILE.npy|DIR|synthetic:SEED", value_parser = source)]
    input: Option<Source>,
    /// Which of several inputs, counted from 0.
    #[arg(long, value_name = "N", requires = "input")]
    index: Option<usize>,
}

/// What is printed.
#[derive(Args)]
pub(super) struct Output {
    /// How many classes to print.
    #[arg(long, value_name = "K", default_value_t = 5)]
    top: usize,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Input {
    /// Whether there is a file.
    pub(super) fn is_given(&self) -> bool {
        self.input.is_some()
    }

    /// The input among those of the file, for a network that takes it so; `None` if none is given.
    pub(super) fn pick(&self, preprocess: &Preprocess, ty: &TensorType) -> Result<Option<Tensor>> {
        let path = match &self.input {
            None => return Ok(None),
            &Some(Source::Synthetic(seed)) => {
                let index = self.index.unwrap_or(0);
                return Samples::noise(seed, ty).get(index).map(Some);
            }
            Some(Source::Path(path)) => path,
        };
        let samples = Samples::open(path, preprocess, ty)?;
        match self.index {
            None if samples.len() > 1 => {
                Err(
                    Error::input(format!("{} holds {} inputs", path.display(), samples.len()))
                        .help("choose one with --index N"),
                )
            }
            index => {
                let input = samples.get(index.unwrap_or(0));
                Ok(Some(input.map_err(|e| e.at(path.display()))?))
            }
        }
    }
}

impl Output {
    /// What an inference gave, and how the devices compare if there are several.
    pub(super) fn text(&self, runs: &Runs) -> Result<String> {
        let run = runs.reference();
        let mut text = report::run(&run.module, &self.classes(run))?;
        if let Some(table) = runs.text() {
            text += &format!("\n{table}");
        }
        Ok(text)
    }

    /// The same as JSON.
    pub(super) fn json(&self, runs: &Runs) -> Value {
        let run = runs.reference();
        let mut value = report::run_json(&run.module, &self.classes(run));
        if let Some(devices) = runs.json() {
            value["devices"] = devices;
        }
        value
    }

    fn classes(&self, run: &runs::Run) -> Vec<report::Class> {
        let scores = run.outputs.first().map(score::reals).unwrap_or_default();
        report::classes(run.module.program(), &scores, self.top)
    }
}

impl Run {
    pub(super) fn run(self) -> Result<()> {
        let (job, shown) = match &self.model {
            Some(path) => (self.compilation.open(path)?, None),
            None => (self.compilation.digits()?, Some(digits::SAMPLE_DIGIT)),
        };
        let preprocess = job.options.preprocess.clone().unwrap_or_default();
        let ty = job.model.input()?;
        let given = self.input.pick(&preprocess, ty)?;
        // What the sample shows is known; what a given input shows is not.
        let shown = shown.filter(|_| given.is_none());
        let input = match given {
            Some(input) => input,
            None => {
                Samples::from_image(&vta::parse_image(digits::SAMPLE)?, &preprocess, ty).get(0)?
            }
        };
        self.infer(&job, [input], shown)
    }

    fn infer(&self, job: &Job, inputs: [Tensor; 1], shown: Option<usize>) -> Result<()> {
        let bar = Bar::default();
        let built = job.compile(&bar)?;
        let design = &job.options.design;
        let mut runs = Runs::load(&built.program, design, &self.device, &bar)?;
        runs.infer(&inputs, self.device.trace.as_deref())?;
        let judgement = match self.no_verify {
            true => None,
            false => Some(Judge::new(&built)?.judge(&inputs, &runs.reference().outputs)?),
        };
        drop(bar);
        self.print(&built, &runs, judgement.as_ref(), shown)?;
        runs.agree()?;
        match judgement {
            Some(judgement) if !judgement.bit_exact => Err(Error::bug(
                "the simulated device and the integer network give different results",
            )),
            _ => Ok(()),
        }
    }

    fn print(
        &self,
        built: &Built,
        runs: &Runs,
        judgement: Option<&Judgement>,
        shown: Option<usize>,
    ) -> Result<()> {
        let outputs = &runs.reference().outputs;
        if self.output.json {
            let mut value = self.output.json(runs);
            if let Some(judgement) = judgement {
                value["float"] = json!({
                    "top": report::classes(&built.program, &judgement.float, self.output.top),
                    "agrees": judgement.agrees(),
                    "margin": score::margin(&judgement.float),
                    "snr_db": judgement.snr_db(),
                });
                value["bit_exact"] = json!(judgement.bit_exact);
            }
            if let Some(digit) = shown {
                value["shown"] = json!(digit);
            }
            return output::print_json(&value);
        }
        let mut text = self.output.text(runs)?;
        if let Some(judgement) = judgement {
            text += &format!("\n{}", verdict(judgement));
        }
        if let Some(digit) = shown {
            let read = score::top(&score::reals(&outputs[0]), 1)[0];
            text += &format!("\nThe network reads a {read}; the image shows a {digit}.\n");
        }
        output::print(text)
    }
}

/// How the device's result compares.
fn verdict(judgement: &Judgement) -> String {
    let same = match (judgement.agrees(), score::top(&judgement.float, 1).first()) {
        (false, Some(class)) => format!("class {class} there"),
        _ => "the same class".to_owned(),
    };
    let margin = score::margin(&judgement.float);
    let margin = margin.map_or(String::new(), |m| {
        format!(", {m:.2} standard deviations above the next")
    });
    let snr = match judgement.snr_db() {
        Some(snr) => format!("signal-to-noise ratio {snr:.1} dB"),
        None => "no difference".to_owned(),
    };
    let exact = match judgement.bit_exact {
        true => "equal, bit for bit",
        false => "DIFFERENT",
    };
    format!(
        "against the float network: {same}{margin}; {snr}\n\
         against the integer network: {exact}\n"
    )
}
