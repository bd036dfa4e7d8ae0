//! The design parameters: their keys, their defaults, the presets, and the JSON that holds them.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::json::{Pairs, nearest};
use crate::{AluOp, ConfigError, Design, Feature, MemType};

/// The parameters of a design, as a `vta_config.json` gives them. Sizes are log2.
///
/// Nothing here is checked against anything else; [`HwConfig::design`] does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HwConfig {
    /// `TARGET`: which device runs the design.
    pub target: String,
    /// `HW_VER`: hardware version.
    pub hw_ver: String,
    /// `LOG_INP_WIDTH`: bits of an input value, and of an output value.
    pub log_inp_width: u32,
    /// `LOG_WGT_WIDTH`: bits of a weight.
    pub log_wgt_width: u32,
    /// `LOG_ACC_WIDTH`: bits of an accumulator.
    pub log_acc_width: u32,
    /// `LOG_BATCH`: rows of a tensor register.
    pub log_batch: u32,
    /// `LOG_BLOCK_IN`: input channels of a weight tile.
    pub log_block_in: u32,
    /// `LOG_BLOCK_OUT`: output channels of a weight tile.
    pub log_block_out: u32,
    /// `LOG_UOP_BUFF_SIZE`: bytes of the micro-op memory.
    pub log_uop_buff_size: u32,
    /// `LOG_INP_BUFF_SIZE`: bytes of the input scratchpad.
    pub log_inp_buff_size: u32,
    /// `LOG_WGT_BUFF_SIZE`: bytes of the weight scratchpad.
    pub log_wgt_buff_size: u32,
    /// `LOG_ACC_BUFF_SIZE`: bytes of the register file.
    pub log_acc_buff_size: u32,
    /// `LOG_RQT_BUFF_SIZE`: bytes of the rescaling table, in designs that have it.
    pub log_rqt_buff_size: u32,
    /// `LOG_BUS_WIDTH`: bits of the memory bus.
    pub log_bus_width: u32,
    /// `CMD_QUEUE_DEPTH`: instructions that wait for one module.
    pub cmd_queue_depth: u32,
    /// `DEP_QUEUE_DEPTH`: tokens that wait in one queue.
    pub dep_queue_depth: u32,
    /// `LOG_ADDR_WIDTH`: bits of a DRAM address.
    pub log_addr_width: u32,
    /// `LOG_BURST`: beats of the longest burst; no burst crosses 4096 bytes.
    pub log_burst: u32,
    /// `MAX_OUTSTANDING`: bursts that wait for the memory, in each direction.
    pub max_outstanding: u32,
    /// `GEMM_PIPELINE`: cycles from the operands of a product to its sums.
    pub gemm_pipeline: u32,
    /// `MUL_PACK`: whether one wide multiplier makes two narrow products, 0 or 1.
    pub mul_pack: u32,
    /// `ALU_OPS`: the elementwise operations that the ALU has, by name, from [`AluOp::NAMES`].
    pub alu_ops: Vec<String>,
    /// `CLOCK_MHZ`: clock, MHz.
    pub clock_mhz: u32,
    /// `PART`: the FPGA's part number; empty if there is none.
    pub part: String,
    /// `FEATURES`: optional parts of the hardware, by name, from [`HwConfig::FEATURES`].
    pub features: Vec<String>,
}

impl Default for HwConfig {
    /// The preset `default`: the existing hardware, simulated.
    fn default() -> HwConfig {
        HwConfig {
            target: "sim".into(),
            hw_ver: "0.0.2".into(),
            log_inp_width: 3,
            log_wgt_width: 3,
            log_acc_width: 5,
            log_batch: 0,
            log_block_in: 4,
            log_block_out: 4,
            log_uop_buff_size: 15,
            log_inp_buff_size: 15,
            log_wgt_buff_size: 18,
            log_acc_buff_size: 17,
            log_rqt_buff_size: 14,
            log_bus_width: 6,
            cmd_queue_depth: 512,
            dep_queue_depth: 255,
            log_addr_width: 5,
            log_burst: 5,
            max_outstanding: 8,
            gemm_pipeline: 3,
            mul_pack: 1,
            alu_ops: AluOp::NAMES.iter().map(|name| name.to_string()).collect(),
            clock_mhz: 100,
            part: String::new(),
            features: Vec::new(),
        }
    }
}

/// Where a key's value lives in the structure.
pub(crate) enum Slot {
    Text(fn(&mut HwConfig) -> &mut String),
    Number(fn(&mut HwConfig) -> &mut u32, RangeInclusive<u32>),
    /// Distinct names out of a list, kept in its order.
    Names(
        fn(&mut HwConfig) -> &mut Vec<String>,
        &'static [&'static str],
    ),
}

/// Whether the digest covers a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digested {
    No,
    Yes,
    /// Only a value that is not the default: the key came after digests had been given out.
    UnlessDefault,
}

/// One key of the JSON.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) slot: Slot,
    /// The digest covers what streams or results depend on.
    pub(crate) digested: Digested,
    pub(crate) doc: &'static str,
}

macro_rules! keys {
    ($( $name:literal, $digested:ident, $kind:ident($field:ident $(, $range:expr)?), $doc:literal; )*) => {
        &[$( Key {
            name: $name,
            slot: Slot::$kind(|config| &mut config.$field $(, $range)?),
            digested: Digested::$digested,
            doc: $doc,
        } ),*]
    };
}

/// Every key, in the order in which it is written.
pub(crate) const KEYS: &[Key] = keys! {
    "TARGET", No, Text(target), "which device runs the design";
    "HW_VER", No, Text(hw_ver), "hardware version";
    "LOG_INP_WIDTH", Yes, Number(log_inp_width, 0..=3), "bits of an input and of an output value";
    "LOG_WGT_WIDTH", Yes, Number(log_wgt_width, 0..=3), "bits of a weight";
    "LOG_ACC_WIDTH", Yes, Number(log_acc_width, 4..=5), "bits of an accumulator";
    "LOG_BATCH", Yes, Number(log_batch, 0..=12), "rows of a tensor register";
    "LOG_BLOCK_IN", Yes, Number(log_block_in, 0..=12), "input channels of a weight tile";
    "LOG_BLOCK_OUT", Yes, Number(log_block_out, 0..=12), "output channels of a weight tile";
    "LOG_UOP_BUFF_SIZE", Yes, Number(log_uop_buff_size, 2..=30), "micro-op memory, bytes";
    "LOG_INP_BUFF_SIZE", Yes, Number(log_inp_buff_size, 0..=30), "input scratchpad, bytes";
    "LOG_WGT_BUFF_SIZE", Yes, Number(log_wgt_buff_size, 0..=30), "weight scratchpad, bytes";
    "LOG_ACC_BUFF_SIZE", Yes, Number(log_acc_buff_size, 0..=30), "register file, bytes";
    "LOG_RQT_BUFF_SIZE", UnlessDefault, Number(log_rqt_buff_size, 4..=30), "rescaling table, bytes, with `requant_store`";
    "LOG_BUS_WIDTH", No, Number(log_bus_width, 6..=9), "memory bus, bits";
    "CMD_QUEUE_DEPTH", No, Number(cmd_queue_depth, 1..=65536), "instructions that wait for one module";
    "DEP_QUEUE_DEPTH", No, Number(dep_queue_depth, 1..=65536), "tokens that wait in one queue";
    "LOG_ADDR_WIDTH", No, Number(log_addr_width, 5..=6), "DRAM address, bits";
    "LOG_BURST", No, Number(log_burst, 0..=8), "longest burst, beats, up to 4096 bytes";
    "MAX_OUTSTANDING", No, Number(max_outstanding, 1..=64), "bursts that wait for the memory, in each direction";
    "GEMM_PIPELINE", No, Number(gemm_pipeline, 1..=8), "cycles from the operands of a product to its sums";
    "MUL_PACK", No, Number(mul_pack, 0..=1), "1 if one wide multiplier makes two narrow products";
    "ALU_OPS", UnlessDefault, Names(alu_ops, AluOp::NAMES), "elementwise operations that the ALU has";
    "CLOCK_MHZ", No, Number(clock_mhz, 1..=10000), "clock, MHz";
    "PART", No, Text(part), "part number of the FPGA; empty if none";
    "FEATURES", Yes, Names(features, HwConfig::FEATURES), "optional parts of the hardware, a list of names";
};

/// Sets `LOG_BLOCK_IN` and `LOG_BLOCK_OUT` where they are not given.
pub(crate) const LOG_BLOCK: &str = "LOG_BLOCK";
/// Existing files may state these; they follow from the other keys.
pub(crate) const DERIVED: [&str; 2] = ["LOG_OUT_WIDTH", "LOG_OUT_BUFF_SIZE"];

/// The key that sizes a scratchpad.
pub(crate) fn buffer_key(mem: MemType) -> String {
    format!("LOG_{}_BUFF_SIZE", mem.name().to_uppercase())
}

impl HwConfig {
    /// The names that [`HwConfig::preset`] knows.
    pub const PRESETS: &[&str] = &["default", "pynq", "de10nano", "ultra96", "zcu104"];

    /// The names that `FEATURES` may list: those of [`Feature`].
    pub const FEATURES: &[&str] = Feature::NAMES;

    /// A design point by name: the default geometry, with a board's clock, bus and part.
    pub fn preset(name: &str) -> Option<HwConfig> {
        let (clock_mhz, log_bus_width, part) = match name {
            "default" => return Some(HwConfig::default()),
            "pynq" => (100, 6, "xc7z020clg400-1"),
            "de10nano" => (100, 6, "5CSEBA6U23I7"),
            "ultra96" => (333, 7, "xczu3eg-sbva484-1-i"),
            "zcu104" => (333, 7, "xczu7ev-ffvc1156-2-e"),
            _ => return None,
        };
        Some(HwConfig {
            target: name.into(),
            clock_mhz,
            log_bus_width,
            part: part.into(),
            ..HwConfig::default()
        })
    }

    /// Reads the JSON of a `vta_config.json`. A key that is not given has the default value.
    ///
    /// `LOG_BLOCK` stands for both sides of the weight tile. `LOG_OUT_WIDTH` and
    /// `LOG_OUT_BUFF_SIZE` may be given if they agree with the values they follow from. Any other
    /// key, a key given twice, or a value out of its range is an error.
    pub fn from_json(text: &str) -> Result<HwConfig, ConfigError> {
        let Pairs(pairs) = serde_json::from_str(text)?;
        let mut config = HwConfig::default();
        let given = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        if let Some(value) = given(LOG_BLOCK) {
            for key in KEYS.iter().filter(|k| k.name.starts_with(LOG_BLOCK)) {
                key.read(LOG_BLOCK, value, &mut config)?;
            }
        }
        for (name, value) in &pairs {
            if name == LOG_BLOCK || DERIVED.contains(&name.as_str()) {
                continue;
            }
            let Some(key) = KEYS.iter().find(|k| k.name == name) else {
                let known = KEYS
                    .iter()
                    .map(|k| k.name)
                    .chain([LOG_BLOCK])
                    .chain(DERIVED);
                let nearest = nearest(name, known);
                return Err(ConfigError::UnknownKey {
                    key: name.clone(),
                    nearest,
                });
            };
            key.read(name, value, &mut config)?;
        }
        let width = i64::from(config.log_inp_width);
        let size = i64::from(config.log_acc_buff_size) + width - i64::from(config.log_acc_width);
        for (key, derived) in DERIVED.into_iter().zip([width, size]) {
            match given(key) {
                Some(value) if value.as_i64() != Some(derived) => {
                    let given = value.to_string();
                    return Err(ConfigError::Derived {
                        key,
                        given,
                        derived,
                    });
                }
                _ => (),
            }
        }
        Ok(config)
    }

    /// All keys as JSON, in a fixed order; [`HwConfig::from_json`] reads it back equal.
    ///
    /// `LOG_BLOCK` is written too where one number says it, for readers that know no other.
    pub fn to_json(&self) -> String {
        let mut lines = Vec::new();
        let mut config = self.clone();
        for key in KEYS {
            if key.name == "LOG_BLOCK_IN" && self.log_block_in == self.log_block_out {
                lines.push(format!("  \"{LOG_BLOCK}\": {}", self.log_block_in));
            }
            lines.push(format!("  \"{}\": {}", key.name, key.value(&mut config)));
        }
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }

    /// Checks the parameters and derives the design: every depth and every field's place.
    pub fn design(self) -> Result<Design, ConfigError> {
        Design::new(self)
    }

    /// Checks each value by itself, and brings it to one form, as reading JSON does.
    pub(crate) fn checked(mut self) -> Result<HwConfig, ConfigError> {
        for key in KEYS {
            let value = key.value(&mut self);
            key.read(key.name, &value, &mut self)?;
        }
        Ok(self)
    }
}

impl Key {
    /// The value in `config`, which only the accessor's type needs mutable.
    pub(crate) fn value(&self, config: &mut HwConfig) -> Value {
        match &self.slot {
            Slot::Text(field) => field(config).as_str().into(),
            Slot::Number(field, _) => (*field(config)).into(),
            Slot::Names(field, _) => field(config).as_slice().into(),
        }
    }

    /// Stores `value`; `name` is the key that gave it.
    fn read(&self, name: &str, value: &Value, config: &mut HwConfig) -> Result<(), ConfigError> {
        let bad = |expected: String| ConfigError::Value {
            key: name.into(),
            given: value.to_string(),
            expected,
        };
        match &self.slot {
            Slot::Text(field) => {
                let text = value.as_str().ok_or_else(|| bad("a string".into()))?;
                *field(config) = text.into();
            }
            Slot::Number(field, range) => {
                let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
                let number = number.filter(|n| range.contains(n)).ok_or_else(|| {
                    bad(format!(
                        "an integer from {} to {}",
                        range.start(),
                        range.end()
                    ))
                })?;
                *field(config) = number;
            }
            Slot::Names(field, known) => {
                let expected = || {
                    bad(format!(
                        "a list of distinct names out of {}",
                        known.join(", ")
                    ))
                };
                let list = value.as_array().ok_or_else(expected)?;
                let names: Vec<String> = known
                    .iter()
                    .filter(|name| list.iter().any(|item| item == *name))
                    .map(|name| name.to_string())
                    .collect();
                // A name that is unknown or given twice is not among them.
                if names.len() != list.len() {
                    return Err(expected());
                }
                *field(config) = names;
            }
        }
        Ok(())
    }
}
