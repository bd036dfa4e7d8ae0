//! Work on many things at once.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// As many threads as the machine lets us have.
pub(super) fn available() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Computes `f` of each number below `count` on threads and hands the results to `take` in the
/// order of the numbers, so that sums of floats do not show which thread came first.
pub(super) fn in_order<T: Send>(
    threads: usize,
    count: usize,
    f: impl Fn(usize) -> T + Sync,
    take: impl FnMut(T) + Send,
) {
    let next = AtomicUsize::new(0);
    // The number that `take` waits for, and the results behind it.
    let taking = Mutex::new((0, BTreeMap::new(), take));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let result = f(index);
            let mut taking = taking.lock().expect("no thread panics while it takes");
            let (wanted, early, take) = &mut *taking;
            early.insert(index, result);
            while let Some(result) = early.remove(wanted) {
                take(result);
                *wanted += 1;
            }
        }
    };
    let threads = threads.clamp(1, count.max(1));
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

/// The results for the numbers below `count`, in order; the first error in order.
pub(super) fn map<T: Send, E: Send>(
    threads: usize,
    count: usize,
    f: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let mut done = Vec::with_capacity(count);
    in_order(threads, count, f, |result| done.push(result));
    done.into_iter().collect()
}
