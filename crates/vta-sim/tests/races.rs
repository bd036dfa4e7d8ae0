//! The checker against happens-before worked out by brute force, on random programs that lost tokens.

mod common;

use std::collections::BTreeSet;

use common::{designs, naive};
use proptest::prelude::*;
use vta_isa::{Body, Deps, Design, INSN_BYTES, Insn, Module};
use vta_sim::{Cause, CheckOptions, FuncSim, Leftover, Order, RunOptions, check, generate};

const QUEUES: [(Module, Module); 4] = [
    (Module::Load, Module::Compute),
    (Module::Compute, Module::Load),
    (Module::Compute, Module::Store),
    (Module::Store, Module::Compute),
];

/// The flags by which an instruction of `from` pushes and one of `to` pops.
fn flags(deps: &mut Deps, queue: (Module, Module)) -> (&mut bool, &mut bool) {
    let forward = matches!(queue, (Module::Load, _) | (_, Module::Store));
    if forward {
        (&mut deps.push_next, &mut deps.pop_prev)
    } else {
        (&mut deps.push_prev, &mut deps.pop_next)
    }
}

fn decode(design: &Design, stream: &[u8]) -> Vec<Insn> {
    stream
        .chunks(INSN_BYTES)
        .map(|word| Insn::decode(design, word.try_into().unwrap()).unwrap())
        .collect()
}

fn encode(design: &Design, insns: &[Insn]) -> Vec<u8> {
    insns
        .iter()
        .flat_map(|insn| insn.encode(design).unwrap())
        .collect()
}

/// Positions of the pushes and of the pops of a queue, in order.
fn ends(design: &Design, insns: &[Insn], queue: (Module, Module)) -> (Vec<usize>, Vec<usize>) {
    let (mut pushes, mut pops) = (Vec::new(), Vec::new());
    for (i, insn) in insns.iter().enumerate() {
        let mut deps = insn.deps;
        let (push, pop) = flags(&mut deps, queue);
        if insn.module(design) == queue.0 && *push {
            pushes.push(i);
        }
        if insn.module(design) == queue.1 && *pop {
            pops.push(i);
        }
    }
    (pushes, pops)
}

/// `before[i]` holds every instruction that the program and the tokens order before the i-th. Every token is
/// pushed before it is popped in the order of the stream.
fn happens_before(design: &Design, insns: &[Insn]) -> Vec<BTreeSet<usize>> {
    let tokens: Vec<(usize, usize)> = QUEUES
        .iter()
        .flat_map(|&queue| {
            let (pushes, pops) = ends(design, insns, queue);
            pushes.into_iter().zip(pops)
        })
        .collect();
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    for i in 0..insns.len() {
        let same = (0..i).filter(|&j| insns[j].module(design) == insns[i].module(design));
        let direct: Vec<usize> = same
            .chain(tokens.iter().filter(|t| t.1 == i).map(|t| t.0))
            .collect();
        let mut all: BTreeSet<usize> = direct.iter().copied().collect();
        direct.iter().for_each(|&j| all.extend(&before[j]));
        before.push(all);
    }
    before
}

fn moves(insn: &Insn) -> bool {
    !matches!(&insn.body, Body::Load(mem) | Body::Store(mem) if mem.is_sync())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_race_is_found_where_there_is_one(seed: u64, length in 1usize..30, which in 0..designs().len(), picks: [u16; 3]) {
        let (name, design) = &designs()[which];
        let program = generate(design, seed, length);
        let mut insns = decode(design, &program.insns);
        // Tokens removed whole leave the others matched as they were.
        for pick in picks {
            let queue = QUEUES[pick as usize % 4];
            let (pushes, pops) = ends(design, &insns, queue);
            if !pushes.is_empty() {
                let token = pick as usize / 4 % pushes.len();
                *flags(&mut insns[pushes[token]].deps, queue).0 = false;
                *flags(&mut insns[pops[token]].deps, queue).1 = false;
            }
        }
        let stream = encode(design, &insns);
        let before = happens_before(design, &insns);
        let touched = naive::footprints(design, program.dram.base, &program.dram.bytes, &stream);
        let ordered = |i: usize, j: usize| before[j].contains(&i) || before[i].contains(&j);
        let meet = |i: usize, j: usize| {
            let ((reads, writes), (others_reads, others_writes)) = (&touched[i], &touched[j]);
            writes.iter().any(|w| others_reads.contains(w) || others_writes.contains(w))
                || reads.iter().any(|r| others_writes.contains(r))
        };
        let races = (0..insns.len()).any(|j| (0..j).any(|i| !ordered(i, j) && meet(i, j)));
        let last = insns.len() - 1;
        let unfinished = (0..last).any(|i| !before[last].contains(&i) && moves(&insns[i]));

        let options = CheckOptions { max_findings: 1000, ..CheckOptions::default() };
        let findings = check(design, &program.dram, &stream, &options).err().unwrap_or_default();
        let found = |what: fn(&Cause) -> bool| findings.iter().any(|finding| what(&finding.cause));
        prop_assert_eq!(found(|cause| matches!(cause, Cause::Race { .. })), races, "{}", name);
        // A flag that was taken away may leave an instruction that moves nothing without order, too.
        prop_assert!(!unfinished || found(|cause| matches!(cause, Cause::Unfinished { .. })), "{}", name);
        if findings.is_empty() {
            let run = |order| {
                let mut dram = program.dram.clone();
                let options = RunOptions { order, ..RunOptions::default() };
                FuncSim::new(design).run(&mut dram, &stream, &options).map(|_| dram)
            };
            prop_assert_eq!(run(Order::Seeded(seed)), run(Order::RoundRobin));
        }
    }

    #[test]
    fn a_lost_flag_is_a_deadlock_or_a_token_left(seed: u64, length in 1usize..40, which in 0..designs().len(), pick: u16) {
        let (_, design) = &designs()[which];
        let program = generate(design, seed, length);
        let mut insns = decode(design, &program.insns);
        let queue = QUEUES[pick as usize % 4];
        let (pushes, pops) = ends(design, &insns, queue);
        prop_assume!(!pushes.is_empty());
        let token = pick as usize / 8 % pushes.len();
        if pick & 4 == 0 {
            *flags(&mut insns[pushes[token]].deps, queue).0 = false;
        } else {
            *flags(&mut insns[pops[token]].deps, queue).1 = false;
        }
        let stream = encode(design, &insns);
        prop_assert!(check(design, &program.dram, &stream, &CheckOptions::default()).is_err());
        let options = RunOptions { order: Order::Seeded(seed), ..RunOptions::default() };
        prop_assert!(FuncSim::new(design).run(&mut program.dram.clone(), &stream, &options).is_err());
    }

    /// Whether tokens and queues of any depth deadlock, and what they leave, is a property of the stream.
    #[test]
    fn every_order_ends_alike(
        kinds in prop::collection::vec((0usize..3, 0u8..16), 0..60), cmd in 1u32..6, dep in 1u32..4, seed: u64,
    ) {
        let design = &common::design(|c| (c.cmd_queue_depth, c.dep_queue_depth) = (cmd, dep));
        let texts = ["load.inp", "load.uop", "store.out"];
        let names = ["pop_prev", "pop_next", "push_prev", "push_next"];
        let mut text = String::new();
        for (kind, bits) in kinds {
            text += texts[kind];
            (0..4).filter(|i| bits >> i & 1 == 1).for_each(|i| text = format!("{text} {}", names[i]));
            text += "\n";
        }
        let stream = vta_isa::asm::assemble(design, &(text + "finish\n")).unwrap();
        let run = |order| {
            let options = RunOptions { order, leftover: Leftover::Warn, ..RunOptions::default() };
            FuncSim::new(design).run(&mut common::no_dram(), &stream, &options)
        };
        let options = CheckOptions { leftover: Leftover::Warn, ..CheckOptions::default() };
        let (first, second) = (run(Order::RoundRobin), run(Order::Seeded(seed)));
        let checked = check(design, &common::no_dram(), &stream, &options);
        match (first, second) {
            (Ok(first), Ok(second)) => {
                prop_assert_eq!(&first, &second);
                prop_assert_eq!(checked.unwrap().leftover, first.leftover);
            }
            (Err(first), Err(second)) => {
                prop_assert_eq!(first.cause, second.cause);
                prop_assert!(checked.is_err());
            }
            (first, second) => prop_assert!(false, "{:?} and {:?}", first, second),
        }
    }
}
