//! Every set of vector instructions against one step after the other.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::{AluOp, Design, GemmMode, HwConfig, MemType, Uop};

use super::{HostSimd, Scratch, Weights};
use crate::access::{Kernel, KernelOp};

/// Designs whose blocks need every path: whole vectors, several, halves, none.
fn designs() -> Vec<Design> {
    let design = |batch, block_in, block_out, inp, wgt, acc| {
        let config = HwConfig {
            log_batch: batch,
            log_block_in: block_in,
            log_block_out: block_out,
            log_inp_width: inp,
            log_wgt_width: wgt,
            log_acc_width: acc,
            // 512 elements each.
            log_inp_buff_size: batch + block_in + inp + 6,
            log_wgt_buff_size: block_in + block_out + wgt + 6,
            log_acc_buff_size: batch + block_out + acc + 6,
            ..HwConfig::default()
        };
        config.design().expect("a design")
    };
    vec![
        design(0, 4, 4, 3, 3, 5),
        design(1, 4, 5, 3, 3, 5),
        design(0, 5, 4, 3, 2, 5),
        design(2, 3, 3, 3, 3, 4),
        design(0, 2, 4, 3, 3, 4),
        design(1, 1, 4, 3, 3, 5),
        design(0, 4, 2, 1, 3, 5),
    ]
}

fn filled(design: &Design, rng: &mut ChaCha8Rng) -> Scratch {
    let mut scratch = Scratch::new(design, HostSimd::StepByStep);
    let extreme = rng.random_bool(0.2);
    let mut value = |bits: u32| {
        let least = -1i32 << (bits - 1);
        match extreme {
            true if rng.random() => least,
            true => -(least + 1),
            false => rng.random_range(least..=-(least + 1)),
        }
    };
    for x in scratch.inp.iter_mut() {
        *x = (value(design.inp_bits()) + 128) as u8;
    }
    let tiles = scratch.wgt.len() * design.lanes(MemType::Wgt);
    let weights: Vec<_> = (0..tiles).map(|_| value(design.wgt_bits()) as u8).collect();
    scratch.wgt.set(0, &weights, HostSimd::best());
    for a in scratch.acc.iter_mut() {
        *a = value(design.acc_bits());
    }
    scratch
}

/// Loops and micro-ops with a pattern or without, in a part of the memories so that steps often meet.
fn kernel(design: &Design, op: KernelOp, rng: &mut ChaCha8Rng) -> (Kernel, Vec<Uop>) {
    let depth = [MemType::Acc, MemType::Inp, MemType::Wgt].map(|m| design.depth(m));
    let alu = !matches!(op, KernelOp::Gemm(_));
    let src_depth = if alu { depth[0] } else { depth[1] };
    let depth = [depth[0], src_depth, depth[2]];
    let mut factor = || [0, 0, 1, 1, 2, 7, 13][rng.random_range(0..7)];
    let factors: [[u32; 2]; 3] = std::array::from_fn(|_| [factor(), factor()]);
    // Now and then more steps than are written out.
    let long = rng.random_bool(0.02);
    let loops = match long {
        true => [rng.random_range(1..3), design.max_iter()],
        false => [rng.random_range(1..20), rng.random_range(1..20)],
    };
    let factors = factors.map(|[o, i]| [o, if long { 0 } else { i }]);
    let reach = factors.map(|f| f[0] * (loops[0] - 1) + f[1] * (loops[1] - 1));
    let [tall, wide] = match long {
        true => [1, rng.random_range(1..4)],
        false => [rng.random_range(1..5), rng.random_range(1..8)],
    };
    let steps: [[u32; 2]; 3] =
        std::array::from_fn(|_| [rng.random_range(0..3), rng.random_range(0..3)]);
    let regular = rng.random_bool(0.7);
    let mut uop = |i: u32| {
        let mut index = |k: usize| {
            let room = depth[k] - reach[k].min(depth[k] - 1);
            let at = match regular {
                true => i / wide * steps[k][0] + i % wide * steps[k][1],
                false => rng.random_range(0..4),
            };
            at.min(room - 1)
        };
        Uop {
            dst: index(0),
            src: index(1),
            wgt: index(2),
        }
    };
    let uops: Vec<_> = (0..tall * wide).map(&mut uop).collect();
    let kernel = Kernel {
        op,
        uops: 0..uops.len() as u32,
        iter_out: loops[0],
        iter_in: loops[1],
        dst: factors[0],
        src: factors[1],
        wgt: factors[2],
    };
    (kernel, uops)
}

#[test]
fn all_instructions_of_the_host_agree() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let ops = [AluOp::Min, AluOp::Max, AluOp::Add, AluOp::Shr, AluOp::Mul];
    for design in designs() {
        let mut scratch = filled(&design, &mut rng);
        for round in 0..400 {
            let op = ops[round % ops.len()];
            let op = match round % 8 {
                0..4 => KernelOp::Gemm(GemmMode::Accumulate),
                4 => KernelOp::Gemm(GemmMode::Overwrite),
                5 => KernelOp::AluImm(op, rng.random_range(-40..40)),
                6 => KernelOp::AluAcc(op),
                _ => KernelOp::Gemm(GemmMode::Reset),
            };
            let (kernel, uops) = kernel(&design, op, &mut rng);
            scratch.uop[..uops.len()].copy_from_slice(&uops);
            let mut expected = scratch.clone();
            expected.simd = HostSimd::StepByStep;
            expected.run(&kernel);
            expected.settle();
            for simd in HostSimd::available() {
                let mut other = scratch.clone();
                other.simd = simd;
                other.run(&kernel);
                other.settle();
                assert!(*other.acc == *expected.acc, "{simd:?}: {kernel:?} {uops:?}");
            }
            if round % 16 == 0 {
                scratch = filled(&design, &mut rng);
            } else {
                scratch.acc = expected.acc;
            }
        }
    }
}

#[test]
fn weights_are_arranged_alike_and_come_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for design in designs() {
        let len = design.lanes(MemType::Wgt);
        let values: Vec<u8> = (0..3 * len).map(|_| rng.random()).collect();
        let arranged = |simd| {
            let mut weights = Weights::new(4, [design.block_in(), design.block_out()], 0);
            weights.set(1, &values, simd);
            weights
        };
        let expected = arranged(HostSimd::StepByStep);
        for simd in HostSimd::available() {
            let weights = arranged(simd);
            assert!(weights.tiles() == expected.tiles(), "{simd:?}");
            assert!(weights.corrections() == expected.corrections(), "{simd:?}");
        }
        let mut tile = vec![0; len];
        for (i, values) in values.chunks_exact(len).enumerate() {
            expected.get(i + 1, &mut tile);
            assert!(tile.iter().zip(values).all(|(&a, &b)| a as u8 == b));
        }
    }
}

/// Instructions over one range, and others among them, without a look at the accumulators in between.
#[test]
fn what_is_put_off_is_done_in_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let ops = [AluOp::Min, AluOp::Max, AluOp::Add, AluOp::Shr, AluOp::Mul];
    for design in designs() {
        let depth = design.depth(MemType::Acc);
        for round in 0..150 {
            let start = filled(&design, &mut rng);
            let (count, tall) = ([rng.random_range(1..5), rng.random_range(1..30)], 40);
            let dst = [[tall, 1], [1, 5], [tall, 2], [1, 0]][rng.random_range(0..4)];
            let mut kernels = Vec::new();
            let mut uops = Vec::new();
            for _ in 0..rng.random_range(2..25) {
                let op = ops[rng.random_range(0..ops.len())];
                let (op, src) = match rng.random_range(0..10) {
                    0..4 => (KernelOp::AluImm(op, rng.random_range(-40..40)), [0; 2]),
                    4 => (KernelOp::Gemm(GemmMode::Reset), [0; 2]),
                    5 => (KernelOp::Gemm(GemmMode::Accumulate), [1, 2]),
                    6 => (KernelOp::AluAcc(op), [rng.random_range(0..3), 2]),
                    7 => (KernelOp::AluAcc(op), dst),
                    _ => (KernelOp::AluAcc(op), [0; 2]),
                };
                let first = uops.len() as u32;
                let (near, same) = (rng.random_bool(0.3), rng.random_bool(0.9));
                for _ in 0..rng.random_range(1..3) {
                    uops.push(Uop {
                        dst: if same { 7 } else { rng.random_range(0..40) },
                        src: match near {
                            true => rng.random_range(0..200),
                            false => rng.random_range(250..depth - 200),
                        },
                        wgt: rng.random_range(0..20),
                    });
                }
                kernels.push(Kernel {
                    op,
                    uops: first..uops.len() as u32,
                    iter_out: count[0],
                    iter_in: count[1],
                    dst,
                    src,
                    wgt: [0, 1],
                });
            }
            let after = |simd| {
                let mut scratch = start.clone();
                scratch.simd = simd;
                scratch.uop[..uops.len()].copy_from_slice(&uops);
                kernels.iter().for_each(|kernel| scratch.run(kernel));
                scratch.settle();
                scratch.acc
            };
            let expected = after(HostSimd::StepByStep);
            for simd in HostSimd::available() {
                let same = *after(simd) == *expected;
                assert!(same, "{simd:?}, {round}: {kernels:?} {uops:?}");
            }
        }
    }
}
