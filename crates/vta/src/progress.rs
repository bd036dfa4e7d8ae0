//! How far long work has come.

/// Someone who watches. Threads share it.
pub trait Progress: Sync {
    /// A stage of so many steps begins, and the one before has ended; 0 steps: nobody knows.
    fn stage(&self, _what: &str, _steps: usize) {}
    /// One step of the stage is done.
    fn step(&self) {}
}

/// Nobody watches.
impl Progress for () {}
