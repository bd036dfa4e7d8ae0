//! Compiled networks, and how to get one.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use vta::{Calibration, Options, Recipe, Samples};
use vta_graph::{Tensor, TensorType};
use vta_sim::Counters;

use crate::arguments::{self, Channels};
use crate::array::{array, join, tensor};
use crate::error::raise;

/// A compiled network on a simulated accelerator of its design.
///
/// `vta.compile` and `vta.load` make one. Threads may share it: inferences take turns.
#[pyclass(frozen, module = "vta")]
pub(crate) struct Module {
    inner: Mutex<Inner>,
}

struct Inner {
    module: vta::Module,
    /// Of all samples of the last call of `run`.
    counters: Counters,
}

/// Name, element type and shape of an input or output.
type Described = (String, &'static str, Vec<usize>);

/// Compiles a network.
///
/// Args:
///     model: Path of an ONNX file, or its bytes.
///     calibration: Typical inputs, raw as they are: an array of one or many samples, the path of
///         a file or folder of them, or "synthetic:SEED" for noise. Float networks need it.
///     config: The design: a preset's name, a file, or a dictionary with the keys of
///         vta_config.json.
///     scale, mean, std: How raw values become inputs, (x * scale - mean) / std; mean and std
///         may be sequences with a number for each channel.
///     resize: Length of the short side to which photographs are scaled before the middle is
///         cut out.
///     labels: Names of the classes: a list, or the path of a file with one a line.
///
/// Raises:
///     vta.InputError: The network needs calibration, cannot be read, or does not fit.
#[pyfunction]
#[pyo3(signature = (model, calibration=None, *, config=None, scale=None, mean=None, std=None,
                    resize=None, labels=None))]
#[allow(clippy::too_many_arguments, reason = "Python names them")]
pub(crate) fn compile(
    py: Python<'_>,
    model: &Bound<'_, PyAny>,
    calibration: Option<&Bound<'_, PyAny>>,
    config: Option<&Bound<'_, PyAny>>,
    scale: Option<f64>,
    mean: Option<Channels>,
    std: Option<Channels>,
    resize: Option<u32>,
    labels: Option<&Bound<'_, PyAny>>,
) -> PyResult<Module> {
    let failed = |error| raise(py, &error);
    let model = arguments::model(model)?;
    let recipe = Recipe {
        scale,
        mean: mean.map(Vec::from).unwrap_or_default(),
        std: std.map(Vec::from).unwrap_or_default(),
        short_side: resize,
    };
    let preprocess = recipe.resolve(&model).map_err(failed)?;
    let ty = model.input().map_err(failed)?;
    let options = Options {
        design: config
            .map(arguments::design)
            .transpose()?
            .unwrap_or_default(),
        calibration: match calibration {
            Some(given) => arguments::calibration(given, &preprocess, ty)?,
            None => Calibration::None,
        },
        labels: labels
            .map(arguments::labels)
            .transpose()?
            .unwrap_or_default(),
        preprocess: Some(preprocess),
        ..Options::default()
    };
    let module = py.detach(|| {
        let built = vta::compile(&model, &options, &())?;
        vta::Module::load(built.program)
    });
    module.map(Module::new).map_err(failed)
}

/// Loads what `Module.save` or `vta compile` wrote.
///
/// Raises:
///     vta.InputError: The file is no compiled network, or it is damaged.
#[pyfunction]
pub(crate) fn load(py: Python<'_>, path: PathBuf) -> PyResult<Module> {
    let module = py.detach(|| vta::Module::load(vta::Module::read_program(&path)?));
    module.map(Module::new).map_err(|error| raise(py, &error))
}

#[pymethods]
impl Module {
    /// Runs the network.
    ///
    /// Args:
    ///     inputs: Raw samples for a network of one input: an array of one or many, or the path
    ///         of an image, an array or a folder. Or the arrays of all inputs, of exactly their
    ///         shapes and types, for a network of several.
    ///
    /// Returns:
    ///     The output; samples follow one another along its first axis. A list of them for a
    ///     network of several outputs.
    ///
    /// Raises:
    ///     vta.InputError: The inputs do not fit the network.
    #[pyo3(signature = (*inputs))]
    fn run<'py>(&self, inputs: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = inputs.py();
        let mut counters = Counters::default();
        let mut infer = |inputs: &[Tensor]| -> PyResult<Vec<Bound<'py, PyAny>>> {
            let outputs = py.detach(|| {
                let mut inner = self.lock();
                let outputs = inner.module.run(inputs);
                counters += inner.module.counters();
                outputs
            });
            // Between samples is where an interrupt is heard.
            py.check_signals()?;
            let outputs = outputs.map_err(|error| raise(py, &error))?;
            outputs.iter().map(|output| array(py, output)).collect()
        };
        let samples: Vec<Vec<_>> = if inputs.len() == 1 {
            let samples = self.samples(&inputs.get_item(0)?)?;
            let indices = 0..samples.len();
            let each = indices.map(|index| {
                let sample = py.detach(|| samples.get(index));
                infer(&[sample.map_err(|error| raise(py, &error))?])
            });
            each.collect::<PyResult<_>>()?
        } else {
            let tensors = inputs.iter().map(|input| tensor(&input));
            vec![infer(&tensors.collect::<PyResult<Vec<_>>>()?)?]
        };
        py.detach(|| self.lock().counters = counters);
        let of = |output: usize| samples.iter().map(|s| s[output].clone()).collect();
        let outputs = (0..samples[0].len()).map(|output| join(py, of(output)));
        let mut outputs: Vec<_> = outputs.collect::<PyResult<_>>()?;
        match outputs.len() {
            1 => Ok(outputs.remove(0)),
            _ => Ok(PyList::new(py, outputs)?.into_any()),
        }
    }

    /// Writes the compiled network to a file, for `vta.load` and `vta exec`.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let saved = py.detach(|| self.lock().module.save(&path));
        saved.map_err(|error| raise(py, &error))
    }

    /// What the accelerator did in the last call of `run`, over all its samples: bytes moved,
    /// operations, instructions.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.json(py, |inner| serde_json::to_string(&inner.counters))
    }

    /// Where each operator runs, and why there.
    #[getter]
    fn placement<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.json(py, |inner| {
            serde_json::to_string(&inner.module.program().placement)
        })
    }

    /// What every report on the network repeats, such as how it was calibrated.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.json(py, |inner| {
            serde_json::to_string(&inner.module.program().notes)
        })
    }

    /// The design, with the keys of vta_config.json.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.json(py, |inner| Ok(inner.module.program().config.to_json()))
    }

    /// Names of the classes, or empty.
    #[getter]
    fn labels(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.lock().module.program().labels.clone())
    }

    /// Name of the network.
    #[getter]
    fn name(&self, py: Python<'_>) -> String {
        py.detach(|| self.lock().module.program().name.clone())
    }

    /// Name, element type and shape of each input.
    #[getter]
    fn inputs(&self, py: Python<'_>) -> Vec<Described> {
        py.detach(|| self.lock().module.inputs().map(described).collect())
    }

    /// Name, element type and shape of each output.
    #[getter]
    fn outputs(&self, py: Python<'_>) -> Vec<Described> {
        py.detach(|| self.lock().module.outputs().map(described).collect())
    }
}

impl Module {
    fn new(module: vta::Module) -> Module {
        let counters = Counters::default();
        Module {
            inner: Mutex::new(Inner { module, counters }),
        }
    }

    /// To be called without the interpreter's lock, which whoever holds this one may wait for.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic left a module that the next inference starts anew.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn samples(&self, raw: &Bound<'_, PyAny>) -> PyResult<Samples> {
        let py = raw.py();
        let samples = match arguments::path(raw)? {
            Some(path) => py.detach(|| self.lock().module.samples(&path)),
            None => {
                let tensor = tensor(raw)?;
                py.detach(|| self.lock().module.samples_of(tensor))
            }
        };
        samples.map_err(|error| raise(py, &error))
    }

    /// Python's form of something that is printed as JSON.
    fn json<'py>(
        &self,
        py: Python<'py>,
        text: impl FnOnce(&Inner) -> serde_json::Result<String> + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text = py.detach(|| text(&self.lock()));
        let text = text.map_err(|error| raise(py, &vta::Error::bug(error.to_string())))?;
        py.import("json")?.call_method1("loads", (text,))
    }
}

fn described((name, ty): (&str, &TensorType)) -> Described {
    (name.to_owned(), ty.dtype.name(), ty.shape.clone())
}
