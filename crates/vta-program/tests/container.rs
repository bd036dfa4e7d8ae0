//! Programs as files: written the same way every time, read back equal, and refused with a reason
//! when anything at all is wrong with them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use vta_isa::{Design, GemmMode, HwConfig, MemType, Module};
use vta_program::{
    Block2d, CommandStream, ContainerError, ImageSection, InsnRange, IntegerInput, Layer, Layout,
    Loop, Place, Placement, Preprocess, Program, Resize, Slot, Step, bits,
};

/// A small program that uses every part of the format.
fn program() -> Program {
    let design = Design::default();
    let mut stream = CommandStream::new(&design);
    let uop = vta_isa::Uop {
        dst: 1,
        src: 0,
        wgt: 0,
    };
    let kernel = stream
        .intern(&[uop, vta_isa::Uop { dst: 2, ..uop }])
        .unwrap();
    stream
        .load_2d(MemType::Inp, Block2d::run(0, 16, 4))
        .unwrap();
    stream.load_2d(MemType::Wgt, Block2d::run(0, 2, 1)).unwrap();
    stream.dep_push(Module::Load, Module::Compute).unwrap();
    stream.dep_pop(Module::Load, Module::Compute).unwrap();
    stream
        .gemm(kernel, GemmMode::Reset, [Loop::ONCE; 2])
        .unwrap();
    stream
        .gemm(kernel, GemmMode::Accumulate, [Loop::ONCE; 2])
        .unwrap();
    stream.dep_push(Module::Compute, Module::Store).unwrap();
    stream.dep_pop(Module::Compute, Module::Store).unwrap();
    stream.store_2d(Block2d::run(0, 64, 4)).unwrap();
    let uops = stream.uop_pool().bytes();
    let insns = stream.finish().unwrap();
    let slot = |name: &str, dtype: &str, shape: &[usize]| Slot {
        name: name.into(),
        dtype: dtype.into(),
        shape: shape.into(),
    };
    Program {
        config: HwConfig::preset("pynq").unwrap(),
        name: "tiny".into(),
        arena_bytes: 4096,
        image: vec![
            ImageSection {
                offset: 512,
                bytes: (0..=255).collect(),
            },
            ImageSection {
                offset: 2048,
                bytes: uops,
            },
        ],
        streams: vec![insns.encode(&design, 2048).unwrap()],
        slots: vec![
            slot("image", "f32", &[1, 3, 2, 2]),
            slot("packed", "i8", &[1, 1, 2, 2, 1, 16]),
            slot("result", "i8", &[1, 1, 2, 2, 1, 16]),
        ],
        steps: vec![
            Step::Host {
                graph: "graph {\n}".into(),
                inputs: vec![0],
                outputs: vec![1],
            },
            Step::Upload {
                slot: 1,
                offset: 256,
                bits: 8,
            },
            Step::Run { stream: 0 },
            Step::Download {
                slot: 2,
                offset: 1024,
                bits: 8,
            },
        ],
        inputs: vec![0],
        outputs: vec![2],
        preprocess: Some(Preprocess {
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229],
            layout: Layout::Nchw,
            resize: Some(Resize {
                short_side: 3,
                crop: [2, 2],
            }),
            integer: Some(IntegerInput {
                scale: 0.1,
                zero_point: -3,
            }),
        }),
        labels: vec!["cat".into(), "\"dog\"\n".into()],
        placement: vec![Placement {
            node: "conv".into(),
            op: "conv".into(),
            device: Place::Vta,
            reason: "fits".into(),
        }],
        layers: vec![Layer {
            input: vec![1, 16, 4, 4],
            output: vec![1, 16, 2, 2],
            window: "3x3 stride 2x2".into(),
            macs: 1 << 40,
            schedule: "all at once".into(),
            insns: Some(InsnRange {
                stream: 0,
                first: 1,
                count: 3,
            }),
        }],
        notes: BTreeMap::from([("calibration".into(), "synthetic:1".into())]),
    }
}

#[test]
fn reads_back_what_was_written() {
    let program = program();
    let file = program.to_bytes().unwrap();
    assert_eq!(file, program.to_bytes().unwrap());
    let read = Program::from_bytes(&file).unwrap();
    assert_eq!(read, program);
    assert_eq!(read.to_bytes().unwrap(), file);
}

#[test]
fn damaged_files_are_refused() {
    let file = program().to_bytes().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for i in 0..2000 {
        let mut bad = file.clone();
        match i % 3 {
            0 => bad.truncate(rng.random_range(0..file.len())),
            1 => bad[rng.random_range(0..file.len())] ^= 1 << rng.random_range(0..8),
            _ => bad.insert(rng.random_range(0..=file.len()), rng.random()),
        }
        assert!(Program::from_bytes(&bad).is_err(), "mutation {i}");
    }
}

/// With its checksum made good a file may say anything; only rules are left to hold it.
#[test]
fn forged_files_are_read_or_refused() {
    let file = program().to_bytes().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut refused = 0;
    for _ in 0..4000 {
        let mut bad = file.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bad.len());
            match rng.random_range(0..4) {
                0 => bad[at] = b"0189-[{\"}],e"[rng.random_range(0..12)],
                1 => bad[at] ^= 1 << rng.random_range(0..8),
                2 => bad.truncate(at.max(100)),
                _ => bad.insert(at, b'9'),
            }
        }
        let len = bad.len() as u64;
        bad[..8].copy_from_slice(&vta_program::MAGIC);
        bad[16..24].copy_from_slice(&len.to_le_bytes());
        bad[56..88].fill(0);
        let sha = Sha256::digest(&bad);
        bad[56..88].copy_from_slice(&sha);
        match Program::from_bytes(&bad) {
            Ok(program) => drop(program.to_bytes().unwrap()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 2000, "{refused} of 4000");
}

type Change = fn(&mut Program);

fn insns(program: &mut Program) -> &mut InsnRange {
    program.layers[0].insns.as_mut().unwrap()
}

#[test]
fn messages_name_the_rule() {
    let refusal = |change: Change| {
        let mut p = program();
        change(&mut p);
        p.to_bytes().unwrap_err().to_string()
    };
    let cases: [(Change, &str); 15] = [
        (|p| p.arena_bytes = 1 << 40, "arena of 1099511627776 bytes"),
        (|p| p.image[1].offset = 600, "image section 1"),
        (|p| p.arena_bytes = 2050, "image section 1"),
        (
            |p| p.streams[0].truncate(20),
            "no whole number of instructions",
        ),
        (
            |p| p.streams[0][0] |= 7,
            "stream 0: instruction 0: opcode 7",
        ),
        (|p| p.streams[0][7] = 1, "outside the arena"),
        (
            |p| p.slots[1].dtype = "i3".into(),
            "slot `packed`: unknown element type `i3`",
        ),
        (
            |p| p.slots[0].shape = vec![1 << 20, 1 << 20],
            "slot `image`",
        ),
        (
            |p| p.steps.truncate(3),
            "slot `result` is read before anything fills it",
        ),
        (
            |p| {
                p.steps[1] = Step::Upload {
                    slot: 1,
                    offset: 4090,
                    bits: 8,
                }
            },
            "leaves the arena",
        ),
        (
            |p| {
                p.steps[1] = Step::Upload {
                    slot: 1,
                    offset: 0,
                    bits: 4,
                }
            },
            "with 4 bits",
        ),
        (|p| p.placement.clear(), "1 layers for 0 operators"),
        (|p| insns(p).count = u32::MAX, "leave the stream"),
        (|p| insns(p).stream = 1, "leave the stream"),
        (
            |p| {
                p.placement.push(p.placement[0].clone());
                p.layers.push(p.layers[0].clone());
            },
            "layer 1: instructions 1 to 4 of stream 0",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(change);
        assert!(message.contains(expected), "{message}");
    }
    let text = Program::from_bytes(b"model.onnx").unwrap_err();
    assert_eq!(text, ContainerError::NotAProgram);
    let mut newer = program().to_bytes().unwrap();
    newer[8] = 3;
    assert_eq!(
        Program::from_bytes(&newer).unwrap_err(),
        ContainerError::Version(3)
    );
}

#[test]
fn another_design_is_refused_by_its_keys() {
    let program = program();
    for same in ["default", "pynq"] {
        let design = HwConfig::preset(same).unwrap().design().unwrap();
        program.check_design(&design).unwrap();
    }
    let other = HwConfig {
        log_batch: 1,
        log_inp_buff_size: 16,
        clock_mhz: 7,
        ..HwConfig::default()
    };
    let error = program.check_design(&other.design().unwrap()).unwrap_err();
    let keys: Vec<&str> = error.keys.iter().map(|k| k.key.as_str()).collect();
    assert_eq!(keys, ["LOG_BATCH", "LOG_INP_BUFF_SIZE"]);
    assert!(
        error.to_string().contains("LOG_BATCH is 0, here 1"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn numbers_come_back_to_the_last_bit(numbers in prop::collection::vec(prop::num::f64::NORMAL, 1..40)) {
        let mut program = program();
        let preprocess = program.preprocess.as_mut().unwrap();
        preprocess.scale = numbers[0];
        preprocess.mean = numbers;
        let read = Program::from_bytes(&program.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(read, program);
    }

    #[test]
    fn dense_values_come_back(
        (log_bits, values) in (0u32..4).prop_flat_map(|log_bits| {
            let half = 1i16 << ((1 << log_bits) - 1);
            (Just(log_bits), prop::collection::vec((-half..half).prop_map(|v| v as i8), 0..70))
        })
    ) {
        let width = 1 << log_bits;
        let mut packed = Vec::new();
        bits::pack(&values, width, &mut packed);
        prop_assert_eq!(Some(packed.len()), bits::packed_bytes(values.len(), width));
        for (i, &v) in values.iter().enumerate() {
            let bit = i * width as usize;
            let low = packed[bit / 8] >> (bit % 8);
            prop_assert_eq!((low ^ v as u8) & ((1u16 << width) - 1) as u8, 0);
        }
        let mut back = vec![0; values.len()];
        bits::unpack(&packed, width, &mut back);
        prop_assert_eq!(back, values);
    }
}
