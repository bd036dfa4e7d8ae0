//! The ways to arrange the input of a first convolution: each computes the same sums.

mod support;

use proptest::prelude::*;
use support::dice;
use vta_graph::Op;
use vta_graph::interp::run_graph;
use vta_graph::passes::im2col;
use vta_graph::random::inputs;
use vta_graph::text::parse;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_arrangement_gives_the_same_sums(
        mut dice in dice(),
        [batch, channels, outputs] in [1usize..3, 1usize..5, 1usize..4],
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4],
        dilation in prop_oneof![Just([1usize, 1]), [1usize..3, 1usize..3]],
        pads in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        slack in [0usize..5, 0usize..5],
        zero_point in -128i32..128,
        wanted in any::<usize>(),
    ) {
        let least = |i: usize| {
            ((kernel[i] - 1) * dilation[i] + 1).saturating_sub(pads[i] + pads[i + 2]).max(1)
        };
        let [h, w] = [0, 1].map(|i| least(i) + slack[i]);
        let graph = format!(
            "graph \"g\" (%x: i8[{batch},{channels},{h},{w}]) -> (%y) {{\n\
             %w: i8[{outputs},{channels},{},{}] = const 0x{}\n\
             %y: i32[{batch},{outputs},{},{}] = qconv(%x, %w) {{kernel={kernel:?}, stride={stride:?}, \
             dilation={dilation:?}, pads={pads:?}, groups=1, zero_point={zero_point}}}\n}}\n",
            kernel[0],
            kernel[1],
            (0..outputs * channels * kernel[0] * kernel[1])
                .map(|i| format!("{:02x}", (i * 37 + wanted % 251) % 256))
                .collect::<String>(),
            out(h, 0, &pads, &kernel, &stride, &dilation),
            out(w, 1, &pads, &kernel, &stride, &dilation),
        );
        let before = parse(&graph).unwrap();
        let x = inputs(&mut dice, &before);
        let expected = run_graph(&before, &x).unwrap();

        let mut offered = 0;
        let mut after = before.clone();
        im2col::run(&mut after, [4, 4], |_| {
            offered += 1;
            0
        })
        .unwrap();
        prop_assert_eq!(&after, &before, "as it is, unless another way takes fewer cycles");
        let wanted = wanted % offered;
        let mut now = 0;
        im2col::run(&mut after, [4, 4], |_| {
            now += 1;
            usize::from(now != wanted + 1)
        })
        .unwrap();
        after.verify().unwrap();
        let arranged = after.nodes.iter().any(|node| matches!(node.op, Op::Im2col { .. }));
        prop_assert_eq!(arranged, wanted > 0);
        prop_assert_eq!(run_graph(&after, &x).unwrap(), expected);
    }
}

fn out(
    extent: usize,
    i: usize,
    pads: &[usize; 4],
    kernel: &[usize; 2],
    stride: &[usize; 2],
    dilation: &[usize; 2],
) -> usize {
    let reach = (kernel[i] - 1) * dilation[i] + 1;
    (extent + pads[i] + pads[i + 2] - reach) / stride[i] + 1
}
