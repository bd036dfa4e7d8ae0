//! The timeline of a run, as Chrome's trace format has it: Perfetto (ui.perfetto.dev) opens it.
//!
//! A microsecond there is a cycle here. A track for each module shows its oldest instruction in every cycle,
//! what it waited for before, and what its tokens waited for after; a counter shows the memory bus.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use vta_isa::{Design, INSN_BYTES, Insn, asm};
use vta_sim::{Channel, CycleReport, InsnTiming, TokenQueue, pops, pushes};

use crate::Result;
use crate::file::cannot_write;

/// Points of a counter over the whole timeline, about.
const POINTS: u64 = 4000;

/// Everything that a file of the format holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    trace_events: Vec<Event>,
    display_time_unit: &'static str,
    other_data: Value,
}

/// One event of the format.
#[derive(Serialize)]
struct Event {
    name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    cat: &'static str,
    ph: char,
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u64>,
    pid: u32,
    tid: usize,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: Value,
}

/// What 0 would name is the idle process.
const PROCESS: u32 = 1;
/// The track of the streams; those of the modules follow.
const STREAMS: usize = 1;
const TRACKS: [&str; 4] = ["streams", "load", "compute", "store"];

impl Timeline {
    /// That of streams that ran one after the other: each with its name, its raw instructions and a report with
    /// its timings.
    pub fn new(design: &Design, streams: &[(String, &[u8], &CycleReport)]) -> Timeline {
        let mut events = vec![named("process_name", STREAMS, "VTA")];
        let tracks = TRACKS.iter().zip(STREAMS..);
        events.extend(tracks.map(|(name, track)| named("thread_name", track, name)));
        let total: u64 = streams.iter().map(|(.., report)| report.cycles).sum();
        let bin = (total / POINTS).max(16);
        let mut start = 0;
        for (name, insns, report) in streams {
            events.push(Event {
                args: json!({"cycles": report.cycles, "modules": modules(report)}),
                ..slice(name.clone(), "stream", STREAMS, start, report.cycles)
            });
            instructions(design, insns, report, start, &mut events);
            bandwidth(report, bin, start, &mut events);
            start += report.cycles;
        }
        Timeline {
            trace_events: events,
            display_time_unit: "ns",
            other_data: json!({"unit": "1 us is 1 cycle", "clock_mhz": design.config().clock_mhz}),
        }
    }

    /// Writes it as a file, replacing what was there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(path)?);
            serde_json::to_writer(&mut file, self)?;
            file.flush()
        };
        write().map_err(cannot_write(path))
    }
}

/// A name of the process or of a track.
fn named(what: &str, tid: usize, name: &str) -> Event {
    Event {
        ph: 'M',
        dur: None,
        args: json!({"name": name}),
        ..slice(what.to_owned(), "", tid, 0, 0)
    }
}

fn slice(name: String, cat: &'static str, tid: usize, ts: u64, dur: u64) -> Event {
    Event {
        name,
        cat,
        ph: 'X',
        ts,
        dur: Some(dur),
        pid: PROCESS,
        tid,
        args: Value::Null,
    }
}

/// The cycles of each module by its name.
pub fn modules(report: &CycleReport) -> Value {
    let [load, compute, store] = report.modules;
    json!({"load": load, "compute": compute, "store": store})
}

fn instructions(
    design: &Design,
    insns: &[u8],
    report: &CycleReport,
    start: u64,
    events: &mut Vec<Event>,
) {
    // The first cycle that does not belong to the instruction before.
    let mut from = [0; 3];
    for timing in &report.timings {
        let bytes = insns.chunks_exact(INSN_BYTES).nth(timing.index as usize);
        let insn = bytes.and_then(|bytes| Insn::decode(design, bytes.try_into().ok()?).ok());
        let Some(insn) = insn else { continue };
        let (module, tid) = (timing.module as usize, STREAMS + 1 + timing.module as usize);
        let ready = timing.ready.max(from[module]);
        let taken = timing.taken.max(ready);
        if taken > ready {
            let name = format!("wait {}", names(pops(timing.module, insn.deps)));
            events.push(slice(name, "token", tid, start + ready, taken - ready));
        }
        let (text, end) = (asm::print_insn(design, &insn), timing.retired + 1);
        events.push(Event {
            args: arguments(timing),
            ..slice(text, "instruction", tid, start + taken, end - taken)
        });
        if timing.committed > timing.finished {
            let done = (timing.finished + 1).max(taken);
            let name = format!("room {}", names(pushes(timing.module, insn.deps)));
            events.push(slice(name, "room", tid, start + done, end - done));
        }
        from[module] = end;
    }
}

fn names(queues: impl Iterator<Item = TokenQueue>) -> String {
    let names: Vec<_> = queues.map(|queue| queue.to_string()).collect();
    names.join(", ")
}

fn arguments(timing: &InsnTiming) -> Value {
    json!({
        "index": timing.index,
        "queued": timing.queued,
        "ready": timing.ready,
        "taken": timing.taken,
        "started": timing.started,
        "committed": timing.committed,
        "finished": timing.finished,
        "retired": timing.retired,
        "work": timing.work,
    })
}

/// Bytes a cycle in each direction, over bins of so many cycles.
fn bandwidth(report: &CycleReport, bin: u64, start: u64, events: &mut Vec<Event>) {
    let bins = report.cycles.div_ceil(bin) as usize;
    let mut moved = vec![[0.0; 2]; bins];
    for burst in &report.bursts {
        let direction = usize::from(burst.channel == Channel::Write);
        let rate = f64::from(burst.bytes) / (burst.last + 1 - burst.first) as f64;
        let mut at = burst.first;
        while at <= burst.last {
            let until = (at / bin + 1) * bin;
            let cycles = until.min(burst.last + 1) - at;
            if let Some(moved) = moved.get_mut((at / bin) as usize) {
                moved[direction] += rate * cycles as f64;
            }
            at = until;
        }
    }
    for (at, [read, written]) in moved.into_iter().enumerate() {
        let first = at as u64 * bin;
        let cycles = bin.min(report.cycles - first) as f64;
        let rate = |bytes: f64| (100.0 * bytes / cycles).round() / 100.0;
        events.push(Event {
            ph: 'C',
            dur: None,
            args: json!({"read": rate(read), "write": rate(written)}),
            ..slice("DRAM, bytes a cycle".into(), "", STREAMS, start + first, 0)
        });
    }
}
