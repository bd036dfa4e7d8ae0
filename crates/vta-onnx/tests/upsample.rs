//! Transposed convolutions and nearest resizing against their definitions, element by element.

mod onnx_text;

use vta_graph::interp::run_graph;
use vta_graph::quant::QuantTarget;
use vta_graph::{DType, Tensor, passes};

fn run(model: &str, x: &Tensor) -> Tensor {
    let imported = vta_onnx::import(&onnx_text::encode(model).unwrap()).unwrap();
    run_graph(&imported.graph, std::slice::from_ref(x))
        .unwrap()
        .remove(0)
}

fn input(shape: [usize; 4]) -> Tensor {
    let len = shape.iter().product::<usize>();
    Tensor::f32(
        shape,
        (0..len).map(|i| (i * i % 23) as f32 - 11.0).collect(),
    )
}

/// An element of `[A, B, H, W]`.
fn at([_, b, h, w]: [usize; 4], [i, j, y, x]: [usize; 4]) -> usize {
    ((i * b + j) * h + y) * w + x
}

#[test]
fn transposed_convolutions() {
    // Groups, output channels of each, kernel, strides, pads, output padding, dilations.
    let cases = [
        (1, 3, [4, 4], [2, 2], [1, 1, 1, 1], [0, 0], [1, 1]),
        (1, 2, [3, 2], [2, 3], [1, 0, 0, 1], [1, 2], [1, 1]),
        (2, 2, [2, 2], [2, 2], [0, 0, 0, 0], [0, 0], [1, 1]),
        (4, 1, [3, 3], [2, 1], [1, 1, 1, 1], [1, 0], [1, 1]),
        (1, 1, [3, 3], [1, 1], [2, 0, 1, 2], [0, 0], [1, 1]),
        (2, 1, [2, 3], [3, 2], [1, 2, 0, 1], [0, 0], [2, 2]),
        (1, 2, [1, 1], [3, 2], [0, 0, 0, 0], [0, 0], [1, 1]),
    ];
    for (groups, each, [kh, kw], [sy, sx], pads, more, [dy, dx]) in cases {
        let [n, c, h, w] = [2, 4, 5, 4];
        let outputs = groups * each;
        let model = format!(
            "opset 13\ninput x: f32[{n},{c},{h},{w}]\nconst w: f32[{c},{each},{kh},{kw}]\nconst b: f32[{outputs}]\n\
             y = ConvTranspose(x, w, b) group={groups} strides=[{sy},{sx}] pads=[{},{},{},{}] \
             output_padding=[{},{}] dilations=[{dy},{dx}] name=\"up\"\noutput y\n",
            pads[0], pads[1], pads[2], pads[3], more[0], more[1]
        );
        let x = input([n, c, h, w]);
        let y = run(&model, &x);
        let rows = (h - 1) * sy + (kh - 1) * dy + 1 + more[0] - pads[0] - pads[2];
        let columns = (w - 1) * sx + (kw - 1) * dx + 1 + more[1] - pads[1] - pads[3];
        let shape = [n, outputs, rows, columns];
        assert_eq!(y.shape(), shape);
        let mut expected = vec![0.0; shape.iter().product()];
        for (i, v) in expected.iter_mut().enumerate() {
            *v = onnx_text::ramp((i / (rows * columns) % outputs) as i64) as f32;
        }
        let values = x.as_f32().unwrap();
        for i in 0..n * c * h * w * each * kh * kw {
            let (kx, ky, o, i) = (
                i % kw,
                i / kw % kh,
                i / (kw * kh) % each,
                i / (kw * kh * each),
            );
            let (ix, iy, ic, image) = (i % w, i / w % h, i / (w * h) % c, i / (w * h * c));
            let (y, x) = (iy * sy + ky * dy, ix * sx + kx * dx);
            let (Some(y), Some(x)) = (y.checked_sub(pads[0]), x.checked_sub(pads[1])) else {
                continue;
            };
            if y < rows && x < columns {
                let weight = onnx_text::ramp(at([c, each, kh, kw], [ic, o, ky, kx]) as i64) as f32;
                let channel = ic / (c / groups) * each + o;
                expected[at(shape, [image, channel, y, x])] += weight * values[i];
            }
        }
        let off = y
            .as_f32()
            .unwrap()
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-3, "{model}");
    }
}

#[test]
fn nearest_resizing() {
    for [sy, sx] in [[2, 2], [1, 3], [3, 1]] {
        let [n, c, h, w] = [2, 3, 2, 3];
        let model = format!(
            "opset 13\ninput x: f32[{n},{c},{h},{w}]\nconst none: f32[0]\nconst s: f32[4] = 1 1 {sy} {sx}\n\
             y = Resize(x, none, s) mode=\"nearest\" name=\"up\"\noutput y\n"
        );
        let x = input([n, c, h, w]);
        let y = run(&model, &x);
        let shape = [n, c, h * sy, w * sx];
        assert_eq!(y.shape(), shape);
        let (from, to) = (x.as_f32().unwrap(), y.as_f32().unwrap());
        for (i, &value) in to.iter().enumerate() {
            let (column, row) = (i % shape[3], i / shape[3] % shape[2]);
            let (channel, image) = (i / (shape[3] * shape[2]) % c, i / (shape[3] * shape[2] * c));
            assert_eq!(
                value,
                from[at([n, c, h, w], [image, channel, row / sy, column / sx])]
            );
        }
    }
}

/// A transposed convolution between conversions, its result cut and bounded, is integers from end to end.
#[test]
fn quantized_transposed_convolution() {
    let model = "opset 13\n\
        input x: i8[1,2,3,3]\n\
        const w: i8[2,3,3,3]\n\
        const s: f32[3] = 0.5 0.25 0.125\n\
        const zs: i8[3] = 0 0 0\n\
        const one: f32[] = 0.5\n\
        const z: i8[] = -3\n\
        const two: f32[] = 2\n\
        wf = DequantizeLinear(w, s, zs) axis=1\n\
        xf = DequantizeLinear(x, one, z)\n\
        up = ConvTranspose(xf, wf) strides=[2,2] name=\"up\"\n\
        bounded = Relu(up)\n\
        y = QuantizeLinear(bounded, two, z)\n\
        output y\n";
    let mut graph = vta_onnx::import(&onnx_text::encode(model).unwrap())
        .unwrap()
        .graph;
    let x = Tensor::from_ints(
        DType::I8,
        [1, 2, 3, 3],
        &(0..18).map(|i| i * 7 % 50 - 20).collect::<Vec<i64>>(),
    );
    let expected = run_graph(&graph, std::slice::from_ref(&x)).unwrap();
    passes::prepare(&mut graph).unwrap();
    let islands = passes::to_integers(&mut graph, &QuantTarget::default()).unwrap();
    assert_eq!(islands, []);
    let is_float = |n: &vta_graph::Node| graph.value(n.output).ty.dtype == DType::F32;
    assert!(!graph.nodes.iter().any(is_float));
    let y = run_graph(&graph, &[x]).unwrap();
    let [expected, y] = [&expected[0], &y[0]].map(|t| t.to_ints().unwrap());
    assert!(expected.iter().any(|&v| v > 0));
    let off = expected.iter().zip(&y).map(|(a, b)| (a - b).abs());
    assert!(off.max().unwrap() <= 1, "{y:?} for {expected:?}");
}
