//! Designs that differ in every parameter.

use vta_isa::{Design, HwConfig};

/// The default design and eleven more, by name: other blocks, batches, widths and buffers, fields of
/// no width, factors that find room in the first word, and the features.
pub(crate) fn designs() -> Vec<(&'static str, Design)> {
    let default = HwConfig::default;
    let block8 = HwConfig {
        log_block_in: 3,
        log_block_out: 3,
        log_inp_buff_size: 14,
        log_wgt_buff_size: 16,
        log_acc_buff_size: 16,
        ..default()
    };
    let oblong = HwConfig {
        log_batch: 1,
        log_block_in: 5,
        log_block_out: 3,
        ..default()
    };
    let wgt4 = HwConfig {
        log_wgt_width: 2,
        log_wgt_buff_size: 17,
        ..default()
    };
    let binary = HwConfig {
        log_inp_width: 0,
        log_wgt_width: 0,
        log_acc_width: 4,
        log_inp_buff_size: 12,
        log_wgt_buff_size: 15,
        log_acc_buff_size: 16,
        ..default()
    };
    let small = HwConfig {
        log_uop_buff_size: 7,
        log_inp_buff_size: 9,
        log_wgt_buff_size: 10,
        log_acc_buff_size: 9,
        ..default()
    };
    let single = HwConfig {
        log_uop_buff_size: 2,
        log_inp_buff_size: 4,
        log_wgt_buff_size: 8,
        log_acc_buff_size: 6,
        ..default()
    };
    let features = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    let requant_store = HwConfig {
        features: features(&["requant_store"]),
        ..default()
    };
    let load_pad = HwConfig {
        features: features(&["load_pad"]),
        ..default()
    };
    let gemm_overwrite = HwConfig {
        features: features(&["gemm_overwrite"]),
        ..default()
    };
    let small_overwrite = HwConfig {
        features: features(&["gemm_overwrite"]),
        ..small.clone()
    };
    let signs = HwConfig {
        features: features(HwConfig::FEATURES),
        ..binary.clone()
    };
    let configs = [
        ("default", default()),
        ("block8", block8),
        ("oblong", oblong),
        ("wgt4", wgt4),
        ("binary", binary),
        ("small", small),
        ("single", single),
        ("requant_store", requant_store),
        ("load_pad", load_pad),
        ("gemm_overwrite", gemm_overwrite),
        ("small_overwrite", small_overwrite),
        ("signs", signs),
    ];
    configs
        .into_iter()
        .map(|(name, config)| (name, config.design().expect(name)))
        .collect()
}
