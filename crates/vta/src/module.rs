//! A program on a device.

use std::path::Path;

use vta_graph::{Tensor, TensorType};
use vta_isa::HwConfig;
use vta_program::Program;
use vta_runtime::{Device, Network, RunStats};
use vta_sim::Counters;

use crate::timeline::Timeline;
use crate::{DeviceKind, Devices, Error, Preprocess, Result, Samples, model, read, write};

/// A compiled network, loaded and ready to run.
pub struct Module {
    program: Program,
    network: Network<Box<dyn Device + Send>>,
}

impl Module {
    /// Loads a program into a functional simulator of its own design.
    pub fn load(program: Program) -> Result<Module> {
        let design = program.config.clone().design()?;
        let devices = Devices::new(&design, &DeviceKind::default(), &())?;
        Module::load_on(program, &devices)
    }

    /// Loads a program into a device, whose design must be the program's in all that affects encoding
    /// and results.
    pub fn load_on(program: Program, devices: &Devices) -> Result<Module> {
        let network = Network::load(&program, devices.open()?)?;
        Ok(Module { program, network })
    }

    /// The program of a `.vta` file.
    pub fn read_program(path: &Path) -> Result<Program> {
        let program = Program::from_bytes(&read(path)?);
        program.map_err(|e| Error::from(e).at(path.display()))
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The parameters of the device's design.
    pub fn design(&self) -> &HwConfig {
        self.network.device().design().config()
    }

    /// The timeline of the last inference, its streams one after the other; empty unless the device traces.
    pub fn timeline(&self) -> Timeline {
        let streams = self.stats().streams.iter().filter_map(|stats| {
            let name = format!("stream {}", stats.stream);
            let insns = &self.program.streams[stats.stream];
            Some((name, &insns[..], stats.run.report.as_ref()?))
        });
        Timeline::new(self.network.device().design(), &streams.collect::<Vec<_>>())
    }

    /// Writes the program as a `.vta` file.
    pub fn save(&self, path: &Path) -> Result<()> {
        write(path, &to_bytes(&self.program)?)
    }

    /// Names and types of the inputs.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.network.inputs()
    }

    /// Names and types of the outputs.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.network.outputs()
    }

    /// The samples of a file or folder, made inputs as the program says.
    pub fn samples(&self, path: &Path) -> Result<Samples> {
        let (preprocess, ty) = self.sample_form()?;
        Samples::open(path, &preprocess, ty)
    }

    /// The samples of an array, made inputs as the program says.
    pub fn samples_of(&self, array: Tensor) -> Result<Samples> {
        let (preprocess, ty) = self.sample_form()?;
        Samples::from_array(array, &preprocess, ty)
    }

    /// How raw data becomes the one input.
    pub fn sample_form(&self) -> Result<(Preprocess, &TensorType)> {
        let mut inputs = self.inputs();
        let (Some((_, ty)), None) = (inputs.next(), inputs.next()) else {
            return Err(model::one_input_only(self.inputs().count()));
        };
        Ok((self.program.preprocess.clone().unwrap_or_default(), ty))
    }

    /// One inference.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(self.network.run(inputs)?)
    }

    /// Device memory as the last inference left it.
    pub fn memory(&mut self) -> Result<Vec<u8>> {
        Ok(self.network.arena()?)
    }

    /// What the device did in the last inference.
    pub fn counters(&self) -> Counters {
        self.network.stats().counters
    }

    /// All that is known of the last inference.
    pub fn stats(&self) -> &RunStats {
        self.network.stats()
    }
}

/// The bytes of a program's `.vta` file.
pub fn to_bytes(program: &Program) -> Result<Vec<u8>> {
    program.to_bytes().map_err(|e| Error::bug(e.to_string()))
}
