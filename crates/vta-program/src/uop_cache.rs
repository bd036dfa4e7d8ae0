//! Which micro-ops lie where in the on-chip micro-op memory.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::kernel::PoolRange;

/// What the micro-op cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UopCounters {
    /// Kernels found on chip.
    pub hits: u64,
    /// Kernels loaded, at their first use or beside another one.
    pub misses: u64,
    /// Kernels dropped to make room.
    pub evictions: u64,
    /// Micro-ops loaded.
    pub uops_loaded: u64,
}

/// Residency of kernels in a memory of `depth` micro-ops. Each kernel is contiguous; the
/// least recently used ones are dropped until the wanted one fits.
#[derive(Clone, Debug)]
pub(crate) struct UopCache {
    depth: u32,
    /// Free ranges: base to length, no two adjacent.
    free: BTreeMap<u32, u32>,
    resident: HashMap<PoolRange, Line>,
    /// Residents by last use, oldest first.
    by_use: BTreeMap<u64, PoolRange>,
    clock: u64,
    pub(crate) counters: UopCounters,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    base: u32,
    last_use: u64,
}

/// Where a kernel lies on chip, and how many micro-ops from its first one on have to be loaded there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Residence {
    pub(crate) base: u32,
    pub(crate) load: u32,
}

impl UopCache {
    pub(crate) fn new(depth: u32) -> Self {
        UopCache {
            depth,
            free: BTreeMap::from([(0, depth)]),
            resident: HashMap::new(),
            by_use: BTreeMap::new(),
            clock: 0,
            counters: UopCounters::default(),
        }
    }

    /// Forgets what is resident, as the device does between runs; keeps the counters.
    pub(crate) fn clear(&mut self) {
        let counters = self.counters;
        *self = UopCache::new(self.depth);
        self.counters = counters;
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Makes `kernel` (not empty, not longer than the memory) the most recently used one. Where it has to be loaded,
    /// those of `following`, which lie behind it in DRAM, come with it as long as there is free room.
    pub(crate) fn place(
        &mut self,
        kernel: PoolRange,
        following: impl IntoIterator<Item = PoolRange>,
    ) -> Residence {
        debug_assert!((1..=self.depth).contains(&kernel.len));
        if let Some(line) = self.resident.get_mut(&kernel) {
            self.clock += 1;
            self.counters.hits += 1;
            self.by_use.remove(&line.last_use);
            line.last_use = self.clock;
            self.by_use.insert(self.clock, kernel);
            let base = line.base;
            return Residence { base, load: 0 };
        }
        let first_fit = self.free.iter().find(|&(_, &len)| len >= kernel.len);
        let mut gap = first_fit.map(|(&base, &len)| (base, len));
        while gap.is_none_or(|(_, len)| len < kernel.len) {
            gap = Some(self.evict());
        }
        let (base, room) = gap.expect("the loop ends with one");
        self.free.remove(&base);
        self.insert(kernel, base);
        let mut load = kernel.len;
        for next in following {
            let behind = next.start == kernel.start + load && next.len <= room - load;
            if !behind || self.resident.contains_key(&next) {
                break;
            }
            self.insert(next, base + load);
            load += next.len;
        }
        if room > load {
            self.free.insert(base + load, room - load);
        }
        Residence { base, load }
    }

    /// Notes that `kernel` is loaded to `base`.
    fn insert(&mut self, kernel: PoolRange, base: u32) {
        self.clock += 1;
        self.counters.misses += 1;
        self.counters.uops_loaded += u64::from(kernel.len);
        let last_use = self.clock;
        self.resident.insert(kernel, Line { base, last_use });
        self.by_use.insert(last_use, kernel);
    }

    /// Drops the least recently used kernel; the free range that this leaves, as base and length.
    fn evict(&mut self) -> (u32, u32) {
        let (_, victim) = self
            .by_use
            .pop_first()
            .expect("a full memory has residents");
        let mut base = self.resident.remove(&victim).expect("both maps agree").base;
        let mut len = victim.len;
        self.counters.evictions += 1;
        if let Some(after) = self.free.remove(&(base + len)) {
            len += after;
        }
        if let Some((&before, &before_len)) = self.free.range(..base).next_back() {
            if before + before_len == base {
                base = before;
                len += before_len;
            }
        }
        self.free.insert(base, len);
        (base, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a memory that remembers who wrote each cell: what the cache calls resident is
        /// there, whole; and a kernel is loaded again only after it lost its place.
        #[test]
        fn residents_are_intact(
            depth in 1u32..40,
            lens in prop::collection::vec(1u32..20, 12),
            uses in prop::collection::vec(0usize..12, 1..200),
            ahead in any::<bool>(),
        ) {
            let mut cache = UopCache::new(depth);
            let mut cells: Vec<Option<u32>> = vec![None; depth as usize];
            let mut start = 0;
            let kernels: Vec<PoolRange> = lens
                .into_iter()
                .map(|len| {
                    let kernel = PoolRange { start, len: len.min(depth) };
                    start += kernel.len;
                    kernel
                })
                .collect();
            for i in uses {
                let kernel = kernels[i];
                let following = if ahead { &kernels[i + 1..] } else { &[] };
                let Residence { base, load } = cache.place(kernel, following.iter().copied());
                for uop in 0..load {
                    cells[(base + uop) as usize] = Some(kernel.start + uop);
                }
                for (kernel, line) in &cache.resident {
                    for uop in 0..kernel.len {
                        prop_assert_eq!(cells[(line.base + uop) as usize], Some(kernel.start + uop));
                    }
                }
                prop_assert_eq!(cache.resident[&kernel].base, base);
                let free: u32 = cache.free.values().sum();
                let resident: u32 = cache.resident.keys().map(|k| k.len).sum();
                prop_assert_eq!(free + resident, depth);
            }
            let c = cache.counters;
            prop_assert_eq!(c.misses - c.evictions, cache.resident.len() as u64);
        }
    }
}
