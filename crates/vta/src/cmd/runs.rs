//! One inference on each of several devices, and whether they agree.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vta::{Devices, Error, Module, Progress, Result};
use vta_graph::{Data, Tensor};
use vta_isa::Design;
use vta_program::Program;

use super::device::{Name, OnDevice};
use crate::output::{grouped, table};

/// A program on a device, and its last inference there.
pub(super) struct Run {
    device: Name,
    pub(super) module: Module,
    pub(super) outputs: Vec<Tensor>,
    /// Device memory after it.
    memory: Vec<u8>,
    /// How long the inference took here.
    seconds: f64,
}

/// The same on all devices that were asked for, of which there is one at least.
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Loads a program into each device.
    pub(super) fn load(
        program: &Program,
        design: &Design,
        on: &OnDevice,
        progress: &dyn Progress,
    ) -> Result<Runs> {
        let mut runs = Vec::new();
        for (device, kind) in on.kinds()? {
            let devices = Devices::new(design, &kind, progress)?;
            runs.push(Run {
                device,
                module: Module::load_on(program.clone(), &devices)?,
                outputs: Vec::new(),
                memory: Vec::new(),
                seconds: 0.0,
            });
        }
        Ok(Runs(runs))
    }

    /// One inference on each; the cycle simulator's timeline goes to `trace`.
    pub(super) fn infer(&mut self, inputs: &[Tensor], trace: Option<&Path>) -> Result<()> {
        for run in &mut self.0 {
            let start = Instant::now();
            run.outputs = run.module.run(inputs)?;
            run.seconds = start.elapsed().as_secs_f64();
            run.memory = run.module.memory()?;
            if let (Some(path), Name::Cycle) = (trace, run.device) {
                run.module.timeline().write(path)?;
            }
        }
        Ok(())
    }

    /// The one that knows most: the cycle simulator's, which tells what the cycles were spent on, or the first.
    pub(super) fn reference(&self) -> &Run {
        let cycle = self.0.iter().find(|run| run.device == Name::Cycle);
        cycle.unwrap_or(&self.0[0])
    }

    /// The devices side by side, if there are several.
    pub(super) fn text(&self) -> Option<String> {
        let row = |run: &Run| {
            vec![
                run.device.text().to_owned(),
                run.output_digest(),
                run.memory_digest(),
                run.cycles().map(grouped).unwrap_or_default(),
                format!("{:.3}", run.seconds),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        let headers = ["device", "output", "memory", "cycles", "seconds"];
        (rows.len() > 1).then(|| table(&headers, &rows))
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        let row = |run: &Run| {
            json!({
                "device": run.device,
                "output": run.output_digest(),
                "memory": run.memory_digest(),
                "cycles": run.cycles(),
                "seconds": run.seconds,
            })
        };
        (self.0.len() > 1).then(|| self.0.iter().map(row).collect())
    }

    /// Whether all have the same outputs, memory and counters, and those that count cycles the same cycles.
    pub(super) fn agree(&self) -> Result<()> {
        for (at, run) in self.0.iter().enumerate() {
            for other in &self.0[..at] {
                if let Some(what) = run.difference(other) {
                    let (one, two) = (other.device.text(), run.device.text());
                    return Err(Error::bug(format!("{one} and {two} differ in {what}")));
                }
            }
        }
        Ok(())
    }
}

impl Run {
    fn cycles(&self) -> Option<u64> {
        self.module.stats().cycles()
    }

    fn output_digest(&self) -> String {
        let mut hash = Sha256::new();
        for output in &self.outputs {
            match output.data() {
                Data::F32(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
                Data::I64(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
                Data::I32(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
                Data::I8(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
                Data::U8(v) => hash.update(v),
            }
        }
        short(hash)
    }

    fn memory_digest(&self) -> String {
        short(Sha256::new_with_prefix(&self.memory))
    }

    fn difference(&self, other: &Run) -> Option<&'static str> {
        let cycles = self.cycles().zip(other.cycles());
        let differs = [
            (
                self.output_digest() != other.output_digest(),
                "their outputs",
            ),
            (self.memory != other.memory, "device memory"),
            (
                self.module.counters() != other.module.counters(),
                "counters",
            ),
            (cycles.is_some_and(|(one, two)| one != two), "cycles"),
        ];
        differs
            .into_iter()
            .find_map(|(differs, what)| differs.then_some(what))
    }
}

/// The first bytes of a digest: enough to see that two are one.
fn short(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
