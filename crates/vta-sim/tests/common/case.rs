//! Any bytes as something to run, and what has to hold of it.

use vta_isa::{Design, HwConfig, MemType};
use vta_sim::{
    Cause, CheckOptions, CycleOptions, CycleSim, Dram, Fault, FuncSim, HostSimd, Kind, Leftover,
    MemoryModel, Order, Program, RunOptions, check, generate,
};

/// Micro-ops that a run may execute: no input may take long.
const STEPS: u64 = 3000;
/// Bytes that an image may have.
const IMAGE: usize = 1 << 16;

/// A stream, the image and the state that it begins with.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Of [`Machines`], modulo their number.
    pub(crate) design: u8,
    pub(crate) dram: Dram,
    pub(crate) insns: Vec<u8>,
    pub(crate) seed: u8,
    pub(crate) initial_tokens: [u32; 4],
    pub(crate) leftover: Leftover,
    pub(crate) memory: MemoryModel,
    /// Runs one after the other, each with the state that the one before left.
    pub(crate) runs: usize,
}

const HEADER: usize = 7;

impl Case {
    /// What some bytes stand for. All of them stand for something: seven choose, the first of which the design and
    /// the second what follows. That is either the stream and the image, or what is written over a generated
    /// program: two bytes of a position, one of what is there.
    pub(crate) fn of(bytes: &[u8], designs: &[Design]) -> Case {
        let mut header = [0; HEADER];
        let chosen = bytes.len().min(HEADER);
        header[..chosen].copy_from_slice(&bytes[..chosen]);
        let [design, flags, seed, latency, tokens, insns, place] = header;
        let rest = &bytes[chosen..];
        let flag = |bit: u8| flags >> bit & 1 != 0;
        let (dram, insns) = match flag(0) {
            true => {
                let design = &designs[usize::from(design) % designs.len()];
                written_over(design, u64::from(seed) << 8 | u64::from(place), insns, rest)
            }
            false => {
                // Bytes may be missing, so that streams end within an instruction too.
                let (stream, image) = rest.split_at(rest.len().min(usize::from(insns) * 16));
                let mut bytes = vec![0; (1024 << (place >> 5)).min(IMAGE)];
                for (to, from) in bytes.iter_mut().zip(image) {
                    *to = *from;
                }
                (
                    Dram::new(base(place & 31, bytes.len()), bytes),
                    stream.to_vec(),
                )
            }
        };
        Case {
            design,
            dram,
            insns,
            seed,
            initial_tokens: [0, 2, 4, 6].map(|bit| u32::from(tokens >> bit & 3)),
            leftover: if flag(1) {
                Leftover::Warn
            } else {
                Leftover::Fault
            },
            memory: MemoryModel {
                latency: latency.into(),
                stalls: flag(2).then_some(seed.into()),
            },
            runs: 1 + usize::from(flag(3)),
        }
    }

    /// Bytes that stand for a program of the design at this position, unless it is too long or lies too high.
    pub(crate) fn bytes(design: u8, program: &Program) -> Option<Vec<u8>> {
        let Program { dram, insns } = program;
        let size = dram.bytes.len().next_power_of_two().max(1024);
        let place = u8::try_from(dram.base / 0x800)
            .ok()
            .filter(|&place| place < 16)?;
        let place = place | (size.ilog2() as u8 - 10) << 5;
        let count = u8::try_from(insns.len() / 16).ok()?;
        let header = [design, 0, 0, 3, 0, count, place];
        Some([&header, &insns[..], &dram.bytes].concat())
    }
}

/// Where an image begins: near 0, at its own size, or where addresses end.
fn base(place: u8, len: usize) -> u64 {
    match place {
        0..16 => u64::from(place) * 0x800,
        16..24 => (len as u64) << (place - 16),
        _ => u64::MAX - len as u64 - u64::from(31 - place) * 0x400,
    }
}

fn written_over(design: &Design, seed: u64, length: u8, edits: &[u8]) -> (Dram, Vec<u8>) {
    let program = generate(design, seed, 1 + usize::from(length) % 32);
    let (mut dram, mut insns) = (program.dram, program.insns);
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let bytes = if at & 1 == 0 {
            &mut insns
        } else {
            &mut dram.bytes
        };
        let len = bytes.len();
        bytes[at / 2 % len] = edit[2];
    }
    (dram, insns)
}

/// The simulators of each design, kept from case to case.
pub(crate) struct Machines {
    designs: Vec<Design>,
    simulators: Vec<Vec<FuncSim>>,
    in_cycles: Vec<CycleSim>,
}

const MEMORIES: [MemType; 5] = [
    MemType::Uop,
    MemType::Wgt,
    MemType::Inp,
    MemType::Acc,
    MemType::Rqt,
];

impl Machines {
    /// Machines of the designs of all tests, with memories so small that what is chosen at random meets, and of the
    /// first one as it is.
    pub(crate) fn new() -> Machines {
        let whole: Vec<_> = super::designs()
            .into_iter()
            .map(|(_, design)| design)
            .collect();
        let designs: Vec<_> = whole
            .iter()
            .map(small)
            .chain(whole.first().cloned())
            .collect();
        let on = |design| {
            let available = HostSimd::available().into_iter();
            available.map(move |simd| FuncSim::with_simd(design, simd))
        };
        Machines {
            simulators: designs.iter().map(|design| on(design).collect()).collect(),
            in_cycles: designs.iter().map(CycleSim::new).collect(),
            designs,
        }
    }

    pub(crate) fn designs(&self) -> &[Design] {
        &self.designs
    }

    /// Runs a case on all simulators; whether it runs without a fault.
    ///
    /// # Panics
    /// If one of them differs from another, or from what the checker said.
    pub(crate) fn hold(&mut self, case: &Case) -> bool {
        let which = usize::from(case.design) % self.designs.len();
        let options = RunOptions {
            order: Order::Seeded(case.seed.into()),
            step_limit: STEPS,
            initial_tokens: case.initial_tokens,
            leftover: case.leftover,
            ..RunOptions::default()
        };
        self.hold_on_every_kernel(which, case, &options);
        self.hold_in_every_order(which, case, &options)
    }

    /// One order, over all runs.
    fn hold_on_every_kernel(&mut self, which: usize, case: &Case, options: &RunOptions) {
        let mut outcomes = self.simulators[which].iter_mut().map(|sim| {
            let mut image = case.dram.clone();
            let run = |run| {
                let options = RunOptions {
                    keep_state: run > 0,
                    ..options.clone()
                };
                sim.run(&mut image, &case.insns, &options)
            };
            let results: Vec<_> = (0..case.runs).map(run).collect();
            (results, image, scratchpads(sim))
        });
        let expected = outcomes.next().expect("two kernels need nothing");
        for outcome in outcomes {
            assert!(outcome == expected, "{:?}\n{:?}", outcome.0, expected.0);
        }
    }

    /// What the checker passes has one result, whatever the order and the clock; and what does not race faults in
    /// all of them or in none.
    fn hold_in_every_order(&mut self, which: usize, case: &Case, options: &RunOptions) -> bool {
        let Case { dram, insns, .. } = case;
        let checks = CheckOptions {
            initial_tokens: case.initial_tokens,
            leftover: case.leftover,
            max_findings: 100,
        };
        let sim = &mut self.simulators[which][0];
        let checked = check(&self.designs[which], dram, insns, &checks);
        assert_eq!(checked, sim.check(dram, insns, &checks));
        let findings = checked.err().unwrap_or_default();
        let racy =
            |fault: &Fault| matches!(fault.cause, Cause::Race { .. } | Cause::StoredUops { .. });
        // Where there are too many, one that is not reported may be.
        let racy = findings.len() == checks.max_findings || findings.iter().any(racy);

        let mut image = dram.clone();
        let run = sim.run(&mut image, insns, options);
        let memories = scratchpads(sim);
        let words = run.as_ref().err().into_iter().chain(&findings);
        words.for_each(|fault| assert!(!fault.to_string().is_empty()));
        if let Err(fault) = &run {
            let limited = fault.cause.kind() == Kind::Limit;
            assert!(limited || !findings.is_empty(), "{fault}");
        }

        let in_cycles = &mut self.in_cycles[which];
        let timing = CycleOptions {
            memory: case.memory,
            trace: case.seed & 1 != 0,
            run: options.clone(),
        };
        let mut timed_image = dram.clone();
        let timed = in_cycles.run(&mut timed_image, ADDRESS, insns, &timing);
        if racy {
            return run.is_ok();
        }
        let in_turn = RunOptions {
            order: Order::RoundRobin,
            ..options.clone()
        };
        let mut image_in_turn = dram.clone();
        let other = sim.run(&mut image_in_turn, insns, &in_turn);
        let memories_in_turn = scratchpads(sim);
        assert_eq!(run.is_ok(), other.is_ok(), "{run:?}\n{other:?}");
        assert_eq!(run.is_ok(), timed.is_ok(), "{run:?}\n{timed:?}");
        let (Ok(run), Ok(timed)) = (run, timed) else {
            return false;
        };
        assert_eq!(Ok(&run), other.as_ref());
        assert!(image == image_in_turn, "the image in turn differs");
        assert!(memories == memories_in_turn, "a scratchpad in turn differs");
        assert!(image == timed_image, "the image in cycles differs");
        let timed_memories = MEMORIES.map(|memory| in_cycles.scratchpad(memory));
        assert!(memories == timed_memories, "a scratchpad differs");
        assert_eq!(run.counters, timed.counters);
        assert_eq!(run.leftover, timed.leftover);
        assert_eq!(in_cycles.time(ADDRESS, insns, &timing), Ok(timed));
        true
    }
}

fn scratchpads(sim: &FuncSim) -> [Vec<u8>; 5] {
    MEMORIES.map(|memory| sim.scratchpad(memory))
}

const ADDRESS: u64 = 0x70;

/// The design with 64 elements in each memory.
fn small(design: &Design) -> Design {
    let mut config: HwConfig = design.config().clone();
    let bytes = |memory| 6 + design.elem_bytes(memory).ilog2();
    config.log_uop_buff_size = bytes(MemType::Uop);
    config.log_inp_buff_size = bytes(MemType::Inp);
    config.log_wgt_buff_size = bytes(MemType::Wgt);
    config.log_acc_buff_size = bytes(MemType::Acc);
    config.design().expect("smaller memories fit too")
}
