//! A design's hardware as a library: built once, kept by digest, loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use vta_isa::Design;

use crate::RtlError;
use crate::cache::Cache;
use crate::library::Library;
use crate::sources::{PUBLIC, SOURCES, Sources};
use crate::tools::{Compiler, Verilator, run};

/// Who watches a build: what is being done, steps done of it and steps in all. Threads share it.
pub type Progress<'a> = &'a (dyn Fn(&str, usize, usize) + Sync);

/// Options of Verilator. Memories and registers without reset begin with zeros.
const VERILATE: &[&str] = &[
    "--cc",
    "--prefix",
    "Vvta",
    "--top-module",
    "vta_top",
    "--Mdir",
    ".",
    "--no-timing",
    "--x-assign",
    "fast",
    "--x-initial",
    "0",
    "-O3",
    "--assert",
    "--output-split",
    "20000",
    // Lint is a check of its own; other versions warn of other things.
    "-Wno-lint",
    "-Wno-fatal",
];
/// There are loops over the slices of a word, of which there are up to 512.
pub(crate) const UNROLL: [&str; 2] = ["--unroll-count", "512"];
/// Options of the C++ compiler.
const COMPILE: &[&str] = &[
    "-c",
    "-std=gnu++17",
    "-fPIC",
    "-w",
    "-faligned-new",
    "-fcf-protection=none",
    "-DVM_COVERAGE=0",
    "-DVM_SC=0",
    "-DVM_TRACE_VCD=0",
    "-DVM_TRACE_SAIF=0",
    // The harness says what happens then, and nothing is printed.
    "-DVL_USER_STOP",
    "-DVL_USER_FATAL",
    "-DVL_PRINTF=(void)",
];
/// What of Verilator's runtime a model links with.
pub(crate) const RUNTIME: [&str; 2] = ["verilated.cpp", "verilated_threads.cpp"];
const WAVES: &str = "verilated_fst_c.cpp";
/// What of the system compresses waveforms. Earlier versions of the runtime bring all but the first.
const CODECS: [Codec; 2] = [
    Codec {
        library: "-lz",
        header: "zlib.h",
        remedy: "waveforms need it: `apt-get install zlib1g-dev`",
    },
    Codec {
        library: "-llz4",
        header: "lz4.h",
        remedy: "waveforms need it: `apt-get install liblz4-dev`",
    },
];
/// What the library is called where it is built.
const LIBRARY: &str = "model.so";

/// The hardware of one design, Verilated and loaded.
#[derive(Debug)]
pub struct RtlModel {
    design: Design,
    waves: bool,
    pub(crate) library: Library,
}

impl RtlModel {
    /// Builds the hardware of `design`, or finds it in the cache: `$VTA_CACHE`, else
    /// `$XDG_CACHE_HOME/vta`, else `~/.cache/vta`, which keeps the models used last. With `waves` it can
    /// write waveforms, and is slower. A build takes some 20 s of a processor; it needs Verilator and a
    /// C++ compiler.
    pub fn build(design: &Design, waves: bool, progress: Progress) -> Result<RtlModel, RtlError> {
        RtlModel::build_from(design, SOURCES, waves, progress)
    }

    /// The same from other sources than [`SOURCES`]: name and text of each file, in the order of
    /// compilation. A `vta_pkg.sv` among them gives way to the package of `design`.
    pub fn build_from(
        design: &Design,
        sources: &[(&str, &str)],
        waves: bool,
        progress: Progress,
    ) -> Result<RtlModel, RtlError> {
        let build = Build {
            sources: Sources::new(design, sources)?,
            verilator: Verilator::find()?,
            compiler: Compiler::find()?,
            waves,
        };
        let path = build.cached(progress)?;
        RtlModel::load(design, &path, waves)
    }

    pub(crate) fn load(design: &Design, path: &Path, waves: bool) -> Result<RtlModel, RtlError> {
        Ok(RtlModel {
            design: design.clone(),
            waves,
            library: Library::load(path)?,
        })
    }

    /// Whether Verilator and a C++ compiler are there; if not, what to do.
    pub fn tools() -> Result<(), RtlError> {
        Verilator::find()?.include()?;
        Compiler::find().map(|_| ())
    }

    /// The design that it is.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Whether it can write waveforms.
    pub fn has_waves(&self) -> bool {
        self.waves
    }
}

/// A library of the system, with what to do where its header is missing.
struct Codec {
    library: &'static str,
    header: &'static str,
    remedy: &'static str,
}

/// Everything that a library depends on.
pub(crate) struct Build {
    pub(crate) sources: Sources,
    pub(crate) verilator: Verilator,
    pub(crate) compiler: Compiler,
    pub(crate) waves: bool,
}

impl Build {
    /// The library in the cache, which is made first if it is not there.
    fn cached(&self, progress: Progress) -> Result<PathBuf, RtlError> {
        let recipe = format!(
            "{}\n{}\n{VERILATE:?} {UNROLL:?}\n{COMPILE:?}\n{}",
            self.verilator.version, self.compiler.version, self.waves
        );
        let digest = self.sources.digest(&recipe);
        Cache::find()?.library(&digest, |directory| self.make(directory, progress))
    }

    /// Builds the library in an empty directory.
    fn make(&self, directory: &Path, progress: Progress) -> Result<PathBuf, RtlError> {
        let mut codecs = self.codecs()?.iter();
        if let Some(codec) = codecs.find(|c| !self.compiler.has(c.header)) {
            return Err(RtlError::Missing {
                program: codec.header,
                remedy: codec.remedy,
            });
        }
        progress("verilate", 0, 1);
        self.verilate(directory)?;
        progress("verilate", 1, 1);
        self.compile(directory, progress)?;
        self.link(directory)
    }

    /// What of [`CODECS`] it links with.
    fn codecs(&self) -> Result<&'static [Codec], RtlError> {
        Ok(match self.waves {
            false => &[],
            true if self.verilator.include()?.join("fstcpp").is_dir() => &CODECS,
            true => &CODECS[..1],
        })
    }

    /// Writes the C++ files of the library to an empty directory.
    pub(crate) fn verilate(&self, directory: &Path) -> Result<(), RtlError> {
        for (name, text) in self.sources.files() {
            let path = directory.join(name);
            fs::write(&path, text).map_err(RtlError::io(&path))?;
        }
        let mut verilate = self.verilator.command();
        verilate.args(VERILATE).args(UNROLL);
        if self.waves {
            verilate.arg("--trace-fst");
        }
        verilate.arg(PUBLIC.0);
        verilate.args(self.sources.rtl.iter().map(|(name, _)| name));
        run(&mut verilate, directory)
    }

    /// Compiles every C++ file of `directory` and those of the runtime, some at a time.
    fn compile(&self, directory: &Path, progress: Progress) -> Result<(), RtlError> {
        let include = self.verilator.include()?;
        let mut files: Vec<PathBuf> = RUNTIME.iter().map(|name| include.join(name)).collect();
        if self.waves {
            files.push(include.join(WAVES));
        }
        files.extend(paths(directory, "cpp")?);
        // The largest files first, so that none is left for the end.
        files.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |m| m.len())));
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failed = Mutex::new(None);
        let work = || {
            while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                // What runs once, at the start, and what hardly runs are not worth the time.
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_cold = name.contains("Slow") || RUNTIME.contains(&&*name);
                let level = if is_cold { "-O1" } else { "-O3" };
                if let Err(error) = self.object(directory, path, &include, level) {
                    // The others stop at their next file.
                    next.store(files.len(), Ordering::Relaxed);
                    *failed.lock().unwrap_or_else(|lock| lock.into_inner()) = Some(error);
                }
                progress(
                    "compile",
                    done.fetch_add(1, Ordering::Relaxed) + 1,
                    files.len(),
                );
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads.min(files.len()) {
                scope.spawn(work);
            }
        });
        let failed = failed.into_inner().unwrap_or_else(|lock| lock.into_inner());
        failed.map_or(Ok(()), Err)
    }

    /// Compiles a C++ file into `directory`, optimized so much. Verilator's headers are in `include`.
    pub(crate) fn object(
        &self,
        directory: &Path,
        path: &Path,
        include: &Path,
        level: &str,
    ) -> Result<(), RtlError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut compile = self.compiler.command();
        compile.args(COMPILE).arg(level);
        let waves = u8::from(self.waves);
        compile.arg(format!("-DVM_TRACE={waves}"));
        compile.arg(format!("-DVM_TRACE_FST={waves}"));
        for include in [Path::new("."), include, &include.join("vltstd")] {
            compile.arg("-I").arg(include);
        }
        compile.arg(path).arg("-o").arg(format!("{name}.o"));
        run(&mut compile, directory)
    }

    /// Makes the library of all objects in `directory`.
    pub(crate) fn link(&self, directory: &Path) -> Result<PathBuf, RtlError> {
        let mut link = self.compiler.command();
        link.args(["-shared", "-o", LIBRARY]);
        link.args(paths(directory, "o")?);
        link.arg("-pthread");
        link.args(self.codecs()?.iter().map(|codec| codec.library));
        run(&mut link, directory)?;
        Ok(directory.join(LIBRARY))
    }
}

/// The files of a directory with an extension, by name.
pub(crate) fn paths(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, RtlError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(RtlError::io(directory))? {
        let path = entry.map_err(RtlError::io(directory))?.path();
        if path.extension().is_some_and(|given| given == extension) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
