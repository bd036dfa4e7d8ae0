//! `im2col`: where the network's input has few channels, the host arranges what its first convolution reads as
//! channels.
//!
//! A tensor register holds as many channels as there are input lanes, three of an image or not. Elements of a
//! window, side by side as channels, fill the registers: all of them, those of a row, or those of a block of the
//! stride's extents (space to depth). The first takes the fewest products, the others repeat fewer elements.

use super::rewrite::{Rewrite, Rewriter, rewrite};
use crate::{ConvAttrs, DType, Graph, GraphError, Node, Op, Tensor, ValueId, Window};

/// What a convolution makes of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Registers of its input.
    pub inputs: usize,
    /// Products of a register and a tile of weights.
    pub products: usize,
    /// Registers of its result.
    pub results: usize,
}

/// Rewrites each `qconv` of the network's input, of one group and with a constant weight, in the way that takes the
/// fewest `cycles`, given channels of an input and of an output register; as it is, if that is none of them.
///
/// # Errors
/// None of its own.
pub fn run(
    graph: &mut Graph,
    blocks: [usize; 2],
    mut cycles: impl FnMut(&Work) -> usize,
) -> Result<(), GraphError> {
    rewrite(graph, |rw, node| {
        let Op::QConv(attrs, zero_point) = &node.op else {
            return Ok(Rewrite::Keep);
        };
        let image = node.inputs[0];
        let has_weight = rw.graph.constant(node.inputs[1]).is_some();
        if !enters(rw, image) || !has_weight || attrs.groups != 1 {
            return Ok(Rewrite::Keep);
        }
        let (Ok([n, c, h, w]), Ok([co, ..])) = (four(rw, image), four(rw, node.inputs[1])) else {
            return Ok(Rewrite::Keep);
        };
        let [top, left, bottom, right] = attrs.window.pads;
        let extents = [h + top + bottom, w + left + right];
        let Some(out) = attrs.window.out_hw(h, w) else {
            return Ok(Rewrite::Keep);
        };
        let mut work = |inputs: [usize; 2], channels: usize, window: &Window| {
            let registers = channels.div_ceil(blocks[0]);
            let results = n * co.div_ceil(blocks[1]) * out[0] * out[1];
            cycles(&Work {
                inputs: n * registers * inputs[0] * inputs[1],
                products: results * registers * window.kernel[0] * window.kernel[1],
                results,
            })
        };
        let mut least = work([h, w], c, &attrs.window);
        let mut best = None;
        let dtypes = [image, node.inputs[1]].map(|v| rw.graph.value(v).ty.dtype);
        let all = Arranged::all(&attrs.window, extents, out).into_iter();
        for arranged in all.filter(|a| a.holds(&attrs.window, *zero_point, dtypes)) {
            let channels = c * arranged.patch.iter().product::<usize>();
            let cycles = work(arranged.extents, channels, &arranged.window);
            if cycles < least {
                (least, best) = (cycles, Some(arranged));
            }
        }
        match best {
            Some(arranged) => arranged.rewrite(rw, node, attrs.window.pads, *zero_point),
            None => Ok(Rewrite::Keep),
        }
    })?;
    Ok(())
}

fn four(rw: &Rewriter, value: ValueId) -> Result<[usize; 4], std::array::TryFromSliceError> {
    rw.shape(value).try_into()
}

/// Whether a value is the network's input, at most quantized and arranged by the host.
fn enters(rw: &Rewriter, mut value: ValueId) -> bool {
    while let Some(node) = rw.producer(value) {
        let arranges = matches!(
            node.op,
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Pad { .. }
        );
        if !arranges && !matches!(node.op, Op::Quantize(..)) {
            return false;
        }
        value = node.inputs[0];
    }
    true
}

/// A convolution of patches, which stand side by side as channels.
struct Arranged {
    /// Rows and columns of a patch.
    patch: [usize; 2],
    /// From one patch to the next.
    stride: [usize; 2],
    /// From one element of a patch to the next.
    dilation: [usize; 2],
    /// Rows and columns of patches.
    extents: [usize; 2],
    /// Rows and columns beyond the padded image.
    beyond: [usize; 2],
    /// The convolution of patches.
    window: Window,
}

impl Arranged {
    /// The ways to arrange an image of `extents`, padding included, for `window`, whose result has extents `out`.
    fn all(window: &Window, extents: [usize; 2], out: [usize; 2]) -> Vec<Arranged> {
        let Window {
            kernel,
            stride,
            dilation,
            ..
        } = *window;
        let conv = |kernel, stride, dilation| Window {
            kernel,
            stride,
            dilation,
            pads: [0; 4],
        };
        let mut all = vec![
            Arranged {
                patch: kernel,
                stride,
                dilation,
                extents: out,
                beyond: [0, 0],
                window: conv([1, 1], [1, 1], [1, 1]),
            },
            Arranged {
                patch: [1, kernel[1]],
                stride: [1, stride[1]],
                dilation: [1, dilation[1]],
                extents: [extents[0], out[1]],
                beyond: [0, 0],
                window: conv([kernel[0], 1], [stride[0], 1], [dilation[0], 1]),
            },
        ];
        if stride != [1, 1] && dilation == [1, 1] {
            let blocks = [0, 1].map(|i| kernel[i].div_ceil(stride[i]));
            let patches = [0, 1].map(|i| out[i] - 1 + blocks[i]);
            all.push(Arranged {
                patch: stride,
                stride,
                dilation,
                extents: patches,
                beyond: [0, 1].map(|i| (patches[i] * stride[i]).saturating_sub(extents[i])),
                window: conv(blocks, [1, 1], [1, 1]),
            });
        }
        all
    }

    /// Whether the types of image and weight have what is put around the image, and among the weights.
    fn holds(&self, window: &Window, zero_point: i32, [image, weight]: [DType; 2]) -> bool {
        let pads = window.pads != [0; 4] || self.beyond != [0, 0];
        let unread = (0..2).any(|i| self.patch[i] * self.window.kernel[i] > window.kernel[i]);
        (!pads || image.holds(zero_point.into())) && (!unread || weight.holds(0))
    }

    fn rewrite(
        self,
        rw: &mut Rewriter,
        node: &Node,
        [top, left, bottom, right]: [usize; 4],
        zero_point: i32,
    ) -> Result<Rewrite, GraphError> {
        let name = rw.name(node).to_owned();
        let mut image = node.inputs[0];
        let [below, behind] = self.beyond;
        let after = [bottom + below, right + behind];
        if [top, left] != [0, 0] || after != [0, 0] {
            let pad = Op::Pad {
                before: vec![0, 0, top, left],
                after: vec![0, 0, after[0], after[1]],
                value: zero_point as f32,
            };
            image = rw.emit(&format!("{name}.pad"), pad, &[image])?;
        }
        let arrange = Op::Im2col {
            kernel: self.patch,
            stride: self.stride,
            dilation: self.dilation,
        };
        let patches = rw.emit(&format!("{name}.patches"), arrange, &[image])?;
        let weight = rw.graph.constant(node.inputs[1]);
        let weight = self.weight(weight.expect("a constant weight"));
        let kernel = format!("{}.kernel", rw.graph.value(node.inputs[1]).name);
        let kernel = rw.graph.add_constant(&kernel, weight);
        let mut inputs = vec![patches, kernel];
        inputs.extend(node.inputs.get(2));
        let attrs = ConvAttrs {
            window: self.window,
            groups: 1,
        };
        Ok(Rewrite::As(Op::QConv(attrs, zero_point), inputs))
    }

    /// A weight `[O, C, KH, KW]` as one of patches, with zeros for what no window reads.
    fn weight(&self, weight: &Tensor) -> Tensor {
        let &[outputs, channels, kh, kw] = weight.shape() else {
            unreachable!("a weight of a convolution")
        };
        let [ph, pw] = self.patch;
        let [rows, columns] = self.window.kernel;
        let values = weight.to_ints().expect("integers");
        let at = |o: usize, c: usize, y: usize, x: usize| {
            if y < kh && x < kw {
                values[((o * channels + c) * kh + y) * kw + x]
            } else {
                0
            }
        };
        let mut out = Vec::with_capacity(outputs * channels * ph * pw * rows * columns);
        for o in 0..outputs {
            for (c, a, b) in each([channels, ph, pw]) {
                for (i, j, _) in each([rows, columns, 1]) {
                    out.push(at(o, c, i * ph + a, j * pw + b));
                }
            }
        }
        let shape = [outputs, channels * ph * pw, rows, columns];
        Tensor::from_ints(weight.dtype(), shape, &out)
    }
}

/// All triples below `extents`, the last one running fastest.
fn each([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}
