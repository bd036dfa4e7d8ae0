//! Generated integer networks and the designs that they are compiled for.

use proptest::prelude::*;
use vta_graph::{
    AddEpilogue, ConvAttrs, DType, Graph, Op, PoolAttrs, Requant, Tensor, TensorType, ValueId,
    Window,
};
use vta_isa::{Design, HwConfig};

/// Designs that differ in every parameter that software sees.
pub(crate) fn designs() -> Vec<Design> {
    let base = HwConfig::default;
    let configs = [
        base(),
        HwConfig {
            log_batch: 1,
            ..base()
        },
        HwConfig {
            log_block_in: 3,
            log_block_out: 3,
            log_inp_buff_size: 12,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 13,
            log_uop_buff_size: 9,
            cmd_queue_depth: 1,
            dep_queue_depth: 1,
            ..base()
        },
        HwConfig {
            log_block_in: 3,
            dep_queue_depth: 2,
            log_inp_buff_size: 13,
            log_wgt_buff_size: 15,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            log_block_in: 5,
            log_block_out: 5,
            ..base()
        },
        HwConfig {
            log_wgt_width: 2,
            log_wgt_buff_size: 15,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            log_inp_width: 2,
            log_wgt_width: 1,
            log_inp_buff_size: 13,
            log_wgt_buff_size: 14,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            log_acc_width: 4,
            log_acc_buff_size: 14,
            ..base()
        },
        HwConfig {
            alu_ops: ["min", "max", "add", "shr"].map(String::from).into(),
            ..base()
        },
    ];
    configs
        .into_iter()
        .map(|c| c.design().expect("a valid design"))
        .collect()
}

/// Choices of a generated network, drawn by proptest and interpreted with what is possible.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) kind: u8,
    pub(crate) channels: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) pads: [usize; 4],
    pub(crate) zero_point: i32,
    pub(crate) shift: u32,
    pub(crate) clip: (i32, i32),
    pub(crate) seed: u64,
}

impl Layer {
    /// The groups of a convolution of `channels`: one, one for each channel, or one between.
    fn groups(&self, channels: usize) -> usize {
        let most = match self.kind {
            2 => channels,
            3 => self.seed as usize % channels + 1,
            _ => 1,
        };
        (1..=most).rev().find(|g| channels % g == 0).unwrap_or(1)
    }

    /// The layer's window as one of pooling, a part of whose padding only rounds the output up.
    fn pool(&self) -> PoolAttrs {
        let [top, left, bottom, right] = self.pads;
        let extra = [bottom / 2, right / 2];
        PoolAttrs {
            window: Window {
                kernel: self.kernel,
                stride: self.stride,
                dilation: self.dilation,
                pads: [top, left, bottom - extra[0], right - extra[1]],
            },
            extra,
            count_include_pad: false,
        }
    }
}

/// A layer of any kind.
pub(crate) fn layer() -> impl Strategy<Value = Layer> {
    (
        (
            0u8..11,
            prop_oneof![1usize..40, Just(8), Just(16), Just(32)],
            any::<u64>(),
        ),
        (
            prop::array::uniform2(1usize..4),
            prop::array::uniform2(1usize..3),
        ),
        (
            prop::array::uniform2(1usize..3),
            prop::array::uniform4(0usize..3),
        ),
        (-8i32..8, 0u32..24, (-128i32..127, 0i32..256)),
    )
        .prop_map(
            |((kind, channels, seed), (kernel, stride), (dilation, pads), q)| {
                let (zero_point, shift, (lo, span)) = q;
                let clip = (lo, (lo + span).min(127));
                Layer {
                    kind,
                    channels,
                    kernel,
                    stride,
                    dilation,
                    pads,
                    zero_point,
                    shift,
                    clip,
                    seed,
                }
            },
        )
}

/// Small deterministic numbers.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self, low: i64, high: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        low + ((self.0 >> 33) % (high - low + 1) as u64) as i64
    }

    /// `count` numbers between `low` and `high`.
    pub(crate) fn many(&mut self, count: usize, low: i64, high: i64) -> Vec<i64> {
        (0..count).map(|_| self.next(low, high)).collect()
    }
}

struct Builder<'a> {
    graph: Graph,
    design: &'a Design,
    /// Activations so far, with the zero point that each is read with.
    values: Vec<(ValueId, i32)>,
    names: usize,
}

impl Builder<'_> {
    fn narrow(&self) -> DType {
        DType::signed(self.design.inp_bits()).expect("a width")
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> Option<ValueId> {
        self.names += 1;
        let name = format!("{}{}", op.name(), self.names);
        self.graph.add_node(&name, op, inputs, &name).ok()
    }

    fn clip(&self, l: &Layer) -> (i32, i32) {
        let (lo, hi) = self.narrow().range().expect("integers");
        let (a, b) = (
            i64::from(l.clip.0).clamp(lo, hi),
            i64::from(l.clip.1).clamp(lo, hi),
        );
        (a as i32, b as i32)
    }

    fn requant(&self, l: &Layer, channels: usize, n: &mut Numbers) -> Requant {
        let (lo, hi) = self.clip(l);
        let most = 1i64 << l.shift.min(15);
        Requant {
            mult: n
                .many(channels, 0, most)
                .into_iter()
                .map(|m| m as i32)
                .collect(),
            add: n.many(channels, -(1 << l.shift), 1 << l.shift),
            shift: l.shift,
            lo,
            hi,
        }
    }

    /// The sums with a residual, if an activation has their shape.
    fn accumulate(&mut self, sums: ValueId, n: &mut Numbers) -> Option<ValueId> {
        let shape = self.graph.value(sums).ty.shape.clone();
        let fits = |(v, _): &&(ValueId, i32)| self.graph.value(*v).ty.shape == shape;
        let Some(&(addend, zero_point)) = self.values.iter().rev().find(fits) else {
            return Some(sums);
        };
        let most = if self.design.acc_bits() == 16 {
            20
        } else {
            400
        };
        let factors = n.many(shape[1], 0, most);
        let op = Op::QAccumulate {
            mult: factors.into_iter().map(|m| m as i32).collect(),
            zero_point,
        };
        self.node(op, &[sums, addend])
    }

    /// Appends a layer, or nothing where it does not fit.
    fn push(&mut self, l: &Layer) -> Option<()> {
        let mut n = Numbers(l.seed);
        let (x, zero_point) = self.values[n.next(0, self.values.len() as i64 - 1) as usize];
        let shape = self.graph.value(x).ty.shape.clone();
        let (low, high) = DType::signed(self.design.wgt_bits())
            .and_then(DType::range)
            .expect("integers");
        let wgt = DType::signed(self.design.wgt_bits()).expect("a width");
        let (lo, hi) = self.narrow().range().expect("integers");
        let next_zero = i64::from(l.zero_point).clamp(lo, hi) as i32;
        match (l.kind, &shape[..]) {
            (0..=3, &[_, c, _, _]) => {
                let mut l = l.clone();
                let groups = l.groups(c);
                if l.kind == 3 {
                    // The shape of its input, so that there is a residual.
                    (l.channels, l.kernel, l.pads) = (c, [3, 3], [1; 4]);
                    (l.stride, l.dilation) = ([1, 1], [1, 1]);
                } else if l.kind == 2 {
                    l.channels = c;
                }
                l.channels = l.channels.next_multiple_of(groups);
                let l = &l;
                let shape = [l.channels, c / groups, l.kernel[0], l.kernel[1]];
                let weight = n.many(shape.iter().product(), low, high);
                let w = self
                    .graph
                    .add_constant("w", Tensor::from_ints(wgt, shape, &weight));
                let bias = n.many(l.channels, -500, 500);
                let bias = Tensor::from_ints(DType::I32, [l.channels], &bias);
                let b = self.graph.add_constant("b", bias);
                let window = Window {
                    kernel: l.kernel,
                    stride: l.stride,
                    dilation: l.dilation,
                    pads: l.pads,
                };
                let attrs = ConvAttrs { window, groups };
                let mut sums = self.node(Op::QConv(attrs, zero_point), &[x, w, b])?;
                if l.seed % 4 != 0 {
                    sums = self.accumulate(sums, &mut n)?;
                }
                let requant = self.requant(l, l.channels, &mut n);
                let y = self.node(Op::Requantize(requant, self.narrow()), &[sums])?;
                if l.kind == 2 {
                    // Mostly alone in reading it, so that the two can be one.
                    let window = Window {
                        kernel: [1 + l.stride[0], 1 + l.stride[1]],
                        dilation: [1, 1],
                        ..l.pool().window
                    };
                    let pool = PoolAttrs { window, ..l.pool() };
                    let pooled = self.node(Op::MaxPool(pool), &[y])?;
                    self.values.push((pooled, next_zero));
                    return Some(());
                }
                self.values.push((y, next_zero));
            }
            (4 | 5, _) => {
                let same = self
                    .values
                    .iter()
                    .find(|(v, _)| *v != x && self.graph.value(*v).ty.shape == shape);
                let other = same.map_or(x, |(v, _)| *v);
                let (lo, hi) = self.clip(l);
                let shift = l.shift.min(15);
                // The narrowest accumulator has to hold the sum.
                let (mult, add) = match self.design.acc_bits() {
                    16 => (100, 4_000),
                    _ => (300, 100_000),
                };
                let add = AddEpilogue {
                    mult_a: n.next(1, mult) as i32,
                    mult_b: n.next(1, mult) as i32,
                    add: n.next(-add, add),
                    shift,
                    lo,
                    hi,
                };
                let y = self.node(Op::QAdd(add, self.narrow()), &[x, other])?;
                self.values.push((y, next_zero));
            }
            (6, [_, _, _, _]) => {
                let y = self.node(Op::MaxPool(l.pool()), &[x])?;
                self.values.push((y, zero_point));
            }
            (8, &[_, c, h, w]) => {
                let mut pool = l.pool();
                if l.seed % 3 == 0 {
                    // Global.
                    (pool.window.kernel, pool.window.dilation) = ([h, w], [1, 1]);
                }
                let sums = self.node(Op::QSumPool(pool, zero_point), &[x])?;
                let channels = if l.seed % 2 == 0 { 1 } else { c };
                let requant = self.requant(l, channels, &mut n);
                let y = self.node(Op::Requantize(requant, self.narrow()), &[sums])?;
                self.values.push((y, next_zero));
            }
            (9, &[batch, _, h, w]) => {
                // With itself, another, or both.
                let fits = |v: &ValueId| {
                    let shape = &self.graph.value(*v).ty.shape;
                    matches!(shape[..], [n, _, y, x] if (n, y, x) == (batch, h, w))
                };
                let all = self.values.iter().map(|(v, _)| *v).filter(fits);
                let parts: Vec<ValueId> =
                    all.skip(l.seed as usize % 2).take(2).chain([x]).collect();
                let y = self.node(Op::Concat { axis: 1 }, &parts)?;
                self.values.push((y, zero_point));
            }
            (10, &[_, c, _, _]) => {
                let requant = self.requant(l, c, &mut n);
                let y = self.node(Op::Requantize(requant, self.narrow()), &[x])?;
                self.values.push((y, next_zero));
            }
            (7, _) => {
                let rest = shape[1..].iter().product::<usize>();
                if rest > 600 {
                    return None;
                }
                let flat = self.node(
                    Op::Reshape {
                        shape: vec![shape[0], rest],
                    },
                    &[x],
                )?;
                let weight = n.many(l.channels * rest, low, high);
                let weight = Tensor::from_ints(wgt, [l.channels, rest], &weight);
                let w = self.graph.add_constant("w", weight);
                let sums = self.node(Op::QDense(zero_point), &[flat, w])?;
                let requant = self.requant(l, l.channels, &mut n);
                let y = self.node(Op::Requantize(requant, self.narrow()), &[sums])?;
                self.values.push((y, next_zero));
            }
            _ => return None,
        }
        Some(())
    }
}

/// The network of those layers that fit, one after the other; its outputs are the last two.
pub(crate) fn network(design: &Design, input: [usize; 4], layers: &[Layer]) -> Graph {
    let mut b = Builder {
        graph: Graph::new("random"),
        design,
        values: Vec::new(),
        names: 0,
    };
    let x = b.graph.add_value("x", TensorType::new(b.narrow(), input));
    b.graph.inputs.push(x);
    b.values.push((x, 0));
    for l in layers {
        let _ = b.push(l);
    }
    let mut outputs: Vec<ValueId> = b.values.iter().skip(1).map(|(v, _)| *v).collect();
    outputs.reverse();
    outputs.truncate(2);
    b.graph.outputs = outputs;
    b.graph
}

/// A random input of `shape` for `design`.
pub(crate) fn input(design: &Design, shape: [usize; 4], seed: u64) -> Tensor {
    let dtype = DType::signed(design.inp_bits()).expect("a width");
    let (lo, hi) = dtype.range().expect("integers");
    Tensor::from_ints(
        dtype,
        shape,
        &Numbers(seed).many(shape.iter().product(), lo, hi),
    )
}
