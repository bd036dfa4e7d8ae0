//! What a model is made of.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use vta_isa::{ConfigError, Design, sv};

/// The file that depends on the design.
const PACKAGE: &str = "vta_pkg.sv";

/// The files of `hardware/rtl` in the order in which they are compiled: name and text.
pub const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// What opens the memories to the harness.
pub(crate) const PUBLIC: (&str, &str) = (
    "public.vlt",
    include_str!("../../../hardware/dv/public.vlt"),
);
/// The clock, the host and the memory around a model.
pub(crate) const HARNESS: (&str, &str) = (
    "harness.cpp",
    include_str!("../../../hardware/dv/harness.cpp"),
);

/// All files of a model.
pub(crate) struct Sources {
    /// SystemVerilog in order of compilation.
    pub(crate) rtl: Vec<(String, String)>,
}

impl Sources {
    /// Those of `rtl`, with the package of `design` in the place of whatever package is among them.
    pub(crate) fn new(design: &Design, rtl: &[(&str, &str)]) -> Result<Sources, ConfigError> {
        let others = rtl.iter().filter(|(name, _)| *name != PACKAGE);
        let owned = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let mut files = vec![(PACKAGE.to_owned(), sv::package(design)?)];
        files.extend(others.map(|(name, text)| owned(name, text)));
        Ok(Sources { rtl: files })
    }

    /// Every file with its name in the directory of a build.
    pub(crate) fn files(&self) -> impl Iterator<Item = (PathBuf, &str)> {
        let fixed = [PUBLIC, HARNESS].into_iter();
        let rtl = self.rtl.iter().map(|(name, text)| (&name[..], &text[..]));
        rtl.chain(fixed).map(|(name, text)| (name.into(), text))
    }

    /// What tells one build from another: the files and how they are compiled.
    pub(crate) fn digest(&self, recipe: &str) -> String {
        let mut hash = Sha256::new();
        let files = self.files().map(|(name, text)| (name, text.to_owned()));
        for (name, text) in files.chain([("recipe".into(), recipe.to_owned())]) {
            hash.update(format!("{} {}\n{text}", name.display(), text.len()));
        }
        let bytes = hash.finalize();
        bytes[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
