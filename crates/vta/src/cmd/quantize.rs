//! `vta quantize`

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vta::{Calibration, Error, Result, Samples};
use vta_graph::Tensor;
use vta_graph::quant::{LayerError, QuantReport};
use vta_graph::text::{RangesFile, print_ranges};

use super::network::{Compilation, Job};
use crate::bar::Bar;
use crate::output::{self, quoted, table};

/// Choose the scales of a float network once, for --ranges of the other commands.
///
/// The file is text: of every input and activation that becomes integers its scale and zero point, of
/// every layer the scales of its weights, and what equalization and bias correction do to it. It holds for
/// this network and for designs of these operand widths.
///
/// The report compares with the float network on some inputs, in decibels of signal over noise: the
/// integer network's value after each layer; the same where that layer alone is quantized and reads what
/// the float network gives it; and what that does to the network's output. The layers of least decibels
/// in the last column lose most. A network that comes with its own scales is compared with what it
/// computes without rounding its activations.
#[derive(Args)]
pub(super) struct Quantize {
    /// The network, an ONNX file.
    model: PathBuf,
    /// Where the ranges go.
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "quant_report"
    )]
    output: Option<PathBuf>,
    /// Print what each layer loses.
    #[arg(long)]
    quant_report: bool,
    /// The inputs of the report [default: those of --calib].
    #[arg(long, value_name = "DIR|FILE", requires = "quant_report")]
    data: Option<PathBuf>,
    /// Take only the first inputs for the report.
    #[arg(long, value_name = "N", requires = "quant_report", default_value = "8")]
    limit: NonZeroUsize,
    #[command(flatten)]
    compilation: Compilation,
    /// Print the report as comma-separated values.
    #[arg(long, requires = "quant_report", conflicts_with = "json")]
    csv: bool,
    /// Print the report as JSON.
    #[arg(long, requires = "quant_report")]
    json: bool,
}

/// The columns of the report.
const COLUMNS: [&str; 5] = ["value", "operator", "integer_db", "alone_db", "output_db"];

impl Quantize {
    pub(super) fn run(self) -> Result<()> {
        self.compilation.only_quantizes()?;
        let job = self.compilation.open(&self.model)?;
        if let Some(path) = &self.output {
            vta::try_write(path)?;
        }
        let bar = Bar::default();
        let ranges = match job.model.is_quantized() && self.output.is_none() {
            true => None,
            false => Some(vta::quantize(&job.model, &job.options, &bar)?),
        };
        let report = match self.quant_report {
            true => Some(vta::quant_report(
                &job.model,
                ranges.as_ref(),
                &job.options.design,
                &self.inputs(&job)?,
            )?),
            false => None,
        };
        drop(bar);
        if let (Some(path), Some(ranges)) = (&self.output, &ranges) {
            vta::write(path, print_ranges(ranges).as_bytes())?;
        }
        match report {
            Some(report) if self.csv => output::print(csv(&report)),
            Some(report) if self.json => output::print_json(&as_json(&report, ranges.as_ref())),
            report => output::print(self.text(ranges.as_ref(), report.as_ref())),
        }
    }

    /// What the report is about.
    fn inputs(&self, job: &Job) -> Result<Vec<Vec<Tensor>>> {
        let mut inputs = match (&self.data, &job.options.calibration) {
            (Some(path), _) => {
                let preprocess = job.options.preprocess.clone().unwrap_or_default();
                let samples = Samples::open(path, &preprocess, job.model.input()?)?;
                let count = samples.len().min(self.limit.get());
                let one = |i| Ok(vec![samples.get(i)?]);
                (0..count).map(one).collect::<Result<_>>()?
            }
            (None, Calibration::Inputs(inputs)) => inputs.clone(),
            (None, _) => {
                return Err(Error::input("the report needs inputs to compare on")
                    .help("give some with --data DIR or --data FILE.npy"));
            }
        };
        inputs.truncate(self.limit.get());
        Ok(inputs)
    }

    fn text(&self, ranges: Option<&RangesFile>, report: Option<&QuantReport>) -> String {
        let mut text = String::new();
        if let (Some(path), Some(ranges)) = (&self.output, ranges) {
            let quantization = &ranges.quantization;
            let [values, layers] = [quantization.values.len(), quantization.layers.len()];
            text += &format!("{}: {values} values, {layers} layers\n", path.display());
        }
        if let Some(ranges) = ranges {
            text += &format!("{}\n", ranges.note);
        }
        if let Some(report) = report {
            let row = |layer: &LayerError| {
                let db =
                    decibels(layer).map(|db| db.map_or(String::new(), |db| format!("{db:.1}")));
                let names = [layer.name.clone(), layer.op.to_owned()];
                [&names[..], &db].concat()
            };
            let rows: Vec<_> = report.layers.iter().map(row).collect();
            let headers = ["value", "operator", "integer dB", "alone dB", "output dB"];
            let whole = match report.output_db {
                Some(db) => format!("{db:.1} dB"),
                None => "no difference".to_owned(),
            };
            text += &format!("\n{}\nthe output: {whole}\n", table(&headers, &rows));
        }
        text
    }
}

fn decibels(layer: &LayerError) -> [Option<f64>; 3] {
    [layer.integer_db, layer.alone_db, layer.output_db]
}

fn csv(report: &QuantReport) -> String {
    let row = |layer: &LayerError| {
        let db = decibels(layer).map(|db| db.map_or(String::new(), |db| db.to_string()));
        let names = [quoted(&layer.name), layer.op.to_owned()];
        [&names[..], &db].concat().join(",") + "\n"
    };
    let rows: String = report.layers.iter().map(row).collect();
    COLUMNS.join(",") + "\n" + &rows
}

fn as_json(report: &QuantReport, ranges: Option<&RangesFile>) -> serde_json::Value {
    let layer = |layer: &LayerError| {
        let [name, op] = [json!(layer.name), json!(layer.op)];
        let db = decibels(layer).map(|db| json!(db));
        COLUMNS
            .into_iter()
            .map(String::from)
            .zip([name, op].into_iter().chain(db))
            .collect()
    };
    let layers: Vec<serde_json::Map<_, _>> = report.layers.iter().map(layer).collect();
    json!({
        "note": ranges.map(|ranges| &ranges.note),
        "output_db": report.output_db,
        "layers": layers,
    })
}
