//! The scratchpads and what GEMM and ALU do to them.

use vta_isa::{AluOp, ChannelRequant, Design, Feature, GemmMode, MemType, UOP_BYTES, Uop};

use crate::access::{Kernel, KernelOp};
use crate::lanes::{pack, signs_to_bits, transpose, wrap};

/// Calls `body` with the function of an ALU operation, so that its loops are compiled for each.
macro_rules! with_op {
    ($op:expr, $bits:expr, |$f:ident| $body:expr) => {{
        let bits = $bits;
        match $op {
            AluOp::Min => {
                let $f = move |a: i32, b: i32| wrap(a.min(b), bits);
                $body
            }
            AluOp::Max => {
                let $f = move |a: i32, b: i32| wrap(a.max(b), bits);
                $body
            }
            AluOp::Add => {
                let $f = move |a: i32, b: i32| wrap(a.wrapping_add(b), bits);
                $body
            }
            AluOp::Shr => {
                let $f = move |a: i32, b: i32| wrap(shift(a, b), bits);
                $body
            }
            AluOp::Mul => {
                let $f = move |a: i32, b: i32| wrap(a.wrapping_mul(b), bits);
                $body
            }
        }
    }};
}

/// The scratchpads, one lane for each value whatever its width.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    pub(crate) uop: Vec<Uop>,
    /// `[element][batch][block_in]`
    pub(crate) inp: Vec<i8>,
    /// `[element][block_in][block_out]`: transposed, so that the innermost loop of GEMM runs over
    /// independent accumulators, and at the width of the products' factors.
    pub(crate) wgt: Vec<i16>,
    /// `[element][batch][block_out]`
    pub(crate) acc: Vec<i32>,
    /// The records of the rescaling table; none in a design without it.
    pub(crate) rqt: Vec<u128>,
    /// Whether the bit of an input, of a weight, is a sign: its value is 1 or -1.
    pub(crate) sign_inp: bool,
    pub(crate) sign_wgt: bool,
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    block_in: usize,
    block_out: usize,
    acc_bits: u32,
}

impl Scratch {
    pub(crate) fn new(design: &Design) -> Scratch {
        let lanes = |memory| design.depth(memory) as usize * design.lanes(memory);
        let [sign_inp, sign_wgt] = [Feature::SignInp, Feature::SignWgt].map(|f| design.has(f));
        let records = design.has_memory(MemType::Rqt).then(|| lanes(MemType::Rqt));
        Scratch {
            uop: vec![Uop::default(); lanes(MemType::Uop)],
            inp: vec![sign_inp.into(); lanes(MemType::Inp)],
            wgt: vec![sign_wgt.into(); lanes(MemType::Wgt)],
            acc: vec![0; lanes(MemType::Acc)],
            rqt: vec![0; records.unwrap_or(0)],
            sign_inp,
            sign_wgt,
            shape: Shape {
                batch: design.batch(),
                block_in: design.block_in(),
                block_out: design.block_out(),
                acc_bits: design.acc_bits(),
            },
        }
    }

    pub(crate) fn clear(&mut self) {
        self.uop.fill(Uop::default());
        // A cleared bit is 0, which as a sign is 1.
        self.inp.fill(self.sign_inp.into());
        self.wgt.fill(self.sign_wgt.into());
        self.acc.fill(0);
        self.rqt.fill(0);
    }

    /// A memory's elements as they lie in DRAM.
    pub(crate) fn packed(&self, design: &Design, memory: MemType) -> Vec<u8> {
        if !design.has_memory(memory) && memory == MemType::Rqt {
            return Vec::new();
        }
        let bits = design.value_bits(memory);
        let mut bytes = vec![0; design.depth(memory) as usize * design.elem_bytes(memory)];
        match memory {
            MemType::Uop => {
                for (bytes, uop) in bytes.chunks_exact_mut(UOP_BYTES).zip(&self.uop) {
                    let word = uop.encode(design).expect("it was decoded from a word");
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
            }
            MemType::Wgt => {
                let lanes = design.lanes(memory);
                let mut tile = vec![0; lanes];
                let tiles = bytes.chunks_exact_mut(design.elem_bytes(memory));
                for (bytes, weights) in tiles.zip(self.wgt.chunks_exact(lanes)) {
                    transpose(weights, &mut tile, design.block_out());
                    if self.sign_wgt {
                        signs_to_bits(&mut tile);
                    }
                    pack(bits, &tile, bytes);
                }
            }
            MemType::Inp if self.sign_inp => {
                let mut values = self.inp.clone();
                signs_to_bits(&mut values);
                pack(bits, &values, &mut bytes);
            }
            MemType::Inp => pack(bits, &self.inp, &mut bytes),
            MemType::Rqt => {
                let records = bytes.chunks_exact_mut(ChannelRequant::BYTES);
                for (bytes, record) in records.zip(&self.rqt) {
                    bytes.copy_from_slice(&record.to_le_bytes());
                }
            }
            MemType::Acc | MemType::Out | MemType::Acc8 => pack(bits, &self.acc, &mut bytes),
        }
        bytes
    }

    /// Carries out a kernel whose indices are in range.
    pub(crate) fn run(&mut self, kernel: &Kernel) {
        let Some(uops) = self.uop.get(kernel.uop_range()) else {
            return;
        };
        let shape = self.shape;
        let lanes = shape.batch * shape.block_out;
        match kernel.op {
            KernelOp::Gemm(GemmMode::Reset) => each(kernel, uops, |[d, ..]| {
                self.acc[d * lanes..][..lanes].fill(0)
            }),
            KernelOp::Gemm(GemmMode::Accumulate | GemmMode::Overwrite) => {
                let (inp, wgt, acc) = (&self.inp[..], &self.wgt[..], &mut self.acc[..]);
                match (shape.block_in % 2, shape.block_out, shape.acc_bits) {
                    (0, 8, 32) => gemm_block::<8>(kernel, uops, shape, inp, wgt, acc),
                    (0, 16, 32) => gemm_block::<16>(kernel, uops, shape, inp, wgt, acc),
                    (0, 32, 32) => gemm_block::<32>(kernel, uops, shape, inp, wgt, acc),
                    _ => gemm(kernel, uops, shape, inp, wgt, acc),
                }
            }
            KernelOp::AluImm(op, imm) => {
                let acc = &mut self.acc[..];
                with_op!(op, shape.acc_bits, |f| each(kernel, uops, |[d, ..]| {
                    acc[d * lanes..][..lanes]
                        .iter_mut()
                        .for_each(|a| *a = f(*a, imm));
                }));
            }
            KernelOp::AluAcc(op) => {
                let acc = &mut self.acc[..];
                with_op!(op, shape.acc_bits, |f| each(kernel, uops, |[d, s, _]| {
                    elementwise(acc, lanes, d, s, f);
                }));
            }
        }
    }
}

/// Arithmetic shift right, left for a negative amount. An amount of the width or more leaves
/// nothing but the sign to the right, and zero to the left.
fn shift(value: i32, amount: i32) -> i32 {
    if amount >= 0 {
        value >> amount.min(31)
    } else {
        value.checked_shl(amount.unsigned_abs()).unwrap_or(0)
    }
}

/// Calls `f` with the indices (accumulator, source, weight) of each micro-op execution, in order.
#[inline(always)]
fn each(kernel: &Kernel, uops: &[Uop], mut f: impl FnMut([usize; 3])) {
    let [dst, src, wgt] =
        [kernel.dst, kernel.src, kernel.wgt].map(|factors| factors.map(|f| f as usize));
    for o in 0..kernel.iter_out as usize {
        for i in 0..kernel.iter_in as usize {
            let offset = |factors: [usize; 2]| o * factors[0] + i * factors[1];
            let (d, s, w) = (offset(dst), offset(src), offset(wgt));
            for uop in uops {
                f([
                    uop.dst as usize + d,
                    uop.src as usize + s,
                    uop.wgt as usize + w,
                ]);
            }
        }
    }
}

/// `acc[d] = f(acc[d], acc[s])`, lane by lane.
#[inline(always)]
fn elementwise(acc: &mut [i32], lanes: usize, d: usize, s: usize, f: impl Fn(i32, i32) -> i32) {
    let apply =
        |to: &mut [i32], from: &[i32]| to.iter_mut().zip(from).for_each(|(a, b)| *a = f(*a, *b));
    let (low, high) = acc.split_at_mut(d.max(s) * lanes);
    match d.cmp(&s) {
        std::cmp::Ordering::Less => apply(&mut low[d * lanes..][..lanes], &high[..lanes]),
        std::cmp::Ordering::Greater => apply(&mut high[..lanes], &low[s * lanes..][..lanes]),
        std::cmp::Ordering::Equal => high[..lanes].iter_mut().for_each(|a| *a = f(*a, *a)),
    }
}

/// GEMM with an even block of inputs and rows of `N` 32-bit accumulators, which stay in registers. Taking inputs
/// in pairs lets the compiler use instructions that add two products of 16-bit factors.
fn gemm_block<const N: usize>(
    kernel: &Kernel,
    uops: &[Uop],
    shape: Shape,
    inp: &[i8],
    wgt: &[i16],
    acc: &mut [i32],
) {
    let Shape {
        batch, block_in, ..
    } = shape;
    let overwrites = kernel.overwrites();
    each(kernel, uops, |[d, s, w]| {
        let tile = &wgt[w * block_in * N..][..block_in * N];
        let rows = acc[d * batch * N..][..batch * N].chunks_exact_mut(N);
        let inputs = inp[s * batch * block_in..][..batch * block_in].chunks_exact(block_in);
        for (row, inputs) in rows.zip(inputs) {
            let row: &mut [i32; N] = row.try_into().expect("a chunk of N");
            let mut sums = if overwrites { [0; N] } else { *row };
            for (pair, weights) in inputs.chunks_exact(2).zip(tile.chunks_exact(2 * N)) {
                let [x0, x1] = [pair[0], pair[1]].map(i32::from);
                let (w0, w1) = weights.split_at(N);
                for (sum, (&w0, &w1)) in sums.iter_mut().zip(w0.iter().zip(w1)) {
                    *sum = sum.wrapping_add(x0 * i32::from(w0) + x1 * i32::from(w1));
                }
            }
            *row = sums;
        }
    });
}

/// GEMM for any block and accumulator width.
fn gemm(kernel: &Kernel, uops: &[Uop], shape: Shape, inp: &[i8], wgt: &[i16], acc: &mut [i32]) {
    let Shape {
        batch,
        block_in,
        block_out,
        acc_bits,
    } = shape;
    let overwrites = kernel.overwrites();
    each(kernel, uops, |[d, s, w]| {
        let tile = &wgt[w * block_in * block_out..][..block_in * block_out];
        let rows = acc[d * batch * block_out..][..batch * block_out].chunks_exact_mut(block_out);
        let inputs = inp[s * batch * block_in..][..batch * block_in].chunks_exact(block_in);
        for (row, inputs) in rows.zip(inputs) {
            if overwrites {
                row.fill(0);
            }
            for (&x, weights) in inputs.iter().zip(tile.chunks_exact(block_out)) {
                for (sum, &w) in row.iter_mut().zip(weights) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
            row.iter_mut().for_each(|sum| *sum = wrap(*sum, acc_bits));
        }
    });
}
