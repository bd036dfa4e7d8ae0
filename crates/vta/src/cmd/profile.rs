//! `vta profile`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use vta::{DeviceKind, Devices, Error, Module, Operator, Profile, Result, Spent};
use vta_isa::Design;
use vta_program::{MAGIC, Place, Program};

use super::device::Memory;
use super::network::Compilation;
use super::run::Input;
use crate::bar::Bar;
use crate::output::{self, grouped, table};
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
/// operations take, one a cycle; the peak is every multiplier at work in every cycle, on what the
/// operator means without padding. Of its cycles compute was busy, or waited for a token (for load or
/// store), for room for one, or for the memory; or it had no instruction.
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
    /// Print comma-separated values: the table alone.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The columns, of which the text shows less and has shares in percent.
const COLUMNS: [&str; 19] = [
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
    "token",
    "room",
    "memory",
    "idle",
    "host_seconds",
];

impl ProfileCommand {
    pub(super) fn run(self) -> Result<()> {
        let bar = Bar::default();
        let (program, design) = self.program(&bar)?;
        let profile = self.profile(program, &design, &bar)?;
        drop(bar);
        if self.csv {
            return output::print(csv(&profile));
        }
        if self.json {
            return output::print_json(&as_json(&profile)?);
        }
        output::print(text(&profile))
    }

    /// The program, and the design that it is to run on.
    fn program(&self, bar: &Bar) -> Result<(Program, Design)> {
        let job = match &self.model {
            Some(path) if vta::read(path)?.starts_with(&MAGIC) => {
                let program = Module::read_program(path)?;
                let design = self.compilation.design_of(&program)?;
                return Ok((program, design));
            }
            Some(path) => self.compilation.open(path)?,
            None => self.compilation.digits()?,
        };
        let program = job.compile(bar)?.program;
        Ok((program, job.options.design))
    }

    fn profile(&self, program: Program, design: &Design, bar: &Bar) -> Result<Profile> {
        let memory = self.memory.model();
        if !self.input.is_given() {
            let profile = Profile::time(&program, design, memory);
            return profile.map_err(|e| self.at(e));
        }
        let kind = DeviceKind::Cycle {
            memory,
            trace: true,
        };
        let devices = Devices::new(design, &kind, bar)?;
        let mut module = Module::load_on(program, &devices).map_err(|e| self.at(e))?;
        if let Some(input) = self.input.pick(|path| module.samples(path))? {
            module.run(&[input])?;
        }
        Profile::of(&module).map_err(|e| self.at(e))
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
        "token",
        "room",
        "memory",
        "idle",
    ];
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
                .map_or(vec![String::new(); 11], |spent| {
                    let Spent { cycles, cap, .. } = *spent;
                    let shares = [spent.of_cap(), spent.of_peak()].map(percent);
                    let bytes = [spent.read_bytes, spent.written_bytes].map(grouped);
                    let waits = waits(spent).map(grouped);
                    [&[cycles, cap].map(grouped)[..], &shares, &bytes, &waits].concat()
                }),
        );
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

fn waits(spent: &Spent) -> [u64; 5] {
    let compute = spent.compute;
    [
        compute.busy,
        compute.token,
        compute.room,
        compute.memory,
        compute.idle,
    ]
}

fn summary(profile: &Profile) -> String {
    let (total, spent) = (&profile.total, &profile.total.spent);
    let macs = [total.vta_macs, total.host_macs];
    let mut text = timing::time(spent.cycles, total.clock_mhz);
    text += &format!(
        "cap {} cycles, {} % of it; GEMM in {} % of the cycles; {} % of the peak\n\
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
    if let Some(seconds) = total.host_seconds {
        text += &format!("{:.3} ms in the host's operators, here\n", 1e3 * seconds);
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
                .map_or(vec![String::new(); 12], |spent| {
                    let counts = [spent.cycles, spent.cap, spent.gemm].map(|n| n.to_string());
                    let shares = [spent.of_cap(), spent.of_peak()].map(|share| share.to_string());
                    let bytes = [spent.read_bytes, spent.written_bytes].map(|n| n.to_string());
                    let waits = waits(spent).map(|n| n.to_string());
                    [&counts[..], &shares, &bytes, &waits].concat()
                }),
        );
        let seconds = operator.host_seconds.map(|seconds| seconds.to_string());
        row.push(seconds.unwrap_or_default());
        row.join(",") + "\n"
    };
    let rows: String = profile.operators.iter().map(row).collect();
    COLUMNS.join(",") + "\n" + &rows
}

/// A cell of text, in quotes where it needs them.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
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
