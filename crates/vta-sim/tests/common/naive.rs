//! A second interpreter, slow and plain: the words of the instruction set one by one, bit by bit out of DRAM,
//! in the order of the stream and with nothing shared with the simulator. It runs only correct programs, and can
//! tell what each instruction touches.

use std::collections::BTreeSet;

use vta_isa::{
    AluInsn, AluOp, Body, Design, Feature, GemmInsn, INSN_BYTES, Insn, MemInsn, MemType, Uop,
};
use vta_sim::Counters;

/// A byte of DRAM or a scratchpad element that instructions of two modules may touch.
pub(crate) type Place = (&'static str, u64);
/// The places read and the places written.
pub(crate) type Footprint = (BTreeSet<Place>, BTreeSet<Place>);

struct Naive<'a> {
    design: &'a Design,
    base: u64,
    dram: Vec<u8>,
    touched: Footprint,
    counted: Counters,
    uop: Vec<u32>,
    /// `[element][lane]`
    inp: Vec<Vec<i64>>,
    wgt: Vec<Vec<i64>>,
    acc: Vec<Vec<i64>>,
    /// The fields of each rescaling: add, mult, shift, lo, hi.
    rqt: Vec<[i64; 5]>,
}

/// Runs a stream and returns the image after it, and what it counted on the way.
pub(crate) fn run(design: &Design, base: u64, dram: &[u8], stream: &[u8]) -> (Vec<u8>, Counters) {
    let mut naive = Naive::new(design, base, dram);
    stream.chunks(INSN_BYTES).for_each(|word| naive.step(word));
    (naive.dram, naive.counted)
}

/// What each instruction touches.
pub(crate) fn footprints(design: &Design, base: u64, dram: &[u8], stream: &[u8]) -> Vec<Footprint> {
    let mut naive = Naive::new(design, base, dram);
    stream
        .chunks(INSN_BYTES)
        .map(|word| {
            naive.step(word);
            std::mem::take(&mut naive.touched)
        })
        .collect()
}

fn signed(value: i64, bits: u32) -> i64 {
    let value = value.rem_euclid(1 << bits);
    if value >= 1 << (bits - 1) {
        value - (1 << bits)
    } else {
        value
    }
}

/// The value of a bit pattern, of which `value` is the two's complement.
fn meant(design: &Design, memory: MemType, value: i64) -> i64 {
    let sign = match memory {
        MemType::Inp => design.has(Feature::SignInp),
        MemType::Wgt => design.has(Feature::SignWgt),
        _ => false,
    };
    match (sign, value) {
        (true, 0) => 1,
        (true, _) => -1,
        (false, value) => value,
    }
}

fn cleared(design: &Design, memory: MemType) -> i64 {
    meant(design, memory, 0)
}

impl<'a> Naive<'a> {
    fn new(design: &'a Design, base: u64, dram: &[u8]) -> Naive<'a> {
        let memory =
            |mem| vec![vec![cleared(design, mem); design.lanes(mem)]; design.depth(mem) as usize];
        Naive {
            design,
            base,
            dram: dram.to_vec(),
            touched: Footprint::default(),
            counted: Counters::default(),
            uop: vec![0; design.depth(MemType::Uop) as usize],
            inp: memory(MemType::Inp),
            wgt: memory(MemType::Wgt),
            acc: memory(MemType::Acc),
            rqt: vec![[0; 5]; design.depth(MemType::Rqt) as usize],
        }
    }

    fn step(&mut self, word: &[u8]) {
        let insns = &mut self.counted.insns;
        match Insn::decode(self.design, word.try_into().unwrap())
            .unwrap()
            .body
        {
            Body::Load(mem) if mem.x_size > 0 => {
                insns.load += 1;
                self.load(&mem);
            }
            Body::Store(mem) if mem.x_size > 0 => {
                insns.store += 1;
                self.store(&mem);
            }
            Body::Load(_) | Body::Store(_) => insns.sync += 1,
            Body::Gemm(gemm) => {
                insns.gemm += 1;
                self.gemm(&gemm);
            }
            Body::Alu(alu) => {
                insns.alu += 1;
                self.alu(&alu);
            }
            Body::Finish => insns.finish += 1,
        }
    }

    fn reads(&mut self, memory: &'static str, index: usize) {
        self.touched.0.insert((memory, index as u64));
    }

    fn writes(&mut self, memory: &'static str, index: usize) {
        self.touched.1.insert((memory, index as u64));
    }

    fn bit(&mut self, bit: u64) -> i64 {
        if bit % 8 == 0 {
            self.touched.0.insert(("dram", bit / 8));
        }
        (self.dram[(bit / 8 - self.base) as usize] >> (bit % 8) & 1).into()
    }

    fn set_bit(&mut self, bit: u64, value: bool) {
        if bit % 8 == 0 {
            self.touched.1.insert(("dram", bit / 8));
        }
        let byte = &mut self.dram[(bit / 8 - self.base) as usize];
        *byte = *byte & !(1 << (bit % 8)) | u8::from(value) << (bit % 8);
    }

    /// The lanes of one DRAM element.
    fn element(&mut self, element: u64, lanes: usize, bits: u32) -> Vec<i64> {
        let mut value = |lane: u64| {
            let first = (element * lanes as u64 + lane) * u64::from(bits);
            signed(
                (0..u64::from(bits)).map(|i| self.bit(first + i) << i).sum(),
                bits,
            )
        };
        (0..lanes as u64).map(&mut value).collect()
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
            MemType::Rqt => return self.load_rescalings(mem),
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
                        let loaded = &mut self.counted.load_bytes;
                        *match memory {
                            MemType::Uop => &mut loaded.uop,
                            MemType::Inp => &mut loaded.inp,
                            MemType::Wgt => &mut loaded.wgt,
                            MemType::Acc8 => &mut loaded.acc8,
                            _ => &mut loaded.acc,
                        } += (lanes * bits as usize / 8) as u64;
                        self.counted.uops_loaded += u64::from(memory == MemType::Uop);
                        self.element(from, lanes, bits)
                    }
                    _ if memory == MemType::Uop => vec![0],
                    _ => vec![signed(mem.pad_value.into(), bits); lanes],
                };
                let values: Vec<i64> = values
                    .into_iter()
                    .map(|value| meant(d, memory, value))
                    .collect();
                match memory {
                    MemType::Uop => {}
                    MemType::Inp => self.writes("inp", at),
                    MemType::Wgt => self.writes("wgt", at),
                    _ => self.writes("acc", at),
                }
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

    fn load_rescalings(&mut self, mem: &MemInsn) {
        let mut at = mem.sram_base as usize;
        for y in 0..mem.y_pad_0 + mem.y_size + mem.y_pad_1 {
            for x in 0..mem.x_pad_0 + mem.x_size + mem.x_pad_1 {
                let row = y.checked_sub(mem.y_pad_0).filter(|&r| r < mem.y_size);
                let column = x.checked_sub(mem.x_pad_0).filter(|&c| c < mem.x_size);
                self.rqt[at] = match (row, column) {
                    (Some(r), Some(c)) => {
                        self.counted.load_bytes.rqt += 16;
                        let row = u64::from(r) * u64::from(mem.x_stride);
                        let first = 128 * (u64::from(mem.dram_base) + row + u64::from(c));
                        let mut field = |from: u64, bits: u32| -> i64 {
                            (0..u64::from(bits))
                                .map(|i| self.bit(first + from + i) << i)
                                .sum()
                        };
                        let low = field(0, 32);
                        let add = (field(32, 32) << 32) | low;
                        let mult = signed(field(64, 32), 32);
                        [
                            add,
                            mult,
                            field(96, 6),
                            signed(field(104, 8), 8),
                            signed(field(112, 8), 8),
                        ]
                    }
                    _ => [0; 5],
                };
                self.writes("rqt", at);
                at += 1;
            }
        }
    }

    /// What a rescaling STORE makes of the values of an element.
    fn rescale(&mut self, entry: u32, values: &[i64]) -> Vec<i64> {
        let block = self.design.block_out();
        let mut rescaled = Vec::new();
        for (lane, &value) in values.iter().enumerate() {
            let record = entry as usize * block + lane % block;
            self.reads("rqt", record);
            let [add, mult, shift, lo, hi] = self.rqt[record].map(i128::from);
            let divided = (i128::from(value) * mult + add).div_euclid(1 << shift);
            rescaled.push(hi.min(lo.max(divided)) as i64);
        }
        rescaled
    }

    fn store(&mut self, mem: &MemInsn) {
        let bits = u64::from(self.design.out_bits());
        for y in 0..mem.y_size {
            for x in 0..mem.x_size {
                let from = (mem.sram_base + y * mem.x_size + x) as usize;
                self.reads("acc", from);
                let mut values = self.acc[from].clone();
                self.counted.store_bytes += values.len() as u64 * bits / 8;
                if mem.requant {
                    self.counted.requant_ops += 1;
                    values = self.rescale(mem.entry, &values);
                }
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
                    self.writes("acc", d);
                    self.counted.reset_ops += u64::from(insn.reset);
                    self.counted.gemm_ops += u64::from(!insn.reset);
                    if !insn.reset {
                        self.reads("inp", s);
                        self.reads("wgt", w);
                    }
                    for b in 0..self.design.batch() {
                        for n in 0..block_out {
                            let acc = &mut self.acc[d][b * block_out + n];
                            if insn.reset || insn.overwrite {
                                *acc = 0;
                            }
                            if insn.reset {
                                continue;
                            }
                            for k in 0..block_in {
                                self.counted.macs += 1;
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
                    self.writes("acc", d);
                    let alu = &mut self.counted.alu_ops;
                    *match insn.op().unwrap() {
                        AluOp::Min => &mut alu.min,
                        AluOp::Max => &mut alu.max,
                        AluOp::Add => &mut alu.add,
                        AluOp::Shr => &mut alu.shr,
                        AluOp::Mul => &mut alu.mul,
                    } += 1;
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
