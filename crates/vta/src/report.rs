//! What `run` and `exec` say of a program and its results: one text for both.

use serde::Serialize;
use serde_json::{Value, json};
use vta::{Error, Module, Result, score};
use vta_program::{Place, Program};
use vta_sim::Counters;

use crate::output::{grouped, table};
use crate::timing::{self, Timed};

/// The best classes of an output.
#[derive(Serialize)]
pub(crate) struct Class {
    class: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    score: f32,
}

/// The `count` best classes.
pub(crate) fn classes(program: &Program, scores: &[f32], count: usize) -> Vec<Class> {
    let best = score::top(scores, count).into_iter();
    best.map(|class| Class {
        class,
        label: program.labels.get(class).cloned(),
        score: scores[class],
    })
    .collect()
}

/// Name, design and notes.
pub(crate) fn header(program: &Program) -> String {
    let design = &program.config;
    let [batch, block_in, block_out] =
        [design.log_batch, design.log_block_in, design.log_block_out].map(|log| 1u64 << log);
    let mut text = format!(
        "{} for {}, {batch}x{block_in}x{block_out}\n",
        program.name, design.target
    );
    for (what, note) in &program.notes {
        text += &format!("{what}: {note}\n");
    }
    text
}

/// Where each operator runs, and why there.
pub(crate) fn placement(program: &Program) -> String {
    let rows = program.placement.iter().map(|p| {
        let device = match p.device {
            Place::Vta => "vta",
            Place::Host => "host",
        };
        [&p.node, &p.op, device, &p.reason]
            .map(String::from)
            .to_vec()
    });
    let on_vta = program
        .placement
        .iter()
        .filter(|p| p.device == Place::Vta)
        .count();
    let total = program.placement.len();
    let table = table(
        &["node", "operator", "on", "why"],
        &rows.collect::<Vec<_>>(),
    );
    format!("{table}{on_vta} of {total} operators on vta\n")
}

/// The streams of the last inference, if the device counts cycles.
fn timed(module: &Module) -> Option<Vec<Timed<'_>>> {
    let streams = module.stats().streams.iter().map(|stats| {
        Some(Timed {
            name: stats.stream.to_string(),
            cycles: stats.run.cycles?,
            report: stats.run.report.as_ref(),
        })
    });
    let streams: Vec<_> = streams.collect::<Option<_>>()?;
    (!streams.is_empty()).then_some(streams)
}

/// The text of a run.
pub(crate) fn run(module: &Module, classes: &[Class]) -> Result<String> {
    let rows = classes.iter().map(|c| {
        let label = c.label.clone().unwrap_or_default();
        vec![c.class.to_string(), format!("{:.4}", c.score), label]
    });
    let classes = table(&["class", "score", "label"], &rows.collect::<Vec<_>>());
    let used = counts(&module.counters())?
        .into_iter()
        .filter(|&(_, n)| n > 0);
    let rows: Vec<_> = used.map(|(name, n)| vec![name, grouped(n)]).collect();
    let counters = table(&["counter", "count"], &rows);
    let program = module.program();
    let (header, placement) = (header(program), placement(program));
    let mut text = format!("{header}\n{classes}\n{placement}\n{counters}");
    if let Some(streams) = timed(module) {
        text += &format!("\n{}", timing::text(&streams, module.design().clock_mhz));
    }
    Ok(text)
}

/// The same as JSON.
pub(crate) fn run_json(module: &Module, classes: &[Class]) -> Value {
    let mut value = program_json(module.program());
    value["top"] = json!(classes);
    value["counters"] = json!(module.counters());
    if let Some(streams) = timed(module) {
        timing::merge(
            &mut value,
            timing::json(&streams, module.design().clock_mhz),
        );
    }
    value
}

/// What a program is, as JSON.
pub(crate) fn program_json(program: &Program) -> Value {
    json!({
        "network": program.name,
        "target": program.config.target,
        "notes": program.notes,
        "placement": program.placement,
    })
}

/// Every counter with its name, as the path in JSON.
pub(crate) fn counts(counters: &Counters) -> Result<Vec<(String, u64)>> {
    let value = serde_json::to_value(counters).map_err(|e| Error::bug(e.to_string()))?;
    let mut counts = Vec::new();
    flatten("", &value, &mut counts);
    Ok(counts)
}

fn flatten(path: &str, value: &Value, counts: &mut Vec<(String, u64)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), value, counts);
            }
        }
        value => counts.push((path.to_owned(), value.as_u64().unwrap_or_default())),
    }
}
