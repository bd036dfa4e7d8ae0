//! Networks on the simulated device: results, counters, memory, and what is refused.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use vta_graph::text::{PrintOptions, print};
use vta_graph::{BlockedLayout, DType, Graph, Op, Tensor, TensorType};
use vta_isa::{Design, GemmMode, HwConfig, MemType, Module, Uop};
use vta_program::{Block2d, CommandStream, ImageSection, Loop, Operand, Program, Slot, Step};
use vta_runtime::{Device, DeviceError, ErrorKind, Network, NetworkError, RunLimits, SimDevice};

const PIXELS: u32 = 6;

fn design() -> Design {
    let config = HwConfig {
        log_inp_width: 2,
        log_block_in: 3,
        log_block_out: 3,
        log_inp_buff_size: 12,
        log_wgt_buff_size: 14,
        log_acc_buff_size: 14,
        ..HwConfig::default()
    };
    config.design().unwrap()
}

/// `y = clip(w x, -8, 7)` on 4-bit values: a 1x1 convolution of 8 channels, each the sum of two
/// neighbours, over 2 x 3 pixels; the host packs and unpacks.
fn program(design: &Design) -> Program {
    let mem = |offset: u64, mem| offset / design.elem_bytes(mem) as u64;
    let (x_at, y_at, w_at, uop_at) = (0, 256, 512, 1024);
    let mut stream = CommandStream::new(design);
    let pixel = Loop {
        extent: PIXELS,
        dst: 1,
        src: 1,
        wgt: 0,
    };
    stream
        .load_2d(
            MemType::Inp,
            Block2d::run(0, mem(x_at, MemType::Inp), PIXELS),
        )
        .unwrap();
    stream
        .load_2d(MemType::Wgt, Block2d::run(0, mem(w_at, MemType::Wgt), 1))
        .unwrap();
    stream.dep_push(Module::Load, Module::Compute).unwrap();
    stream.dep_pop(Module::Load, Module::Compute).unwrap();
    let kernel = stream.intern(&[Uop::default()]).unwrap();
    for mode in [GemmMode::Reset, GemmMode::Accumulate] {
        stream.gemm(kernel, mode, [Loop::ONCE, pixel]).unwrap();
    }
    for (op, bound) in [(vta_isa::AluOp::Max, -8), (vta_isa::AluOp::Min, 7)] {
        stream
            .alu(kernel, op, Operand::Imm(bound), [Loop::ONCE, pixel])
            .unwrap();
    }
    stream.dep_push(Module::Compute, Module::Store).unwrap();
    stream.dep_pop(Module::Compute, Module::Store).unwrap();
    stream
        .store_2d(Block2d::run(0, mem(y_at, MemType::Out), PIXELS))
        .unwrap();
    let uops = stream.uop_pool().bytes();
    let stream = stream.finish().unwrap().encode(design, uop_at).unwrap();

    let weights = (0..64).map(|i| u8::from(i / 8 == i % 8 || (i / 8 + 1) % 8 == i % 8));
    let layout = BlockedLayout {
        batch: 1,
        lanes: 8,
        border: [0; 4],
        fill: 0,
    };
    let blocked = TensorType::new(DType::I4, [1, 1, 2, 3, 1, 8]);
    let plain = TensorType::new(DType::I4, [1, 8, 2, 3]);
    let host = |from: &TensorType, op| {
        let mut graph = Graph::new("host");
        let x = graph.add_value("x", from.clone());
        graph.inputs.push(x);
        let y = graph.add_node("node", op, &[x], "y").unwrap();
        graph.outputs.push(y);
        print(&graph, PrintOptions::default())
    };
    let slot = |name: &str, ty: &TensorType| Slot {
        name: name.into(),
        dtype: ty.dtype.name().into(),
        shape: ty.shape.clone(),
    };
    let unpack = Op::Unpack {
        layout: layout.clone(),
        shape: [1, 8, 2, 3],
    };
    Program {
        config: design.config().clone(),
        name: "neighbours".into(),
        arena_bytes: 1024 + uops.len() as u64,
        image: vec![
            ImageSection {
                offset: w_at,
                bytes: weights.collect(),
            },
            ImageSection {
                offset: uop_at,
                bytes: uops,
            },
        ],
        streams: vec![stream],
        steps: vec![
            Step::Host {
                graph: host(&plain, Op::Pack(layout)),
                inputs: vec![0],
                outputs: vec![1],
            },
            Step::Upload {
                slot: 1,
                offset: x_at,
                bits: 4,
            },
            Step::Run { stream: 0 },
            Step::Download {
                slot: 2,
                offset: y_at,
                bits: 4,
            },
            Step::Host {
                graph: host(&blocked, unpack),
                inputs: vec![2],
                outputs: vec![3],
            },
        ],
        slots: vec![
            slot("x", &plain),
            slot("x.packed", &blocked),
            slot("y.packed", &blocked),
            slot("y", &plain),
        ],
        inputs: vec![0],
        outputs: vec![3],
        preprocess: None,
        labels: Vec::new(),
        placement: Vec::new(),
        layers: Vec::new(),
        notes: Default::default(),
    }
}

fn input(seed: i64) -> Vec<i64> {
    (0..48)
        .map(|i| (i * i * 7 + i * 3 + seed * 5) % 16 - 8)
        .collect()
}

#[test]
fn computes_and_gives_memory_back() {
    let design = design();
    let file = program(&design).to_bytes().unwrap();
    let program = Program::from_bytes(&file).unwrap();
    let mut device = SimDevice::new(&design);
    let first = device.alloc(1).unwrap();
    device.free(first).unwrap();
    {
        let mut network = Network::load(&program, &mut device).unwrap();
        for seed in 0..3 {
            let x = input(seed);
            let tensor = Tensor::from_ints(DType::I4, [1, 8, 2, 3], &x);
            let y = network.run(&[tensor]).unwrap();
            let sum = |c: usize, p: usize| x[c * 6 + p] + x[(c + 1) % 8 * 6 + p];
            let expected: Vec<i64> = (0..48).map(|i| sum(i / 6, i % 6).clamp(-8, 7)).collect();
            assert_eq!(y, [Tensor::from_ints(DType::I4, [1, 8, 2, 3], &expected)]);
        }
        let stats = network.stats();
        assert_eq!(stats.counters.macs, 6 * 64);
        assert_eq!(stats.counters.alu_ops.total(), 12);
        let steps: Vec<&str> = stats.steps.iter().map(|s| s.what).collect();
        assert_eq!(steps, ["host", "upload", "run", "download", "host"]);
        assert_eq!(network.device().counters().macs, 3 * 6 * 64);
    }
    assert_eq!(
        device.alloc(1 << 24).unwrap(),
        first,
        "everything was freed"
    );
}

#[test]
fn mistakes_are_told_from_limits_and_faults() {
    let design = design();
    let good = program(&design);
    let refused = |program: &Program, device: SimDevice| match Network::load(program, device) {
        Ok(_) => panic!("loaded"),
        Err(error) => error,
    };
    let other = refused(&good, SimDevice::new(&Design::default()));
    assert!(
        other.to_string().contains("LOG_INP_WIDTH is 2, here 3"),
        "{other}"
    );
    assert_eq!(other.kind(), ErrorKind::Caller);
    let full = refused(&good, SimDevice::with_memory(&design, 8192));
    assert!(full.to_string().contains("exhausted"), "{full}");
    assert_eq!(full.kind(), ErrorKind::Limit);
    let mut bad = good.clone();
    bad.slots[0].shape = vec![1, 8, 3, 2];
    let bad = refused(&bad, SimDevice::new(&design));
    assert!(
        bad.to_string().contains("step 0, on the host: its inputs"),
        "{bad}"
    );

    let mut network = Network::load(&good, SimDevice::new(&design)).unwrap();
    let error = network.run(&[]).unwrap_err();
    assert!(
        error.to_string().contains("takes 1: `x` i4[1,8,2,3]"),
        "{error}"
    );
    let error = network.run(&[Tensor::i8([2], vec![0, 0])]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`x` must be i4[1,8,2,3], i8[2] was given"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Caller);
    network.set_limits(RunLimits {
        insns: 3,
        ..RunLimits::default()
    });
    let x = Tensor::from_ints(DType::I4, [1, 8, 2, 3], &input(0));
    let error = network.run(std::slice::from_ref(&x)).unwrap_err();
    assert!(matches!(error, NetworkError::Device { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Limit);
    network.set_limits(RunLimits::default());
    network.run(&[x]).unwrap();
}

/// A file whose checksum is good may still say anything: it runs, or is refused, or faults.
#[test]
fn forged_programs_do_no_harm() {
    let design = design();
    let file = program(&design).to_bytes().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut ends = [0; 4];
    for _ in 0..6000 {
        let mut bad = file.clone();
        for _ in 0..rng.random_range(1..3) {
            let at = rng.random_range(88..bad.len());
            match rng.random_range(0..3) {
                0 => bad[at] = b"0129-[\"],ex ;%"[rng.random_range(0..14)],
                1 => bad[at] ^= 1 << rng.random_range(0..8),
                _ => bad.swap(at, rng.random_range(88..file.len())),
            }
        }
        bad[56..88].fill(0);
        let sha = Sha256::digest(&bad);
        bad[56..88].copy_from_slice(&sha);
        let Ok(program) = Program::from_bytes(&bad) else {
            ends[0] += 1;
            continue;
        };
        let device = SimDevice::with_memory(&design, 1 << 20);
        let Ok(mut network) = Network::load(&program, device) else {
            ends[1] += 1;
            continue;
        };
        network.set_limits(RunLimits {
            insns: 100,
            steps: 10_000,
            keep_state: false,
        });
        let x = Tensor::from_ints(DType::I4, [1, 8, 2, 3], &input(0));
        ends[if network.run(&[x]).is_err() { 2 } else { 3 }] += 1;
    }
    assert!(
        ends.iter().all(|&n| n > 20),
        "refused, not loaded, faulty, run: {ends:?}"
    );
}

#[test]
fn memory_is_zeroed_and_guarded() {
    let mut device = SimDevice::with_memory(&Design::default(), 1 << 20);
    let a = device.alloc(100).unwrap();
    let b = device.alloc(5000).unwrap();
    device.write(b, &[7; 5000]).unwrap();
    device.free(b).unwrap();
    let mut bytes = [1; 8192];
    for (address, len) in [(b, 1), (0, 1), (a + 4000, 97), (u64::MAX, 1), (1 << 40, 1)] {
        let error = device.read(address, &mut bytes[..len]).unwrap_err();
        assert_eq!(
            error,
            DeviceError::Access {
                address,
                len: len as u64
            }
        );
        assert_eq!(error.kind(), ErrorKind::Caller);
    }
    assert_eq!(device.alloc(8192).unwrap(), b);
    device.read(b, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 8192]);
}

/// A token and a register that one run leaves are there for the next, if both ask for it.
#[test]
fn state_is_kept_only_on_request() {
    let design = Design::default();
    let assemble = |text| vta_isa::asm::assemble(&design, text).unwrap();
    let leaves = assemble("load.acc push_next dram=0x40 y=1 x=1 stride=1\nfinish\n");
    let takes = assemble(
        "store.out pop_prev push_prev dram=0x200 y=1 x=1 stride=1\nload.uop pop_next\nfinish\n",
    );
    let both = |keep_first, keep_second| {
        let mut device = SimDevice::new(&design);
        let data = device.alloc(8192).unwrap();
        assert_eq!(data, 0x1000);
        device.write(data, &[5; 64])?;
        for (stream, keep_state) in [(&leaves, keep_first), (&takes, keep_second)] {
            let code = device.alloc(stream.len() as u64)?;
            device.write(code, stream)?;
            let limits = RunLimits {
                keep_state,
                ..RunLimits::default()
            };
            device.run(code, stream.len() as u64 / 16, &limits)?;
        }
        let mut stored = [0; 16];
        device.read(0x2000, &mut stored)?;
        Ok::<_, DeviceError>(stored)
    };
    assert_eq!(both(true, true).unwrap(), [5; 16]);
    for (first, second) in [(true, false), (false, true)] {
        assert_eq!(both(first, second).unwrap_err().kind(), ErrorKind::Fault);
    }
}
