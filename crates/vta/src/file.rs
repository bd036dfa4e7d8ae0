//! Files, with errors that name them.

use std::path::Path;
use std::{fs, io};

use vta_compiler::records::Records;

use crate::{Error, Result};

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(failed("read", path))
}

/// The text of a file.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::input(format!("byte {at} is no UTF-8: the file is not text")).at(path.display())
    })
}

/// The log of schedules in a file; an empty one if there is no such file yet.
pub fn read_records(path: &Path) -> Result<Records> {
    if !path.exists() {
        try_write(path)?;
        return Ok(Records::default());
    }
    let records = read_text(path)?.parse::<Records>();
    records.map_err(|error| {
        Error::input(error.to_string())
            .at(path.display())
            .help("give a file that --records wrote, or the name of a new one")
    })
}

/// Writes a file, replacing what was there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(cannot_write(path))
}

/// Finds out whether a file can be written, before the work whose result it is to hold; leaves everything as it is.
pub fn try_write(path: &Path) -> Result<()> {
    let is_new = !path.exists();
    let file = fs::File::options().append(true).create(true).open(path);
    file.map_err(cannot_write(path))?;
    if is_new {
        fs::remove_file(path).map_err(cannot_write(path))?;
    }
    Ok(())
}

pub(crate) fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> Error {
    failed("write", path)
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::input(format!("cannot {what} {}: {error}", path.display()))
}
