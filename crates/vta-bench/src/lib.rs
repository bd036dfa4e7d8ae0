//! Measurements of the whole stack, which `cargo bench` reports.
//!
//! [`Gemm`] is a matrix product as a raw stream: the speed of the simulator alone. [`network`]
//! takes a network from its file to its results and times each phase, and [`Streams`] its streams on the bare
//! simulators; [`File`] runs its `.vta` file in a process of its own, and [`eval`] many inputs on several threads.
//! [`peak`] is the memory that something took. [`yardstick`] and [`ort`] are what the simulator is held against. [`Report`] prints what was found.
//!
//! Not for statistics on small functions: whatever is measured here takes milliseconds to
//! minutes, and the best of a few repetitions stands for it.

pub mod eval;
mod file;
mod gemm;
pub mod network;
pub mod ort;
pub mod peak;
mod report;
mod streams;
pub mod yardstick;

use std::time::{Duration, Instant};

pub use file::File;
pub use gemm::Gemm;
pub use report::Report;
pub use streams::Streams;

/// Calls `work` `repeat` times (at least once); gives its last result and the shortest time.
pub fn best<T>(repeat: u32, mut work: impl FnMut() -> T) -> (T, Duration) {
    let mut timed = || {
        let start = Instant::now();
        (work(), start.elapsed())
    };
    let first = timed();
    (1..repeat).fold(first, |(_, shortest), _| {
        let (result, time) = timed();
        (result, time.min(shortest))
    })
}
