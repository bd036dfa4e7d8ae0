//! Tokens ride on whatever instruction can carry them, and still every module pops, runs and pushes
//! in the order in which it was told to.

use proptest::prelude::*;
use vta_isa::{Body, Deps, Design, Insn, MemType, Module};
use vta_program::{Block2d, CommandStream};

const QUEUES: [(Module, Module); 4] = [
    (Module::Load, Module::Compute),
    (Module::Compute, Module::Load),
    (Module::Compute, Module::Store),
    (Module::Store, Module::Compute),
];

/// What one module does, in order. Pops, or pushes, with nothing between them have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Pop(usize),
    Run(u32),
    Push(usize),
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Run(Module),
    Push(usize),
    Pop(usize),
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        prop::sample::select(Module::ALL).prop_map(Command::Run),
        (0..4usize).prop_map(Command::Push),
        (0..4usize).prop_map(Command::Pop),
    ]
}

fn run(stream: &mut CommandStream, module: Module, tag: u32) {
    let block = Block2d::run(0, tag.into(), 1);
    match module {
        Module::Load => stream.load_2d(MemType::Inp, block).unwrap(),
        Module::Compute => stream.load_2d(MemType::Acc, block).unwrap(),
        Module::Store => stream.store_2d(block).unwrap(),
    }
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    let same_kind = |a: &Event, b: &Event| match (a, b) {
        (Event::Pop(_), Event::Pop(_)) | (Event::Push(_), Event::Push(_)) => true,
        _ => a == b,
    };
    events.chunk_by_mut(same_kind).for_each(<[Event]>::sort);
    events
}

fn flag(deps: &Deps, event: Event) -> bool {
    match event {
        Event::Push(0 | 2) => deps.push_next,
        Event::Push(_) => deps.push_prev,
        Event::Pop(0 | 2) => deps.pop_prev,
        Event::Pop(_) => deps.pop_next,
        Event::Run(_) => false,
    }
}

/// The events of `module` in a stream.
fn events(insns: &[Insn], module: Module) -> Vec<Event> {
    let of_queue = |side: fn((Module, Module)) -> Module, event: fn(usize) -> Event| {
        let queues = (0..4).filter(move |&q| side(QUEUES[q]) == module);
        queues.map(event).collect::<Vec<_>>()
    };
    let (pops, pushes) = (
        of_queue(|q| q.1, Event::Pop),
        of_queue(|q| q.0, Event::Push),
    );
    let mut events = Vec::new();
    for insn in insns
        .iter()
        .filter(|i| i.module(&Design::default()) == module)
    {
        events.extend(pops.iter().filter(|&&e| flag(&insn.deps, e)));
        if let Body::Load(mem) | Body::Store(mem) = insn.body {
            events.extend((!mem.is_sync()).then_some(Event::Run(mem.dram_base)));
        }
        events.extend(pushes.iter().filter(|&&e| flag(&insn.deps, e)));
    }
    sorted(events)
}

proptest! {
    #[test]
    fn every_module_keeps_its_order(commands in prop::collection::vec(command(), 0..60)) {
        let design = Design::default();
        let mut stream = CommandStream::new(&design);
        let mut expected = [const { Vec::new() }; 3];
        let mut tokens = [0i32; 4];
        // At the end every module runs once more, so that pops still pending show.
        let last = Module::ALL.iter().map(|&m| Command::Run(m));
        for (tag, command) in (0u32..).zip(commands.into_iter().chain(last)) {
            match command {
                Command::Run(module) => {
                    run(&mut stream, module, tag);
                    expected[module as usize].push(Event::Run(tag));
                }
                Command::Push(q) => {
                    let (from, to) = QUEUES[q];
                    stream.dep_push(from, to).unwrap();
                    expected[from as usize].push(Event::Push(q));
                    tokens[q] += 1;
                }
                Command::Pop(q) if tokens[q] > 0 => {
                    let (from, to) = QUEUES[q];
                    stream.dep_pop(from, to).unwrap();
                    expected[to as usize].push(Event::Pop(q));
                    tokens[q] -= 1;
                }
                Command::Pop(_) => {}
            }
        }
        for &module in Module::ALL {
            let expected = sorted(std::mem::take(&mut expected[module as usize]));
            prop_assert_eq!(events(stream.insns(), module), expected);
        }
        // The end pops what is left, and waits for everyone.
        let insns = stream.finish().unwrap().insns;
        let all: Vec<Event> = Module::ALL.iter().flat_map(|&m| events(&insns, m)).collect();
        let count = |event| all.iter().filter(|&&e| e == event).count();
        for q in 0..4 {
            prop_assert_eq!(count(Event::Push(q)), count(Event::Pop(q)));
        }
        for (q, module) in [(0, Module::Load), (3, Module::Store)] {
            prop_assert_eq!(events(&insns, module).last().copied(), Some(Event::Push(q)));
        }
        prop_assert_eq!(insns.last().map(|i| (i.body, i.deps)), Some((Body::Finish, Deps::default())));
    }
}
