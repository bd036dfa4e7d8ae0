//! The operators of the graph, with their attributes and their meaning.
//!
//! One vocabulary serves every stage: float operators as imported, integer operators after
//! quantization, and packed operators that the accelerator takes. What a stage allows is
//! checked by the verifier, not by separate types.

mod packed;
mod rescale;

pub(crate) use packed::gcd;
pub use packed::{BlockedLayout, PackedConv, PackedPair, PackedPool, PackedSpread};
pub use rescale::{AddEpilogue, MulEpilogue, Piece, Pieces, Piecewise, Requant};

/// Padding, stride and dilation of a sliding window over the two innermost dimensions of NCHW.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Vertical and horizontal dilation.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    /// Height and width of the result for an input of `h` by `w`, rounded down;
    /// `None` where the dilated kernel is larger than the padded input, or a kernel or stride
    /// is zero.
    pub fn out_hw(&self, h: usize, w: usize) -> Option<[usize; 2]> {
        let dim = |n: usize, i: usize| {
            let reach = self.dilation[i]
                .checked_mul(self.kernel[i].checked_sub(1)?)?
                .checked_add(1)?;
            let n = n.checked_add(self.pads[i])?.checked_add(self.pads[i + 2])?;
            n.checked_sub(reach)?
                .checked_div(self.stride[i])?
                .checked_add(1)
        };
        Some([dim(h, 0)?, dim(w, 1)?])
    }
}

/// Attributes of a convolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvAttrs {
    /// The window; its kernel repeats the weight's last two extents.
    pub window: Window,
    /// Number of groups; equal to the input's channels for a depthwise convolution.
    pub groups: usize,
}

/// Attributes of a pooling operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolAttrs {
    /// The window. `ceil_mode` has been turned into bottom and right `extra`, which is not
    /// part of its padding.
    pub window: Window,
    /// Rows below and columns right that exist only because the output size was rounded up;
    /// they are padding that average pooling never counts.
    pub extra: [usize; 2],
    /// Average pooling: whether `window.pads` counts in the divisor.
    pub count_include_pad: bool,
}

impl PoolAttrs {
    /// A window of one position.
    pub fn unit() -> PoolAttrs {
        let window = Window {
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [0; 4],
        };
        PoolAttrs {
            window,
            extra: [0, 0],
            count_include_pad: false,
        }
    }

    /// The window with `extra` as part of its padding: where padding holds what adds nothing,
    /// the two are one.
    pub fn whole_window(&self) -> Window {
        let mut window = self.window.clone();
        window.pads[2] += self.extra[0];
        window.pads[3] += self.extra[1];
        window
    }
}

/// An operator. Inputs are named in the order in which a node lists them; `?` marks optional
/// ones. Activations are NCHW unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    // Float, as imported; also the semantics of the "float islands" that stay on the host.
    /// `x, weight[O, I/groups, KH, KW], bias[O]?`: convolution in `f32`.
    Conv(ConvAttrs),
    /// `x[.., K], weight[N, K], bias[N]?`: `x * weight^T + bias`; leading dimensions kept.
    Dense,
    /// `a[.., M, K], b[.., K, N]`: matrix product with broadcast leading dimensions.
    MatMul,
    /// `x, scale[C], bias[C], mean[C], var[C]`.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `x`: `max(x, 0)`.
    Relu,
    /// `x`: negative values times `alpha`.
    LeakyRelu {
        /// Slope for negative values.
        alpha: f32,
    },
    /// `x`: logistic function.
    Sigmoid,
    /// `x`: `x * clip(x / 6 + 0.5, 0, 1)`.
    HardSwish,
    /// `x`: `x * sigmoid(x)`.
    Silu,
    /// `x`: `min(max(x, lo), hi)`, in `f32` or on integers (bounds then are whole numbers).
    Clip {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// `a, b`: sum with NumPy broadcasting.
    Add,
    /// `a, b`: difference with NumPy broadcasting.
    Sub,
    /// `a, b`: product with NumPy broadcasting.
    Mul,
    /// `a, b`: quotient with NumPy broadcasting.
    Div,
    /// `x`: maximum over windows; any element type; padding never wins.
    MaxPool(PoolAttrs),
    /// `x`: mean over windows.
    AvgPool(PoolAttrs),
    /// `x`: mean over all positions of each channel; `[N, C, 1, 1]`.
    GlobalAvgPool,
    /// `x`: mean over `axes` (sorted).
    ReduceMean {
        /// Reduced axes.
        axes: Vec<usize>,
        /// Whether reduced axes stay with extent 1.
        keep_dims: bool,
    },
    /// `x`: `exp(x - max) / sum` along `axis`.
    Softmax {
        /// The axis.
        axis: usize,
    },

    // Arrangement: any element type.
    /// `x`: the same elements under the output's shape.
    Reshape {
        /// The new shape, resolved.
        shape: Vec<usize>,
    },
    /// `x`: output axis `i` is input axis `perm[i]`.
    Transpose {
        /// The permutation.
        perm: Vec<usize>,
    },
    /// `x...`: side by side along `axis`.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// `x`: grown by `before` and `after` on each axis with a constant.
    Pad {
        /// Elements before, by axis.
        before: Vec<usize>,
        /// Elements after, by axis.
        after: Vec<usize>,
        /// The value (a whole number for integer tensors).
        value: f32,
    },
    /// `x[N, C, H, W]`: `[N, C * KH * KW, OH, OW]`, what the window of a convolution sees at each position of
    /// its output as the channels there, in the order of its weight.
    Im2col {
        /// Kernel height and width.
        kernel: [usize; 2],
        /// Vertical and horizontal stride.
        stride: [usize; 2],
        /// Vertical and horizontal dilation.
        dilation: [usize; 2],
    },
    /// `x`: `start..end` by `step` on each axis.
    Slice {
        /// First index, by axis.
        start: Vec<usize>,
        /// One past the last index, by axis.
        end: Vec<usize>,
        /// Step, by axis.
        step: Vec<usize>,
    },
    /// `x[N, C, H, W]`: `[N, channels, H * block[0], W * block[1]]`. The channels of `x` are `groups` times the
    /// positions of a block, row by row, times what is left; what they hold there is put side by side.
    DepthToSpace {
        /// Rows and columns that a row and a column become.
        block: [usize; 2],
        /// 1 for what ONNX calls DCR, as many as the result has channels for CRD.
        groups: usize,
        /// Channels of the result; of a single group the first ones, if they are fewer than there are.
        channels: usize,
    },
    /// `x[N, C, H, W]`: each row and column as often as its factor says.
    Resize {
        /// Factors of rows and columns.
        factors: [usize; 2],
    },

    // Between float and integers.
    /// `x`: `saturate(round_half_even(x / scale) + zero_point)` to `dtype`.
    Quantize(crate::Quant, crate::DType),
    /// `x`: `(x - zero_point) * scale`.
    Dequantize(crate::Quant),

    // Exact integers, before packing. The oracle runs these.
    /// `x: i8 or narrower, weight[O, I/groups, KH, KW]: i8 or narrower, bias[O]: i32?`:
    /// `i32` sums of `(x - zero_point) * weight + bias`; padding counts as `x = zero_point`.
    /// The weight's zero point is 0. Sums wrap at 32 bits, as all sums to `i32` here do.
    QConv(ConvAttrs, i32),
    /// `x[.., K], weight[N, K], bias[N]: i32?`: `i32` sums of `(x - zero_point) * weight + bias`.
    QDense(i32),
    /// `x: i32` or narrower: [`Requant`]; channels on axis 1 (on the last axis for rank 2 they
    /// coincide).
    Requantize(Requant, crate::DType),
    /// `sums: i32, x: i8 or narrower` of one shape: `sums + (x - zero_point) * mult[c]` in wrapping `i32`;
    /// `mult` has one element for all channels or one for each extent of axis 1, none negative.
    QAccumulate {
        /// What one unit of `x` is in units of the sums.
        mult: Vec<i32>,
        /// The value of `x` that stands for zero.
        zero_point: i32,
    },
    /// `a, b` of one shape, or `b` of one row and column: [`AddEpilogue`].
    QAdd(AddEpilogue, crate::DType),
    /// `a, b: i8 or narrower`, shaped as those of `QAdd`: [`MulEpilogue`].
    QMul(MulEpilogue, crate::DType),
    /// `x: i8 or narrower`: [`Piecewise`].
    QPiecewise(Piecewise, crate::DType),
    /// `x`: `i32` sums of `x - zero_point` over windows; padding counts as nothing.
    QSumPool(PoolAttrs, i32),

    // Packed, for the accelerator.
    /// `x[N,C,H,W]` to its blocked layout.
    Pack(BlockedLayout),
    /// The blocked layout back to `[N,C,H,W]`.
    Unpack {
        /// The layout of the input.
        layout: BlockedLayout,
        /// The logical shape.
        shape: [usize; 4],
    },
    /// See [`PackedConv`]. The result has the input's element type, as the accelerator's
    /// output width is its input width.
    VtaConv(PackedConv),
    /// `a, b` of one element type: [`AddEpilogue`] on values as stored, written with the border of the output's
    /// layout. The result has the operands' type.
    VtaAdd(PackedPair, AddEpilogue),
    /// As `VtaAdd`: [`MulEpilogue`].
    VtaMul(PackedPair, MulEpilogue),
    /// `x`: [`Piecewise`] on values as stored. The result has the operand's type.
    VtaPiecewise {
        /// Logical shape of both.
        shape: [usize; 4],
        /// Layout of the operand.
        in_layout: BlockedLayout,
        /// Layout of the result, of the same blocking.
        out_layout: BlockedLayout,
        /// The function.
        map: Piecewise,
    },
    /// `x`: maximum over windows, see [`PackedPool`]. The result has the operand's type.
    VtaMaxPool(PackedPool),
    /// `x`: sums over windows, wrapping in `i32`, and what follows them; see [`PackedPool`].
    /// No zero point is subtracted: its share of every sum is folded into the addend, and
    /// `mult` and `add` have one element or one for each lane of each channel block. The
    /// result has the operand's type.
    VtaSumPool(PackedPool, Requant),
    /// `x`: see [`PackedSpread`]. The result has the operand's type.
    VtaSpread(PackedSpread),
    /// `x...`, blocked tensors of one blocking and border: their channel blocks one after the other. It takes
    /// no instruction: where the registers have the rows of the whole batch, the operands are stored in their
    /// places within the result.
    VtaConcat,
}

impl Op {
    /// The name in the text form and in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(_) => "conv",
            Op::Dense => "dense",
            Op::MatMul => "matmul",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Relu => "relu",
            Op::LeakyRelu { .. } => "leaky_relu",
            Op::Sigmoid => "sigmoid",
            Op::HardSwish => "hard_swish",
            Op::Silu => "silu",
            Op::Clip { .. } => "clip",
            Op::Add => "add",
            Op::Sub => "sub",
            Op::Mul => "mul",
            Op::Div => "div",
            Op::MaxPool(_) => "max_pool",
            Op::AvgPool(_) => "avg_pool",
            Op::GlobalAvgPool => "global_avg_pool",
            Op::ReduceMean { .. } => "reduce_mean",
            Op::Softmax { .. } => "softmax",
            Op::Reshape { .. } => "reshape",
            Op::Transpose { .. } => "transpose",
            Op::Concat { .. } => "concat",
            Op::Pad { .. } => "pad",
            Op::Im2col { .. } => "im2col",
            Op::Slice { .. } => "slice",
            Op::DepthToSpace { .. } => "depth_to_space",
            Op::Resize { .. } => "resize",
            Op::Quantize(..) => "quantize",
            Op::Dequantize(_) => "dequantize",
            Op::QConv(..) => "qconv",
            Op::QDense(_) => "qdense",
            Op::Requantize(..) => "requantize",
            Op::QAccumulate { .. } => "qaccumulate",
            Op::QAdd(..) => "qadd",
            Op::QMul(..) => "qmul",
            Op::QPiecewise(..) => "qpiecewise",
            Op::QSumPool(..) => "qsum_pool",
            Op::Pack(_) => "pack",
            Op::Unpack { .. } => "unpack",
            Op::VtaConv(_) => "vta.conv",
            Op::VtaAdd(..) => "vta.add",
            Op::VtaMul(..) => "vta.mul",
            Op::VtaPiecewise { .. } => "vta.piecewise",
            Op::VtaMaxPool(_) => "vta.max_pool",
            Op::VtaSumPool(..) => "vta.sum_pool",
            Op::VtaSpread(_) => "vta.spread",
            Op::VtaConcat => "vta.concat",
        }
    }
}
