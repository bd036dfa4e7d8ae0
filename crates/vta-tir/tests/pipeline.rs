//! A convolution from naive nest to intrinsics, the way the compiler schedules it.

mod operators;
mod support;

use operators::{Conv, convs};
use proptest::prelude::*;
use support::outputs;
use vta_tir::schedule::{
    ScheduleError, Tensor, cache_read, dma, fuse_nests, reorder, set_scope, sink_alloc, split,
    tensorize, tile,
};
use vta_tir::{Geometry, Limits, Program, Scope, Stmt, parse, verify, verify_on};

const LAST_STAGE: usize = 7;

/// Tiles of output channels, rows, columns and input channels.
type Tiles = (i64, i64, i64, i64);

fn schedule(
    p: &mut Program,
    (co, oy, ox, ci): Tiles,
    geometry: &Geometry,
) -> Result<(), ScheduleError> {
    for stage in 0..=LAST_STAGE {
        let name = |var: &str| format!("{var}{stage}");
        tile(
            p,
            &[(&name("co"), co), (&name("oy"), oy), (&name("ox"), ox)],
        )?;
    }
    split(p, "ci", ci)?;
    reorder(
        p,
        &[
            "cio", "co1i", "cii", "ky", "kx", "oy1i", "ox1i", "b1", "o1", "k",
        ],
    )?;
    for stage in 1..=LAST_STAGE {
        fuse_nests(p, "n0", &format!("n{stage}"), 4)?;
    }
    sink_alloc(p, "acc", "ox0o")?;
    set_scope(p, "acc", Scope::Acc)?;
    let copies = [
        cache_read(p, "x", "cio", Scope::Inp)?,
        cache_read(p, "w", "cio", Scope::Wgt)?,
        cache_read(p, "p", "ox0o", Scope::Acc)?,
    ];
    for cache in copies {
        dma(p, &cache.copy)?;
    }
    tensorize(p, "b0", Tensor::Reset, geometry)?;
    tensorize(p, "b1", Tensor::Gemm, geometry)?;
    for stage in 2..LAST_STAGE {
        tensorize(p, &format!("b{stage}"), Tensor::Alu, geometry)?;
    }
    dma(p, "co7i")
}

fn check(conv: &Conv, tiles: Tiles, seed: u64) -> Program {
    let naive = conv.program();
    verify(&naive).unwrap_or_else(|e| panic!("{e}\n{naive}"));
    let mut scheduled = naive.clone();
    schedule(&mut scheduled, tiles, &conv.geometry).unwrap_or_else(|e| panic!("{e}\n{scheduled}"));
    verify(&scheduled).unwrap_or_else(|e| panic!("{e}\n{scheduled}"));
    scheduled.walk(&mut |stmt| {
        assert!(
            !matches!(stmt, Stmt::Assign { .. } | Stmt::Accumulate { .. }),
            "`{stmt}` is no intrinsic\n{scheduled}"
        );
    });
    assert_eq!(
        parse(&scheduled.to_string()).as_ref(),
        Ok(&scheduled),
        "{scheduled}"
    );
    assert_eq!(
        outputs(&naive, seed),
        outputs(&scheduled, seed),
        "{naive}\n{scheduled}"
    );
    scheduled
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_convolution_with_any_tiles(
        conv in convs(),
        tiles in (1i64..4, 1i64..5, 1i64..9, 1i64..4),
        seed: u64,
    ) {
        check(&conv, tiles, seed);
    }
}

#[test]
fn a_layer_of_the_default_design_fits_or_says_what_does_not() {
    let geometry = Geometry {
        batch: 1,
        block_in: 16,
        block_out: 16,
    };
    let conv = Conv {
        geometry,
        images: 1,
        channels: (2, 4),
        size: (14, 14),
        kernel: (3, 3),
        stride: 1,
        dilation: 1,
        pad: 1,
    };
    let scheduled = check(&conv, (2, 4, 14, 1), 1);
    let limits = Limits {
        geometry,
        inp: 2048,
        wgt: 1024,
        acc: 2048,
    };
    verify_on(&scheduled, &limits).unwrap();
    let error = verify_on(&scheduled, &Limits { inp: 95, ..limits }).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`x_inp` takes up to 96 elements of inp"),
        "{error}"
    );
}
