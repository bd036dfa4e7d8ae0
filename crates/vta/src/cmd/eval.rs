//! `vta eval`

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use vta::{Devices, Error, Evaluation, Result, Samples};

use super::device::OnDevice;
use super::network::Compilation;
use crate::bar::Bar;
use crate::{output, report};

/// Compile a network and score it on many inputs, next to the float network.
#[derive(Args)]
pub(super) struct Eval {
    /// The network, an ONNX file.
    model: PathBuf,
    /// The inputs: a folder with x.npy and y.npy, or photos and labels.csv; or an .npy file.
    #[arg(long, value_name = "DIR|FILE")]
    data: PathBuf,
    /// Take only the first inputs.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    device: OnDevice,
    /// Print JSON, on one line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    notes: &'a BTreeMap<String, String>,
}

impl Eval {
    pub(super) fn run(self) -> Result<()> {
        let kind = self.device.kind()?;
        if self.device.trace.is_some() || self.device.wave.is_some() {
            return Err(Error::input("eval writes neither --trace nor --wave")
                .help("record one inference, with vta run"));
        }
        let job = self.compilation.open(&self.model)?;
        let preprocess = job.options.preprocess.clone().unwrap_or_default();
        let samples = Samples::open(&self.data, &preprocess, job.model.input()?)?;
        let bar = Bar::default();
        let built = job.compile(&bar)?;
        let limit = self.limit.map_or(usize::MAX, NonZeroUsize::get);
        let devices = Devices::new(&job.options.design, &kind, &bar)?;
        let evaluation = vta::evaluate(&built, &samples, limit, &devices, &bar)
            .map_err(|e| e.at(self.data.display()))?;
        drop(bar);
        let (program, scores) = (&built.program, text(&evaluation));
        match self.json {
            true => output::print_json_line(&Report {
                evaluation: &evaluation,
                notes: &program.notes,
            })?,
            false => output::print(format!("{}\n{scores}", report::header(program)))?,
        }
        match &evaluation.differing[..] {
            [] => Ok(()),
            differing => Err(Error::bug(format!(
                "the simulated device and the integer network differ on samples {differing:?}"
            ))),
        }
    }
}

fn text(e: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let rows = [
        ("inputs", Some(e.n.to_string())),
        ("top-1, float", e.float_top1.map(percent)),
        ("top-1, vta", e.vta_top1.map(percent)),
        ("the same class", e.agreement.map(percent)),
        (
            "the same class, close calls aside",
            e.clear_agreement.map(percent),
        ),
        (
            "signal-to-noise ratio",
            e.snr_db.map(|db| format!("{db:.1} dB")),
        ),
        (
            "mean squared error, float",
            e.float_mse.map(|mse| format!("{mse:.4}")),
        ),
        (
            "mean squared error, vta",
            e.vta_mse.map(|mse| format!("{mse:.4}")),
        ),
        (
            "values as exact as its own graph",
            (e.own_graph.as_ref()).map(|own| format!("{} of {}", own.exact, own.values)),
        ),
        (
            "farthest from exact, half is rounding",
            (e.own_graph.as_ref()).map(|own| format!("{:.3} steps", own.distance)),
        ),
        (
            "last value, from its own graph",
            (e.own_graph.as_ref()).map(|own| format!("{} steps", own.apart)),
        ),
        ("cycles of an inference", e.cycles.map(output::grouped)),
        (
            "bit-exact",
            Some(if e.bit_exact { "yes" } else { "no" }.to_owned()),
        ),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(what, value)| Some(vec![what.to_owned(), value?]));
    output::table(&["score", "value"], &rows.collect::<Vec<_>>())
}
