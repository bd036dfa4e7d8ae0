//! Stretches against one element after the other.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::{Body, Design, HwConfig, Insn, MemType, Module, Uop};

use super::{Conflict, Meetings, Shadow};
use crate::access::{Action, index};
use crate::decoded::Decoded;
use crate::dram::Dram;
use crate::fault::{Cause, Direction, Fault, Operand, Place};
use crate::generate;
use crate::machine::{Execute, Issue, Machine, Order};
use crate::tokens::{MODULES, slot};

/// The last access of each module to each element, by the memory's code (none for DRAM) and the place in it.
#[derive(Default)]
struct ByElement(BTreeMap<(Option<u8>, u64), [u32; 3]>);

impl ByElement {
    fn access(&mut self, issue: &Issue<'_>, action: &Action, uops: &[Uop], step: u64) -> Meetings {
        let mut meetings = Meetings::default();
        let loads_uops =
            matches!(action, Action::Load(transfer) if transfer.memory == MemType::Uop);
        for (place, direction) in touched(action, uops, step) {
            let (key, writer) = match place {
                Place::Dram(addr) => ((None, addr), Module::Store),
                Place::Sram(MemType::Acc, at) => ((Some(MemType::Acc.code()), at), Module::Compute),
                Place::Sram(memory, at) => ((Some(memory.code()), at), Module::Load),
            };
            let does = |module| match module == writer {
                true => Direction::Write,
                false => Direction::Read,
            };
            let cell = self.0.entry(key).or_default();
            for rival in MODULES {
                let reads = direction == Direction::Read && rival != writer;
                let ordered = rival == issue.module || reads;
                let (count, known) = (cell[slot(rival)], issue.clock[slot(rival)]);
                if !ordered && count > known {
                    meetings.races[slot(rival)].get_or_insert(Conflict {
                        place,
                        direction,
                        count,
                        other_direction: does(rival),
                    });
                } else if !ordered && count > 0 && loads_uops {
                    meetings.earlier.get_or_insert((place, count));
                }
            }
            if does(issue.module) == direction {
                cell[slot(issue.module)] = issue.clock[slot(issue.module)];
            }
        }
        meetings
    }
}

/// Elements of memories that modules share, granules of `step` bytes of DRAM, in the order of the instruction.
fn touched(action: &Action, uops: &[Uop], step: u64) -> Vec<(Place, Direction)> {
    let sram = |memory, at: usize, direction| (Place::Sram(memory, at as u64), direction);
    let rows = |transfer: &crate::access::Transfer, direction| {
        let (transfer, bytes) = (transfer.clone(), transfer.row_bytes as u64);
        (0..transfer.rows).flat_map(move |row| {
            let addr = transfer.addr(row);
            let granules = (addr..addr + bytes).step_by(step as usize);
            granules.map(move |addr| (Place::Dram(addr), direction))
        })
    };
    match action {
        Action::Sync | Action::Finish => Vec::new(),
        Action::Load(transfer) => {
            let memory = match transfer.memory {
                MemType::Acc8 => MemType::Acc,
                memory => memory,
            };
            let written = transfer.span().filter(|_| memory != MemType::Uop);
            let written = written.map(|at| sram(memory, at, Direction::Write));
            rows(transfer, Direction::Read).chain(written).collect()
        }
        Action::Store(transfer) => {
            let records = transfer.requant.clone().filter(|_| transfer.rows > 0);
            let stored = transfer
                .span()
                .map(|at| sram(MemType::Acc, at, Direction::Read));
            let records = records
                .into_iter()
                .flatten()
                .map(|at| sram(MemType::Rqt, at, Direction::Read));
            stored
                .chain(records)
                .chain(rows(transfer, Direction::Write))
                .collect()
        }
        Action::Kernel(kernel) => {
            let mut all = Vec::new();
            for &(operand, memory) in kernel.operands() {
                let direction = match operand {
                    Operand::Dst => Direction::Write,
                    _ if memory == MemType::Acc => continue,
                    _ => Direction::Read,
                };
                let [outer, inner] = kernel.factors(operand);
                let mut indices = BTreeSet::new();
                for o in 0..kernel.iter_out {
                    for i in 0..kernel.iter_in {
                        let moved = u64::from(o * outer + i * inner);
                        let uops = uops.get(kernel.uop_range()).into_iter().flatten();
                        indices.extend(uops.map(|uop| (index(uop, operand) + moved) as usize));
                    }
                }
                all.extend(indices.into_iter().map(|at| sram(memory, at, direction)));
            }
            all
        }
    }
}

/// Keeps both books, and compares them at each instruction.
struct Both<'a> {
    design: &'a Design,
    dram: &'a Dram,
    uops: Vec<Uop>,
    shadow: Shadow,
    elements: ByElement,
    races: usize,
    earlier: usize,
}

impl Execute for Both<'_> {
    fn execute(&mut self, issue: &Issue<'_>, causes: &mut Vec<Cause>) {
        let action = issue.action.as_ref().expect("fields of a correct program");
        if action.check(self.design, self.dram, &self.uops).is_err() {
            return;
        }
        let step = self
            .design
            .memories()
            .map(|memory| self.design.elem_bytes(memory));
        let step = step.min().expect("memories") as u64;
        let met = self
            .shadow
            .access(action, &self.uops, issue.module, &issue.clock);
        let expected = self.elements.access(issue, action, &self.uops, step);
        assert_eq!(met, expected, "{action:?}");
        self.races += met.races.iter().flatten().count();
        self.earlier += usize::from(met.earlier.is_some());
        match action {
            Action::Load(transfer) if transfer.memory == MemType::Uop => {
                transfer.load_uops(self.design, self.dram, &mut self.uops);
            }
            _ => {}
        }
        // What it would report does not matter here.
        causes.clear();
    }

    fn fault(&mut self, _: Fault) -> Result<(), Fault> {
        Ok(())
    }
}

/// Correct programs, and such in which instructions no longer wait; micro-ops come from where data is, too.
#[test]
fn stretches_meet_what_their_elements_meet() {
    let small = HwConfig {
        log_inp_buff_size: 11,
        log_wgt_buff_size: 14,
        log_acc_buff_size: 13,
        features: HwConfig::FEATURES.iter().map(ToString::to_string).collect(),
        log_inp_width: 0,
        log_wgt_width: 0,
        ..HwConfig::default()
    };
    let designs = [HwConfig::default(), small].map(|config| config.design().expect("a design"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut races, mut earlier) = (0, 0);
    for seed in 0..300 {
        let design = &designs[seed as usize % 2];
        let mut program = generate(design, seed, 20);
        for insn in program.insns.chunks_exact_mut(16) {
            let bytes: &mut [u8; 16] = insn.try_into().expect("16 bytes");
            let mut changed = Insn::decode(design, bytes).expect("a correct program");
            let lost = seed % 3 > 0 && rng.random_bool(0.2);
            changed.deps.pop_prev &= !lost;
            changed.deps.pop_next &= !lost;
            if let Body::Load(mem) = &mut changed.body {
                if mem.mem() == Some(MemType::Uop) && rng.random_bool(0.3) {
                    mem.dram_base = (program.dram.base / 4) as u32 + rng.random_range(0..1000);
                }
            }
            *bytes = changed.encode(design).expect("fields that fit");
        }
        let code = Decoded::new(design, &program.insns);
        let mut both = Both {
            design,
            dram: &program.dram,
            uops: vec![Uop::default(); design.depth(MemType::Uop) as usize],
            shadow: Shadow::new(design, &program.dram),
            elements: ByElement::default(),
            races: 0,
            earlier: 0,
        };
        both.shadow.watch_stores(design, &program.dram, &code);
        let mut machine = Machine::new(design, &code, [0; 4]).expect("no tokens");
        let order = [Order::RoundRobin, Order::Seeded(seed)][seed as usize / 2 % 2];
        machine.run(order, &mut both).expect("faults go on");
        (races, earlier) = (races + both.races, earlier + both.earlier);
    }
    assert!(races > 300 && earlier > 0, "{races} {earlier}");
}
