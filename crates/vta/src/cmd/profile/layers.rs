//! A profile by kinds of layers.

use serde_json::json;
use vta::{Layer, Profile, Result};

use super::{percent, quoted, summary};
use crate::output::{self, grouped, table};

const HEADERS: [&str; 10] = [
    "layer",
    "times",
    "shape",
    "gemm",
    "cycles",
    "cap",
    "% of cap",
    "% of peak",
    "read",
    "written",
];

/// Prints the accelerator's operators, alike ones as one line with what they took together.
pub(super) fn print(profile: &Profile, csv: bool, json: bool) -> Result<()> {
    let layers = profile.layers();
    if json {
        let layers: Vec<_> = layers.iter().map(as_json).collect();
        return output::print_json(&json!({"network": profile.network, "layers": layers}));
    }
    if csv {
        let columns =
            "layer,times,operator,shape,gemm,cycles,cap,of_cap,of_peak,read_bytes,written_bytes\n";
        let rows: String = layers.iter().map(line).collect();
        return output::print(columns.to_owned() + &rows);
    }
    let rows: Vec<_> = layers.iter().map(row).collect();
    let (network, table) = (&profile.network, table(&HEADERS, &rows));
    output::print(format!("{network}\n\n{table}\n{}", summary(profile)))
}

fn row(layer: &Layer) -> Vec<String> {
    let spent = &layer.spent;
    vec![
        layer.name.clone(),
        layer.times.to_string(),
        layer.shape.clone(),
        grouped(spent.gemm),
        grouped(spent.cycles),
        grouped(spent.cap),
        percent(spent.of_cap()),
        percent(spent.of_peak()),
        grouped(spent.read_bytes),
        grouped(spent.written_bytes),
    ]
}

fn line(layer: &Layer) -> String {
    let spent = &layer.spent;
    let cells = [
        layer.name.clone(),
        layer.times.to_string(),
        layer.op.clone(),
        quoted(&layer.shape),
        spent.gemm.to_string(),
        spent.cycles.to_string(),
        spent.cap.to_string(),
        spent.of_cap().to_string(),
        spent.of_peak().to_string(),
        spent.read_bytes.to_string(),
        spent.written_bytes.to_string(),
    ];
    cells.join(",") + "\n"
}

fn as_json(layer: &Layer) -> serde_json::Value {
    let mut value = json!(layer);
    value["spent"]["of_cap"] = json!(layer.spent.of_cap());
    value["spent"]["of_peak"] = json!(layer.spent.of_peak());
    value
}
