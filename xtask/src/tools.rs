//! Programs that the tests need beside cargo.

use std::process::Stdio;

use anyhow::Result;

use crate::step::{Outcome, cargo, run_command};

/// Builds cargo-nextest unless it is there.
pub(crate) fn install_nextest() -> Result<Outcome> {
    let mut probe = cargo("nextest --version");
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status()?.success() {
        run_command(&mut cargo("install --locked cargo-nextest"))?;
    }
    Ok(Outcome::Done)
}
