//! Files, with errors that name them.

use std::path::Path;
use std::{fs, io};

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

/// Writes a file, replacing what was there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(cannot_write(path))
}

/// Finds out whether a file can be written, before the work whose result it is to hold; leaves it as it is.
pub fn try_write(path: &Path) -> Result<()> {
    let file = fs::File::options().append(true).create(true).open(path);
    file.map(|_| ()).map_err(cannot_write(path))
}

pub(crate) fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> Error {
    failed("write", path)
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::input(format!("cannot {what} {}: {error}", path.display()))
}
