//! Generated integer networks and the designs that they are compiled for.
#![allow(dead_code)] // Each test target uses its own part.

use proptest::prelude::*;
use vta_graph::random::Dice;
use vta_isa::{Design, Feature, HwConfig};

/// Designs that differ in every parameter that software sees.
pub(crate) fn designs() -> Vec<Design> {
    let base = HwConfig::default;
    let configs = [
        base(),
        HwConfig {
            log_batch: 1,
            ..base()
        },
        HwConfig {
            log_block_in: 3,
            log_block_out: 3,
            log_inp_buff_size: 12,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 13,
            log_uop_buff_size: 9,
            cmd_queue_depth: 1,
            dep_queue_depth: 1,
            ..base()
        },
        HwConfig {
            log_block_in: 3,
            dep_queue_depth: 2,
            log_inp_buff_size: 13,
            log_wgt_buff_size: 15,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            log_block_in: 5,
            log_block_out: 5,
            ..base()
        },
        HwConfig {
            log_wgt_width: 2,
            log_wgt_buff_size: 15,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            log_inp_width: 2,
            log_wgt_width: 1,
            log_inp_buff_size: 13,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            log_acc_width: 4,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            features: ["requant_store"].map(String::from).into(),
            ..base()
        },
        HwConfig {
            features: ["requant_store"].map(String::from).into(),
            log_batch: 1,
            log_block_in: 3,
            log_block_out: 4,
            log_rqt_buff_size: 9,
            log_inp_buff_size: 13,
            log_wgt_buff_size: 15,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            features: ["load_pad"].map(String::from).into(),
            log_block_in: 3,
            log_block_out: 3,
            log_inp_buff_size: 12,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 13,
            ..base()
        },
        HwConfig {
            features: ["requant_store", "load_pad"].map(String::from).into(),
            log_wgt_width: 2,
            log_wgt_buff_size: 15,
            ..base()
        },
        // Signs: inputs and weights, with and without values to pad with, then one of them.
        HwConfig {
            features: ["load_pad", "sign_inp", "sign_wgt"]
                .map(String::from)
                .into(),
            log_inp_width: 0,
            log_wgt_width: 0,
            log_inp_buff_size: 12,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            features: ["requant_store", "sign_inp", "sign_wgt"]
                .map(String::from)
                .into(),
            log_batch: 1,
            log_block_in: 5,
            log_block_out: 3,
            log_inp_width: 0,
            log_wgt_width: 0,
            log_inp_buff_size: 11,
            log_wgt_buff_size: 13,
            log_acc_buff_size: 13,
            log_rqt_buff_size: 9,
            ..base()
        },
        HwConfig {
            features: ["sign_inp"].map(String::from).into(),
            log_inp_width: 0,
            log_wgt_width: 2,
            log_block_in: 3,
            log_block_out: 3,
            log_inp_buff_size: 11,
            log_wgt_buff_size: 13,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            features: ["load_pad", "sign_wgt"].map(String::from).into(),
            log_wgt_width: 0,
            log_block_in: 3,
            log_block_out: 3,
            log_inp_buff_size: 13,
            log_wgt_buff_size: 11,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            features: ["gemm_overwrite"].map(String::from).into(),
            log_batch: 1,
            log_block_in: 3,
            log_block_out: 3,
            log_inp_buff_size: 12,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 13,
            log_uop_buff_size: 9,
            ..base()
        },
        HwConfig {
            features: ["requant_store", "gemm_overwrite"].map(String::from).into(),
            ..base()
        },
        HwConfig {
            alu_ops: ["min", "max", "add", "shr"].map(String::from).into(),
            ..base()
        },
    ];
    configs
        .into_iter()
        .map(|c| c.design().expect("a valid design"))
        .collect()
}

pub(crate) fn dice() -> impl Strategy<Value = Dice> {
    prop::collection::vec(any::<u32>(), 150).prop_map(Dice::new)
}

/// Whether some operand of a design is a sign.
pub(crate) fn has_signs(design: &Design) -> bool {
    [Feature::SignInp, Feature::SignWgt]
        .into_iter()
        .any(|feature| design.has(feature))
}
