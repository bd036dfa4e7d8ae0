//! Models for a few short runs each: built in a tenth of the time, slower to run, kept nowhere.

use std::path::PathBuf;
use std::{env, fs};

use tempfile::TempDir;
use vta_isa::Design;

use crate::model::{Build, RUNTIME, paths};
use crate::sources::Sources;
use crate::tools::{Compiler, Verilator};
use crate::{RtlError, RtlModel};

/// What does not run often in a model, or does not have to be fast.
const LEVEL: &str = "-O1";

/// What such models have in common: the tools, and the runtime, compiled.
pub(crate) struct Runtime {
    verilator: Verilator,
    compiler: Compiler,
    include: PathBuf,
    directory: TempDir,
}

impl Runtime {
    pub(crate) fn new() -> Result<Runtime, RtlError> {
        let verilator = Verilator::find()?;
        let runtime = Runtime {
            include: verilator.include()?,
            verilator,
            compiler: Compiler::find()?,
            directory: directory()?,
        };
        let build = runtime.build(Sources { rtl: Vec::new() });
        for name in RUNTIME {
            let (path, include) = (runtime.include.join(name), &runtime.include);
            build.object(runtime.directory.path(), &path, include, LEVEL)?;
        }
        Ok(runtime)
    }

    fn build(&self, sources: Sources) -> Build {
        Build {
            sources,
            verilator: self.verilator.clone(),
            compiler: self.compiler.clone(),
            waves: false,
        }
    }

    /// The model of these very sources.
    pub(crate) fn model(&self, design: &Design, sources: Sources) -> Result<RtlModel, RtlError> {
        let (build, directory) = (self.build(sources), directory()?);
        let directory = directory.path();
        build.verilate(directory)?;
        // The headers that all files include take longer than what is in the files.
        let all = directory.join("all.cpp");
        let files = paths(directory, "cpp")?;
        let includes = files.iter().map(|path| format!("#include {path:?}\n"));
        fs::write(&all, includes.collect::<String>()).map_err(RtlError::io(&all))?;
        build.object(directory, &all, &self.include, LEVEL)?;
        for object in paths(self.directory.path(), "o")? {
            let copy = directory.join(object.file_name().unwrap_or_default());
            fs::copy(&object, &copy).map_err(RtlError::io(&copy))?;
        }
        // Once it is loaded, its file may go.
        RtlModel::load(design, &build.link(directory)?, false)
    }
}

fn directory() -> Result<TempDir, RtlError> {
    tempfile::tempdir().map_err(RtlError::io(&env::temp_dir()))
}
