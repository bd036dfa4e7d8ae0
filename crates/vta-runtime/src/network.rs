//! A compiled network on a device.

use std::time::Instant;

use vta_graph::interp::Interpreter;
use vta_graph::{DType, Data, Graph, GraphError, Tensor, TensorType};
use vta_isa::INSN_BYTES;
use vta_program::{
    DesignMismatch, MAX_SLOT_ELEMS, Program, ProgramError, RelocateError, Slot, SlotId, Step, bits,
    relocate,
};
use vta_sim::Counters;

use crate::stats::{OperatorTimes, RunStats, StepTime, StreamStats};
use crate::{Device, DeviceError, ErrorKind, RunLimits};

/// Why a network cannot be loaded or run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// The program breaks a rule.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The program is for another design.
    #[error(transparent)]
    Design(#[from] DesignMismatch),
    /// A stream cannot be moved to where the device's memory is.
    #[error("stream {stream}: {error}")]
    Relocate {
        /// Index of the stream.
        stream: usize,
        /// The reason.
        error: RelocateError,
    },
    /// A graph of the host does not read, or does not run.
    #[error("step {step}, on the host: {error}")]
    Host {
        /// Index of the step.
        step: usize,
        /// The reason.
        error: GraphError,
    },
    /// The device refused or stopped.
    #[error("{place}: {error}")]
    Device {
        /// What was being done.
        place: String,
        /// The reason.
        error: DeviceError,
    },
    /// The caller gave another number of inputs than the network has.
    #[error("{given} inputs given, the network `{network}` takes {expected}: {names}")]
    InputCount {
        /// The network.
        network: String,
        /// Inputs given.
        given: usize,
        /// Inputs taken.
        expected: usize,
        /// Their names and types.
        names: String,
    },
    /// The caller gave a tensor of another type.
    #[error("input `{name}` must be {expected}, {given} was given")]
    InputType {
        /// The input.
        name: String,
        /// Its type.
        expected: TensorType,
        /// The type of the tensor.
        given: TensorType,
    },
}

impl NetworkError {
    /// Whose mistake it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            NetworkError::Device { error, .. } => error.kind(),
            NetworkError::Host { .. } | NetworkError::Program(_) => ErrorKind::Fault,
            NetworkError::Relocate { .. } => ErrorKind::Limit,
            _ => ErrorKind::Caller,
        }
    }
}

/// A program loaded into a device's memory, ready to run any number of times.
///
/// Device memory is given back when the network is dropped.
pub struct Network<D: Device> {
    device: D,
    limits: RunLimits,
    name: String,
    types: Vec<TensorType>,
    slots: Vec<Slot>,
    inputs: Vec<SlotId>,
    outputs: Vec<SlotId>,
    steps: Vec<Prepared>,
    /// Device allocations: the arena, then the streams.
    allocations: Vec<u64>,
    arena_bytes: u64,
    values: Vec<Option<Tensor>>,
    /// Bytes of one transfer.
    packed: Vec<u8>,
    stats: RunStats,
}

/// A step with everything looked up.
enum Prepared {
    Host {
        graph: Box<Interpreter<Graph>>,
        inputs: Vec<SlotId>,
        outputs: Vec<SlotId>,
    },
    Upload {
        slot: SlotId,
        address: u64,
        bits: u32,
    },
    Run {
        stream: usize,
        address: u64,
        count: u64,
    },
    Download {
        slot: SlotId,
        address: u64,
        bits: u32,
    },
}

impl Prepared {
    fn name(&self) -> &'static str {
        match self {
            Prepared::Host { .. } => "host",
            Prepared::Upload { .. } => "upload",
            Prepared::Run { .. } => "run",
            Prepared::Download { .. } => "download",
        }
    }
}

impl<D: Device> Network<D> {
    /// Puts a program into device memory: the arena with its image, and the streams, relocated to
    /// the arena. Host graphs are parsed and verified once, here.
    pub fn load(program: &Program, device: D) -> Result<Self, NetworkError> {
        program.check()?;
        program.check_design(device.design())?;
        let types = program
            .slots
            .iter()
            .map(slot_type)
            .collect::<Option<Vec<_>>>();
        let types = types.expect("the program's check knows every element type");
        let mut network = Network {
            device,
            limits: RunLimits::default(),
            name: program.name.clone(),
            values: vec![None; types.len()],
            types,
            slots: program.slots.clone(),
            inputs: program.inputs.clone(),
            outputs: program.outputs.clone(),
            steps: Vec::new(),
            allocations: Vec::new(),
            arena_bytes: program.arena_bytes,
            packed: Vec::new(),
            stats: RunStats::default(),
        };
        let arena = network.load_arena(program)?;
        let streams = network.load_streams(program, arena)?;
        for (i, step) in program.steps.iter().enumerate() {
            let step = match step {
                Step::Host {
                    graph,
                    inputs,
                    outputs,
                } => {
                    let graph = network.host_graph(graph, inputs, outputs);
                    Prepared::Host {
                        graph: Box::new(
                            graph.map_err(|error| NetworkError::Host { step: i, error })?,
                        ),
                        inputs: inputs.clone(),
                        outputs: outputs.clone(),
                    }
                }
                &Step::Upload { slot, offset, bits } => Prepared::Upload {
                    slot,
                    address: arena + offset,
                    bits,
                },
                &Step::Run { stream } => {
                    let stream = stream as usize;
                    let (address, count) = streams[stream];
                    Prepared::Run {
                        stream,
                        address,
                        count,
                    }
                }
                &Step::Download { slot, offset, bits } => Prepared::Download {
                    slot,
                    address: arena + offset,
                    bits,
                },
            };
            network.steps.push(step);
        }
        Ok(network)
    }

    /// Limits of each run of a stream.
    pub fn set_limits(&mut self, limits: RunLimits) {
        self.limits = limits;
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Names and types of the inputs.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.describe(&self.inputs)
    }

    /// Names and types of the outputs.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.describe(&self.outputs)
    }

    /// What the last inference did.
    pub fn stats(&self) -> &RunStats {
        &self.stats
    }

    /// One inference.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, NetworkError> {
        self.set_inputs(inputs)?;
        self.stats.counters = Counters::default();
        self.stats.steps.clear();
        self.stats.streams.clear();
        self.stats.operators.clear();
        let steps = std::mem::take(&mut self.steps);
        let result = (steps.iter().enumerate()).try_for_each(|(i, step)| self.step(i, step));
        self.steps = steps;
        result?;
        Ok(self
            .outputs
            .iter()
            .map(|&slot| self.value(slot).clone())
            .collect())
    }

    /// The arena as it is now: constants, activations, and whatever the streams stored.
    pub fn arena(&mut self) -> Result<Vec<u8>, NetworkError> {
        let (address, len) = (self.allocations[0], self.arena_bytes);
        let bytes = match usize::try_from(len) {
            Ok(len) => {
                let mut bytes = vec![0; len];
                self.device.read(address, &mut bytes).map(|()| bytes)
            }
            Err(_) => Err(DeviceError::Access { address, len }),
        };
        bytes.map_err(|error| NetworkError::Device {
            place: "reading the arena".into(),
            error,
        })
    }

    fn set_inputs(&mut self, inputs: &[Tensor]) -> Result<(), NetworkError> {
        if inputs.len() != self.inputs.len() {
            let names = self.inputs().map(|(name, ty)| format!("`{name}` {ty}"));
            return Err(NetworkError::InputCount {
                network: self.name.clone(),
                given: inputs.len(),
                expected: self.inputs.len(),
                names: names.collect::<Vec<_>>().join(", "),
            });
        }
        for ((name, expected), given) in self.inputs().zip(inputs) {
            if expected != given.ty() {
                return Err(NetworkError::InputType {
                    name: name.into(),
                    expected: expected.clone(),
                    given: given.ty().clone(),
                });
            }
        }
        for (&slot, tensor) in self.inputs.iter().zip(inputs) {
            self.values[slot as usize] = Some(tensor.clone());
        }
        Ok(())
    }

    fn step(&mut self, index: usize, step: &Prepared) -> Result<(), NetworkError> {
        let start = Instant::now();
        let failed = |error| NetworkError::Device {
            place: format!("step {index}"),
            error,
        };
        match step {
            Prepared::Host {
                graph,
                inputs,
                outputs,
            } => {
                let given: Vec<Tensor> = inputs.iter().map(|&s| self.value(s).clone()).collect();
                let mut operators = OperatorTimes::new(graph.graph(), &mut self.stats.operators);
                let results = graph.run_with(&given, &mut |value, _| operators.made(value));
                let results = results.map_err(|error| NetworkError::Host { step: index, error })?;
                for (&slot, tensor) in outputs.iter().zip(results) {
                    self.values[slot as usize] = Some(tensor);
                }
            }
            &Prepared::Upload {
                slot,
                address,
                bits,
            } => {
                self.packed.clear();
                let tensor = self.values[slot as usize].as_ref();
                let values = tensor.and_then(Tensor::as_i8).expect(FILLED);
                match self.types[slot as usize].dtype {
                    DType::S1 => {
                        let stored: Vec<i8> = values.iter().map(|&v| DType::S1.stored(v)).collect();
                        bits::pack(&stored, bits, &mut self.packed);
                    }
                    _ => bits::pack(values, bits, &mut self.packed),
                }
                self.device.write(address, &self.packed).map_err(failed)?;
            }
            &Prepared::Run {
                stream,
                address,
                count,
            } => {
                let run = self.device.run(address, count, &self.limits);
                let run = run.map_err(failed)?;
                self.stats.counters += run.counters;
                self.stats.streams.push(StreamStats { stream, run });
            }
            &Prepared::Download {
                slot,
                address,
                bits,
            } => {
                let ty = &self.types[slot as usize];
                let bytes = bits::packed_bytes(ty.len(), bits).expect("the program was checked");
                self.packed.resize(bytes, 0);
                self.device
                    .read(address, &mut self.packed)
                    .map_err(failed)?;
                // The tensor of the last inference lends its memory.
                let mut values = match self.values[slot as usize].take().map(Tensor::into_data) {
                    Some(Data::I8(values)) => values,
                    _ => vec![0; ty.len()],
                };
                bits::unpack(&self.packed, bits, &mut values);
                if ty.dtype == DType::S1 {
                    let settled = |v: &i8| DType::S1.settled((*v).into()) as i8;
                    values.iter_mut().for_each(|v| *v = settled(v));
                }
                self.values[slot as usize] = Some(Tensor::new(ty.clone(), Data::I8(values)));
            }
        }
        let (what, time) = (step.name(), start.elapsed());
        self.stats.steps.push(StepTime { what, time });
        Ok(())
    }

    fn load_arena(&mut self, program: &Program) -> Result<u64, NetworkError> {
        let failed = |error| NetworkError::Device {
            place: "loading the arena".into(),
            error,
        };
        let arena = self
            .device
            .alloc(program.arena_bytes.max(1))
            .map_err(failed)?;
        self.allocations.push(arena);
        for section in &program.image {
            let address = arena + section.offset;
            self.device.write(address, &section.bytes).map_err(failed)?;
        }
        Ok(arena)
    }

    /// Address and instructions of each stream.
    fn load_streams(
        &mut self,
        program: &Program,
        arena: u64,
    ) -> Result<Vec<(u64, u64)>, NetworkError> {
        let mut loaded = Vec::with_capacity(program.streams.len());
        for (stream, insns) in program.streams.iter().enumerate() {
            let failed = |error| {
                let place = format!("loading stream {stream}");
                NetworkError::Device { place, error }
            };
            let mut insns = insns.clone();
            relocate(self.device.design(), &mut insns, arena)
                .map_err(|error| NetworkError::Relocate { stream, error })?;
            let address = self
                .device
                .alloc(insns.len().max(1) as u64)
                .map_err(failed)?;
            self.allocations.push(address);
            self.device.write(address, &insns).map_err(failed)?;
            loaded.push((address, (insns.len() / INSN_BYTES) as u64));
        }
        Ok(loaded)
    }

    /// Parses a graph and holds its inputs and outputs against the slots they are bound to.
    fn host_graph(
        &self,
        text: &str,
        inputs: &[SlotId],
        outputs: &[SlotId],
    ) -> Result<Interpreter<Graph>, GraphError> {
        let graph = vta_graph::text::parse(text)?;
        let elems = graph.values.iter().map(|v| v.ty.len());
        if elems.fold(0, usize::saturating_add) > MAX_SLOT_ELEMS {
            let why = format!("its values have more than {MAX_SLOT_ELEMS} elements");
            return Err(GraphError::Invalid(why));
        }
        let graph = Interpreter::new(graph)?;
        for (what, slots, values) in [
            ("inputs", inputs, &graph.graph().inputs),
            ("outputs", outputs, &graph.graph().outputs),
        ] {
            let slots = slots.iter().map(|&s| &self.types[s as usize]);
            if !slots.eq(values.iter().map(|&v| &graph.graph().value(v).ty)) {
                let why = format!("its {what} are not of the types of the program's slots");
                return Err(GraphError::Invalid(why));
            }
        }
        Ok(graph)
    }

    fn describe<'a>(
        &'a self,
        ids: &'a [SlotId],
    ) -> impl Iterator<Item = (&'a str, &'a TensorType)> {
        let ids = ids.iter().map(|&id| id as usize);
        ids.map(|id| (self.slots[id].name.as_str(), &self.types[id]))
    }

    fn value(&self, slot: SlotId) -> &Tensor {
        self.values[slot as usize].as_ref().expect(FILLED)
    }
}

/// What the program's check has proven about slots that a step reads.
const FILLED: &str = "slots are filled before they are read";

fn slot_type(slot: &Slot) -> Option<TensorType> {
    Some(TensorType::new(
        DType::from_name(&slot.dtype)?,
        slot.shape.clone(),
    ))
}

impl<D: Device> Drop for Network<D> {
    fn drop(&mut self) {
        for &address in &self.allocations {
            // Nobody is left to tell if a remote device is gone.
            let _ = self.device.free(address);
        }
    }
}
