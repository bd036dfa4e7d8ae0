//! numpy arrays and tensors.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};
use vta_graph::{DType, Data, Tensor};

use crate::error::raise;

/// The tensor of anything that numpy takes for an array.
///
/// The array goes through the `.npy` format, so that the rules for element types are those of
/// the command line's files.
pub(crate) fn tensor(array: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = array.py();
    let numpy = py.import("numpy")?;
    let options = PyDict::new(py);
    options.set_item("order", "C")?;
    let array = numpy.call_method("asarray", (array,), Some(&options))?;
    let file = py.import("io")?.call_method0("BytesIO")?;
    let options = PyDict::new(py);
    options.set_item("allow_pickle", false)?;
    numpy.call_method("save", (&file, array), Some(&options))?;
    let bytes = file.call_method0("getvalue")?;
    let bytes = bytes.downcast::<PyBytes>()?.as_bytes();
    py.detach(|| vta::parse_npy(bytes))
        .map_err(|error| raise(py, &error))
}

/// A writable array of a tensor's shape. Types of less than 8 bits become `int8`.
pub(crate) fn array<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    fn bytes<const N: usize, T: Copy>(values: &[T], le: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| le(value)).collect()
    }
    let (dtype, bytes) = match tensor.data() {
        Data::F32(v) => ("<f4", bytes(v, f32::to_le_bytes)),
        Data::I64(v) => ("<i8", bytes(v, i64::to_le_bytes)),
        Data::I32(v) => ("<i4", bytes(v, i32::to_le_bytes)),
        Data::I8(v) => ("|i1", bytes(v, i8::to_le_bytes)),
        Data::U8(v) if tensor.dtype() == DType::Bool => ("|b1", v.clone()),
        Data::U8(v) => ("|u1", v.clone()),
    };
    let flat = py
        .import("numpy")?
        .call_method1("frombuffer", (PyByteArray::new(py, &bytes), dtype))?;
    flat.call_method1("reshape", (tensor.shape().to_vec(),))
}

/// One array of what every sample gave, along the batch axis (the first).
pub(crate) fn join<'py>(
    py: Python<'py>,
    samples: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    match <[_; 1]>::try_from(samples) {
        Ok([one]) => Ok(one),
        Err(many) => {
            let ranks: usize = many[0].getattr("ndim")?.extract()?;
            let how = if ranks == 0 { "stack" } else { "concatenate" };
            py.import("numpy")?.call_method1(how, (many,))
        }
    }
}
