//! Blocked layouts, and what the accelerator runs over them.

use super::{Requant, Window};

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
pub(crate) fn gcd(a: usize, b: usize) -> usize {
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
