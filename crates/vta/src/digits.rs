//! The digits network (`models/digits`), part of the library: it works wherever one is.

use vta_graph::{Tensor, TensorType};

use crate::{Calibration, Model, Recipe, Result, Samples, parse_labels, parse_npy};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../models/digits/", $name))
    };
}

/// A handwritten 3 that the network has not been trained on, as a PNG file.
pub const SAMPLE: &[u8] = file!("samples/digit_3_0.png");
/// The digit that [`SAMPLE`] shows.
pub const SAMPLE_DIGIT: usize = 3;

/// The network, an ONNX file.
pub const ONNX: &[u8] = file!("digits.onnx");

/// The network.
pub fn model() -> Result<Model> {
    Model::from_bytes("digits", ONNX)
}

/// What makes its input of pixels.
pub fn recipe() -> Recipe {
    Recipe {
        scale: Some(1.0 / 255.0),
        ..Recipe::default()
    }
}

/// Training images to calibrate it with.
pub fn calibration(model: &Model) -> Result<Calibration> {
    let (array, ty): (Tensor, &TensorType) = (parse_npy(file!("calib/x.npy"))?, model.input()?);
    let samples = Samples::from_array(array, &recipe().resolve(model)?, ty)?;
    Ok(Calibration::Inputs(samples.all()?))
}

/// The names of its classes.
pub fn labels() -> Vec<String> {
    parse_labels(include_str!("../../../models/digits/labels.txt"))
}
