//! What the tests of this crate share.
#![allow(dead_code)] // Each test target uses its part.

pub(crate) mod case;
pub(crate) mod naive;

use vta_isa::{Design, HwConfig};

/// A design that differs from the default in these keys.
pub(crate) fn design(change: impl FnOnce(&mut HwConfig)) -> Design {
    let mut config = HwConfig::preset("default").expect("a preset");
    change(&mut config);
    config.design().expect("a valid design")
}

/// Designs that differ in every parameter that the simulator depends on.
pub(crate) fn designs() -> Vec<(&'static str, Design)> {
    let named = |name, change: fn(&mut HwConfig)| (name, design(change));
    vec![
        named("default", |_| {}),
        named("batch 2, block 8", |c| {
            (c.log_batch, c.log_block_in, c.log_block_out) = (1, 3, 3);
            (
                c.log_inp_buff_size,
                c.log_wgt_buff_size,
                c.log_acc_buff_size,
            ) = (14, 15, 16);
        }),
        named("block 16 in, 32 out", |c| {
            c.log_block_out = 5;
            (c.log_wgt_buff_size, c.log_acc_buff_size) = (18, 17);
        }),
        named("block 8 in, 2 out, batch 4", |c| {
            (c.log_batch, c.log_block_in, c.log_block_out) = (2, 3, 1);
            (
                c.log_inp_buff_size,
                c.log_wgt_buff_size,
                c.log_acc_buff_size,
            ) = (14, 13, 15);
        }),
        named("4-bit weights", |c| {
            (c.log_wgt_width, c.log_wgt_buff_size) = (2, 17);
        }),
        named("2-bit inputs and weights, 16-bit accumulators", |c| {
            (c.log_inp_width, c.log_wgt_width, c.log_acc_width) = (1, 1, 4);
            (
                c.log_inp_buff_size,
                c.log_wgt_buff_size,
                c.log_acc_buff_size,
            ) = (12, 15, 15);
        }),
        named("1-bit weights and inputs", |c| {
            (c.log_inp_width, c.log_wgt_width) = (0, 0);
            (c.log_inp_buff_size, c.log_wgt_buff_size) = (12, 15);
        }),
        named("16-bit accumulators, one value each way", |c| {
            (c.log_acc_width, c.log_block_in, c.log_block_out) = (4, 0, 0);
            (
                c.log_inp_buff_size,
                c.log_wgt_buff_size,
                c.log_acc_buff_size,
            ) = (10, 8, 10);
        }),
        named("small memories and queues", |c| {
            (c.log_uop_buff_size, c.log_inp_buff_size) = (5, 7);
            (c.log_wgt_buff_size, c.log_acc_buff_size) = (10, 9);
            (c.cmd_queue_depth, c.dep_queue_depth) = (2, 1);
        }),
        named("rescaling stores, batch 2, block 8", |c| {
            (c.log_batch, c.log_block_in, c.log_block_out) = (1, 3, 3);
            (
                c.log_inp_buff_size,
                c.log_wgt_buff_size,
                c.log_acc_buff_size,
            ) = (14, 15, 16);
            (c.features, c.log_rqt_buff_size) = (vec!["requant_store".into()], 9);
        }),
        named(
            "rescaling stores, 4-bit outputs, 16-bit accumulators",
            |c| {
                (c.log_inp_width, c.log_acc_width) = (2, 4);
                (c.log_inp_buff_size, c.log_acc_buff_size) = (13, 15);
                c.features = vec!["requant_store".into()];
            },
        ),
        named("padding values", |c| c.features = vec!["load_pad".into()]),
        named("overwriting GEMM, batch 2, blocks 4 and 8", |c| {
            (c.log_batch, c.log_block_in, c.log_block_out) = (1, 2, 3);
            (
                c.log_inp_buff_size,
                c.log_wgt_buff_size,
                c.log_acc_buff_size,
            ) = (12, 14, 16);
            c.features = vec!["gemm_overwrite".into()];
        }),
        named("overwriting GEMM, 16-bit accumulators", |c| {
            (c.log_acc_width, c.log_acc_buff_size) = (4, 15);
            c.features = vec!["gemm_overwrite".into()];
        }),
        named("signs for weights and inputs, all features", |c| {
            (c.log_inp_width, c.log_wgt_width) = (0, 0);
            (c.log_inp_buff_size, c.log_wgt_buff_size) = (12, 15);
            c.features = HwConfig::FEATURES.iter().map(ToString::to_string).collect();
        }),
        named("signs for weights, 8-bit inputs", |c| {
            (c.log_wgt_width, c.log_wgt_buff_size) = (0, 15);
            c.features = vec!["sign_wgt".into()];
        }),
    ]
}

/// An image without a byte.
pub(crate) fn no_dram() -> vta_sim::Dram {
    vta_sim::Dram::default()
}
