//! The law of the project on generated networks: the integer interpreter on the graph before
//! packing, and the simulator running the compiled streams, give the same bytes.

mod support;

use proptest::prelude::*;
use support::{designs, dice, has_signs};
use vta_compiler::{CompileOptions, Offload, quant_target};
use vta_graph::random::inputs;
use vta_graph::random::integer::{Kind, Layer, draw, network};
use vta_graph::{DType, Tensor, interp};
use vta_isa::{AluOp, Design};
use vta_program::{Place, Placement};
use vta_runtime::{Network, SimDevice};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn simulator_equals_interpreter(
        design in prop::sample::select(designs()),
        mut dice in dice(),
        offload in prop::sample::select(&[Offload::All, Offload::Conv, Offload::None]),
        latency_hiding in any::<bool>(),
    ) {
        let design = &design;
        let graph = draw(&mut dice, &quant_target(design));
        let x = inputs(&mut dice, &graph);
        let expected = interp::run_graph(&graph, &x).expect("a valid graph");

        let options = CompileOptions {
            offload,
            latency_hiding,
            ..CompileOptions::default()
        };
        let compiled = vta_compiler::compile_with(&graph, design, &options).expect("it compiles");
        let left_out = compiled.program.placement.iter().filter(|p| {
            p.device == Place::Vta && match offload {
                Offload::None => true,
                Offload::Conv => p.op != "vta.conv",
                Offload::All => false,
            }
        });
        prop_assert_eq!(left_out.count(), 0);
        let mut network =
            Network::load(&compiled.program, SimDevice::new(design)).expect("it loads");
        // Twice: nothing of one inference may reach into the next.
        for _ in 0..2 {
            let got = network.run(&x).expect("it runs");
            prop_assert_eq!(&got, &expected);
        }
    }
}

fn lacks_mul(place: &Placement) -> bool {
    place.device == Place::Host && place.reason.contains("the ALU operation mul")
}

#[test]
fn convolutions_run_on_the_accelerator_of_every_design() {
    // Of one group, and depthwise.
    let each = |d: Design| [(d.clone(), 1), (d, usize::MAX)];
    let numbers = designs().into_iter().filter(|d| !has_signs(d));
    for (design, groups) in numbers.flat_map(each) {
        // The narrowest accumulator holds the sums of one channel only.
        let wide = design.acc_bits() == 32;
        let layer = Layer {
            kind: Kind::Conv,
            channels: 20,
            groups,
            kernel: if wide { [3, 3] } else { [1, 1] },
            stride: [1, 1],
            dilation: [1, 1],
            pads: [1; 4],
            zero_point: 0,
            shift: 4,
            clip: (-128, 127),
            seed: 7,
        };
        let graph = network(
            &quant_target(&design),
            [1, if wide { 3 } else { 1 }, 9, 9],
            &[layer],
        );
        let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
        let placement = &compiled.program.placement;
        let place = placement
            .iter()
            .find(|p| p.op == "qconv" || p.op == "vta.conv")
            .expect("a convolution");
        if design.has_alu(AluOp::Mul) {
            assert_eq!(place.device, Place::Vta, "{placement:?}");
        } else {
            assert!(lacks_mul(place), "{placement:?}");
        }
    }
}

#[test]
fn pools_run_on_the_accelerator_of_every_design() {
    for design in designs().into_iter().filter(|d| !has_signs(d)) {
        let kinds = [Kind::MaxPool, Kind::SumPool].map(|kind| Layer {
            kind,
            channels: 1,
            groups: 1,
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            pads: [1, 1, 1, 1],
            zero_point: 0,
            shift: 4,
            clip: (-128, 127),
            seed: 8,
        });
        let graph = network(&quant_target(&design), [2, 21, 9, 12], &kinds);
        let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
        let placement = &compiled.program.placement;
        let pools = ["vta.max_pool", "max_pool", "vta.sum_pool", "qsum_pool"];
        let pools = placement.iter().filter(|p| pools.contains(&&*p.op));
        let host: Vec<_> = pools.clone().filter(|p| p.device == Place::Host).collect();
        assert_eq!(pools.count(), 2, "{placement:?}");
        if design.has_alu(AluOp::Mul) {
            assert!(host.is_empty(), "{host:?}");
        } else {
            // A maximum needs no factor.
            assert!(matches!(host[..], [sum] if lacks_mul(sum)), "{host:?}");
        }
    }
}

#[test]
fn windows_larger_than_the_scratchpads_come_in_by_rows() {
    for design in designs().into_iter().filter(|d| !has_signs(d)) {
        let kinds = [Kind::MaxPool, Kind::SumPool].map(|kind| Layer {
            kind,
            channels: 1,
            groups: 1,
            kernel: [60, 41],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [0; 4],
            zero_point: 0,
            shift: 12,
            clip: (-128, 127),
            // The sum is over the input.
            seed: 0,
        });
        for kind in kinds {
            let graph = network(
                &quant_target(&design),
                [1, 3, 60, 41],
                std::slice::from_ref(&kind),
            );
            let values: Vec<i64> = (0..3 * 60 * 41).map(|i| (i * 7 + i / 50) % 2).collect();
            let x = [Tensor::from_ints(
                graph.value(graph.inputs[0]).ty.dtype,
                [1, 3, 60, 41],
                &values.iter().map(|v| -v).collect::<Vec<_>>(),
            )];
            let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
            let pools = ["vta.max_pool", "vta.sum_pool"];
            let mut places = compiled.program.placement.iter();
            let runs = places.any(|p| pools.contains(&&*p.op));
            // Of maxima, and of sums without identity weights, all values are on chip at a time.
            let square = design.block_in() == design.block_out() && design.wgt_bits() > 1;
            let whole = square && kind.kind == Kind::SumPool;
            if whole && design.acc_bits() == 32 && design.has_alu(AluOp::Mul) {
                assert!(runs, "{:?}", compiled.program.placement);
            }
            let expected = interp::run_graph(&graph, &x).expect("a valid graph");
            let mut network =
                Network::load(&compiled.program, SimDevice::new(&design)).expect("it loads");
            assert_eq!(network.run(&x).expect("it runs"), expected);
        }
    }
}

#[test]
fn additions_run_on_the_accelerator_of_every_design() {
    for design in designs().into_iter().filter(|d| !has_signs(d)) {
        let layer = Layer {
            kind: Kind::Add,
            channels: 1,
            groups: 1,
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [0; 4],
            zero_point: 0,
            shift: 4,
            clip: (-128, 127),
            seed: 7,
        };
        let graph = network(&quant_target(&design), [2, 21, 5, 9], &[layer]);
        let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
        let host: Vec<_> = compiled
            .program
            .placement
            .iter()
            .filter(|p| p.op == "qadd")
            .collect();
        if design.has_alu(AluOp::Mul) {
            assert!(host.is_empty(), "{host:?}");
        } else {
            assert!(
                host.iter().all(|p| lacks_mul(p)) && !host.is_empty(),
                "{host:?}"
            );
        }
    }
}

/// Convolutions of signs, one that is pooled, on channels that fill no block.
#[test]
fn signs_run_on_the_accelerator() {
    for design in designs().into_iter().filter(has_signs) {
        let layers = [
            (Kind::Conv, 22, 0),
            (Kind::Pooled, 10, 0),
            (Kind::Conv, 34, 1),
        ];
        let layers = layers.map(|(kind, channels, pad)| Layer {
            kind,
            channels,
            groups: 1,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [pad; 4],
            zero_point: 1,
            shift: 4,
            clip: (-128, 127),
            // Each reads what the one before made.
            seed: 2,
        });
        let graph = network(&quant_target(&design), [1, 6, 12, 12], &layers);
        let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
        let placement = &compiled.program.placement;
        let convs = placement.iter().filter(|p| p.op.ends_with("conv"));
        let host: Vec<_> = convs.clone().filter(|p| p.device == Place::Host).collect();
        assert_eq!((convs.count(), host.len()), (3, 0), "{host:?}");
    }
}

#[test]
fn what_is_padded_with_two_values_runs_on_the_accelerator_of_every_design() {
    let graph = vta_graph::text::parse(
        r#"graph "branches" (%x: i8[1,2,4,4]) -> (%y, %z) {
  %w: i8[2,2,1,3] = const [1, 0, -1, -2, 1, 1, 0, -2, 1, 1, 1, -1]
  %s: i32[1,2,4,4] = qconv(%x, %w) {kernel=[1, 3], stride=[1, 1], dilation=[1, 1], pads=[0, 1, 0, 1], groups=1, zero_point=7}
  %y: i8[1,2,4,4] = requantize(%s) {mult=[1], add=[2], shift=2, lo=-128, hi=127}
  %t: i32[1,2,4,4] = qconv(%x, %w) {kernel=[1, 3], stride=[1, 1], dilation=[1, 1], pads=[0, 1, 0, 1], groups=1, zero_point=-9}
  %z: i8[1,2,4,4] = requantize(%t) {mult=[1], add=[2], shift=2, lo=-128, hi=127}
}
"#,
    )
    .expect("a graph");
    let values: Vec<i64> = (0..32).map(|i| i * 37 % 256 - 128).collect();
    let x = [Tensor::from_ints(DType::I8, [1, 2, 4, 4], &values)];
    let expected = interp::run_graph(&graph, &x).expect("a valid graph");
    let bytes = |d: &Design| d.inp_bits() == 8 && d.wgt_bits() > 1;
    for design in designs().into_iter().filter(bytes) {
        let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
        let placement = &compiled.program.placement;
        let convs = placement.iter().filter(|p| p.op == "vta.conv").count();
        assert!(
            convs == 2 || placement.iter().any(lacks_mul),
            "{placement:?}"
        );
        let mut network =
            Network::load(&compiled.program, SimDevice::new(&design)).expect("it loads");
        assert_eq!(network.run(&x).expect("it runs"), expected);
    }
}

#[test]
fn concatenations_take_no_instruction() {
    for design in designs() {
        let conv = Layer {
            kind: Kind::Conv,
            channels: 32,
            groups: 1,
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [0; 4],
            zero_point: 0,
            shift: 4,
            clip: (-128, 127),
            seed: 8,
        };
        let concat = Layer {
            kind: Kind::Concat,
            seed: 9,
            ..conv.clone()
        };
        let graph = network(&quant_target(&design), [1, 1, 9, 9], &[conv, concat]);
        let compiled = vta_compiler::compile(&graph, &design).expect("it compiles");
        let placement = &compiled.program.placement;
        if design.has_alu(AluOp::Mul) {
            let at = placement.iter().position(|p| p.op == "vta.concat");
            let at = at.unwrap_or_else(|| panic!("{placement:?}"));
            assert_eq!(compiled.program.layers[at].insns, None);
        } else {
            assert!(placement.iter().any(lacks_mul), "{placement:?}");
        }
    }
}
