//! Generated programs: whatever a primitive accepts computes the same, and what it refuses it leaves alone.

mod support;

use proptest::prelude::*;
use support::outputs;
use vta_tir::intrinsics::requantized;
use vta_tir::{
    Access, Buffer, DType, Direction, Expr, Geometry, LoopNest, Name, Program, Scope, Stmt, Value,
    ValueOp, parse, schedule, var, verify,
};

const GEOMETRY: Geometry = Geometry {
    batch: 1,
    block_in: 2,
    block_out: 2,
};

/// Every index of a generated program lies within this extent.
const SIDE: i64 = 44;

/// `12 + base + Σ step * v`, which stays in 0..SIDE for up to three loops of up to five iterations.
fn index(loops: Vec<Name>) -> impl Strategy<Value = Expr> + Clone {
    (0i64..4, prop::collection::vec(-1i64..3, loops.len())).prop_map(move |(base, steps)| {
        let terms = loops.iter().zip(steps).filter(|(_, step)| *step != 0);
        terms
            .fold(Expr::from(12 + base), |sum, (v, step)| {
                sum + Expr::from(step) * v
            })
            .simplify()
    })
}

fn place(loops: &[Name]) -> impl Strategy<Value = Access> + use<> {
    let indices = (index(loops.to_vec()), index(loops.to_vec()));
    // Most places are the plain one, so that nests meet.
    let plain = loops.iter().take(2).map(Expr::from).collect::<Vec<_>>();
    let any = indices.prop_map(|(a, b)| vec![a, b]);
    (
        prop::sample::select(vec!["t", "y"]),
        prop_oneof![Just(plain), any],
    )
        .prop_map(|(name, idx)| Access::new(name, idx))
}

fn padded(place: impl Strategy<Value = Access>, pad: i32) -> impl Strategy<Value = Value> {
    place.prop_map(move |place| place.read_padded(pad))
}

fn nest(stage: usize) -> impl Strategy<Value = Stmt> {
    // Most nests have the same outer extents, so that they can be fused.
    let extents = prop_oneof![
        3 => (1i64..6).prop_map(|innermost| vec![5, 4, innermost]),
        1 => prop::collection::vec(1i64..6, 2..4)
    ];
    // The first nests agree on their padding, so that they can be cached together.
    let pad = if stage < 2 { -3 } else { 0 };
    extents.prop_flat_map(move |extents| {
        let loops: Vec<Name> = (0..extents.len())
            .map(|d| format!("v{stage}{d}").into())
            .collect();
        let input = (index(loops.clone()), index(loops.clone()))
            .prop_map(|(a, b)| Access::new("a", [a - 10, b - 10]));
        let input = padded(input, pad).boxed();
        let ops = prop::sample::select(vec![
            ValueOp::Add,
            ValueOp::Sub,
            ValueOp::Mul,
            ValueOp::Max,
            ValueOp::Shr,
        ]);
        let other = prop_oneof![
            (-9i64..9).prop_map(Value::Const),
            input.clone(),
            padded(place(&loops), pad)
        ];
        (place(&loops), input, ops, other, any::<bool>()).prop_map(
            move |(dst, input, op, other, sum)| {
                let value = input.bin(op, other);
                let stmt = if sum {
                    Stmt::Accumulate { dst, value }
                } else {
                    Stmt::Assign { dst, value }
                };
                Stmt::nest(loops.iter().zip(extents.iter().copied()), vec![stmt]).remove(0)
            },
        )
    })
}

fn program() -> impl Strategy<Value = Program> {
    (nest(0), nest(1), nest(2)).prop_map(|(first, second, third)| {
        let mut program = Program::new("generated")
            .param(Direction::In, "a", DType::I8, [9, 9])
            .param(Direction::Out, "y", DType::I32, [SIDE, SIDE]);
        let buffer = Buffer::new("t", Scope::Dram, DType::I32, [SIDE, SIDE]);
        program.body = vec![Stmt::Alloc {
            buffer,
            body: vec![first, second, third],
        }];
        program
    })
}

/// A primitive on loops picked by number.
fn line() -> impl Strategy<Value = (usize, [usize; 3], i64)> {
    (0usize..20, prop::array::uniform3(0usize..64), 1i64..6)
}

fn spell(program: &Program, (verb, picks, factor): (usize, [usize; 3], i64)) -> String {
    let mut loops: Vec<Name> = Vec::new();
    program.walk(&mut |stmt| {
        if let Stmt::For { var, .. } = stmt {
            loops.push(var.clone());
        }
    });
    let mut neighbours: Vec<(Name, Name)> = Vec::new();
    let mut meet = |body: &[Stmt]| {
        for pair in body.windows(2) {
            if let [Stmt::For { var: first, .. }, Stmt::For { var: second, .. }] = pair {
                neighbours.push((first.clone(), second.clone()));
            }
        }
    };
    meet(&program.body);
    program.walk(&mut |stmt| meet(stmt.children()));
    let [a, b, c] = picks.map(|pick| &loops[pick % loops.len()]);
    let next = &loops[(picks[0] + 1) % loops.len()];
    let buffer = ["a", "t", "y"][picks[1] % 3];
    match verb {
        0 | 1 => format!("split {a} {factor}"),
        2 => format!("reorder {next} {a}"),
        3 => format!("reorder {a} {b} {c}"),
        4 => format!("tile {a}:{factor} {next}:2"),
        5 | 6 if !neighbours.is_empty() => {
            let (first, second) = &neighbours[picks[0] % neighbours.len()];
            format!("fuse_nests {first} {second} {}", 1 + factor % 3)
        }
        7 => format!("cache_read {buffer} {a} dram"),
        8 => format!("cache_write {buffer} {a} dram"),
        9 | 10 => format!("sink_alloc t {a}"),
        11 => format!("unroll {a}"),
        12 => format!("fuse {a} {next}"),
        13 => format!("virtual_thread {a}"),
        14 => format!("decompose_reduction {a}"),
        15 | 16 => format!("reverse_compute_at {a} {b}"),
        17 => "inline t".to_owned(),
        _ => format!("compute_at t {a}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn primitives_keep_the_results(program in program(), lines in prop::collection::vec(line(), 1..24), seed: u64) {
        verify(&program).unwrap();
        let wanted = outputs(&program, seed);
        let mut scheduled = program.clone();
        let mut applied = Vec::new();
        for line in lines {
            let (line, before) = (spell(&scheduled, line), scheduled.clone());
            match schedule::apply(&mut scheduled, &line, &GEOMETRY) {
                Ok(()) => applied.push(line),
                Err(_) => prop_assert_eq!(&scheduled, &before, "{} failed halfway", line),
            }
            if scheduled.to_string().len() > 20_000 {
                break;
            }
        }
        prop_assert_eq!(parse(&scheduled.to_string()), Ok(scheduled.clone()));
        prop_assert_eq!(outputs(&scheduled, seed), wanted, "{:?}\n{}{}", applied, program, scheduled);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A stencil over a temporary of two dimensions, clamped at the border, perhaps in place first, in tiles that compute
    /// what they use of it.
    #[test]
    fn computed_where_it_is_used(
        steps in prop::array::uniform2(1i64..3), taps in prop::array::uniform2(1i64..4),
        base in prop::array::uniform2(-2i64..2), tile in prop::array::uniform2(1i64..5),
        in_place in 0i64..4, depth in 0usize..4, seed: u64,
    ) {
        let (side, out) = (12, 6);
        let clamped = |at: Expr| at.max(0).min(side - 1);
        let mut program = Program::new("stencil")
            .param(Direction::In, "a", DType::I8, [side, side])
            .param(Direction::Out, "y", DType::I32, [out, out]);
        let t = |i: Expr, j: Expr| Access::new("t", [i, j]);
        let zero = Stmt::Assign { dst: t(var("i"), var("j")), value: Value::Const(0) };
        let sum = Stmt::Accumulate {
            dst: t(var("p"), var("q")),
            value: Access::new("a", [var("p"), var("r")]).read(),
        };
        let mut body = Stmt::nest([("i", side), ("j", side)], vec![zero]);
        body.extend(Stmt::nest([("q", side), ("p", side), ("r", 3)], vec![sum]));
        let mut consumer = Vec::new();
        if in_place > 0 {
            let dst = || t(var("v") * 2 + in_place / 2, var("u") * 2);
            let value = dst().read().bin(ValueOp::Max, t(clamped(var("v") * 2 + base[0]), var("u") * 2).read());
            consumer.push(Stmt::Assign { dst: dst(), value });
        }
        let at = |d: usize, v: &str, k: &str| clamped(var(v) * steps[d] + var(k) + base[d]);
        let taken = t(at(0, "v", "kv"), at(1, "u", "ku")).read();
        let dst = Access::new("y", [var("v"), var("u")]);
        let window = Stmt::Accumulate { dst, value: taken };
        consumer.extend(Stmt::nest([("kv", taps[0]), ("ku", taps[1])], vec![window]));
        body.extend(Stmt::nest([("v", out), ("u", out)], consumer));
        let buffer = Buffer::new("t", Scope::Dram, DType::I32, [side, side]);
        program.body = vec![Stmt::Alloc { buffer, body }];
        verify(&program).unwrap();
        let wanted = outputs(&program, seed);
        let mut scheduled = program.clone();
        let loops = ["vo", "uo", "vi", "ui"];
        for line in [format!("tile v:{} u:{}", tile[0], tile[1]), format!("compute_at t {}", loops[depth])] {
            let before = scheduled.clone();
            if schedule::apply(&mut scheduled, &line, &GEOMETRY).is_err() {
                prop_assert!(in_place > 0, "{line}\n{before}");
                prop_assert_eq!(&scheduled, &before);
            }
        }
        verify(&scheduled).unwrap();
        prop_assert_eq!(parse(&scheduled.to_string()), Ok(scheduled.clone()));
        prop_assert_eq!(outputs(&scheduled, seed), wanted, "{}{}", program, scheduled);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The expression of a rescaling store means the rescaling in unbounded integers, and so does the store.
    #[test]
    fn stores_rescale_exactly(
        x: i32, add in -1i64 << 61..1 << 61, narrow: bool, mult in 0i32.., shift in 0u32..63, lo: i8, span: u8,
    ) {
        let (add, hi) = (add >> if narrow { 40 } else { 0 }, lo.saturating_add((span / 2) as i8));
        let bytes = [shift as u8, lo as u8, hi as u8, 0];
        let words = [add as i32, (add >> 32) as i32, mult, i32::from_le_bytes(bytes)];
        let wanted = (i128::from(x) * i128::from(mult) + i128::from(add)) >> shift;
        let wanted = wanted.clamp(lo.into(), hi.into()) as i32;
        let mut program = Program::new("rescaled")
            .param(Direction::In, "x", DType::I32, [1, 1, 1])
            .param(Direction::In, "q", DType::I32, [1, 1, 4])
            .param(Direction::Out, "y", DType::I8, [1, 1, 1]);
        let read = |name: &str, i: i64| Access::new(name, [Expr::from(0), var("l"), i.into()]).read();
        let acc = Access::new("acc", [Expr::from(0), 0.into(), var("l")]);
        let value = requantized(acc.read(), |i| read("q", i)).cast(DType::I8);
        let dst = Access::new("y", [Expr::from(0), 0.into(), var("l")]);
        let load = Stmt::Assign {
            dst: Access::new("acc", [Expr::from(0), 0.into(), var("k")]),
            value: Access::new("x", [Expr::from(0), 0.into(), var("k")]).read(),
        };
        let store = Stmt::for_("l", 1, vec![Stmt::Assign { dst, value }]);
        program.body = vec![Stmt::for_("c", 1, vec![Stmt::Alloc {
            buffer: Buffer::new("acc", Scope::Acc, DType::I32, [1, 1, 1]),
            body: vec![Stmt::for_("k", 1, vec![load]), store],
        }])];
        let mut scheduled = program.clone();
        for line in ["cache_read q c rqt", "dma q_rqt_0", "dma k", "dma l"] {
            schedule::apply(&mut scheduled, line, &GEOMETRY).unwrap();
        }
        for program in [program, scheduled] {
            verify(&program).unwrap();
            let array = |shape: &[usize], data: &[i32]| vta_tir::interp::Array {
                shape: shape.to_vec(),
                data: data.to_vec(),
            };
            let mut arrays = vta_tir::interp::Arrays::new();
            arrays.insert("x".into(), array(&[1, 1, 1], &[x]));
            arrays.insert("q".into(), array(&[1, 1, 4], &words));
            arrays.insert("y".into(), array(&[1, 1, 1], &[0]));
            vta_tir::interp::run(&program, &mut arrays).unwrap();
            prop_assert_eq!(arrays["y"].data[0], wanted, "{}", program);
        }
    }
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        (-9i64..10).prop_map(Expr::from),
        prop::sample::select(vec!["i", "j"]).prop_map(var)
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        (0..7, inner.clone(), inner, 1i64..5).prop_map(|(op, a, b, c)| match op {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a / c,
            4 => a % c,
            5 => a.min(b),
            _ => a.max(b),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expressions_simplify_print_and_stay_within_bounds(e in expr(), tile in 1i64..5, whole in 1i64..12) {
        let mut nest = LoopNest::new();
        let tiles = (whole + tile - 1) / tile;
        nest.push("i".into(), tiles.into());
        nest.push("j".into(), Expr::from(tile).min(Expr::from(whole) - var("i") * tile));
        let (low, high, simple) = (nest.lower(&e), nest.upper(&e), e.simplify());
        for i in 0..tiles {
            for j in 0..tile.min(whole - i * tile) {
                let at = |name: &Name| Some(if &**name == "i" { i } else { j });
                let value = e.eval(&at).unwrap();
                prop_assert_eq!(simple.eval(&at).unwrap(), value, "{} against {}", e, simple);
                prop_assert!(low.is_none_or(|low| low <= value) && high.is_none_or(|high| value <= high),
                    "{} is {} at {}, {}, outside {:?}..={:?}", e, value, i, j, low, high);
            }
        }
        let mut program = Program::new("p");
        program.body = vec![Stmt::for_("i", e, vec![])];
        prop_assert_eq!(parse(&program.to_string()), Ok(program));
    }

    #[test]
    fn damaged_texts_are_refused_or_read_but_never_panic(
        program in program(), at in any::<prop::sample::Index>(), with in "\\PC{0,3}", cut in 0usize..4,
    ) {
        let mut text = program.to_string();
        let at = at.index(text.len());
        let end = text.len().min(at + cut);
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &with);
        }
        if let Ok(program) = parse(&text) {
            let values = |p: &vta_tir::Param| p.buffer.shape.iter().filter_map(Expr::as_const).product::<i64>();
            if verify(&program).is_ok() && program.params.iter().all(|p| values(p) < 10_000) {
                let _ = vta_tir::interp::run_bounded(&program, &mut vta_tir::interp::arguments(&program, 1), 10_000);
            }
            for line in ["split v00 3", "tile v00:2 v01:3", "fuse_nests v00 v10 2", "cache_read a v00 inp", "unroll v01"] {
                let _ = schedule::apply(&mut program.clone(), line, &GEOMETRY);
            }
        }
    }
}
