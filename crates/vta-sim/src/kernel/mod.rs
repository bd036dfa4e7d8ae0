//! The scratchpads and what GEMM and ALU do to them.

use vta_isa::{ChannelRequant, Design, Feature, GemmMode, MemType, UOP_BYTES, Uop};

mod aligned;
mod alu;
mod blocks;
mod chain;
mod gemm;
mod simd;
#[cfg(test)]
mod tests;
mod weights;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use aligned::Aligned;
pub use simd::HostSimd;
pub(crate) use simd::Vectorized;
pub(crate) use weights::Weights;

use alu::Accumulators;
use blocks::Geometry;
use chain::Chain;
use gemm::{Operands, Workspace};

use crate::access::{Kernel, KernelOp};
use crate::lanes::{Lane, pack, signs_to_bits};

/// The scratchpads, one lane for each value whatever its width.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    pub(crate) uop: Vec<Uop>,
    /// `[element][batch][block_in]`, each value plus 128.
    pub(crate) inp: Aligned<u8>,
    pub(crate) wgt: Weights,
    /// `[element][batch][block_out]`, but for what `chain` is to do to it.
    acc: Aligned<i32>,
    chain: Chain,
    /// The records of the rescaling table; none in a design without it.
    pub(crate) rqt: Vec<u128>,
    /// Whether the bit of an input, of a weight, is a sign: its value is 1 or -1.
    pub(crate) sign_inp: bool,
    pub(crate) sign_wgt: bool,
    geometry: Geometry,
    acc_bits: u32,
    pub(crate) simd: HostSimd,
    workspace: Workspace,
    /// Weights on their way.
    pub(crate) tiles: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new(design: &Design, simd: HostSimd) -> Scratch {
        let lanes = |memory| design.depth(memory) as usize * design.lanes(memory);
        let [sign_inp, sign_wgt] = [Feature::SignInp, Feature::SignWgt].map(|f| design.has(f));
        let records = design.has_memory(MemType::Rqt).then(|| lanes(MemType::Rqt));
        let geometry = Geometry {
            batch: design.batch(),
            block_in: design.block_in(),
            block_out: design.block_out(),
        };
        let tile = [geometry.block_in, geometry.block_out];
        Scratch {
            uop: vec![Uop::default(); lanes(MemType::Uop)],
            inp: Aligned::new(u8::from_i32(sign_inp.into()), lanes(MemType::Inp)),
            wgt: Weights::new(design.depth(MemType::Wgt) as usize, tile, sign_wgt.into()),
            acc: Aligned::new(0, lanes(MemType::Acc)),
            chain: Chain::default(),
            rqt: vec![0; records.unwrap_or(0)],
            sign_inp,
            sign_wgt,
            geometry,
            acc_bits: design.acc_bits(),
            simd,
            workspace: Workspace::default(),
            tiles: Vec::new(),
        }
    }

    /// The register file.
    pub(crate) fn acc(&mut self) -> &mut Aligned<i32> {
        self.settle();
        &mut self.acc
    }

    /// What STORE reads: the register file, and the records of the rescaling table.
    pub(crate) fn acc_and_rqt(&mut self) -> (&[i32], &[u128]) {
        self.settle();
        (&self.acc, &self.rqt)
    }

    /// Does what was put off.
    pub(crate) fn settle(&mut self) {
        let mut accumulators = Accumulators {
            values: &mut self.acc,
            lanes: self.geometry.batch * self.geometry.block_out,
            bits: self.acc_bits,
        };
        self.chain.settle(&mut accumulators, self.simd);
    }

    pub(crate) fn clear(&mut self) {
        self.uop.fill(Uop::default());
        // A cleared bit is 0, which as a sign is 1.
        self.inp.fill(u8::from_i32(self.sign_inp.into()));
        self.wgt.fill(0..self.wgt.len(), self.sign_wgt.into());
        self.acc().fill(0);
        self.rqt.fill(0);
    }

    /// A memory's elements as they lie in DRAM. Nothing is put off.
    pub(crate) fn packed(&self, design: &Design, memory: MemType) -> Vec<u8> {
        debug_assert!(self.chain.is_settled());
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
                let mut tile = vec![0; design.lanes(memory)];
                let tiles = bytes.chunks_exact_mut(design.elem_bytes(memory));
                for (at, bytes) in tiles.enumerate() {
                    self.wgt.get(at, &mut tile);
                    if self.sign_wgt {
                        signs_to_bits(&mut tile);
                    }
                    pack(bits, &tile, bytes);
                }
            }
            MemType::Inp => {
                let mut values: Vec<i8> = self.inp.iter().map(|&x| (x ^ 128) as i8).collect();
                if self.sign_inp {
                    signs_to_bits(&mut values);
                }
                pack(bits, &values, &mut bytes);
            }
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
        let uops = match self.uop.get(kernel.uop_range()) {
            Some(uops) if kernel.steps() > 0 => uops,
            _ => return,
        };
        let mut accumulators = Accumulators {
            values: &mut self.acc,
            lanes: self.geometry.batch * self.geometry.block_out,
            bits: self.acc_bits,
        };
        let simd = self.simd;
        if simd != HostSimd::StepByStep && self.chain.takes(kernel, uops, &mut accumulators, simd) {
            return;
        }
        self.chain.settle(&mut accumulators, simd);
        match kernel.op {
            KernelOp::Gemm(mode @ (GemmMode::Accumulate | GemmMode::Overwrite)) => {
                let mut operands = Operands {
                    geometry: self.geometry,
                    acc_bits: self.acc_bits,
                    inp: &self.inp,
                    wgt: &self.wgt,
                    acc: &mut self.acc,
                    keeps: mode == GemmMode::Accumulate,
                };
                self.workspace.run(kernel, uops, &mut operands, simd);
            }
            _ => accumulators.in_order(kernel, uops, simd),
        }
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
