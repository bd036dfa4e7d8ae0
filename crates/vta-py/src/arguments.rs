//! Arguments that may be given in several forms.

use std::path::PathBuf;

use pyo3::prelude::*;
use vta::{Calibration, Error, Model, Preprocess, Samples};
use vta_graph::TensorType;
use vta_isa::{Design, HwConfig};

use crate::array::tensor;
use crate::error::raise;

/// A path, or anything else.
pub(crate) fn path(value: &Bound<'_, PyAny>) -> PyResult<Option<PathBuf>> {
    let py = value.py();
    let is_path = value.is_instance_of::<pyo3::types::PyString>()
        || value.hasattr(pyo3::intern!(py, "__fspath__"))?;
    is_path.then(|| value.extract()).transpose()
}

/// A network: the path of an ONNX file, or its bytes.
pub(crate) fn model(value: &Bound<'_, PyAny>) -> PyResult<Model> {
    let py = value.py();
    let model = match path(value)? {
        Some(path) => py.detach(|| Model::open(&path)),
        None => {
            let onnx: Vec<u8> = value.extract()?;
            py.detach(|| Model::from_bytes("network", &onnx))
        }
    };
    model.map_err(|error| raise(py, &error))
}

/// A design: a preset's name, a path, or a dictionary with the keys of `vta_config.json`.
pub(crate) fn design(value: &Bound<'_, PyAny>) -> PyResult<Design> {
    let py = value.py();
    let design = match path(value)? {
        Some(path) => vta::design(&path.to_string_lossy()),
        None => {
            let json = py.import("json")?.call_method1("dumps", (value,))?;
            let config = HwConfig::from_json(&json.extract::<String>()?);
            config.and_then(HwConfig::design).map_err(Error::from)
        }
    };
    design.map_err(|error| raise(py, &error))
}

/// One number for all channels, or one a channel.
#[derive(FromPyObject)]
pub(crate) enum Channels {
    All(f64),
    Each(Vec<f64>),
}

impl From<Channels> for Vec<f64> {
    fn from(channels: Channels) -> Vec<f64> {
        match channels {
            Channels::All(value) => vec![value],
            Channels::Each(values) => values,
        }
    }
}

/// Names of classes: a file with one a line, or a list.
pub(crate) fn labels(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match path(value)? {
        Some(path) => vta::read_labels(&path).map_err(|error| raise(value.py(), &error)),
        None => value.extract(),
    }
}

/// Inputs to calibrate on: an array, a file or folder, or `synthetic:SEED`.
pub(crate) fn calibration(
    value: &Bound<'_, PyAny>,
    preprocess: &Preprocess,
    ty: &TensorType,
) -> PyResult<Calibration> {
    let seed = value.extract::<String>().ok();
    if let Some(seed) = seed
        .as_deref()
        .and_then(|text| text.strip_prefix("synthetic:"))
    {
        let seed = seed.parse().map_err(|error| {
            let message = format!("the seed of `synthetic:{seed}`: {error}");
            raise(
                value.py(),
                &Error::input(message).help("write it as synthetic:1"),
            )
        })?;
        return Ok(Calibration::Synthetic { seed });
    }
    let samples = samples(value, preprocess, ty)?;
    let inputs = value.py().detach(|| samples.all());
    let inputs = inputs.map_err(|error| raise(value.py(), &error))?;
    Ok(Calibration::Inputs(inputs))
}

/// Raw samples: a file or folder, or an array.
pub(crate) fn samples(
    value: &Bound<'_, PyAny>,
    preprocess: &Preprocess,
    ty: &TensorType,
) -> PyResult<Samples> {
    let py = value.py();
    let samples = match path(value)? {
        Some(path) => py.detach(|| Samples::open(&path, preprocess, ty)),
        None => Samples::from_array(tensor(value)?, preprocess, ty),
    };
    samples.map_err(|error| raise(py, &error))
}
