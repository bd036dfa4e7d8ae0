//! What offloading and latency hiding are worth: one network, compiled with and without.

use std::collections::BTreeMap;

use serde::Serialize;
use vta_compiler::Offload;
use vta_graph::Tensor;
use vta_sim::MemoryModel;

use crate::{Built, Error, Options, Profile, Progress, Result, Spent, Total, build};

/// The same network in five ways, results bit-equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// The network.
    pub network: String,
    /// What is said of its quantization and the like.
    pub notes: BTreeMap<String, String>,
    /// Each kind of convolution, if nothing else is offloaded.
    pub layers: Vec<Pair>,
    /// The whole network.
    pub runs: Vec<Configuration>,
}

/// Convolutions that are alike, without and with latency hiding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// `C1`, `C2`, ...
    pub name: String,
    /// Logical extents.
    pub shape: String,
    /// How many there are.
    pub times: usize,
    /// What they took together, without.
    pub off: Spent,
    /// What they took together, with.
    pub on: Spent,
}

/// One way to compile the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Configuration {
    /// Which operators are offloaded: `none`, `conv` or `all`.
    pub offload: &'static str,
    /// Whether transfers overlap computation.
    pub latency_hiding: bool,
    /// Its sums.
    pub total: Total,
}

impl Experiment {
    /// Compiles the network in each way, and times it; with an input also runs the host's operators, and
    /// compares the outputs.
    ///
    /// # Errors
    /// An input that does not fit; outputs that differ, which is a bug.
    pub fn new(
        built: &Built,
        options: &Options,
        memory: MemoryModel,
        input: Option<&[Tensor]>,
        progress: &dyn Progress,
    ) -> Result<Experiment> {
        let ways = [
            ("none", Offload::None, true),
            ("conv", Offload::Conv, false),
            ("conv", Offload::Conv, true),
            ("all", Offload::All, false),
            ("all", Offload::All, true),
        ];
        progress.stage("experiment", ways.len());
        let mut runs = Vec::new();
        let mut profiles = Vec::new();
        let mut expected: Option<Vec<Tensor>> = None;
        for (name, offload, latency_hiding) in ways {
            let mut options = options.clone();
            options.compiler.offload = offload;
            options.compiler.latency_hiding = latency_hiding;
            let program = build::recompile(built, &options)?;
            let (profile, outputs) = Profile::run(program, &options.design, memory, input)?;
            if expected.is_some() && outputs != expected {
                return Err(Error::bug(format!("offloading {name} changes the result")));
            }
            expected = outputs;
            runs.push(Configuration {
                offload: name,
                latency_hiding,
                total: profile.total.clone(),
            });
            profiles.push(profile);
            progress.step();
        }
        let [_, off, on, ..] = &profiles[..] else {
            return Err(Error::bug("an experiment has five runs"));
        };
        let layers = off.layers().into_iter().zip(on.layers());
        Ok(Experiment {
            network: on.network.clone(),
            notes: built.program.notes.clone(),
            layers: layers
                .map(|(off, on)| Pair {
                    name: on.name,
                    shape: on.shape,
                    times: on.times,
                    off: off.spent,
                    on: on.spent,
                })
                .collect(),
            runs,
        })
    }
}
