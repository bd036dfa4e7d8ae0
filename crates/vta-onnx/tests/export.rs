//! Random graphs compute the same after writing and reading.

use proptest::prelude::*;
use vta_graph::interp::run_graph;
use vta_graph::{
    ConvAttrs, DType, Graph, Op, PoolAttrs, Quant, Tensor, TensorType, ValueId, Window,
};
use vta_onnx::{export, import};

/// Draws from a list of numbers, so that proptest can shrink it.
struct Draw<'a>(std::slice::Iter<'a, u32>);

impl Draw<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.0.next().map_or(0, |&v| v as usize % n)
    }

    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.below(17) as f32 / 4.0 - 2.0).collect()
    }

    fn window(&mut self) -> Window {
        let mut pair = |n| [1 + self.below(n), 1 + self.below(n)];
        let (kernel, stride, dilation) = (pair(3), pair(2), pair(2));
        Window {
            pads: [0, 1, 2, 3].map(|i| self.below(kernel[i % 2])),
            kernel,
            stride,
            dilation,
        }
    }

    fn quant(&mut self, shape: &[usize]) -> Quant {
        let axis = self.below(shape.len());
        let n = if self.below(2) == 0 { 1 } else { shape[axis] };
        Quant {
            scale: (0..n).map(|_| (1 + self.below(8)) as f32 / 8.0).collect(),
            zero_point: (0..n).map(|_| self.below(5) as i32).collect(),
            axis,
        }
    }
}

/// An operator that may follow `x`, with its parameters; it may still not fit.
fn follow(d: &mut Draw, g: &mut Graph, x: ValueId) -> (Op, Vec<ValueId>) {
    let shape = g.value(x).ty.shape.clone();
    let rank = shape.len();
    let c = *shape.get(1).unwrap_or(&1);
    let mut inputs = vec![x];
    if rank == 0 {
        return (Op::Relu, inputs);
    }
    let op = match d.below(26) {
        0 => {
            let window = d.window();
            let groups = if d.below(2) == 0 { c } else { 1 };
            let out = groups * (1 + d.below(2));
            let [kh, kw] = window.kernel;
            let w = d.values(out * (c / groups) * kh * kw);
            let shape = [out, c / groups, kh, kw];
            inputs.push(g.add_constant("w", Tensor::f32(shape, w)));
            Op::Conv(ConvAttrs { window, groups })
        }
        1 => {
            let k = shape[rank - 1];
            let n = 1 + d.below(3);
            let w = d.values(n * k);
            inputs.push(g.add_constant("w", Tensor::f32([n, k], w)));
            if d.below(2) == 0 {
                let b = d.values(n);
                inputs.push(g.add_constant("b", Tensor::f32([n], b)));
            }
            Op::Dense
        }
        2 => Op::MatMul,
        3 => {
            for _ in 0..4 {
                let v = d.values(c).iter().map(|v| v + 2.5).collect();
                inputs.push(g.add_constant("p", Tensor::f32([c], v)));
            }
            let epsilon = 1e-3;
            Op::BatchNorm { epsilon }
        }
        4 => Op::Relu,
        5 => Op::LeakyRelu { alpha: 0.125 },
        6 => Op::Sigmoid,
        7 => Op::Clip { lo: -1.0, hi: 0.5 },
        i @ 8..=11 => {
            let v = d.values(c);
            let shape = [vec![c], vec![1; rank.saturating_sub(2)]].concat();
            inputs.push(g.add_constant("c", Tensor::f32(shape, v)));
            [Op::Add, Op::Sub, Op::Mul, Op::Div][i - 8].clone()
        }
        i @ 12..=13 => {
            let mut window = d.window();
            if i == 13 {
                window.dilation = [1; 2];
            }
            let p = PoolAttrs {
                window,
                extra: [0; 2],
                count_include_pad: i == 13 && d.below(2) == 0,
            };
            [Op::MaxPool(p.clone()), Op::AvgPool(p)][i - 12].clone()
        }
        14 => Op::GlobalAvgPool,
        15 => Op::ReduceMean {
            axes: vec![d.below(rank)],
            keep_dims: d.below(2) == 0,
        },
        16 => Op::Softmax {
            axis: d.below(rank),
        },
        17 => Op::Reshape {
            shape: vec![shape[0], shape[1..].iter().product()],
        },
        18 => {
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.rotate_left(d.below(rank));
            perm.swap(0, d.below(rank));
            Op::Transpose { perm }
        }
        19 => {
            inputs.push(x);
            Op::Concat {
                axis: d.below(rank),
            }
        }
        20 => Op::Pad {
            before: (0..rank).map(|_| d.below(2)).collect(),
            after: (0..rank).map(|_| d.below(3)).collect(),
            value: 1.0,
        },
        21 => {
            let start: Vec<usize> = shape.iter().map(|&n| d.below(n)).collect();
            let step = (0..rank).map(|_| 1 + d.below(3)).collect();
            Op::Slice {
                start,
                end: shape,
                step,
            }
        }
        22 => Op::Quantize(d.quant(&shape), [DType::I8, DType::U8][d.below(2)]),
        23 => Op::Resize {
            factors: [1 + d.below(3), 1 + d.below(3)],
        },
        24 => {
            let size = 1 + d.below(2);
            let channels = shape.get(1).map_or(0, |c| c / (size * size));
            Op::DepthToSpace {
                block: [size; 2],
                groups: [1, channels][d.below(2)],
                channels,
            }
        }
        _ => Op::Dequantize(d.quant(&shape)),
    };
    (op, inputs)
}

/// A chain of operators, those that do not fit left out.
fn graph(draws: &[u32]) -> Graph {
    let mut d = Draw(draws.iter());
    let mut g = Graph::new("random");
    let shape: Vec<usize> = (0..4).map(|_| 1 + d.below(4)).collect();
    let mut x = g.add_value("x", TensorType::new(DType::F32, shape));
    g.inputs.push(x);
    for _ in 0..8 {
        let (op, inputs) = follow(&mut d, &mut g, x);
        x = g.add_node("a node", op, &inputs, "v").unwrap_or(x);
    }
    if g.inputs == [x] {
        x = g
            .add_node("last", Op::Relu, &[x], "y")
            .expect("a float input");
    }
    g.outputs.push(x);
    g
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_is_written_computes_the_same(draws in prop::collection::vec(any::<u32>(), 8..400)) {
        let g = graph(&draws);
        let again = import(&export(&g).unwrap()).unwrap().graph;
        prop_assert_eq!(&again.value(again.outputs[0]).ty, &g.value(g.outputs[0]).ty);
        let ty = &g.value(g.inputs[0]).ty;
        let ramp = (0..ty.len()).map(|i| (i * 5 % 13) as f32 / 4.0 - 1.5).collect();
        let inputs = [Tensor::f32(ty.shape.clone(), ramp)];
        let (a, b) = (run_graph(&g, &inputs).unwrap(), run_graph(&again, &inputs).unwrap());
        // By their bits: a quotient may be no number.
        let bits = |t: &Tensor| match t.as_f32() {
            Some(v) => v.iter().map(|f| i64::from(f.to_bits())).collect(),
            None => t.to_ints().unwrap(),
        };
        prop_assert_eq!(bits(&a[0]), bits(&b[0]));
    }
}
