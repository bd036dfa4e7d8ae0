//! How long streams took, in tables and as JSON: one text for all commands.

use serde_json::{Value, json};
use vta::timeline::modules;
use vta_sim::{CycleReport, ModuleCycles, Traffic};

use crate::output::{grouped, table};

/// A stream by its name: its cycles, and what is known of them.
pub(crate) struct Timed<'a> {
    pub(crate) name: String,
    pub(crate) cycles: u64,
    pub(crate) report: Option<&'a CycleReport>,
}

fn seconds(cycles: u64, clock_mhz: u32) -> f64 {
    cycles as f64 / (1e6 * f64::from(clock_mhz))
}

/// All streams as one.
fn total(streams: &[Timed]) -> (u64, Option<CycleReport>) {
    let cycles = streams.iter().map(|stream| stream.cycles).sum();
    let reports: Option<Vec<_>> = streams.iter().map(|stream| stream.report).collect();
    let sum = reports.map(|reports| {
        let mut sum = CycleReport::default();
        for report in reports {
            for (sum, module) in sum.modules.iter_mut().zip(report.modules) {
                *sum += module;
            }
            sum.traffic += report.traffic;
        }
        sum
    });
    (cycles, sum)
}

/// Cycles, and what they come to at the design's clock.
pub(crate) fn time(cycles: u64, clock_mhz: u32) -> String {
    let time = 1e3 * seconds(cycles, clock_mhz);
    format!(
        "{} cycles, {time:.3} ms at {clock_mhz} MHz\n",
        grouped(cycles)
    )
}

/// Cycles, time at the design's clock, what the modules spent the cycles on, and the traffic.
pub(crate) fn text(streams: &[Timed], clock_mhz: u32) -> String {
    let (cycles, sum) = total(streams);
    let mut text = time(cycles, clock_mhz);
    let Some(CycleReport {
        modules, traffic, ..
    }) = sum
    else {
        return text;
    };
    let row = |(name, m): (&str, &ModuleCycles)| {
        let cells = [m.busy, m.token, m.room, m.memory, m.idle].map(grouped);
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let names = ["load", "compute", "store"];
    let rows: Vec<Vec<String>> = names.into_iter().zip(&modules).map(row).collect();
    let headers = ["module", "busy", "token", "room", "memory", "idle"];
    text += &table(&headers, &rows);
    let Traffic {
        read_bytes,
        written_bytes,
        read_cycles,
        write_cycles,
        ..
    } = traffic;
    let share = |busy: u64| format!("{:.1} %", 100.0 * busy as f64 / cycles.max(1) as f64);
    let rows = [
        ("read", read_bytes, read_cycles),
        ("write", written_bytes, write_cycles),
    ];
    let rows = rows.map(|(name, bytes, busy)| vec![name.to_owned(), grouped(bytes), share(busy)]);
    text + "\n" + &table(&["memory", "bytes", "in use"], &rows)
}

/// The same as fields of a JSON object.
pub(crate) fn json(streams: &[Timed], clock_mhz: u32) -> Value {
    let fields = |cycles: u64, report: Option<&CycleReport>| {
        let mut value = json!({"cycles": cycles, "seconds": seconds(cycles, clock_mhz)});
        if let Some(report) = report {
            value["modules"] = modules(report);
            value["traffic"] = json!(report.traffic);
        }
        value
    };
    let (cycles, sum) = total(streams);
    let mut value = fields(cycles, sum.as_ref());
    let each = streams.iter().map(|stream| {
        let mut value = json!({"stream": stream.name});
        merge(&mut value, fields(stream.cycles, stream.report));
        value
    });
    value["streams"] = each.collect();
    value
}

/// Adds the fields of an object to another.
pub(crate) fn merge(value: &mut Value, fields: Value) {
    if let (Value::Object(value), Value::Object(fields)) = (value, fields) {
        value.extend(fields);
    }
}
