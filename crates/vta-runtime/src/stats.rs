//! What an inference did, and how long everything in it took.

use std::time::{Duration, Instant};

use vta_graph::{Graph, Node, ValueId};
use vta_sim::Counters;

use crate::StreamRun;

/// What one inference did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStats {
    /// The device's counters, over all streams.
    pub counters: Counters,
    /// Each step of the program, in order.
    pub steps: Vec<StepTime>,
    /// Each stream, in the order in which they ran.
    pub streams: Vec<StreamStats>,
    /// Each operator of the host, in the order in which they ran.
    pub operators: Vec<OperatorTime>,
}

/// What one stream did.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamStats {
    /// Its index in the program.
    pub stream: usize,
    /// What the device reports.
    pub run: StreamRun,
}

impl RunStats {
    /// Cycles of all streams, if the device counts them.
    pub fn cycles(&self) -> Option<u64> {
        self.streams.iter().map(|stream| stream.run.cycles).sum()
    }
}

/// How long a step took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// `host`, `upload`, `run` or `download`.
    pub what: &'static str,
    /// Wall-clock time.
    pub time: Duration,
}

/// How long an operator of the host took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorTime {
    /// Name of its node.
    pub node: String,
    /// Wall-clock time.
    pub time: Duration,
}

/// Times the operators of a graph as their results appear.
pub(crate) struct OperatorTimes<'a> {
    nodes: std::slice::Iter<'a, Node>,
    times: &'a mut Vec<OperatorTime>,
    start: Instant,
}

impl<'a> OperatorTimes<'a> {
    pub(crate) fn new(graph: &'a Graph, times: &'a mut Vec<OperatorTime>) -> Self {
        OperatorTimes {
            nodes: graph.nodes.iter(),
            times,
            start: Instant::now(),
        }
    }

    /// An input has appeared, or the result of the next node.
    pub(crate) fn made(&mut self, value: ValueId) {
        let now = Instant::now();
        if let Some(node) = self.nodes.as_slice().first().filter(|n| n.output == value) {
            self.nodes.next();
            self.times.push(OperatorTime {
                node: node.name.clone(),
                time: now - self.start,
            });
        }
        self.start = now;
    }
}
