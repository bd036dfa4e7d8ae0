//! A network's `.vta` file, run in a process of its own: how soon it is ready, and the memory it takes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vta::Module;
use vta_graph::{DType, Tensor};
use vta_program::Program;

use crate::peak;

/// What such a process found.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// From the file to a network that waits for its input.
    pub load: Duration,
    /// Bytes of physical memory at the highest point; 0 where the system does not say.
    pub peak: u64,
}

impl File {
    /// Writes a program's file into the folder `scratch` and starts this executable again with `flag` and the file:
    /// what it does there is [`File::run`].
    ///
    /// # Errors
    /// Those of files and processes, and of the run.
    pub fn measure(program: &Program, scratch: &Path, flag: &str) -> Result<File> {
        let path = scratch.join("network.vta");
        std::fs::write(&path, vta::to_bytes(program)?).context("network.vta")?;
        let run = Command::new(std::env::current_exe()?)
            .arg(flag)
            .arg(&path)
            .output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        ensure!(run.status.success(), "{flag}: {}", text(&run.stderr));
        let said = text(&run.stdout);
        let (load, peak) = said.split_once(' ').with_context(|| said.clone())?;
        Ok(File {
            load: Duration::from_secs_f64(load.parse()?),
            peak: peak.parse()?,
        })
    }

    /// Loads a file, runs it three times on an input of zeros, and prints seconds and bytes for [`File::measure`].
    ///
    /// # Errors
    /// Those of the file and of the device; an input that is not `f32`.
    pub fn run(path: &Path) -> Result<()> {
        let (module, load) = crate::best(1, || Module::load(Module::read_program(path)?));
        let mut module = module?;
        let zeros = |(name, ty): (&str, &vta_graph::TensorType)| {
            ensure!(ty.dtype == DType::F32, "the input {name} is {ty}, not f32");
            Ok(Tensor::f32(ty.shape.clone(), vec![0.0; ty.len()]))
        };
        let inputs = module.inputs().map(zeros).collect::<Result<Vec<_>>>()?;
        for _ in 0..3 {
            module.run(&inputs)?;
        }
        println!("{} {}", load.as_secs_f64(), peak::bytes().unwrap_or(0));
        Ok(())
    }

    /// The memory that running a program may take, in bytes: one and a half times its arena, which holds parameters
    /// and activations, and 64 MiB.
    pub fn bound(program: &Program) -> u64 {
        program.arena_bytes * 3 / 2 + (64 << 20)
    }
}
