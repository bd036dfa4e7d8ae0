//! Whether a device can run what was compiled for another.

use serde_json::{Map, Value};
use vta_isa::{Design, HwConfig};

use crate::Program;

/// A program was compiled for another design than the device's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the program was compiled for another design: {}; compile it for this one (--config), or run \
     it on its own",
    list(.keys)
)]
pub struct DesignMismatch {
    /// The keys of the configuration that matter and differ.
    pub keys: Vec<DifferingKey>,
}

/// A key whose values in two configurations differ, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferingKey {
    /// The key.
    pub key: String,
    /// The program's value.
    pub program: String,
    /// The device's value.
    pub device: String,
}

fn list(keys: &[DifferingKey]) -> String {
    let keys = keys.iter();
    let keys = keys.map(|k| format!("{} is {}, here {}", k.key, k.program, k.device));
    keys.collect::<Vec<_>>().join("; ")
}

impl Program {
    /// Whether the program runs on `design`: its streams mean the same there. Clock, bus, queues,
    /// target and part may differ.
    pub fn check_design(&self, design: &Design) -> Result<(), DesignMismatch> {
        let own = self.config.clone().design().ok();
        if own.is_some_and(|own| own.digest() == design.digest()) {
            return Ok(());
        }
        let (program, device) = (object(&self.config), object(design.config()));
        let keys = device.iter().filter(|&(key, value)| {
            let theirs = program.get(key).unwrap_or(&Value::Null);
            value != theirs && matters(design, &device, key, theirs)
        });
        let keys = keys.map(|(key, value)| DifferingKey {
            key: key.clone(),
            program: program.get(key).unwrap_or(&Value::Null).to_string(),
            device: value.to_string(),
        });
        let keys = keys.collect();
        Err(DesignMismatch { keys })
    }
}

fn object(config: &HwConfig) -> Map<String, Value> {
    serde_json::from_str(&config.to_json()).unwrap_or_default()
}

/// Whether the design with `key` set to `value` is another one.
fn matters(design: &Design, config: &Map<String, Value>, key: &str, value: &Value) -> bool {
    let mut config = config.clone();
    config.insert(key.into(), value.clone());
    let changed = HwConfig::from_json(&Value::Object(config).to_string());
    let changed = changed.and_then(HwConfig::design);
    changed.map_or(true, |changed| changed.digest() != design.digest())
}
