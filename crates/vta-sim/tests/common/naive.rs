//! A second interpreter, slow and plain: the words of the instruction set one by one, bit by bit out of DRAM,
//! in the order of the stream and with nothing shared with the simulator. It runs only correct programs.

use vta_isa::{AluInsn, AluOp, Body, Design, GemmInsn, INSN_BYTES, Insn, MemInsn, MemType, Uop};

pub struct Naive<'a> {
    design: &'a Design,
    base: u64,
    pub dram: Vec<u8>,
    uop: Vec<u32>,
    /// `[element][lane]`
    inp: Vec<Vec<i64>>,
    wgt: Vec<Vec<i64>>,
    acc: Vec<Vec<i64>>,
}

/// Runs a stream and returns the image after it.
pub fn run(design: &Design, base: u64, dram: &[u8], stream: &[u8]) -> Vec<u8> {
    let memory = |lanes: usize| vec![vec![0; lanes]; 1 << 16];
    let (batch, block_in, block_out) = (design.batch(), design.block_in(), design.block_out());
    let mut naive = Naive {
        design,
        base,
        dram: dram.to_vec(),
        uop: vec![0; 1 << 16],
        inp: memory(batch * block_in),
        wgt: memory(block_out * block_in),
        acc: memory(batch * block_out),
    };
    for word in stream.chunks(INSN_BYTES) {
        match Insn::decode(design, word.try_into().unwrap()).unwrap().body {
            Body::Load(mem) if mem.x_size > 0 => naive.load(&mem),
            Body::Store(mem) if mem.x_size > 0 => naive.store(&mem),
            Body::Gemm(gemm) => naive.gemm(&gemm),
            Body::Alu(alu) => naive.alu(&alu),
            _ => {}
        }
    }
    naive.dram
}

fn signed(value: i64, bits: u32) -> i64 {
    let value = value.rem_euclid(1 << bits);
    if value >= 1 << (bits - 1) {
        value - (1 << bits)
    } else {
        value
    }
}

impl Naive<'_> {
    fn bit(&self, bit: u64) -> i64 {
        (self.dram[(bit / 8 - self.base) as usize] >> (bit % 8) & 1).into()
    }

    fn set_bit(&mut self, bit: u64, value: bool) {
        let byte = &mut self.dram[(bit / 8 - self.base) as usize];
        *byte = *byte & !(1 << (bit % 8)) | u8::from(value) << (bit % 8);
    }

    /// The lanes of one DRAM element.
    fn element(&self, element: u64, lanes: usize, bits: u32) -> Vec<i64> {
        let value = |lane: u64| {
            let first = (element * lanes as u64 + lane) * u64::from(bits);
            signed(
                (0..u64::from(bits)).map(|i| self.bit(first + i) << i).sum(),
                bits,
            )
        };
        (0..lanes as u64).map(value).collect()
    }

    fn load(&mut self, mem: &MemInsn) {
        let d = self.design;
        let memory = mem.mem().unwrap();
        let (lanes, bits) = match memory {
            MemType::Uop => (1, 32),
            MemType::Inp => (self.inp[0].len(), d.inp_bits()),
            MemType::Wgt => (self.wgt[0].len(), d.wgt_bits()),
            MemType::Acc => (self.acc[0].len(), d.acc_bits()),
            MemType::Acc8 => (self.acc[0].len(), 8),
            MemType::Out => panic!("LOAD of OUT"),
        };
        let mut at = mem.sram_base as usize;
        for y in 0..mem.y_pad_0 + mem.y_size + mem.y_pad_1 {
            for x in 0..mem.x_pad_0 + mem.x_size + mem.x_pad_1 {
                let row = y.checked_sub(mem.y_pad_0).filter(|&r| r < mem.y_size);
                let column = x.checked_sub(mem.x_pad_0).filter(|&c| c < mem.x_size);
                let values = match (row, column) {
                    (Some(r), Some(c)) => {
                        let from = u64::from(mem.dram_base)
                            + u64::from(r) * u64::from(mem.x_stride)
                            + u64::from(c);
                        self.element(from, lanes, bits)
                    }
                    _ => vec![0; lanes],
                };
                match memory {
                    MemType::Uop => self.uop[at] = values[0] as u32,
                    MemType::Inp => self.inp[at] = values,
                    MemType::Wgt => self.wgt[at] = values,
                    _ => self.acc[at] = values,
                }
                at += 1;
            }
        }
    }

    fn store(&mut self, mem: &MemInsn) {
        let bits = u64::from(self.design.out_bits());
        for y in 0..mem.y_size {
            for x in 0..mem.x_size {
                let values = self.acc[(mem.sram_base + y * mem.x_size + x) as usize].clone();
                let element = u64::from(mem.dram_base)
                    + u64::from(y) * u64::from(mem.x_stride)
                    + u64::from(x);
                for (lane, value) in values.iter().enumerate() {
                    for i in 0..bits {
                        let bit = (element * values.len() as u64 + lane as u64) * bits + i;
                        self.set_bit(bit, value >> i & 1 == 1);
                    }
                }
            }
        }
    }

    fn gemm(&mut self, insn: &GemmInsn) {
        let (block_in, block_out) = (self.design.block_in(), self.design.block_out());
        for o in 0..insn.iter_out {
            for i in 0..insn.iter_in {
                for u in insn.uop_begin..insn.uop_end {
                    let uop = Uop::decode(self.design, self.uop[u as usize]);
                    let d = (uop.dst + o * insn.dst_factor_out + i * insn.dst_factor_in) as usize;
                    let s = (uop.src + o * insn.src_factor_out + i * insn.src_factor_in) as usize;
                    let w = (uop.wgt + o * insn.wgt_factor_out + i * insn.wgt_factor_in) as usize;
                    for b in 0..self.design.batch() {
                        for n in 0..block_out {
                            let acc = &mut self.acc[d][b * block_out + n];
                            if insn.reset {
                                *acc = 0;
                                continue;
                            }
                            for k in 0..block_in {
                                let product =
                                    self.inp[s][b * block_in + k] * self.wgt[w][n * block_in + k];
                                *acc = signed(*acc + product, self.design.acc_bits());
                            }
                        }
                    }
                }
            }
        }
    }

    fn alu(&mut self, insn: &AluInsn) {
        for o in 0..insn.iter_out {
            for i in 0..insn.iter_in {
                for u in insn.uop_begin..insn.uop_end {
                    let uop = Uop::decode(self.design, self.uop[u as usize]);
                    let d = (uop.dst + o * insn.dst_factor_out + i * insn.dst_factor_in) as usize;
                    let s = (uop.src + o * insn.src_factor_out + i * insn.src_factor_in) as usize;
                    for lane in 0..self.acc[d].len() {
                        let a = self.acc[d][lane];
                        let b = if insn.use_imm {
                            insn.imm.into()
                        } else {
                            self.acc[s][lane]
                        };
                        let result = match insn.op().unwrap() {
                            AluOp::Min => a.min(b),
                            AluOp::Max => a.max(b),
                            AluOp::Add => a + b,
                            AluOp::Mul => a * b,
                            AluOp::Shr if b >= 0 => a >> b.min(40),
                            AluOp::Shr if b <= -32 => 0,
                            AluOp::Shr => a << -b,
                        };
                        self.acc[d][lane] = signed(result, self.design.acc_bits());
                    }
                }
            }
        }
    }
}
