//! The fault of an index past its memory: found by intervals, once an instruction, it is the one that the first step
//! meets that has one.

mod common;

use common::designs;
use proptest::prelude::*;
use vta_isa::{AluInsn, AluOp, Body, Deps, Design, GemmInsn, Insn, MemInsn, MemType, Uop};
use vta_sim::{
    Cause, CheckOptions, CycleOptions, CycleSim, Dram, FuncSim, HostSimd, Operand, RunOptions,
    check,
};

/// Loops over some micro-ops, the factors of each operand.
#[derive(Clone, Debug)]
struct Nest {
    uops: Vec<Uop>,
    iter: [u32; 2],
    dst: [u32; 2],
    src: [u32; 2],
    wgt: [u32; 2],
}

/// What the loops do.
#[derive(Clone, Copy, Debug)]
enum Op {
    Gemm,
    Reset,
    AluImm,
    AluAcc,
}

impl Op {
    fn operands(self) -> &'static [(Operand, MemType)] {
        match self {
            Op::Gemm => &[
                (Operand::Dst, MemType::Acc),
                (Operand::Src, MemType::Inp),
                (Operand::Wgt, MemType::Wgt),
            ],
            Op::Reset | Op::AluImm => &[(Operand::Dst, MemType::Acc)],
            Op::AluAcc => &[(Operand::Dst, MemType::Acc), (Operand::Src, MemType::Acc)],
        }
    }

    fn body(self, nest: &Nest) -> Body {
        let (uop_begin, uop_end) = (FIRST, FIRST + nest.uops.len() as u32);
        let ([iter_out, iter_in], [dst_factor_out, dst_factor_in]) = (nest.iter, nest.dst);
        let [src_factor_out, src_factor_in] = nest.src;
        match self {
            Op::Gemm | Op::Reset => Body::Gemm(GemmInsn {
                reset: matches!(self, Op::Reset),
                uop_begin,
                uop_end,
                iter_out,
                iter_in,
                dst_factor_out,
                dst_factor_in,
                src_factor_out,
                src_factor_in,
                wgt_factor_out: nest.wgt[0],
                wgt_factor_in: nest.wgt[1],
                ..GemmInsn::default()
            }),
            Op::AluImm | Op::AluAcc => Body::Alu(AluInsn {
                alu_opcode: AluOp::Add.code(),
                use_imm: matches!(self, Op::AluImm),
                uop_begin,
                uop_end,
                iter_out,
                iter_in,
                dst_factor_out,
                dst_factor_in,
                src_factor_out,
                src_factor_in,
                ..AluInsn::default()
            }),
        }
    }
}

/// Where the micro-ops begin.
const FIRST: u32 = 1;

/// One step after the other, one operand after the other.
fn first_fault(design: &Design, op: Op, nest: &Nest) -> Option<Cause> {
    for iter_out in 0..nest.iter[0] {
        for iter_in in 0..nest.iter[1] {
            for (at, uop) in nest.uops.iter().enumerate() {
                for &(operand, memory) in op.operands() {
                    let (start, factors) = match operand {
                        Operand::Dst => (uop.dst, nest.dst),
                        Operand::Src => (uop.src, nest.src),
                        Operand::Wgt => (uop.wgt, nest.wgt),
                    };
                    let index = start + iter_out * factors[0] + iter_in * factors[1];
                    if index >= design.depth(memory) {
                        return Some(Cause::Index {
                            operand,
                            memory,
                            index: index.into(),
                            depth: design.depth(memory),
                            uop: FIRST + at as u32,
                            iter_out,
                            iter_in,
                        });
                    }
                }
            }
        }
    }
    None
}

/// Starts and factors that end near the ends of the memories, on one side or the other.
fn nest(design: &Design) -> impl Strategy<Value = Nest> + use<> {
    let depths = [MemType::Acc, MemType::Inp, MemType::Wgt].map(|memory| design.depth(memory));
    let start = |depth: u32| prop_oneof![0..depth, depth - depth.min(8)..depth];
    let factor = |depth: u32| prop_oneof![0..depth.min(4), 0..depth.div_ceil(4).max(2).min(depth)];
    let factors = |depth| prop::array::uniform2(factor(depth));
    let uop = depths.map(start);
    let uops = prop::collection::vec(uop.prop_map(|[dst, src, wgt]| Uop { dst, src, wgt }), 1..6);
    let iter = prop::array::uniform2(1u32..7);
    let [dst, src, wgt] = depths.map(factors);
    (uops, iter, dst, src, wgt).prop_map(|(uops, iter, dst, src, wgt)| Nest {
        uops,
        iter,
        dst,
        src,
        wgt,
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::Gemm),
        Just(Op::Reset),
        Just(Op::AluImm),
        Just(Op::AluAcc)
    ]
}

/// A stream that loads the micro-ops and does it, with its image.
fn program(design: &Design, op: Op, nest: &Nest) -> (Dram, Vec<u8>) {
    let words = nest.uops.iter().map(|uop| uop.encode(design).unwrap());
    let dram = Dram::new(0, words.flat_map(u32::to_le_bytes).collect());
    let load = MemInsn {
        memory_type: MemType::Uop.code(),
        sram_base: FIRST,
        y_size: 1,
        x_size: nest.uops.len() as u32,
        ..MemInsn::default()
    };
    let bodies = [Body::Load(load), op.body(nest), Body::Finish];
    let encode = |body| Insn::new(Deps::default(), body).encode(design).unwrap();
    (dram, bodies.into_iter().flat_map(encode).collect())
}

fn cases() -> impl Strategy<Value = (Design, Op, Nest)> {
    (0..designs().len(), op()).prop_flat_map(|(which, op)| {
        let design = designs()[which].1.clone();
        nest(&design).prop_map(move |nest| (design.clone(), op, nest))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_first_step_past_a_memory_is_named((design, op, nest) in cases()) {
        let (dram, insns) = program(&design, op, &nest);
        let expected = first_fault(&design, op, &nest);
        for simd in HostSimd::available() {
            let fault = FuncSim::with_simd(&design, simd).run(&mut dram.clone(), &insns, &RunOptions::default()).err();
            prop_assert_eq!(fault.as_ref().map(|fault| &fault.cause), expected.as_ref());
            let site = fault.and_then(|fault| fault.site).map(|site| site.index);
            prop_assert_eq!(site, expected.as_ref().map(|_| 1));
        }
        let timed = CycleSim::new(&design).run(&mut dram.clone(), 0, &insns, &CycleOptions::default());
        prop_assert_eq!(timed.err().map(|fault| fault.cause), expected.clone());
        let findings = check(&design, &dram, &insns, &CheckOptions::default()).err().unwrap_or_default();
        let found: Vec<_> = findings.into_iter().map(|finding| finding.cause).collect();
        prop_assert_eq!(found, Vec::from_iter(expected));
    }
}
