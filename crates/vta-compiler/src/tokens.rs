//! Dependence tokens: from commands that are right one after the other to a stream that is right
//! on three concurrent modules.
//!
//! A command waits for the commands of other modules that touch what it touches, one of the two
//! writing, and for nothing else. What a module knows to be over is kept as a clock: how many
//! commands of each module. A token is sent only for what its receiver does not know yet, by the
//! first command that is late enough; it brings all that its sender knew. Load and store share no
//! queue: what one has to know of the other passes through a command of compute that knows it,
//! or is made to wait for it.

mod history;

use vta_isa::{Design, Module};

use crate::emit::Command;
use history::History;

const MODULES: [Module; 3] = [Module::Load, Module::Compute, Module::Store];

/// Commands of load, compute and store.
type Clock = [usize; 3];

/// A command with its tokens, or tokens alone.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) module: Module,
    /// Without one, an instruction of `module` that carries tokens only.
    pub(crate) command: Option<Command>,
    pops: [bool; 3],
    pushes: [bool; 3],
}

impl Ordered {
    /// Whom it waits for.
    pub(crate) fn pops(&self) -> impl Iterator<Item = Module> + use<> {
        among(self.pops)
    }

    /// Whom it tells of its end.
    pub(crate) fn pushes(&self) -> impl Iterator<Item = Module> + use<> {
        among(self.pushes)
    }
}

/// Commands in their order alone.
pub(crate) fn without(commands: &[Command]) -> Vec<Ordered> {
    let ordered = |command: &Command| Ordered {
        module: module(command),
        command: Some(command.clone()),
        pops: [false; 3],
        pushes: [false; 3],
    };
    commands.iter().map(ordered).collect()
}

fn among(flags: [bool; 3]) -> impl Iterator<Item = Module> {
    MODULES.into_iter().filter(move |&m| flags[m as usize])
}

/// The module that runs a command.
fn module(command: &Command) -> Module {
    match command {
        Command::Load { mem, .. } if history::is_loaded(*mem) => Module::Load,
        Command::Store { .. } => Module::Store,
        _ => Module::Compute,
    }
}

/// The commands of a stream, operator by operator, with the tokens that they need.
///
/// The stream runs on any design with the depth of this one's token queues: executed in this order, no
/// queue ever holds more. Unless modules may `overlap`, a command waits for all that the others began.
pub(crate) fn order(
    operators: Vec<Vec<Command>>,
    design: &Design,
    overlap: bool,
) -> Vec<Vec<Ordered>> {
    let mut history = History::new(design);
    let mut order = Order {
        depth: design.config().dep_queue_depth as usize,
        steps: Vec::new(),
        modules: Default::default(),
        queues: Default::default(),
    };
    let mut ends = Vec::with_capacity(operators.len());
    for commands in operators {
        for command in commands {
            let module = module(&command);
            let touches = history.touches(&command);
            let needs = if overlap {
                history.needs(&touches, module, order.modules[module as usize].knows)
            } else {
                order.begun()
            };
            let pops = order.wait(module, needs);
            let count = order.modules[module as usize].steps.len() + 1;
            history.record(touches, module, count);
            order.append(module, Some(command), pops);
        }
        ends.push(order.steps.len());
    }
    let mut steps = order.steps.into_iter();
    let mut begin = 0;
    let counts = ends
        .into_iter()
        .map(|end| end - std::mem::replace(&mut begin, end));
    counts
        .map(|count| steps.by_ref().take(count).collect())
        .collect()
}

#[derive(Debug, Default)]
struct State {
    /// Its commands, as indices of steps.
    steps: Vec<usize>,
    /// What each of them knew when it began.
    knew: Vec<Clock>,
    /// What the next one will know.
    knows: Clock,
}

struct Order {
    depth: usize,
    steps: Vec<Ordered>,
    modules: [State; 3],
    /// By the module that pushes and the one that pops: the step that pops each token, unless its turn is
    /// still to come.
    queues: [[Vec<Option<usize>>; 3]; 3],
}

impl Order {
    /// All commands so far.
    fn begun(&self) -> Clock {
        self.modules.each_ref().map(|state| state.steps.len())
    }

    /// Lets the next command of `module` wait until `needs` commands are over; gives the tokens that
    /// it pops.
    fn wait(&mut self, module: Module, mut needs: Clock) -> [bool; 3] {
        const COMPUTE: usize = Module::Compute as usize;
        let far = match module {
            Module::Load => Module::Store,
            Module::Compute => Module::Compute,
            Module::Store => Module::Load,
        };
        let knows = self.modules[module as usize].knows;
        if module != Module::Compute && knows[far as usize] < needs[far as usize] {
            let relay = self.relay(far, needs[far as usize]);
            needs[COMPUTE] = needs[COMPUTE].max(relay + 1);
            if knows[COMPUTE] > relay {
                // It was made to wait after it had been heard of.
                self.learn(module, Module::Compute, relay);
            }
        }
        let mut pops = [false; 3];
        for other in MODULES {
            let is_neighbour = (other == Module::Compute) != (module == Module::Compute);
            let count = needs[other as usize];
            if is_neighbour && self.modules[module as usize].knows[other as usize] < count {
                self.token(other, module, count);
                pops[other as usize] = true;
            }
        }
        pops
    }

    /// A token from `from`, at the end of its command `count` or later, to the next command of `to`.
    fn token(&mut self, from: Module, to: Module, count: usize) {
        let room = self.room(from, to);
        let steps = &self.modules[from as usize].steps;
        let late = count - 1 + steps[count - 1..].partition_point(|&step| step < room);
        let sender = if late < steps.len() {
            late
        } else {
            self.append(from, None, [false; 3])
        };
        self.send(from, to, sender, None);
        self.learn(to, from, sender);
    }

    /// The first step whose token to `to` would not be one too many.
    fn room(&self, from: Module, to: Module) -> usize {
        let queue = &self.queues[from as usize][to as usize];
        let before = queue.len().checked_sub(self.depth);
        before.map_or(0, |i| queue[i].unwrap_or(self.steps.len()))
    }

    fn send(&mut self, from: Module, to: Module, sender: usize, pop: Option<usize>) {
        let push = self.modules[from as usize].steps[sender];
        self.steps[push].pushes[to as usize] = true;
        self.queues[from as usize][to as usize].push(pop);
    }

    /// The next command of `module` knows what command `index` of `of` knew, and that it is over.
    fn learn(&mut self, module: Module, of: Module, index: usize) {
        let knew = self.modules[of as usize].knew[index];
        let knows = &mut self.modules[module as usize].knows;
        knows[of as usize] = knows[of as usize].max(index + 1);
        for other in MODULES.map(|m| m as usize) {
            if other != module as usize {
                knows[other] = knows[other].max(knew[other]);
            }
        }
    }

    /// A command of compute that knows of `count` commands of `other`.
    fn relay(&mut self, other: Module, count: usize) -> usize {
        let compute = &self.modules[Module::Compute as usize];
        let first = compute
            .knew
            .partition_point(|knew| knew[other as usize] < count);
        if first < compute.knew.len() {
            return first;
        }
        // The last one can be made to wait, if that is not for something after it.
        let sender = self.modules[other as usize].steps[count - 1];
        if let Some(&step) = compute.steps.last() {
            let index = compute.steps.len() - 1;
            let is_free = step > sender && !self.steps[step].pops[other as usize];
            if is_free && sender >= self.room(other, Module::Compute) {
                self.send(other, Module::Compute, count - 1, Some(step));
                self.steps[step].pops[other as usize] = true;
                self.learn(Module::Compute, other, count - 1);
                let compute = &mut self.modules[Module::Compute as usize];
                compute.knew[index] = compute.knows;
                return index;
            }
        }
        self.token(other, Module::Compute, count);
        let mut pops = [false; 3];
        pops[other as usize] = true;
        self.append(Module::Compute, None, pops)
    }

    /// Appends a step that pops `pops`; gives its index among the commands of its module.
    fn append(&mut self, module: Module, command: Option<Command>, pops: [bool; 3]) -> usize {
        let step = self.steps.len();
        self.steps.push(Ordered {
            module,
            command,
            pops,
            pushes: [false; 3],
        });
        for from in among(pops) {
            let token = self.queues[from as usize][module as usize].last_mut();
            *token.expect("it was just sent") = Some(step);
        }
        let state = &mut self.modules[module as usize];
        state.steps.push(step);
        state.knew.push(state.knows);
        state.steps.len() - 1
    }
}
