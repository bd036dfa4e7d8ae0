//! The token queues, which instruction pushes and pops which, and the clocks that tokens carry.

use std::fmt;

use vta_isa::{Deps, Module};

/// A queue of tokens between two modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenQueue {
    /// Pushed by load, popped by compute.
    LoadToCompute,
    /// Pushed by compute, popped by load.
    ComputeToLoad,
    /// Pushed by compute, popped by store.
    ComputeToStore,
    /// Pushed by store, popped by compute.
    StoreToCompute,
}

impl TokenQueue {
    /// The queues in the order in which counts of tokens are given.
    pub const ALL: [TokenQueue; 4] = [
        TokenQueue::LoadToCompute,
        TokenQueue::ComputeToLoad,
        TokenQueue::ComputeToStore,
        TokenQueue::StoreToCompute,
    ];

    /// The queue between two modules; load and store have none.
    pub fn between(from: Module, to: Module) -> Option<TokenQueue> {
        match (from, to) {
            (Module::Load, Module::Compute) => Some(TokenQueue::LoadToCompute),
            (Module::Compute, Module::Load) => Some(TokenQueue::ComputeToLoad),
            (Module::Compute, Module::Store) => Some(TokenQueue::ComputeToStore),
            (Module::Store, Module::Compute) => Some(TokenQueue::StoreToCompute),
            _ => None,
        }
    }
}

impl fmt::Display for TokenQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenQueue::LoadToCompute => "load->compute",
            TokenQueue::ComputeToLoad => "compute->load",
            TokenQueue::ComputeToStore => "compute->store",
            TokenQueue::StoreToCompute => "store->compute",
        })
    }
}

pub(crate) const MODULES: [Module; 3] = [Module::Load, Module::Compute, Module::Store];

pub(crate) fn slot(module: Module) -> usize {
    match module {
        Module::Load => 0,
        Module::Compute => 1,
        Module::Store => 2,
    }
}

/// How many instructions of each module (in the order of [`MODULES`]) are known to have finished.
pub(crate) type Clock = [u32; 3];

pub(crate) fn join(clock: &mut Clock, other: &Clock) {
    for (a, b) in clock.iter_mut().zip(other) {
        *a = (*a).max(*b);
    }
}

/// The queues that an instruction pops.
pub fn pops(module: Module, deps: Deps) -> impl Iterator<Item = TokenQueue> {
    let (prev, next) = match module {
        Module::Load => (None, Some(TokenQueue::ComputeToLoad)),
        Module::Compute => (
            Some(TokenQueue::LoadToCompute),
            Some(TokenQueue::StoreToCompute),
        ),
        Module::Store => (Some(TokenQueue::ComputeToStore), None),
    };
    prev.filter(|_| deps.pop_prev)
        .into_iter()
        .chain(next.filter(|_| deps.pop_next))
}

/// The queues that an instruction pushes.
pub fn pushes(module: Module, deps: Deps) -> impl Iterator<Item = TokenQueue> {
    let (prev, next) = match module {
        Module::Load => (None, Some(TokenQueue::LoadToCompute)),
        Module::Compute => (
            Some(TokenQueue::ComputeToLoad),
            Some(TokenQueue::ComputeToStore),
        ),
        Module::Store => (Some(TokenQueue::StoreToCompute), None),
    };
    prev.filter(|_| deps.push_prev)
        .into_iter()
        .chain(next.filter(|_| deps.push_next))
}
