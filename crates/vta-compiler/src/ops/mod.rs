//! The operator library: each operator a naive loop nest and the schedule that puts it on the
//! accelerator.

pub mod conv;
pub mod elementwise;
pub mod entry;
pub mod pool;
pub mod pooled;
pub mod schedule;
pub mod spread;
pub mod stages;
pub mod tiling;
