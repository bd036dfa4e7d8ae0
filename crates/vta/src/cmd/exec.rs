//! `vta exec`

use std::path::PathBuf;

use clap::Args;
use vta::{Devices, Error, Module, Result};

use super::device::OnDevice;
use super::run::{Input, Output};
use crate::bar::Bar;
use crate::{output, report};

/// Run a compiled network on one input.
#[derive(Args)]
pub(super) struct Exec {
    /// The program, a .vta file.
    program: PathBuf,
    #[command(flatten)]
    input: Input,
    /// The design of the device: a preset, or a file with the keys of vta_config.json
    /// [default: the program's own].
    #[arg(long, value_name = "NAME|FILE.json")]
    config: Option<String>,
    #[command(flatten)]
    device: OnDevice,
    #[command(flatten)]
    output: Output,
}

impl Exec {
    pub(super) fn run(self) -> Result<()> {
        let program = Module::read_program(&self.program)?;
        let design = match &self.config {
            Some(name) => vta::design(name)?,
            None => program.config.clone().design()?,
        };
        let devices = Devices::new(&design, &self.device.kind()?, &Bar::default())?;
        let module = Module::load_on(program, &devices);
        let mut module = module.map_err(|e| e.at(self.program.display()))?;
        let input = self.input.pick(|path| module.samples(path))?;
        let input = input.ok_or_else(|| {
            Error::input("no input is given").help("give --input IMAGE or --input FILE.npy")
        })?;
        let outputs = module.run(&[input])?;
        let classes = self.output.classes(&module, &outputs);
        self.device.write_trace(&module)?;
        match self.output.json {
            true => output::print_json(&report::run_json(&module, &classes)),
            false => output::print(report::run(&module, &classes)?),
        }
    }
}
