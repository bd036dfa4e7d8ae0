//! The most memory that this process held at once, where the system says so.

use std::fs;

/// Bytes of physical memory at the highest point since [`reset`], or since the process began
/// where that has no effect; `None` where there is no `/proc`.
pub fn bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Starts anew from the memory held now.
pub fn reset() {
    // Whoever may not do this gets the highest point of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}
