//! Configurations read back, and exactly those whose fields fit make a design.

use proptest::prelude::*;
use serde_json::Value;
use vta_isa::{AluOp, ConfigError, Design, Feature, HwConfig, MemType};

prop_compose! {
    fn config()(
        names in ("[ -~]{0,8}", "\\PC{0,8}", "[a-z\"\\\\\n]{0,8}"),
        widths in (0u32..=3, 0u32..=3, 4u32..=5),
        shape in (0u32..=3, 0u32..=7, 0u32..=7),
        buffers in (2u32..=17, 6u32..=20, 6u32..=22, 6u32..=20),
        timing in (6u32..=9, 1u32..=65536, 1u32..=65536, 1u32..=10000),
        hardware in (5u32..=6, 0u32..=8, 1u32..=64, 1u32..=8, 0u32..=1),
        alu in prop::collection::vec(any::<bool>(), AluOp::ALL.len()),
        optional in (4u32..=22, prop::collection::vec(prop::bool::weighted(0.2), Feature::ALL.len())),
    ) -> HwConfig {
        HwConfig {
            target: names.0,
            hw_ver: names.1,
            log_inp_width: widths.0,
            log_wgt_width: widths.1,
            log_acc_width: widths.2,
            log_batch: shape.0,
            log_block_in: shape.1,
            log_block_out: shape.2,
            log_uop_buff_size: buffers.0,
            log_inp_buff_size: buffers.1,
            log_wgt_buff_size: buffers.2,
            log_acc_buff_size: buffers.3,
            log_rqt_buff_size: optional.0,
            log_bus_width: timing.0,
            cmd_queue_depth: timing.1,
            dep_queue_depth: timing.2,
            log_addr_width: hardware.0,
            log_burst: hardware.1,
            max_outstanding: hardware.2,
            gemm_pipeline: hardware.3,
            mul_pack: hardware.4,
            alu_ops: those(AluOp::NAMES, &alu),
            clock_mhz: timing.3,
            part: names.2,
            features: those(Feature::NAMES, &optional.1),
        }
    }
}

fn those(names: &[&str], which: &[bool]) -> Vec<String> {
    let chosen = names.iter().zip(which).filter(|(_, has)| **has);
    chosen.map(|(name, _)| name.to_string()).collect()
}

/// The rule of what fits, in closed form: log2 depths if there is a design at all.
fn fits(c: &HwConfig) -> Option<[i64; 4]> {
    let log = |n: u32| i64::from(n);
    let inp = log(c.log_batch + c.log_block_in + c.log_inp_width) - 3;
    let out = log(c.log_batch + c.log_block_out + c.log_inp_width) - 3;
    let wgt = log(c.log_block_in + c.log_block_out + c.log_wgt_width) - 3;
    let acc = log(c.log_batch + c.log_block_out + c.log_acc_width) - 3;
    let elements = [inp, out, wgt, acc].iter().all(|e| (0..=12).contains(e));
    let uop = log(c.log_uop_buff_size) - 2;
    let inp = log(c.log_inp_buff_size) - inp;
    let wgt = log(c.log_wgt_buff_size) - wgt;
    let acc = log(c.log_acc_buff_size) - acc;
    let has = |feature: Feature| c.features.iter().any(|name| name == feature.name());
    let deepest = if has(Feature::LoadPad) { 14 } else { 16 };
    let depths = [uop, inp, wgt, acc]
        .iter()
        .all(|d| (0..=deepest).contains(d));
    let table = (log(c.log_block_out)..=deepest).contains(&(log(c.log_rqt_buff_size) - 4));
    let signs = (!has(Feature::SignInp) || c.log_inp_width == 0)
        && (!has(Feature::SignWgt) || c.log_wgt_width == 0);
    let features = signs && (table || !has(Feature::RequantStore));
    let fields = acc + acc.max(inp) + wgt <= 32 && acc <= 11 && uop <= 13;
    (elements && depths && fields && features).then_some([uop, wgt, inp, acc])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn json_reads_back(config in config()) {
        prop_assert_eq!(HwConfig::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn a_design_is_valid_exactly_if_its_fields_fit(config in config()) {
        match (fits(&config), config.clone().design()) {
            (Some([uop, wgt, inp, acc]), Ok(design)) => {
                for (mem, depth) in [
                    (MemType::Uop, uop),
                    (MemType::Wgt, wgt),
                    (MemType::Inp, inp),
                    (MemType::Acc, acc),
                    (MemType::Out, acc),
                    (MemType::Acc8, acc),
                ] {
                    prop_assert_eq!(i64::from(design.log_depth(mem)), depth, "{}", mem);
                    let bits = design.lanes(mem) * design.value_bits(mem) as usize;
                    prop_assert_eq!(bits, design.elem_bits(mem), "{}", mem);
                }
            }
            (None, Err(error)) => prop_assert!(error.to_string().contains("LOG_"), "{}", error),
            (fits, design) => prop_assert!(false, "{:?} {:?} {:?}", config, fits, design),
        }
    }

    #[test]
    fn mutated_json_never_panics(
        config in config(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
    ) {
        let mut bytes = config.to_json().into_bytes();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                _ => bytes.truncate(at + 1),
            }
        }
        let read = HwConfig::from_json(&String::from_utf8_lossy(&bytes));
        if let Err(error) = read.and_then(HwConfig::design) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn presets_are_designs_with_one_digest() {
    for name in HwConfig::PRESETS {
        let config = HwConfig::preset(name).unwrap();
        assert_eq!(HwConfig::from_json(&config.to_json()).unwrap(), config);
        assert_eq!(
            config.design().unwrap().digest(),
            Design::default().digest()
        );
    }
    assert_eq!(HwConfig::preset("alveo"), None);
    assert_eq!(HwConfig::preset("default"), Some(HwConfig::default()));
}

/// Each parameter changes the digest, or is one that no stream depends on.
#[test]
fn the_digest_covers_what_streams_depend_on() {
    let base = Design::default().digest();
    let json = HwConfig::default().to_json();
    let value: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
    let free = [
        "TARGET",
        "HW_VER",
        "LOG_BUS_WIDTH",
        "CMD_QUEUE_DEPTH",
        "DEP_QUEUE_DEPTH",
        "LOG_ADDR_WIDTH",
        "LOG_BURST",
        "MAX_OUTSTANDING",
        "GEMM_PIPELINE",
        "MUL_PACK",
        "CLOCK_MHZ",
        "PART",
    ];
    for (key, old) in &value {
        if key == "LOG_BLOCK" || key == "FEATURES" {
            continue;
        }
        let mut changed = value.clone();
        // One more bank of rows, wider elements and smaller scratchpads all leave a valid design.
        let grows = matches!(
            key.as_str(),
            "LOG_BATCH" | "LOG_BLOCK_IN" | "LOG_BLOCK_OUT" | "LOG_BUS_WIDTH" | "LOG_ADDR_WIDTH"
        );
        let new = match old {
            Value::Number(number) if grows => (number.as_u64().unwrap() + 1).into(),
            Value::Number(number) => (number.as_u64().unwrap() - 1).into(),
            Value::Array(names) => names[1..].into(),
            _ => "other".into(),
        };
        if key == "LOG_INP_WIDTH" || key == "LOG_ACC_WIDTH" || key == "LOG_WGT_WIDTH" {
            // Narrower values make deeper scratchpads; keep the depths.
            for buffer in [
                "LOG_INP_BUFF_SIZE",
                "LOG_WGT_BUFF_SIZE",
                "LOG_ACC_BUFF_SIZE",
            ] {
                let size = value[buffer].as_u64().unwrap();
                changed.insert(buffer.into(), (size - 1).into());
            }
        }
        changed.insert(key.clone(), new);
        let text = serde_json::to_string(&changed).unwrap();
        let design = HwConfig::from_json(&text).unwrap().design().unwrap();
        assert_eq!(
            design.digest() == base,
            free.contains(&key.as_str()),
            "{key}"
        );
    }
}

#[test]
fn existing_files_read() {
    let text = r#"{"TARGET": "sim", "LOG_BLOCK": 5, "LOG_BLOCK_OUT": 3,
                   "LOG_OUT_WIDTH": 3, "LOG_OUT_BUFF_SIZE": 15}"#;
    let config = HwConfig::from_json(text).unwrap();
    assert_eq!((config.log_block_in, config.log_block_out), (5, 3));
    let error = HwConfig::from_json(r#"{"LOG_OUT_BUFF_SIZE": 16}"#).unwrap_err();
    assert!(
        matches!(error, ConfigError::Derived { derived: 15, .. }),
        "{error}"
    );
}

#[test]
fn operations_keep_one_order() {
    let read = |text| HwConfig::from_json(text).and_then(HwConfig::design);
    let design = read(r#"{"ALU_OPS": ["shr", "max"]}"#).unwrap();
    assert_eq!(design.config().alu_ops, ["max", "shr"]);
    assert!(design.has_alu(AluOp::Shr) && !design.has_alu(AluOp::Mul));
    assert_ne!(design.digest(), Design::default().digest());
    let all = read(r#"{"ALU_OPS": ["mul", "shr", "add", "max", "min"]}"#).unwrap();
    assert_eq!(all, Design::default());
}

#[test]
fn a_burst_stays_in_a_page() {
    let burst = |log_bus_width, log_burst| {
        let config = HwConfig {
            log_bus_width,
            log_burst,
            ..HwConfig::default()
        };
        config.design().unwrap().burst_bytes()
    };
    assert_eq!(burst(6, 5), 256);
    assert_eq!(burst(6, 0), 8);
    assert_eq!(burst(7, 8), 4096);
    assert_eq!(burst(9, 8), 4096);
}
