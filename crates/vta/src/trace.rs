//! The timeline of a run, as Chrome's trace format has it: Perfetto (ui.perfetto.dev) opens it.
//!
//! A microsecond there is a cycle here. A track for each module shows its oldest instruction in every cycle, and
//! what it waited for before; the counters below show the memory bus.

use serde::Serialize;
use serde_json::{Value, json};
use vta_isa::{Design, INSN_BYTES, Insn, asm};
use vta_sim::{Channel, CycleReport, InsnTiming, TokenQueue, pops};

/// Points of a counter over the whole trace, about.
const POINTS: u64 = 4000;

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
    args: Value,
}

/// The track of the streams; those of the modules follow.
const STREAMS: usize = 0;
const TRACKS: [&str; 4] = ["streams", "load", "compute", "store"];

/// The timelines of streams that ran one after the other: each with its name, its raw instructions and a
/// report with its timings.
pub fn trace(design: &Design, streams: &[(String, &[u8], &CycleReport)]) -> Value {
    let mut events: Vec<Event> = TRACKS.iter().enumerate().map(track).collect();
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
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"unit": "1 us is 1 cycle", "clock_mhz": design.config().clock_mhz},
    })
}

fn track((tid, name): (usize, &&str)) -> Event {
    Event {
        name: "thread_name".into(),
        ph: 'M',
        dur: None,
        args: json!({"name": name}),
        ..slice(String::new(), "", tid, 0, 0)
    }
}

fn slice(name: String, cat: &'static str, tid: usize, ts: u64, dur: u64) -> Event {
    Event {
        name,
        cat,
        ph: 'X',
        ts,
        dur: Some(dur),
        pid: 0,
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
            let queues = pops(timing.module, insn.deps).map(|queue: TokenQueue| queue.to_string());
            let name = format!("wait {}", queues.collect::<Vec<_>>().join(", "));
            events.push(slice(name, "token", tid, start + ready, taken - ready));
        }
        let (text, end) = (asm::print_insn(design, &insn), timing.retired + 1);
        events.push(Event {
            args: arguments(timing),
            ..slice(text, "instruction", tid, start + taken, end - taken)
        });
        from[module] = end;
    }
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
