//! What can be chosen about a quantization.

use std::fmt;

use super::range::{RangeMethod, Scheme};
use super::target::QuantTarget;

/// How scales are realized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequantMode {
    /// A multiplier for each output channel, then a shift.
    Multiply,
    /// A shift for each output channel: the multipliers are powers of two, which saves an operation and costs a
    /// channel up to one bit of its weights.
    ChannelShift,
    /// A shift alone: all scales of activations are powers of two, and the weights of a layer
    /// have one scale, which makes the factor between sum and result one too.
    Shift,
}

/// Choices of the quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantOptions {
    /// The widths to quantize for.
    pub target: QuantTarget,
    /// How intervals are chosen.
    pub method: RangeMethod,
    /// Where zero lies.
    pub scheme: Scheme,
    /// How scales are realized; by channel shifts if nothing is said.
    pub mode: Option<RequantMode>,
    /// Whether the weights of a layer have a scale for each output channel, or one in all.
    pub per_channel: bool,
    /// Whether the ranges of channels are evened out between layers first.
    pub equalize: bool,
    /// Whether weights are rounded so that their errors cancel, or each to the nearest.
    pub balance: bool,
    /// Whether biases make up for the mean error of quantization.
    pub correct_bias: bool,
}

/// The choices that kept most of the signal over the networks measured, on their calibration
/// inputs (docs/quantization.md).
impl Default for QuantOptions {
    fn default() -> Self {
        QuantOptions {
            target: QuantTarget::default(),
            method: RangeMethod::Mse,
            scheme: Scheme::Asymmetric,
            mode: None,
            per_channel: true,
            equalize: true,
            balance: true,
            correct_bias: true,
        }
    }
}

impl QuantOptions {
    /// How scales are realized.
    pub fn mode(&self) -> RequantMode {
        self.mode.unwrap_or(RequantMode::ChannelShift)
    }

    /// Whether residuals may be added to the sums of convolutions.
    pub(super) fn adds_residuals(&self) -> bool {
        self.target.residuals && self.mode() != RequantMode::Shift
    }
}

/// In words, as notes and reports have it.
impl fmt::Display for QuantOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Symmetric => "symmetric",
            Scheme::Asymmetric => "asymmetric",
        };
        write!(f, "{scheme}, ")?;
        match self.method {
            RangeMethod::Max => write!(f, "whole ranges"),
            RangeMethod::Percentile(share) => write!(f, "ranges of {share} of the values"),
            RangeMethod::Mse => write!(f, "ranges of least squared error"),
            RangeMethod::Entropy => write!(f, "ranges of least divergence"),
        }?;
        let weights = match (self.mode(), self.per_channel) {
            (RequantMode::Shift, _) => "shift",
            (RequantMode::Multiply, true) => "multiply and shift for each channel",
            (RequantMode::Multiply, false) => "multiply and shift for each layer",
            (RequantMode::ChannelShift, true) => "a shift for each channel",
            (RequantMode::ChannelShift, false) => "a shift for each layer",
        };
        write!(f, ", {weights}")?;
        f.write_str(if self.equalize { ", equalized" } else { "" })?;
        f.write_str(if self.balance {
            ", roundings balanced"
        } else {
            ""
        })?;
        f.write_str(if self.correct_bias {
            ", biases corrected"
        } else {
            ""
        })
    }
}
