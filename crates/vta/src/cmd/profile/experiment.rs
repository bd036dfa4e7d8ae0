//! What offloading and latency hiding are worth, printed.

use vta::{Configuration, Experiment, Pair, Result, Spent};

use super::{percent, quoted};
use crate::output::{self, grouped, table};

const LAYERS: [&str; 10] = [
    "layer",
    "times",
    "shape",
    "cap",
    "cycles, off",
    "% of peak",
    "cycles, on",
    "% of peak",
    "% of cap",
    "off / on",
];
const RUNS: [&str; 7] = [
    "offload",
    "latency hiding",
    "cycles",
    "vta ms",
    "% of peak",
    "host ms",
    "all ms",
];

/// Prints both tables; as comma-separated values under the names of both.
pub(super) fn print(experiment: &Experiment, csv: bool, json: bool) -> Result<()> {
    if json {
        return output::print_json(experiment);
    }
    if csv {
        return output::print(as_csv(experiment));
    }
    let layers: Vec<_> = experiment.layers.iter().map(layer).collect();
    let runs: Vec<_> = experiment.runs.iter().map(run).collect();
    let notes: String = experiment
        .notes
        .iter()
        .map(|(what, note)| format!("{what}: {note}\n"))
        .collect();
    output::print(format!(
        "{}\n{notes}\nConvolutions offloaded, without and with latency hiding:\n{}\n\
         End to end; the host's operators one after the other with the accelerator, the same results:\n{}",
        experiment.network,
        table(&LAYERS, &layers),
        table(&RUNS, &runs),
    ))
}

fn layer(pair: &Pair) -> Vec<String> {
    let Pair { off, on, .. } = pair;
    vec![
        pair.name.clone(),
        pair.times.to_string(),
        pair.shape.clone(),
        grouped(on.cap),
        grouped(off.cycles),
        percent(off.of_peak()),
        grouped(on.cycles),
        percent(on.of_peak()),
        percent(on.of_cap()),
        format!("{:.2}", gain(off, on)),
    ]
}

fn gain(off: &Spent, on: &Spent) -> f64 {
    off.cycles as f64 / on.cycles.max(1) as f64
}

fn run(run: &Configuration) -> Vec<String> {
    let total = &run.total;
    let ms = |seconds: f64| format!("{:.3}", 1e3 * seconds);
    let nothing = total.spent.cycles == 0;
    vec![
        run.offload.to_owned(),
        if nothing { "" } else { switch(run) }.to_owned(),
        grouped(total.spent.cycles),
        ms(total.seconds),
        if nothing {
            String::new()
        } else {
            percent(total.spent.of_peak())
        },
        total.host_seconds.map(ms).unwrap_or_default(),
        total.all_seconds.map(ms).unwrap_or_default(),
    ]
}

fn switch(run: &Configuration) -> &'static str {
    match run.latency_hiding {
        true => "on",
        false => "off",
    }
}

/// One table: the layers of both runs that offload convolutions alone, and each run as a layer called `all`.
fn as_csv(experiment: &Experiment) -> String {
    let row =
        |name: &str, times: usize, shape: &str, offload: &str, hiding: &str, spent: &Spent| {
            let counts = [spent.cycles, spent.cap].map(|n| n.to_string()).join(",");
            let shares = [spent.of_cap(), spent.of_peak()].map(|share| share.to_string());
            let (shape, shares) = (quoted(shape), shares.join(","));
            format!("{name},{times},{shape},{offload},{hiding},{counts},{shares}")
        };
    let mut text =
        "layer,times,shape,offload,latency_hiding,cycles,cap,of_cap,of_peak,host_seconds\n"
            .to_owned();
    for pair in &experiment.layers {
        for (hiding, spent) in [("off", &pair.off), ("on", &pair.on)] {
            text += &row(&pair.name, pair.times, &pair.shape, "conv", hiding, spent);
            text += ",\n";
        }
    }
    for run in &experiment.runs {
        let host = run.total.host_seconds.map(|seconds| seconds.to_string());
        text += &row("all", 1, "", run.offload, switch(run), &run.total.spent);
        text += &format!(",{}\n", host.unwrap_or_default());
    }
    text
}
