//! How raw input becomes the network's input tensor: the parameters, as stored in a container.

use serde::{Deserialize, Serialize};

/// Order of the dimensions of an image tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// Brings a photograph to the size of the input: first the short side, then a centre crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Length of the shorter side after scaling, pixels; the longer side keeps the proportion.
    pub short_side: u32,
    /// Height and width cut out of the middle, pixels.
    pub crop: [u32; 2],
}

/// Quantization of an input that the network takes as integers:
/// `q = saturate(round_half_even(value / scale) + zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegerInput {
    /// Positive and finite.
    pub scale: f64,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

/// Raw pixel (or feature) `x` of channel `c` to `value = (x * scale - mean[c]) / std[c]`,
/// computed in double precision and rounded once to the input's type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Multiplier of the raw value.
    pub scale: f64,
    /// Subtrahend: none (0), one for all channels, or one a channel.
    pub mean: Vec<f64>,
    /// Divisor: none (1), one for all channels, or one a channel.
    pub std: Vec<f64>,
    /// Layout of the network's input.
    pub layout: Layout,
    /// Resizing of images whose size differs from the input's.
    pub resize: Option<Resize>,
    /// Present where the network's input is an integer tensor.
    pub integer: Option<IntegerInput>,
}

impl Default for Preprocess {
    /// Raw values as they are, NCHW.
    fn default() -> Self {
        Preprocess {
            scale: 1.0,
            mean: Vec::new(),
            std: Vec::new(),
            layout: Layout::Nchw,
            resize: None,
            integer: None,
        }
    }
}

impl Preprocess {
    /// What is wrong with the parameters, if anything.
    pub fn check(&self) -> Result<(), String> {
        let finite = |v: &[f64]| v.iter().all(|x| x.is_finite());
        if !self.scale.is_finite() || !finite(&self.mean) || !finite(&self.std) {
            return Err("scale, mean and std must be finite numbers".into());
        }
        if self.std.contains(&0.0) {
            return Err("std must not contain 0".into());
        }
        if let Some(r) = self.resize {
            let most = 1 << 14;
            let sides = [r.short_side, r.crop[0], r.crop[1]];
            if !sides.iter().all(|s| (1..=most).contains(s)) {
                return Err(format!("resize sides must lie in 1..={most}"));
            }
            if r.crop.iter().any(|&c| c > r.short_side) {
                return Err("the crop must not be larger than the resized short side".into());
            }
        }
        match self.integer {
            Some(i) if !(i.scale.is_finite() && i.scale > 0.0) => {
                Err("the scale of an integer input must be positive and finite".into())
            }
            _ => Ok(()),
        }
    }
}
