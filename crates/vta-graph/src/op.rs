//! The operators of the graph, with their attributes and their meaning.
//!
//! One vocabulary serves every stage: float operators as imported, integer operators after
//! quantization, and packed operators that the accelerator takes. What a stage allows is
//! checked by the verifier, not by separate types.

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

/// Integer rescaling with saturation, exactly:
///
/// `y = clamp((x * mult[c] + add[c]) >> shift, lo, hi)`
///
/// computed without overflow (in 64 bits or wider); `>>` is arithmetic and rounds towards
/// minus infinity, so rounding to nearest and the output's zero point live in `add`.
/// `mult` and `add` have one element for all channels or one for each extent of axis 1.
/// `mult` is never negative: the map is monotone, which lowering relies on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requant {
    /// Multipliers.
    pub mult: Vec<i32>,
    /// Addends: rounding, zero point and folded biases.
    pub add: Vec<i64>,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

impl Requant {
    /// What leaves values of `dtype` as they are.
    ///
    /// # Panics
    /// If `dtype` has no range of integers.
    pub fn identity(dtype: crate::DType) -> Requant {
        let (lo, hi) = dtype.range().expect("an integer type");
        Requant {
            mult: vec![1],
            add: vec![0],
            shift: 0,
            lo: lo as i32,
            hi: hi as i32,
        }
    }
}

/// Integer addition of two tensors of different scales, exactly:
/// `y = clamp((a * mult_a + b * mult_b + add) >> shift, lo, hi)`, without overflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddEpilogue {
    /// Multiplier of the first operand.
    pub mult_a: i32,
    /// Multiplier of the second operand.
    pub mult_b: i32,
    /// Rounding and zero points.
    pub add: i64,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// One straight piece of a function: `mult * clamp(x, lo, hi)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Slope between the bounds.
    pub mult: i32,
    /// Where it begins to rise.
    pub lo: i32,
    /// Where it ends.
    pub hi: i32,
}

/// A continuous function of integers that consists of straight pieces, exactly:
/// `f(x) = add + the sum of mult * clamp(x, lo, hi)`, without overflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pieces {
    /// At least one.
    pub pieces: Vec<Piece>,
    /// What is added to their sum.
    pub add: i64,
}

/// Integer multiplication of two tensors, of which the second goes through a function, exactly:
/// `y = clamp(((a - zero_point) * gate(b) + add) >> shift, lo, hi)`, without overflow.
///
/// A plain product of `b - z` with a factor `m` is a gate of one piece without bounds, `m * b - m * z`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MulEpilogue {
    /// The value of `a` that stands for zero.
    pub zero_point: i32,
    /// What `a` is multiplied by.
    pub gate: Pieces,
    /// Rounding and the result's zero point.
    pub add: i64,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// A function of integers that consists of straight pieces, rescaled: `y = clamp(f(x) >> shift, lo, hi)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Piecewise {
    /// The function, with rounding and the result's zero point.
    pub function: Pieces,
    /// Right shift, 0 to 62.
    pub shift: u32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// The blocked layout of an activation, written `NCHW1n16c` for one row of 16 lanes.
///
/// A tensor `[N, C, H, W]` becomes
/// `[ceil(N/batch), ceil(C/lanes), top+H+bottom, left+W+right, batch, lanes]`.
/// Rows and lanes past `N` and `C` hold zero (the sign +1) when the host packs, and anything when the
/// accelerator writes; nobody reads them but through zero weights, or through signs that cancel out. The border holds `fill`
/// in every row and lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlockedLayout {
    /// Rows of a tensor register.
    pub batch: usize,
    /// Channels side by side.
    pub lanes: usize,
    /// Border: top, left, bottom, right.
    pub border: [usize; 4],
    /// Value of the border.
    pub fill: i32,
}

impl BlockedLayout {
    /// Extents of the blocked tensor for a logical `[N, C, H, W]`; `None` where `batch` or
    /// `lanes` is zero or an extent overflows.
    pub fn packed_shape(&self, [n, c, h, w]: [usize; 4]) -> Option<[usize; 6]> {
        if self.batch == 0 || self.lanes == 0 {
            return None;
        }
        let [top, left, bottom, right] = self.border;
        Some([
            n.div_ceil(self.batch),
            c.div_ceil(self.lanes),
            h.checked_add(top)?.checked_add(bottom)?,
            w.checked_add(left)?.checked_add(right)?,
            self.batch,
            self.lanes,
        ])
    }
}

/// A convolution that the accelerator runs: convolution, requantization and clip in one.
///
/// Inputs: the packed activation and the packed weight `[O/bo, I/bi, KH, KW, bo, bi]`, where
/// `bi` is the input layout's lanes, `bo` the output layout's and quotients are rounded up.
/// Of a grouped convolution the weight has the input blocks of [`PackedConv::group_blocks`] only,
/// and zeros where channels of one register belong to different groups.
///
/// The sum is over the values *as stored*, `acc = sum of x * w` in wrapping `i32`: no zero
/// point is subtracted and no bias added, both have been folded into `requant.add`.
///
/// The input's origin lies at `in_layout.border` (top, left) inside the packed tensor; window
/// positions in the border read what is stored there, positions beyond it read `pad`.
/// `requant.mult` and `.add` have one element or `ceil(O/bo) * bo`.
///
/// With a pooling the sums are those of each position of its window over the convolution's result, of which
/// the largest is requantized; positions in its padding do not count, and `out_shape` is what it leaves.
///
/// With a residual there are two inputs more: an activation of the output's logical shape, whose blocks
/// are as wide as the output's, and weights `[O/bo, P, bo, bo]`. To the sum of output block `o` they add
/// `r[o] * weight[o][p]` for each `p`: a residual of another scale, if the weights are diagonal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackedConv {
    /// Logical `[N, C, H, W]` of the input.
    pub in_shape: [usize; 4],
    /// Logical `[N, C, H, W]` of the output.
    pub out_shape: [usize; 4],
    /// The window over the logical input, all of its padding included.
    pub window: Window,
    /// What the window reads beyond the packed input.
    pub pad: i32,
    /// Number of groups, which divides the channels of input and output.
    pub groups: usize,
    /// Layout of the input.
    pub in_layout: BlockedLayout,
    /// Layout of the output.
    pub out_layout: BlockedLayout,
    /// What follows the sum.
    pub requant: Requant,
    /// Layout of the residual operand, if there is one; there is no pooling then.
    pub residual: Option<BlockedLayout>,
    /// The window over the sums of which the largest counts, if there is one.
    pub pool: Option<Window>,
}

impl PackedConv {
    /// Height and width of the convolution's own result, before pooling; `None` where its window does not
    /// fit the input.
    pub fn conv_hw(&self) -> Option<[usize; 2]> {
        let [_, _, h, w] = self.in_shape;
        self.window.out_hw(h, w)
    }
}

impl PackedConv {
    /// Input and output channel blocks of the fewest groups that fill whole blocks of both: output
    /// block `o` reads only the input blocks from `o / output * input` on, `input` many or as many as
    /// there are. One block each for a depthwise convolution between equal layouts; all blocks where
    /// no smaller number of groups fills whole ones.
    pub fn group_blocks(&self) -> [usize; 2] {
        let sides = [
            (self.in_shape[1], self.in_layout.lanes),
            (self.out_shape[1], self.out_layout.lanes),
        ];
        let whole = sides.map(|(channels, lanes)| channels.div_ceil(lanes));
        let [fill_in, fill_out] = sides.map(|(channels, lanes)| {
            let each = channels / self.groups;
            lanes / gcd(lanes, each)
        });
        let together = (fill_in / gcd(fill_in, fill_out)).checked_mul(fill_out);
        match together.filter(|&together| together < self.groups) {
            Some(together) => {
                sides.map(|(channels, lanes)| channels / self.groups * together / lanes)
            }
            None => whole,
        }
    }
}

/// The greatest common divisor, of which one at least is not zero.
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A pooling that the accelerator runs, over values *as stored*.
///
/// The input's origin lies at `in_layout.border` (top, left) inside the packed tensor; window
/// positions in the border read what is stored there, positions beyond it read `pad`. Neither may change the result: at most the input's least value for a maximum,
/// its zero point for a sum.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackedPool {
    /// Logical `[N, C, H, W]` of the input.
    pub in_shape: [usize; 4],
    /// Logical `[N, C, H, W]` of the output.
    pub out_shape: [usize; 4],
    /// The window over the logical input, all of its padding included.
    pub window: Window,
    /// What the window reads beyond the packed input.
    pub pad: i32,
    /// Layout of the input.
    pub in_layout: BlockedLayout,
    /// Layout of the output, of the same blocking.
    pub out_layout: BlockedLayout,
}

/// An enlargement that the accelerator runs: rows and columns become blocks of them.
///
/// Where both have as many channel blocks, an element of the input stands at all positions of its block in the
/// output. Else the input has as many times the output's channel blocks as a block has positions; those of position
/// `(i, j)` are the `i * block[1] + j`th of such parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackedSpread {
    /// Logical `[N, C, H, W]` of the input.
    pub in_shape: [usize; 4],
    /// Logical `[N, C, H, W]` of the output.
    pub out_shape: [usize; 4],
    /// Rows and columns that a row and a column become.
    pub block: [usize; 2],
    /// Layout of the input.
    pub in_layout: BlockedLayout,
    /// Layout of the output, of the same blocking; its border has whole blocks.
    pub out_layout: BlockedLayout,
}

impl PackedSpread {
    /// Channel blocks of the input and of the output.
    pub fn channel_blocks(&self) -> [usize; 2] {
        let lanes = self.out_layout.lanes;
        [self.in_shape, self.out_shape].map(|[_, c, ..]| c.div_ceil(lanes))
    }
}

/// Operands and result of an operator that the accelerator runs on two activations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackedPair {
    /// Logical shapes of the operands. The first is the result's; the second is the same, or has one row and one
    /// column, which stand for all.
    pub in_shapes: [[usize; 4]; 2],
    /// Layouts of the operands, of one blocking; borders may differ.
    pub in_layouts: [BlockedLayout; 2],
    /// Layout of the result, of the same blocking.
    pub out_layout: BlockedLayout,
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
