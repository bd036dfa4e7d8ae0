//! From raw pixels or features to a network's input tensor.

use vta_graph::{DType, Data, Tensor, TensorType};
use vta_program::{IntegerInput, Layout, Preprocess};

use crate::resize::{Image, ImageError, shrink_and_crop};

/// Why raw input does not fit a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// The parameters are unusable.
    #[error("preprocessing: {0}")]
    Parameters(String),
    /// As many means or deviations as channels, or one, or none.
    #[error(
        "{what} has {given} values and the input {channels} channels; give one for each, or one for all"
    )]
    Channels {
        /// Mean or std.
        what: &'static str,
        /// Values given.
        given: usize,
        /// Channels of the input.
        channels: usize,
    },
    /// The data has another shape than the input.
    #[error("the data is {given:?} and the input {expected}; {remedy}")]
    Shape {
        /// Extents of the data.
        given: Vec<usize>,
        /// The network's input.
        expected: TensorType,
        /// What would be accepted.
        remedy: String,
    },
    /// The image's pixels are not as many as it says.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// An input tensor of type `ty` from an image, resized first where `preprocess` says so.
///
/// A grey image serves an input of three channels, and a colour image one of one channel (by the
/// ITU-R 601 luma weights).
pub fn from_image(
    preprocess: &Preprocess,
    image: &Image,
    ty: &TensorType,
) -> Result<Tensor, PreprocessError> {
    preprocess.check().map_err(PreprocessError::Parameters)?;
    let channels = channels(preprocess.layout, &ty.shape);
    let image = image.with_channels(channels)?;
    let image = match preprocess.resize {
        Some(resize) if image.shape() != hwc(preprocess.layout, &ty.shape) => {
            shrink_and_crop(&image, resize.short_side, resize.crop)?
        }
        _ => image,
    };
    let shape = image.shape().to_vec();
    from_array(
        preprocess,
        &Tensor::new(
            TensorType::new(DType::U8, shape),
            Data::U8(image.into_pixels()),
        ),
        ty,
    )
}

/// An input tensor of type `ty` from raw numbers: one sample of a data set.
///
/// Extents of 1 do not count. Otherwise the data has the input's shape, or is an image
/// `[H, W, C]` for an input `[1, C, H, W]`.
pub fn from_array(
    preprocess: &Preprocess,
    data: &Tensor,
    ty: &TensorType,
) -> Result<Tensor, PreprocessError> {
    preprocess.check().map_err(PreprocessError::Parameters)?;
    let same = significant(data.shape()).eq(significant(&ty.shape));
    let transposed = match (preprocess.layout, &ty.shape[..]) {
        (Layout::Nchw, &[1, c, h, w]) => significant(data.shape()).eq(significant(&[h, w, c])),
        _ => false,
    };
    if !same && !transposed {
        let image = match hwc(preprocess.layout, &ty.shape) {
            [0, ..] => String::new(),
            [h, w, c] => format!(", or an image of {h} x {w} with {c} channels"),
        };
        return Err(PreprocessError::Shape {
            given: data.shape().to_vec(),
            expected: ty.clone(),
            remedy: format!("give data of that shape{image}, or resize it (--resize)"),
        });
    }
    let channels = channels(preprocess.layout, &ty.shape);
    let mean = per_channel("mean", &preprocess.mean, 0.0, channels)?;
    let std = per_channel("std", &preprocess.std, 1.0, channels)?;
    let raw: Box<dyn Fn(usize) -> f64> = match data.data() {
        Data::F32(v) => Box::new(|i| v[i].into()),
        Data::I64(v) => Box::new(|i| v[i] as f64),
        Data::I32(v) => Box::new(|i| v[i].into()),
        Data::I8(v) => Box::new(|i| v[i].into()),
        Data::U8(v) => Box::new(|i| v[i].into()),
    };
    // Elements from one channel to the next, in the input and in the data.
    let inner = match preprocess.layout {
        Layout::Nchw if ty.shape.len() >= 2 => ty.shape[2..].iter().product(),
        _ => 1,
    };
    let values = (0..ty.len()).map(|i| {
        let c = i / inner % channels;
        let at = if same { i } else { i % inner * channels + c };
        (raw(at) * preprocess.scale - mean[c]) / std[c]
    });
    Ok(tensor(ty, values, preprocess.integer))
}

/// Values of the input's type: rounded once.
fn tensor(
    ty: &TensorType,
    values: impl Iterator<Item = f64>,
    integer: Option<IntegerInput>,
) -> Tensor {
    let Some((lo, hi)) = ty.dtype.range() else {
        let data = match ty.dtype {
            DType::Bool => Data::U8(values.map(|v| u8::from(v != 0.0)).collect()),
            _ => Data::F32(values.map(|v| v as f32).collect()),
        };
        return Tensor::new(ty.clone(), data);
    };
    let (scale, zero_point) = integer.map_or((1.0, 0), |q| (q.scale, q.zero_point));
    let values = values.map(|v| (v / scale).round_ties_even() + f64::from(zero_point));
    // The cast saturates at the ends of `i64`.
    let values: Vec<i64> = values.map(|q| (q as i64).clamp(lo, hi)).collect();
    Tensor::from_ints(ty.dtype, ty.shape.clone(), &values)
}

fn significant(shape: &[usize]) -> impl Iterator<Item = usize> + '_ {
    shape.iter().copied().filter(|&d| d != 1)
}

/// Channels of an input: 1 where it is no image and has no channel axis to speak of.
fn channels(layout: Layout, shape: &[usize]) -> usize {
    match (layout, shape) {
        (Layout::Nchw, [_, c, _, _]) | (Layout::Nhwc, [_, _, _, c]) => *c,
        _ => 1,
    }
}

/// Height, width and channels of an image input; zeros where it is none.
fn hwc(layout: Layout, shape: &[usize]) -> [usize; 3] {
    match (layout, shape) {
        (Layout::Nchw, &[1, c, h, w]) | (Layout::Nhwc, &[1, h, w, c]) => [h, w, c],
        _ => [0; 3],
    }
}

fn per_channel(
    what: &'static str,
    values: &[f64],
    default: f64,
    channels: usize,
) -> Result<Vec<f64>, PreprocessError> {
    match values {
        [] => Ok(vec![default; channels]),
        [one] => Ok(vec![*one; channels]),
        all if all.len() == channels => Ok(all.to_vec()),
        _ => {
            let given = values.len();
            Err(PreprocessError::Channels {
                what,
                given,
                channels,
            })
        }
    }
}
