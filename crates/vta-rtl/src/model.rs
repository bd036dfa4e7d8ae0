//! A design's hardware as a library: built once, kept by digest, loaded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread};

use fd_lock::RwLock;
use vta_isa::Design;

use crate::RtlError;
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
const RUNTIME: [&str; 2] = ["verilated.cpp", "verilated_threads.cpp"];
const WAVES: &str = "verilated_fst_c.cpp";
/// The library in its directory of the cache.
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
    /// `$XDG_CACHE_HOME/vta`, else `~/.cache/vta`. With `waves` it can write waveforms, and is
    /// slower. A build takes some 20 s of a processor; it needs Verilator and a C++ compiler.
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
            brief: false,
        };
        let path = build.cached(progress)?;
        Ok(RtlModel {
            design: design.clone(),
            waves,
            library: Library::load(&path)?,
        })
    }

    /// A model of these very sources for a few short runs: built sooner, slower to run, kept nowhere.
    pub(crate) fn build_brief(design: &Design, sources: Sources) -> Result<RtlModel, RtlError> {
        let build = Build {
            sources,
            verilator: Verilator::find()?,
            compiler: Compiler::find()?,
            waves: false,
            brief: true,
        };
        let directory = tempfile::tempdir().map_err(RtlError::io(&env::temp_dir()))?;
        let path = build.make(directory.path(), &|_, _, _| {})?;
        Ok(RtlModel {
            design: design.clone(),
            waves: false,
            // Once it is loaded, its file may go.
            library: Library::load(&path)?,
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

/// Everything that a library depends on.
struct Build {
    sources: Sources,
    verilator: Verilator,
    compiler: Compiler,
    waves: bool,
    /// Whether it is to be built soon rather than to run fast.
    brief: bool,
}

impl Build {
    /// The library in the cache, which is made first if it is not there. Of processes that want the
    /// same library one builds it, the others wait.
    fn cached(&self, progress: Progress) -> Result<PathBuf, RtlError> {
        let recipe = format!(
            "{}\n{}\n{VERILATE:?} {UNROLL:?}\n{COMPILE:?}\n{}",
            self.verilator.version, self.compiler.version, self.waves
        );
        let cache = cache()?.join("rtl");
        let directory = cache.join(self.sources.digest(&recipe));
        let library = directory.join(LIBRARY);
        if library.is_file() {
            return Ok(library);
        }
        fs::create_dir_all(&directory).map_err(RtlError::io(&directory))?;
        let path = directory.join("lock");
        let file = File::create(&path).map_err(RtlError::io(&path))?;
        let mut lock = RwLock::new(file);
        let _held = lock.write().map_err(RtlError::io(&path))?;
        if !library.is_file() {
            let work = tempfile::tempdir_in(&directory).map_err(RtlError::io(&directory))?;
            let built = self.make(work.path(), progress)?;
            // A library is there whole or not at all.
            fs::rename(&built, &library).map_err(RtlError::io(&library))?;
        }
        Ok(library)
    }

    /// Builds the library in an empty directory.
    fn make(&self, directory: &Path, progress: Progress) -> Result<PathBuf, RtlError> {
        progress("verilate", 0, 1);
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
        run(&mut verilate, directory)?;
        progress("verilate", 1, 1);
        self.compile(directory, progress)?;
        self.link(directory)
    }

    /// Compiles every C++ file of `directory` and those of the runtime, some at a time.
    fn compile(&self, directory: &Path, progress: Progress) -> Result<(), RtlError> {
        let include = self.verilator.include()?;
        let mut files: Vec<PathBuf> = RUNTIME.iter().map(|name| include.join(name)).collect();
        if self.waves {
            files.push(include.join(WAVES));
        }
        files.extend(paths(directory, "cpp")?);
        if self.brief {
            // All of them include the same headers, which take longer than the model.
            let all = directory.join("all.cpp");
            let includes = files.iter().map(|path| format!("#include {path:?}\n"));
            fs::write(&all, includes.collect::<String>()).map_err(RtlError::io(&all))?;
            files = vec![all];
        }
        // The largest files first, so that none is left for the end.
        files.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |m| m.len())));
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failed = Mutex::new(None);
        let work = || {
            while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.object(directory, path, &include) {
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

    fn object(&self, directory: &Path, path: &Path, include: &Path) -> Result<(), RtlError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut compile = self.compiler.command();
        compile.args(COMPILE);
        // What runs once, at the start, and what hardly runs are not worth the time.
        let is_runtime = RUNTIME.iter().any(|file| path.ends_with(file));
        let is_cold = name.contains("Slow") || is_runtime || self.brief;
        compile.arg(if is_cold { "-O1" } else { "-O3" });
        let waves = u8::from(self.waves);
        compile.arg(format!("-DVM_TRACE={waves}"));
        compile.arg(format!("-DVM_TRACE_FST={waves}"));
        for include in [Path::new("."), include, &include.join("vltstd")] {
            compile.arg("-I").arg(include);
        }
        compile.arg(path).arg("-o").arg(format!("{name}.o"));
        run(&mut compile, directory)
    }

    fn link(&self, directory: &Path) -> Result<PathBuf, RtlError> {
        let mut link = self.compiler.command();
        link.args(["-shared", "-o", LIBRARY]);
        link.args(paths(directory, "o")?);
        link.arg("-pthread");
        if self.waves {
            link.arg("-lz");
            // Later versions of the runtime take the compression of waveforms from the system.
            if self.verilator.include()?.join("fstcpp").is_dir() {
                link.arg("-llz4");
            }
        }
        run(&mut link, directory)?;
        Ok(directory.join(LIBRARY))
    }
}

/// The files of a directory with an extension, by name.
fn paths(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, RtlError> {
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

fn cache() -> Result<PathBuf, RtlError> {
    let path = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let user = || path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
    path("VTA_CACHE")
        .or_else(|| Some(user()?.join("vta")))
        .ok_or(RtlError::Missing {
            program: "directory",
            remedy: "set VTA_CACHE to one that may be written",
        })
}
