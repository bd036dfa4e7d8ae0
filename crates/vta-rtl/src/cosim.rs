//! Co-simulation: one program in the functional simulator, the cycle simulator and the hardware.
//!
//! All three have to end with the same DRAM and scratchpads, and the cycle simulator and the hardware
//! have to agree on the cycle in which each instruction retires.

mod campaign;
mod designs;
mod difference;
mod placement;
mod trial;

use std::sync::Arc;

use vta_isa::{Design, INSN_BYTES, MemType, UOP_BYTES, Uop};
use vta_sim::{
    CycleOptions, CycleReport, CycleSim, Dram, FuncSim, MemoryModel, RunOptions, generate,
};

use crate::{RtlModel, RtlOptions, RtlSim};
pub use campaign::{Campaign, Failure, Summary};
pub use designs::{Candidate, candidates};
pub use difference::{Difference, DifferenceKind, Who};
pub use placement::Placement;
pub use trial::{Trial, TrialOptions};

/// The memories that are compared besides DRAM.
const SCRATCHPADS: [MemType; 6] = [
    MemType::Uop,
    MemType::Wgt,
    MemType::Inp,
    MemType::Acc,
    MemType::Out,
    MemType::Rqt,
];

/// The simulators of one design side by side.
pub struct Cosim {
    design: Design,
    func: FuncSim,
    cycle: CycleSim,
    rtl: Option<RtlSim>,
}

impl Cosim {
    /// The two simulators and, with its model, the hardware.
    pub fn new(design: &Design, model: Option<&Arc<RtlModel>>) -> Cosim {
        Cosim {
            design: design.clone(),
            func: FuncSim::new(design),
            cycle: CycleSim::new(design),
            rtl: model.map(|model| RtlSim::new(model.clone())),
        }
    }

    /// Runs a trial everywhere. What the cycle simulator tells of it, traced, or everything that differs.
    pub fn run(&mut self, trial: &Trial) -> Result<CycleReport, Vec<Difference>> {
        let Trial {
            image,
            address,
            count,
            ..
        } = trial;
        let fault = |who, message: String| vec![Difference::Fault { who, message }];

        let mut expected = image.clone();
        self.func
            .run_at(&mut expected, *address, *count, &RunOptions::default())
            .map_err(|error| fault(Who::Func, error.to_string()))?;

        let mut dram = image.clone();
        let options = CycleOptions {
            memory: trial.memory,
            trace: true,
            ..CycleOptions::default()
        };
        let report = self
            .cycle
            .run(&mut dram, *address, trial.insns(), &options)
            .map_err(|error| fault(Who::Cycle, error.to_string()))?;
        let mut differences = compare_dram(Who::Cycle, &expected, &dram);
        for memory in SCRATCHPADS {
            let (ours, theirs) = (self.func.scratchpad(memory), self.cycle.scratchpad(memory));
            differences.extend(self.compare(Who::Cycle, memory, &ours, &theirs));
        }

        if let Some(rtl) = &mut self.rtl {
            rtl.reset();
            if let Some(seed) = trial.before {
                leave_traces(rtl, seed);
            }
            let placed = trial.placement.place(&self.design, trial);
            let mut dram = placed.image.clone();
            let options = RtlOptions {
                memory: trial.memory,
                pointers: trial.placement.pointers,
                // Whatever takes that long hangs.
                max_cycles: 2 * report.cycles + 10_000,
                ..RtlOptions::default()
            };
            match rtl.run(&mut dram, placed.address, *count, &options) {
                Ok(run) => {
                    differences.extend(difference::times(&self.design, trial, &report, &run))
                }
                Err(error) => differences.push(Difference::stopped(error)),
            }
            let dram = trial.placement.back(trial, &placed, dram);
            differences.extend(compare_dram(Who::Rtl, &expected, &dram));
            for memory in SCRATCHPADS {
                let theirs = self.rtl.as_ref().map(|rtl| rtl.scratchpad(memory));
                let ours = self.func.scratchpad(memory);
                differences.extend(self.compare(
                    Who::Rtl,
                    memory,
                    &ours,
                    &theirs.unwrap_or_default(),
                ));
            }
        }
        match differences[..] {
            [] => Ok(report),
            _ => Err(differences),
        }
    }

    /// The first element of a scratchpad that differs. Bits of a micro-op that no field covers may.
    fn compare(&self, who: Who, memory: MemType, ours: &[u8], theirs: &[u8]) -> Option<Difference> {
        let elem = self.design.elem_bytes(memory);
        let uop = |bytes: &[u8]| {
            let word = bytes.try_into().map_or(0, u32::from_le_bytes);
            Uop::decode(&self.design, word)
        };
        let same = |(a, b): (&[u8], &[u8])| {
            a == b || (memory == MemType::Uop && a.len() == UOP_BYTES && uop(a) == uop(b))
        };
        let mut elements = ours.chunks(elem).zip(theirs.chunks(elem));
        let first = elements.position(|pair| !same(pair));
        let element = first.or((ours.len() != theirs.len()).then_some(0))?;
        let bytes = |all: &[u8]| all.chunks(elem).nth(element).unwrap_or_default().to_vec();
        Some(Difference::Scratchpad {
            who,
            memory,
            element,
            expected: bytes(ours),
            found: bytes(theirs),
        })
    }
}

/// A short run, stopped by a fault for every other seed. What it leaves behind must not matter to the next.
fn leave_traces(rtl: &mut RtlSim, seed: u64) {
    let program = generate(rtl.design(), !seed, 2);
    let Trial {
        mut image,
        address,
        count,
        ..
    } = Trial::new(program, 0, MemoryModel::default());
    let options = RtlOptions {
        max_cycles: 100_000,
        ..RtlOptions::default()
    };
    // Without its last instruction it lacks FINISH. However it ends, the run after it tells.
    let _ = rtl.run(&mut image, address, count - seed % 2, &options);
}

/// The first byte of DRAM that differs.
fn compare_dram(who: Who, ours: &Dram, theirs: &Dram) -> Vec<Difference> {
    let first = ours
        .bytes
        .iter()
        .zip(&theirs.bytes)
        .position(|(a, b)| a != b);
    let difference = first.map(|at| Difference::Dram {
        who,
        address: ours.base + at as u64,
        expected: ours.bytes[at],
        found: theirs.bytes[at],
    });
    difference.into_iter().collect()
}

impl Trial {
    /// The raw stream, out of the image.
    pub fn insns(&self) -> &[u8] {
        let start = (self.address - self.image.base) as usize;
        &self.image.bytes[start..][..self.count as usize * INSN_BYTES]
    }
}
