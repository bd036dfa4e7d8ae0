//! What is wrong with a stream, as JSON.

use serde::Serialize;
use vta_sim::Fault;

#[derive(Serialize)]
pub(super) struct Finding {
    /// Position of the instruction in the stream, from 0.
    index: Option<u64>,
    /// Its disassembly.
    insn: Option<String>,
    cause: String,
    remedy: &'static str,
    /// The command and token queues, a line each.
    queues: Vec<String>,
}

impl Finding {
    pub(super) fn of(fault: &Fault) -> Finding {
        let site = fault.site.as_deref();
        let queues = fault.queues.to_string();
        Finding {
            index: site.map(|site| site.index),
            insn: site.map(|site| site.text.clone()),
            cause: fault.cause.to_string(),
            remedy: fault.cause.remedy(),
            queues: queues.lines().map(|line| line.trim().to_owned()).collect(),
        }
    }
}
