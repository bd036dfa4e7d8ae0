//! The optional parts of the hardware, which a design lists in its `FEATURES`.

use std::fmt;

use crate::insn::coded;
use crate::{ConfigError, HwConfig};

coded! {
    /// An optional part of the hardware.
    Feature {
        /// STORE may rescale what it stores, by a [`ChannelRequant`](crate::ChannelRequant) for each channel.
        RequantStore = 0, "requant_store";
        /// LOAD says which value its padding has.
        LoadPad = 1, "load_pad";
        /// The bit of a 1-bit input is a sign: 0 is +1, 1 is -1.
        SignInp = 2, "sign_inp";
        /// The bit of a 1-bit weight is a sign: 0 is +1, 1 is -1.
        SignWgt = 3, "sign_wgt";
        /// GEMM may write its products over what the accumulators hold.
        GemmOverwrite = 4, "gemm_overwrite";
    }
}

impl Feature {
    /// Whether a configuration can have it.
    pub(crate) fn check(self, config: &HwConfig) -> Result<(), ConfigError> {
        let (key, given) = match self {
            Feature::RequantStore | Feature::LoadPad | Feature::GemmOverwrite => return Ok(()),
            Feature::SignInp => ("LOG_INP_WIDTH", config.log_inp_width),
            Feature::SignWgt => ("LOG_WGT_WIDTH", config.log_wgt_width),
        };
        match given {
            0 => Ok(()),
            _ => Err(ConfigError::Feature {
                feature: self,
                key,
                given,
                needs: 0,
            }),
        }
    }
}
