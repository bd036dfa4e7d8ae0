//! A program on a simulated device.

use std::path::Path;

use vta_graph::{Tensor, TensorType};
use vta_isa::Design;
use vta_program::Program;
use vta_runtime::{Network, SimDevice};
use vta_sim::{Counters, Order};

use crate::{Error, Preprocess, Result, Samples, model, read, write};

/// A compiled network, loaded and ready to run.
pub struct Module {
    program: Program,
    network: Network<SimDevice>,
}

impl Module {
    /// Loads a program into a device of its own design.
    pub fn load(program: Program) -> Result<Module> {
        let design = program.config.clone().design()?;
        Module::load_on(program, &design, Order::default())
    }

    /// Loads a program into a device of a design, which must be the program's in all that
    /// affects encoding and results; `order` is that of its modules.
    pub fn load_on(program: Program, design: &Design, order: Order) -> Result<Module> {
        let mut device = SimDevice::new(design);
        device.set_order(order);
        let network = Network::load(&program, device)?;
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

    fn sample_form(&self) -> Result<(Preprocess, &TensorType)> {
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

    /// What the device did in the last inference.
    pub fn counters(&self) -> Counters {
        self.network.stats().counters
    }
}

/// The bytes of a program's `.vta` file.
pub fn to_bytes(program: &Program) -> Result<Vec<u8>> {
    program.to_bytes().map_err(|e| Error::bug(e.to_string()))
}
