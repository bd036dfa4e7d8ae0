//! Designs by name or file.

use std::path::Path;

use vta_isa::{ConfigError, Design, HwConfig};

use crate::{Error, Result, read_text};

/// The design that a preset's name or a `vta_config.json` gives.
pub fn design(name: &str) -> Result<Design> {
    let path = Path::new(name);
    let is_path = path.extension().is_some() || path.components().count() > 1;
    let config = match HwConfig::preset(name) {
        Some(config) => config,
        None if is_path || path.exists() => {
            HwConfig::from_json(&read_text(path)?).map_err(|error| Error::from(error).at(name))?
        }
        None => {
            let presets = HwConfig::PRESETS.join(", ");
            return Err(Error::input(format!("there is no design `{name}`"))
                .help(format!("the presets are {presets}; or give a FILE.json")));
        }
    };
    config.design().map_err(|error| Error::from(error).at(name))
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        Error::input(error.to_string())
            .help("`vta config --export` prints a valid file to start from")
    }
}
