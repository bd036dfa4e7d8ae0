//! The choices that a random thing is made of.

use crate::{DType, Data, PoolAttrs, Tensor, TensorType, Window};

/// Choices of a seed: more than a network of ours takes.
const ROLLS: usize = 400;

/// A sequence of choices, which whoever made it can make smaller; zeros once it runs out.
#[derive(Clone, Debug)]
pub struct Dice {
    rolls: Vec<u32>,
    at: usize,
}

impl Dice {
    /// These choices.
    pub fn new(rolls: Vec<u32>) -> Dice {
        Dice { rolls, at: 0 }
    }

    /// Choices of a seed.
    pub fn seeded(seed: u64) -> Dice {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 32) as u32
        };
        Dice::new((0..ROLLS).map(|_| next()).collect())
    }

    /// All choices, from the first.
    pub fn rolls(&self) -> &[u32] {
        &self.rolls
    }

    /// The next choice.
    pub fn roll(&mut self) -> u32 {
        let roll = self.rolls.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        roll
    }

    /// A number in `lo..=hi`; smaller rolls give numbers nearer to `lo`.
    pub fn range(&mut self, lo: usize, hi: usize) -> usize {
        lo + self.roll() as usize % (hi - lo + 1)
    }

    /// A number in `lo..=hi`.
    pub fn int(&mut self, lo: i64, hi: i64) -> i64 {
        lo + i64::from(self.roll()) % (hi - lo + 1)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.roll() % 2 == 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.range(0, of.len() - 1)]
    }

    /// Extents of a small tensor of this rank.
    pub fn extents(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).map(|_| self.range(1, 4)).collect()
    }

    /// The shape of a small tensor of rank 4 at most.
    pub fn shape(&mut self) -> Vec<usize> {
        let rank = self.range(0, 4);
        self.extents(rank)
    }

    /// A small image.
    pub fn nchw(&mut self) -> [usize; 4] {
        [
            self.range(1, 2),
            self.range(1, 5),
            self.range(1, 7),
            self.range(1, 7),
        ]
    }

    /// Elements over the whole range of an integer type, small whole numbers in `f32`.
    pub fn tensor(&mut self, dtype: DType, shape: impl Into<Vec<usize>>) -> Tensor {
        let ty = TensorType::new(dtype, shape);
        let n = ty.len();
        // The dice run out; a congruence makes many elements of one roll.
        let mut state = u64::from(self.roll());
        let mut next = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as u32
        };
        match dtype {
            DType::F32 => {
                let v = (0..n).map(|_| (next() % 17) as f32 - 8.0).collect();
                Tensor::new(ty, Data::F32(v))
            }
            DType::Bool => Tensor::new(ty, Data::U8((0..n).map(|_| (next() % 2) as u8).collect())),
            _ => {
                let (lo, hi) = dtype.range().expect("an integer type");
                let (lo, hi) = (lo.max(-1 << 31), hi.min((1 << 31) - 1));
                let v: Vec<i64> = (0..n)
                    .map(|_| lo + i64::from(next()) * 2 % (hi - lo + 1))
                    .map(|v| if dtype.holds(v) { v } else { hi })
                    .collect();
                Tensor::from_ints(dtype, ty.shape, &v)
            }
        }
    }

    /// A float tensor of eighths between -1 and 1.
    pub fn eighths(&mut self, shape: impl Into<Vec<usize>>) -> Tensor {
        let tensor = self.tensor(DType::F32, shape);
        let whole = tensor.as_f32().unwrap_or_default().iter();
        Tensor::f32(tensor.shape(), whole.map(|v| v / 8.0).collect())
    }

    /// A type that the accelerator may read.
    pub fn narrow(&mut self) -> DType {
        self.pick(&[DType::I8, DType::I4, DType::I2, DType::I1])
    }

    /// A number of this type.
    pub fn in_range(&mut self, dtype: DType) -> i32 {
        let (lo, hi) = dtype.range().expect("an integer type");
        self.int(lo, hi) as i32
    }

    /// A window that fits `hw`, with each tap row and column able to meet the input.
    pub fn window(&mut self, hw: [usize; 2]) -> Window {
        let mut w = Window {
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pads: [0; 4],
        };
        for (i, extent) in hw.into_iter().enumerate() {
            w.kernel[i] = self.range(1, 3);
            w.stride[i] = self.range(1, 3);
            w.dilation[i] = self.range(1, 2.min(extent));
            let reach = w.dilation[i] * (w.kernel[i] - 1) + 1;
            w.pads[i] = self.range(0, reach - 1);
            w.pads[i + 2] = self.range(0, reach - 1);
            let padded = extent + w.pads[i] + w.pads[i + 2];
            if reach > padded {
                (w.kernel[i], w.pads[i], w.pads[i + 2]) = (1, 0, 0);
            }
        }
        w
    }

    /// A window of pooling that fits `hw`.
    pub fn pool(&mut self, hw: [usize; 2]) -> PoolAttrs {
        let window = self.window(hw);
        let mut extra = [0; 2];
        for (i, extra) in extra.iter_mut().enumerate() {
            let reach = window.dilation[i] * (window.kernel[i] - 1) + 1;
            let free = reach - 1 - window.pads[i + 2];
            *extra = self.range(0, free.min(window.stride[i] - 1));
        }
        PoolAttrs {
            window,
            extra,
            count_include_pad: self.flag(),
        }
    }
}
