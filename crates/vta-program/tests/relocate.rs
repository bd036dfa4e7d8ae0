//! Streams move as a whole, or not at all.

use proptest::prelude::*;
use vta_isa::{Body, Design, Insn, MemType, asm};
use vta_program::{RelocateError, dram_range, mem_insn, relocate};

fn insns(design: &Design, stream: &[u8]) -> Vec<Insn> {
    let words = stream
        .chunks_exact(16)
        .map(|w| Insn::decode(design, w.try_into().unwrap()));
    words.collect::<Result<_, _>>().unwrap()
}

const STREAM: &str = "load.uop dram=0x10 y=1 x=3 stride=3
load.wgt push_next dram=0x2 y=3 x=5 stride=9 pad=1,0,2,3
load.inp dram=0x7
load.acc8 dram=0x9 y=2 x=1 stride=70
gemm uop=0,3 iter=2,2 dst=1,1 src=1,1 wgt=0,0
store.out pop_prev dram=0x40 y=1 x=1 stride=1
finish
";

proptest! {
    /// Every byte that the stream touched at address 0 it touches at the base.
    #[test]
    fn every_address_moves_by_the_base(page in 0u64..1 << 21) {
        let design = Design::default();
        let original = asm::assemble(&design, STREAM).unwrap();
        let base = page << 12;
        let mut moved = original.clone();
        // The micro-op memory has the smallest element, so that its address is the first to overflow.
        let last = 0x10 + base / 4;
        let result = relocate(&design, &mut moved, base);
        if last > u64::from(u32::MAX) {
            prop_assert_eq!(result, Err(RelocateError::Overflow { index: 0, base }));
            prop_assert_eq!(moved, original);
            return Ok(());
        }
        result.unwrap();
        for (was, is) in insns(&design, &original).into_iter().zip(insns(&design, &moved)) {
            let ranges = [was, is].map(|i| mem_insn(&i.body).and_then(|m| dram_range(&design, m)));
            match ranges {
                [Some(was), Some(is)] => prop_assert_eq!(was.start + base..was.end + base, is),
                _ => prop_assert_eq!(was, is),
            }
        }
    }
}

#[test]
fn the_range_covers_every_row() {
    let design = Design::default();
    let stream = insns(&design, &asm::assemble(&design, STREAM).unwrap());
    let range = |i: usize| mem_insn(&stream[i].body).and_then(|m| dram_range(&design, m));
    assert_eq!(range(1), Some(2 * 256..(2 + 2 * 9 + 5) * 256));
    assert_eq!(range(2), None);
    assert_eq!(range(3), Some(9 * 16..(9 + 70 + 1) * 16));
    assert_eq!(range(4), None);
    let Body::Load(mut load) = stream[1].body else {
        panic!()
    };
    load.y_size = 0;
    assert_eq!(dram_range(&design, &load), None);
    assert_eq!(load.mem(), Some(MemType::Wgt));
}

#[test]
fn misfits_are_refused() {
    let design = Design::default();
    let mut stream = asm::assemble(&design, STREAM).unwrap();
    let error = relocate(&design, &mut stream, 0x1010).unwrap_err();
    assert_eq!(error, RelocateError::Unaligned(0x1010));
    stream[16] |= 7;
    let error = relocate(&design, &mut stream, 0x1000).unwrap_err();
    assert!(
        matches!(error, RelocateError::Decode { index: 1, .. }),
        "{error}"
    );
}
