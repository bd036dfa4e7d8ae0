//! For which module compute waited.

use vta_isa::{Deps, Design, INSN_BYTES, Insn, Module};
use vta_sim::{CycleReport, InsnTiming, ModuleCycles};

/// Of the cycles in each window that compute lacked a token, those in which load's was the last to come; the
/// others are store's. `stream` is what ran, `ends` are the windows' as [`ModuleCycles::windows`] takes them.
pub(super) fn for_load(
    design: &Design,
    stream: &[u8],
    report: &CycleReport,
    ends: &[u64],
) -> Vec<u64> {
    let insns: Vec<(&InsnTiming, Deps)> = report
        .timings
        .iter()
        .zip(stream.chunks_exact(INSN_BYTES))
        .filter_map(|(timing, bytes)| {
            let insn = Insn::decode(design, bytes.try_into().ok()?).ok()?;
            Some((timing, insn.deps))
        })
        .collect();
    let sent = |from: Module, pushes: fn(&Deps) -> bool| {
        let sending = insns
            .iter()
            .filter(move |(timing, deps)| timing.module == from && pushes(deps));
        sending.map(|(timing, _)| timing.retired)
    };
    let mut by_load = sent(Module::Load, |deps| deps.push_next);
    let mut by_store = sent(Module::Store, |deps| deps.push_prev);
    let compute = insns.iter().filter(|(t, _)| t.module == Module::Compute);
    let waiting: Vec<InsnTiming> = compute
        .map(|(timing, deps)| {
            let load = deps.pop_prev.then(|| by_load.next()).flatten();
            let store = deps.pop_next.then(|| by_store.next()).flatten();
            InsnTiming {
                // What waits for store is as good as not ready.
                ready: if load > store {
                    timing.ready
                } else {
                    timing.taken
                },
                ..**timing
            }
        })
        .collect();
    let windows = ModuleCycles::windows(&waiting, ends).into_iter();
    windows.map(|window| window.token).collect()
}
