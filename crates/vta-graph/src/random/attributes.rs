//! Random attributes of operators, and operands that fit them.

use super::Dice;
use crate::{
    AddEpilogue, BlockedLayout, ConvAttrs, DType, MulEpilogue, Op, PackedConv, PackedPair,
    PackedPool, Piece, Pieces, Piecewise, Quant, Requant, Tensor,
};

impl Dice {
    /// Attributes, and the operands `x, weight, bias?` of these types.
    pub fn conv(&mut self, x: DType, w: DType, b: DType) -> (ConvAttrs, Vec<Tensor>) {
        let [n, _, h, wd] = self.nchw();
        let window = self.window([h, wd]);
        let groups = self.range(1, 3);
        let (i, o) = (self.range(1, 3), groups * self.range(1, 3));
        let [kh, kw] = window.kernel;
        let mut operands = vec![
            self.tensor(x, [n, i * groups, h, wd]),
            self.tensor(w, [o, i, kh, kw]),
        ];
        if self.flag() {
            operands.push(self.tensor(b, [o]));
        }
        (ConvAttrs { window, groups }, operands)
    }

    /// A rescaling of so many channels to a type.
    pub fn requant(&mut self, channels: usize, dtype: DType) -> Requant {
        let (lo, hi) = dtype.range().expect("an integer type");
        let lo = self.int(lo, hi);
        let many = |dice: &mut Self| if dice.flag() { channels } else { 1 };
        let (mults, adds) = (many(self), many(self));
        Requant {
            mult: (0..mults).map(|_| self.roll() as i32 & i32::MAX).collect(),
            add: (0..adds)
                .map(|_| i64::from(self.roll()) << self.range(0, 31))
                .collect(),
            shift: self.range(0, 62) as u32,
            lo: lo as i32,
            hi: self.int(lo, hi) as i32,
        }
    }

    pub(super) fn epilogue(&mut self, dtype: DType) -> AddEpilogue {
        let r = self.requant(1, dtype);
        AddEpilogue {
            mult_a: self.roll() as i32,
            mult_b: self.roll() as i32,
            add: r.add[0],
            shift: r.shift,
            lo: r.lo,
            hi: r.hi,
        }
    }

    /// A function of up to three pieces.
    pub fn pieces(&mut self) -> Pieces {
        let pieces = (0..self.range(1, 3)).map(|_| {
            let lo = self.int(-140, 130) as i32;
            Piece {
                mult: self.roll() as i32 >> self.range(8, 24),
                lo,
                hi: lo + self.range(0, 260) as i32,
            }
        });
        let pieces = pieces.collect();
        let add = i64::from(self.roll()) << self.range(0, 31);
        Pieces { pieces, add }
    }

    pub(super) fn product(&mut self, dtype: DType) -> MulEpilogue {
        let r = self.requant(1, dtype);
        MulEpilogue {
            zero_point: self.in_range(dtype),
            gate: self.pieces(),
            add: r.add[0],
            shift: r.shift,
            lo: r.lo,
            hi: r.hi,
        }
    }

    pub(super) fn piecewise(&mut self, dtype: DType) -> Piecewise {
        let r = self.requant(1, dtype);
        Piecewise {
            function: self.pieces(),
            shift: r.shift,
            lo: r.lo,
            hi: r.hi,
        }
    }

    /// A shape like that of an image, or with one row and column for all of them.
    pub(super) fn spread(&mut self, shape: [usize; 4]) -> [usize; 4] {
        let [n, c, ..] = shape;
        if self.flag() { shape } else { [n, c, 1, 1] }
    }

    /// Two blocked activations, and how they lie.
    pub(super) fn packed_pair(&mut self, dtype: DType) -> (PackedPair, Vec<Tensor>) {
        let shape = self.nchw();
        let in_shapes = [shape, self.spread(shape)];
        let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
        let [a, b, out_layout] = [0; 3].map(|_: i32| self.layout(batch, lanes, dtype));
        let in_layouts = [a, b];
        let operands = in_layouts.iter().zip(in_shapes);
        let operands =
            operands.map(|(l, shape)| self.tensor(dtype, l.packed_shape(shape).expect("small")));
        let operands = operands.collect();
        let pair = PackedPair {
            in_shapes,
            in_layouts,
            out_layout,
        };
        (pair, operands)
    }

    /// A layout with a border.
    pub fn layout(&mut self, batch: usize, lanes: usize, dtype: DType) -> BlockedLayout {
        BlockedLayout {
            batch,
            lanes,
            border: [0; 4].map(|_: i32| self.range(0, 2)),
            fill: self.in_range(dtype),
        }
    }

    pub(super) fn quant(&mut self, dtype: DType, shape: &[usize]) -> Quant {
        let axis = if shape.is_empty() {
            0
        } else {
            self.range(0, shape.len() - 1)
        };
        let n = if self.flag() {
            shape.get(axis).copied().unwrap_or(1)
        } else {
            1
        };
        let zs = if self.flag() { n } else { 1 };
        Quant {
            scale: (0..n).map(|_| self.range(1, 99) as f32 / 64.0).collect(),
            zero_point: (0..zs).map(|_| self.in_range(dtype)).collect(),
            axis,
        }
    }

    /// Two shapes that broadcast.
    pub(super) fn broadcasting(&mut self) -> [Vec<usize>; 2] {
        let full = self.shape();
        let mut part = || {
            let from = self.range(0, full.len());
            full[from..]
                .iter()
                .map(|&d| if self.flag() { d } else { 1 })
                .collect()
        };
        [part(), part()]
    }

    /// A packed convolution and its operands.
    pub fn packed_conv(&mut self) -> (Op, Vec<Tensor>) {
        let (x, w) = (self.narrow(), self.narrow());
        let [n, _, h, wd] = self.nchw();
        let window = self.window([h, wd]);
        let groups = self.range(1, 6);
        let [c, o] = [0; 2].map(|_: i32| groups * self.range(1, 3));
        let (batch, bi, bo) = (self.range(1, 2), self.range(1, 4), self.range(1, 4));
        let [oh, ow] = window.out_hw(h, wd).expect("a window that fits");
        let [kh, kw] = window.kernel;
        let mut conv = PackedConv {
            in_shape: [n, c, h, wd],
            out_shape: [n, o, oh, ow],
            window,
            pad: self.in_range(x),
            groups,
            in_layout: self.layout(batch, bi, x),
            out_layout: self.layout(batch, bo, x),
            requant: self.requant(o.div_ceil(bo) * bo, x),
            residual: self.flag().then(|| self.layout(batch, bo, w)),
            pool: None,
        };
        if conv.residual.is_none() && self.flag() {
            let pool = self.window([oh, ow]);
            let [ph, pw] = pool.out_hw(oh, ow).expect("a window that fits");
            (conv.out_shape, conv.pool) = ([n, o, ph, pw], Some(pool));
        }
        let packed = conv.in_layout.packed_shape(conv.in_shape).expect("small");
        let blocks = o.div_ceil(bo);
        let mut operands = vec![
            self.tensor(x, packed),
            self.tensor(w, [blocks, conv.group_blocks()[0], kh, kw, bo, bi]),
        ];
        if let Some(layout) = &conv.residual {
            let packed = layout.packed_shape(conv.out_shape).expect("small");
            let passes = self.range(1, 3);
            operands.push(self.tensor(w, packed));
            operands.push(self.tensor(x, [blocks, passes, bo, bo]));
        }
        (Op::VtaConv(conv), operands)
    }

    /// A packed pooling of values of `dtype`, and its operand.
    pub fn packed_pool(&mut self, dtype: DType) -> (PackedPool, Tensor) {
        let in_shape = self.nchw();
        let [n, c, h, w] = in_shape;
        let window = self.window([h, w]);
        let [oh, ow] = window.out_hw(h, w).expect("a window that fits");
        let (batch, lanes) = (self.range(1, 2), self.range(1, 4));
        let pool = PackedPool {
            in_shape,
            out_shape: [n, c, oh, ow],
            window,
            pad: self.in_range(dtype),
            in_layout: self.layout(batch, lanes, dtype),
            out_layout: self.layout(batch, lanes, dtype),
        };
        let packed = pool.in_layout.packed_shape(in_shape).expect("small");
        (pool, self.tensor(dtype, packed))
    }
}
