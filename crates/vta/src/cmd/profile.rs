//! `vta profile`

mod experiment;
mod layers;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use vta::{Body, Built, Error, Experiment, Module, Operator, Options, Profile, Result, Spent};
use vta_graph::Tensor;
use vta_isa::Design;
use vta_program::{MAGIC, Place, Program};

use super::device::Memory;
use super::network::Compilation;
use super::run::Input;
use crate::bar::Bar;
use crate::output::{self, grouped, quoted, table};
use crate::timing;

/// Tell where an inference spends its time: a table by operators, in cycles of the cycle simulator.
///
/// Without a network: the handwritten digits network that comes with this program. Without --input only
/// time is simulated, and the host's operators are not run.
///
/// Operators overlap on the accelerator. An operator's cycles are those from the retirement of the last
/// compute or store instruction of the operators before it to that of its own; the last of a stream also
/// has the end of the run. So they add up to the run; where one stores while the next computes, the next
/// one's share of its cap may pass 100 %. The cap is the number of slots that its GEMM, reset and ALU
/// operations take, one a cycle, one after the other; the peak is every multiplier at work in every cycle, on
/// what the operator means without padding. Of its cycles compute was busy, or waited for load, for store, for
/// room for a token, or for the memory; or it had no instruction. What the host arranges for an operator, such
/// as the patches of the first convolution, stands on its line.
#[derive(Args)]
pub(super) struct ProfileCommand {
    /// The network: an ONNX file, or a compiled .vta file.
    model: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    memory: Memory,
    /// Print operators that are alike as one line: C1, C2, ... are the convolutions.
    #[arg(long)]
    layers: bool,
    /// Compile the network with nothing, convolutions or everything offloaded, without and with latency hiding,
    /// and print what each takes. With --input the results are compared, too.
    #[arg(long, conflicts_with_all = ["layers", "offload", "latency_hiding"])]
    experiment: bool,
    /// Print comma-separated values: the table alone.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The columns, of which the text shows less and has shares in percent.
const COLUMNS: [&str; 22] = [
    "node",
    "operator",
    "on",
    "shape",
    "schedule",
    "macs",
    "cycles",
    "cap",
    "gemm",
    "of_cap",
    "of_peak",
    "read_bytes",
    "written_bytes",
    "busy",
    "load",
    "store",
    "room",
    "memory",
    "idle",
    "arranged_by_host",
    "arranged_bytes",
    "host_seconds",
];

/// A network, compiled now or before.
struct Compiled {
    program: Program,
    design: Design,
    /// Unless it was compiled before.
    built: Option<(Built, Options)>,
}

impl ProfileCommand {
    pub(super) fn run(self) -> Result<()> {
        let bar = Bar::default();
        let compiled = self.compiled(&bar)?;
        let input = self.input(&compiled).map_err(|e| self.at(e))?;
        if self.experiment {
            let experiment = self.experiment(&compiled, input.as_deref(), &bar)?;
            drop(bar);
            return experiment::print(&experiment, self.csv, self.json);
        }
        let Compiled {
            program, design, ..
        } = compiled;
        let profile = Profile::run(program, &design, self.memory.model(), input.as_deref());
        let (profile, _) = profile.map_err(|e| self.at(e))?;
        drop(bar);
        if self.layers {
            return layers::print(&profile, self.csv, self.json);
        }
        if self.csv {
            return output::print(csv(&profile));
        }
        if self.json {
            return output::print_json(&as_json(&profile)?);
        }
        output::print(text(&profile))
    }

    /// The program, and the design that it is to run on.
    fn compiled(&self, bar: &Bar) -> Result<Compiled> {
        let job = match &self.model {
            Some(path) if vta::read(path)?.starts_with(&MAGIC) => {
                let program = Module::read_program(path)?;
                let design = self.compilation.design_of(&program)?;
                return Ok(Compiled {
                    program,
                    design,
                    built: None,
                });
            }
            Some(path) => self.compilation.open(path)?,
            None => self.compilation.digits()?,
        };
        let built = job.compile(bar)?;
        Ok(Compiled {
            program: built.program.clone(),
            design: job.options.design.clone(),
            built: Some((built, job.options)),
        })
    }

    fn experiment(
        &self,
        compiled: &Compiled,
        input: Option<&[Tensor]>,
        bar: &Bar,
    ) -> Result<Experiment> {
        let Some((built, options)) = &compiled.built else {
            let error = Error::input("the network is compiled already");
            return Err(self.at(error.help("give the ONNX file")));
        };
        Experiment::new(built, options, self.memory.model(), input, bar).map_err(|e| self.at(e))
    }

    fn input(&self, compiled: &Compiled) -> Result<Option<Vec<Tensor>>> {
        if !self.input.is_given() {
            return Ok(None);
        }
        let module = Module::load(compiled.program.clone())?;
        let (preprocess, ty) = module.sample_form()?;
        let input = self.input.pick(&preprocess, ty)?;
        Ok(input.map(|input| vec![input]))
    }

    fn at(&self, error: Error) -> Error {
        match &self.model {
            Some(path) => error.at(Path::display(path)),
            None => error,
        }
    }
}

fn place(device: Place) -> &'static str {
    match device {
        Place::Vta => "vta",
        Place::Host => "host",
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn text(profile: &Profile) -> String {
    let has_host = profile.total.host_seconds.is_some();
    let mut headers = vec![
        "node",
        "operator",
        "on",
        "shape",
        "schedule",
        "cycles",
        "cap",
        "% of cap",
        "% of peak",
        "read",
        "written",
        "busy",
        "load",
        "store",
        "room",
        "memory",
        "idle",
    ];
    let arranges = profile.operators.iter().any(|op| op.arranged.is_some());
    if arranges {
        headers.extend(["arranged by host", "bytes"]);
    }
    if has_host {
        headers.push("host ms");
    }
    let row = |operator: &Operator| {
        let Operator { node, op, .. } = operator;
        let mut row = vec![node.clone(), op.clone(), place(operator.device).to_owned()];
        row.extend([operator.shape.clone(), operator.schedule.clone()]);
        row.extend(
            operator
                .spent
                .as_ref()
                .map_or(vec![String::new(); 12], |spent| {
                    let Spent { cycles, cap, .. } = *spent;
                    let shares = [spent.of_cap(), spent.of_peak()].map(percent);
                    let bytes = [spent.read_bytes, spent.written_bytes].map(grouped);
                    let waits = waits(spent).map(grouped);
                    [&[cycles, cap].map(grouped)[..], &shares, &bytes, &waits].concat()
                }),
        );
        if arranges {
            let arranged = operator.arranged.as_ref();
            row.push(arranged.map_or(String::new(), |arranged| arranged.ops.join(", ")));
            row.push(arranged.map_or(String::new(), |arranged| grouped(arranged.bytes)));
        }
        if has_host {
            let ms = |seconds: f64| format!("{:.3}", 1e3 * seconds);
            row.push(operator.host_seconds.map(ms).unwrap_or_default());
        }
        row
    };
    let rows: Vec<_> = profile.operators.iter().map(row).collect();
    let notes = profile.notes.iter();
    let notes: String = notes
        .map(|(what, note)| format!("{what}: {note}\n"))
        .collect();
    let (network, table) = (&profile.network, table(&headers, &rows));
    format!("{network}\n{notes}\n{table}\n{}", summary(profile))
}

fn waits(spent: &Spent) -> [u64; 6] {
    let compute = spent.compute;
    [
        compute.busy,
        spent.token_of_load,
        spent.token_of_store(),
        compute.room,
        compute.memory,
        compute.idle,
    ]
}

fn summary(profile: &Profile) -> String {
    let (total, spent) = (&profile.total, &profile.total.spent);
    let macs = [total.vta_macs, total.host_macs];
    let mut text = timing::time(spent.cycles, total.clock_mhz);
    if let Some(Body { layers, spent }) = &total.body {
        text += &format!(
            "body, {layers} convolutions after the first: {} cycles, cap {}, {} % of it; {} % of the peak\n",
            grouped(spent.cycles),
            grouped(spent.cap),
            percent(spent.of_cap()),
            percent(spent.of_peak()),
        );
    }
    text += &format!(
        "cap, GEMM and ALU one after the other: {} cycles, {} % of it; GEMM in {} % of the cycles; {} % of the peak\n\
         bytes: {} read by loads, {} of instructions, {} written\n\
         multiply-accumulates: {} on vta, {} on the host\n",
        grouped(spent.cap),
        percent(spent.of_cap()),
        percent(spent.gemm_utilization()),
        percent(spent.of_peak()),
        grouped(spent.read_bytes),
        grouped(total.insn_bytes),
        grouped(spent.written_bytes),
        grouped(macs[0]),
        grouped(macs[1]),
    );
    if let (Some(host), Some(all)) = (total.host_seconds, total.all_seconds) {
        text += &format!(
            "{:.3} ms in the host's operators, here; {:.3} ms in all\n",
            1e3 * host,
            1e3 * all
        );
    }
    text
}

fn csv(profile: &Profile) -> String {
    let row = |operator: &Operator| {
        let Operator { node, op, .. } = operator;
        let names = [node, op, place(operator.device)];
        let texts = [&operator.shape, &operator.schedule];
        let mut row: Vec<String> = names.map(quoted).to_vec();
        row.extend(texts.map(|text| quoted(text)));
        row.push(operator.macs.to_string());
        row.extend(
            operator
                .spent
                .as_ref()
                .map_or(vec![String::new(); 13], |spent| {
                    let counts = [spent.cycles, spent.cap, spent.gemm].map(|n| n.to_string());
                    let shares = [spent.of_cap(), spent.of_peak()].map(|share| share.to_string());
                    let bytes = [spent.read_bytes, spent.written_bytes].map(|n| n.to_string());
                    let waits = waits(spent).map(|n| n.to_string());
                    [&counts[..], &shares, &bytes, &waits].concat()
                }),
        );
        let arranged = operator.arranged.as_ref();
        row.push(arranged.map_or(String::new(), |arranged| arranged.ops.join(" ")));
        row.push(arranged.map_or(String::new(), |arranged| arranged.bytes.to_string()));
        let seconds = operator.host_seconds.map(|seconds| seconds.to_string());
        row.push(seconds.unwrap_or_default());
        row.join(",") + "\n"
    };
    let rows: String = profile.operators.iter().map(row).collect();
    COLUMNS.join(",") + "\n" + &rows
}

/// The profile with its shares.
fn as_json(profile: &Profile) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(profile).map_err(|e| Error::bug(e.to_string()))?;
    let shares = |spent: &Spent| json!({"of_cap": spent.of_cap(), "of_peak": spent.of_peak()});
    timing::merge(&mut value["total"], shares(&profile.total.spent));
    for (at, operator) in profile.operators.iter().enumerate() {
        if let Some(spent) = &operator.spent {
            timing::merge(&mut value["operators"][at]["spent"], shares(spent));
        }
    }
    Ok(value)
}
