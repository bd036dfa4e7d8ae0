//! Names of classes.

use std::path::Path;

use crate::{Result, read_text};

/// The names of a file: one a line, in the order of the classes. Of a line with a tab, the name
/// is what follows it (the identifier before it says nothing to people).
pub fn read_labels(path: &Path) -> Result<Vec<String>> {
    Ok(parse_labels(&read_text(path)?))
}

/// The names of a text, as [`read_labels`] has them.
pub fn parse_labels(text: &str) -> Vec<String> {
    let name = |line: &str| {
        line.split_once('\t')
            .map_or(line, |(_, name)| name)
            .trim()
            .to_owned()
    };
    text.lines().map(name).collect()
}
