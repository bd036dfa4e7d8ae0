//! onnxruntime's time for the same network in int8, where Python has it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const SCRIPT: &str = include_str!("time_int8.py");

/// The fastest of `repeat` inferences of a float ONNX file, quantized by onnxruntime, on one thread.
///
/// # Errors
/// If there is no Python with onnxruntime and onnx, or they fail: with what they printed last.
pub fn time(onnx: &[u8], scratch: &Path, repeat: u32) -> Result<Duration> {
    let model = scratch.join("model.onnx");
    std::fs::write(&model, onnx).with_context(|| model.display().to_string())?;
    let script = scratch.join("time_int8.py");
    std::fs::write(&script, SCRIPT).with_context(|| script.display().to_string())?;
    let run = Command::new("python3")
        .args([&script, &model])
        .arg(scratch)
        .arg(repeat.to_string())
        .output()
        .context("python3")?;
    let said = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.trim().lines().last().unwrap_or_default().to_owned()
    };
    if !run.status.success() {
        bail!(
            "{}; remedy: pip install onnxruntime onnx",
            said(&run.stderr)
        );
    }
    let seconds = said(&run.stdout);
    let seconds: f64 = seconds.parse().with_context(|| seconds.clone())?;
    Ok(Duration::from_secs_f64(seconds))
}
