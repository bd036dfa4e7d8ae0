//! `vta exec`

use std::path::PathBuf;

use clap::Args;
use vta::{Error, Module, Result};

use super::device::OnDevice;
use super::run::{Input, Output};
use super::runs::Runs;
use crate::bar::Bar;
use crate::output;

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
        let runs = Runs::load(&program, &design, &self.device, &Bar::default());
        let mut runs = runs.map_err(|e| e.at(self.program.display()))?;
        let (preprocess, ty) = runs.reference().module.sample_form()?;
        let input = self.input.pick(&preprocess, ty)?;
        let input = input.ok_or_else(|| {
            Error::input("no input is given").help("give --input IMAGE or --input FILE.npy")
        })?;
        runs.infer(&[input], self.device.trace.as_deref())?;
        match self.output.json {
            true => output::print_json(&self.output.json(&runs))?,
            false => output::print(self.output.text(&runs)?)?,
        }
        runs.agree()
    }
}
