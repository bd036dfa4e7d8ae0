//! A convolution from naive nest to intrinsics, the way the compiler schedules it.

mod operators;
mod support;

use operators::{Conv, convs};
use proptest::prelude::*;
use support::outputs;
use vta_tir::schedule::{
    ScheduleError, Tensor, apply, cache_read, dma, fuse_nests, reorder, set_scope, sink_alloc,
    split, tensorize, tile,
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
        pad_value: 0,
    };
    let scheduled = check(&conv, (2, 4, 14, 1), 1);
    let limits = Limits {
        geometry,
        inp: 2048,
        wgt: 1024,
        acc: 2048,
        rqt: 64,
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

/// `y = clip((3 a + 5 b + 8) >> 4)`, the shape of a residual addition.
const ADDITION: &str = "
program add(a: in i8[7, 5, 2, 3], b: in i8[7, 5, 2, 3], y: out i8[7, 5, 2, 3]) {
  alloc acc: dram i32[7, 5, 2, 3] {
    alloc other: dram i32[7, 5, 2, 3] {
      for u0 in 0..7 { for v0 in 0..5 { for b0 in 0..2 { for o0 in 0..3 { acc[u0, v0, b0, o0] = a[u0, v0, b0, o0] } } } }
      for u1 in 0..7 { for v1 in 0..5 { for b1 in 0..2 { for o1 in 0..3 {
        other[u1, v1, b1, o1] = b[u1, v1, b1, o1] } } } }
      for u2 in 0..7 { for v2 in 0..5 { for b2 in 0..2 { for o2 in 0..3 {
        acc[u2, v2, b2, o2] = acc[u2, v2, b2, o2] * 3 } } } }
      for u3 in 0..7 { for v3 in 0..5 { for b3 in 0..2 { for o3 in 0..3 {
        other[u3, v3, b3, o3] = 5 * other[u3, v3, b3, o3] } } } }
      for u4 in 0..7 { for v4 in 0..5 { for b4 in 0..2 { for o4 in 0..3 {
        acc[u4, v4, b4, o4] = other[u4, v4, b4, o4] + acc[u4, v4, b4, o4] } } } }
      for u5 in 0..7 { for v5 in 0..5 { for b5 in 0..2 { for o5 in 0..3 {
        acc[u5, v5, b5, o5] = acc[u5, v5, b5, o5] + 8 } } } }
      for u6 in 0..7 { for v6 in 0..5 { for b6 in 0..2 { for o6 in 0..3 {
        acc[u6, v6, b6, o6] = acc[u6, v6, b6, o6] >> 4 } } } }
      for u7 in 0..7 { for v7 in 0..5 { for b7 in 0..2 { for o7 in 0..3 {
        y[u7, v7, b7, o7] = acc[u7, v7, b7, o7] } } } }
    }
  }
}";

#[test]
fn an_addition_widens_on_its_way_into_the_register_file() {
    let naive = parse(ADDITION).unwrap();
    let geometry = Geometry {
        batch: 2,
        block_in: 4,
        block_out: 3,
    };
    let mut lines: Vec<String> = (0..8).map(|i| format!("tile u{i}:3 v{i}:2")).collect();
    lines.extend((1..8).map(|i| format!("fuse_nests u0o u{i}o 2")));
    lines.extend(["acc", "other"].map(|buffer| format!("sink_alloc {buffer} v0o")));
    lines.extend(["acc", "other"].map(|buffer| format!("set_scope {buffer} acc")));
    lines.extend([0, 1, 7].map(|i| format!("dma u{i}i")));
    lines.extend((2..7).map(|i| format!("tensorize b{i} alu")));
    let mut scheduled = naive.clone();
    for line in lines {
        apply(&mut scheduled, &line, &geometry).unwrap_or_else(|e| panic!("{e}\n{scheduled}"));
    }
    verify_on(
        &scheduled,
        &Limits {
            geometry,
            inp: 0,
            wgt: 0,
            acc: 12,
            rqt: 64,
        },
    )
    .unwrap_or_else(|e| panic!("{e}\n{scheduled}"));
    let text = scheduled.to_string();
    assert!(
        text.contains("load other[0, 0] <- b[3 * u0o, 2 * v0o]"),
        "{text}"
    );
    assert!(
        text.contains("alu.add acc[u4i, v4i], other[u4i, v4i]"),
        "{text}"
    );
    assert_eq!(outputs(&naive, 5), outputs(&scheduled, 5), "{text}");
}
