//! Transfers of every shape, split or not, against the definition of a padded block.

use proptest::prelude::*;
use vta_isa::{Body, Design, GemmMode, HwConfig, MemType, Module, Uop, asm};
use vta_program::{Block2d, CommandStream, Loop, Pads, StreamError};

/// The DRAM element behind each scratchpad element from `sram_base` on; `None` for a zero.
fn expected(b: &Block2d) -> Vec<Option<u64>> {
    let (x, y) = (i64::from(b.x_size), i64::from(b.y_size));
    let (y0, y1, x0, x1) = (b.pads.y0, b.pads.y1, b.pads.x0, b.pads.x1);
    let mut elems = Vec::new();
    for row in -i64::from(y0)..y + i64::from(y1) {
        for col in -i64::from(x0)..x + i64::from(x1) {
            let inside = (0..y).contains(&row) && (0..x).contains(&col);
            elems.push(
                inside.then(|| b.dram_elem + row as u64 * u64::from(b.x_stride) + col as u64),
            );
        }
    }
    elems
}

/// What the emitted instructions write, each by the definition of LOAD.
fn emitted(stream: &CommandStream, sram_base: u32) -> Vec<Option<u64>> {
    let mut elems = Vec::new();
    for insn in stream.insns() {
        let Body::Load(m) = insn.body else {
            panic!("{insn:?}")
        };
        assert_eq!(m.sram_base as usize, sram_base as usize + elems.len());
        elems.extend(expected(&Block2d {
            sram_base: m.sram_base,
            dram_elem: m.dram_base.into(),
            x_size: m.x_size,
            y_size: m.y_size,
            x_stride: m.x_stride,
            pads: Pads {
                y0: m.y_pad_0,
                y1: m.y_pad_1,
                x0: m.x_pad_0,
                x1: m.x_pad_1,
                value: m.pad_value,
            },
        }));
    }
    elems
}

/// The default design with these features.
fn with(features: &[&str]) -> Design {
    let features = features.iter().map(|name| name.to_string()).collect();
    let config = HwConfig {
        features,
        ..HwConfig::default()
    };
    config.design().unwrap()
}

fn pad() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0u32..3, 1 => 12u32..40]
}

proptest! {
    #[test]
    fn every_block_is_loaded_whole(
        (sram_base, dram_elem) in (0u32..64, 0u64..100_000),
        (x_size, y_size) in (0u32..12, 0u32..9),
        x_stride in prop_oneof![0u32..20, 65_530u32..65_540, 1_000_000u32..1_000_002],
        (y0, y1, x0, x1) in (pad(), pad(), pad(), pad()),
        value in prop_oneof![Just(0), -128i32..128],
    ) {
        let design = with(if value == 0 { &[] } else { &["load_pad"] });
        let mut stream = CommandStream::new(&design);
        let pads = Pads { y0, y1, x0, x1, value };
        let block = Block2d { sram_base, dram_elem, x_size, y_size, x_stride, pads };
        let want = expected(&block);
        let result = stream.load_2d(MemType::Inp, block);
        if sram_base as usize + want.len() > design.depth(MemType::Inp) as usize {
            prop_assert!(matches!(result, Err(StreamError::Scratchpad { .. })), "{:?}", result);
        } else {
            result.unwrap();
            prop_assert_eq!(emitted(&stream, sram_base), want);
            let fits = y0.max(y1).max(x0).max(x1) <= 15 && x_stride <= 65_535;
            if fits && x_size > 0 && y_size > 0 {
                prop_assert_eq!(stream.insns().len(), 1);
            }
        }
    }
}

#[test]
fn what_no_transfer_can_do_is_refused() {
    let mut stream = CommandStream::new(&Design::default());
    let far = Block2d::run(0, 1 << 32, 4);
    let error = stream.load_2d(MemType::Wgt, far).unwrap_err();
    assert!(error.to_string().contains("dram_base"), "{error}");
    let error = stream
        .load_2d(MemType::Uop, Block2d::run(0, 0, 4))
        .unwrap_err();
    assert!(error.to_string().contains("uop"), "{error}");
    let pads = Pads {
        y0: 1,
        ..Pads::NONE
    };
    let error = stream
        .store_2d(Block2d {
            pads,
            ..Block2d::run(0, 0, 4)
        })
        .unwrap_err();
    assert!(error.to_string().contains("padding"), "{error}");
    let error = stream.dep_push(Module::Load, Module::Store).unwrap_err();
    assert!(error.to_string().contains("load to store"), "{error}");
    stream.dep_pop(Module::Load, Module::Compute).unwrap();
    let error = stream.finish().unwrap_err();
    assert!(
        matches!(
            error,
            StreamError::Unmatched {
                pops: 1,
                pushes: 0,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_rescaling_store_is_a_store_with_an_entry() {
    let design = with(&["requant_store"]);
    let mut stream = CommandStream::new(&design);
    stream
        .load_2d(MemType::Rqt, Block2d::run(32, 5, 16))
        .unwrap();
    stream.dep_push(Module::Load, Module::Compute).unwrap();
    stream.dep_pop(Module::Load, Module::Compute).unwrap();
    stream.dep_push(Module::Compute, Module::Store).unwrap();
    stream.dep_pop(Module::Compute, Module::Store).unwrap();
    // Rows that are too far apart for one instruction.
    let block = Block2d {
        y_size: 2,
        x_stride: 70_000,
        ..Block2d::run(7, 100, 3)
    };
    stream.requant_2d(block, 2).unwrap();
    stream.store_2d(Block2d::run(0, 0, 1)).unwrap();
    let bytes = stream.finish().unwrap().encode(&design, 0).unwrap();
    assert_eq!(
        asm::disassemble(&design, &bytes).unwrap(),
        "\
load.rqt push_next sram=0x20 dram=0x5 y=1 x=16 stride=16
load.uop pop_prev push_next
store.out pop_prev sram=0x7 dram=0x64 y=1 x=3 stride=3 rqt=2
store.out sram=0xa dram=0x111d4 y=1 x=3 stride=3 rqt=2
store.out push_prev y=1 x=1 stride=1
load.uop pop_next
finish
"
    );
}

#[test]
fn what_a_design_lacks_is_refused_by_name() {
    let mut plain = CommandStream::new(&Design::default());
    let block = Block2d::run(0, 0, 1);
    let pads = Pads {
        value: 3,
        ..Pads::NONE
    };
    let padded = Block2d { pads, ..block };
    let kernel = plain.intern(&[Uop::default()]).unwrap();
    let errors = [
        plain.requant_2d(block, 0),
        plain.load_2d(MemType::Inp, padded),
        plain.load_2d(MemType::Rqt, block),
        plain.gemm(kernel, GemmMode::Overwrite, [Loop::ONCE; 2]),
    ];
    let names = ["requant_store", "load_pad", "rqt", "gemm_overwrite"];
    for (error, name) in errors.into_iter().zip(names) {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let mut stream = CommandStream::new(&with(&["requant_store"]));
    let error = stream.requant_2d(block, 64).unwrap_err();
    assert!(error.to_string().contains("LOG_RQT_BUFF_SIZE"), "{error}");
}
