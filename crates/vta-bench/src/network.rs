//! A network from its ONNX file to its results, phase by phase.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use vta_compiler::Compiled;
use vta_graph::interp::Interpreter;
use vta_graph::passes::{prepare, to_integers};
use vta_graph::quant::{QuantOptions, post_training};
use vta_graph::{DType, Graph, Tensor};
use vta_isa::Design;
use vta_runtime::{Device, Network};
use vta_sim::{Counters, CycleOptions, CycleSim, MemoryModel};

/// What a phase took.
pub type Phase = (&'static str, Duration);

/// A compiled network and what it was compiled from.
pub struct Built {
    /// The oracle's graph.
    pub integer: Graph,
    /// What devices run.
    pub compiled: Compiled,
    /// Import, preparation, quantization, lowering, compilation, in that order.
    pub phases: Vec<Phase>,
}

/// One inference.
pub struct Ran {
    /// The device's counters.
    pub counters: Counters,
    /// Cycles of all streams, if the device counts them.
    pub cycles: Option<u64>,
    /// The streams, by index, in the order in which they ran.
    pub streams: Vec<usize>,
    /// Time in streams, and in everything else (host operators, transfers).
    pub phases: [Phase; 2],
    /// Time of the oracle.
    pub oracle: Duration,
}

/// Compiles an ONNX file with one `f32` input, calibrated on `calibration` inputs of noise
/// that `seed` determines.
///
/// # Errors
/// Those of every phase.
pub fn build(onnx: &[u8], design: &Design, calibration: usize, seed: u64) -> Result<Built> {
    let mut phases = Vec::new();
    let mut start = Instant::now();
    let mut lap = |name| {
        phases.push((name, start.elapsed()));
        start = Instant::now();
    };
    let mut graph = vta_onnx::import(onnx)?.graph;
    lap("import");
    prepare(&mut graph)?;
    lap("prepare");
    let target = vta_compiler::quant_target(design);
    let options = QuantOptions {
        target,
        ..QuantOptions::default()
    };
    let inputs = noise(&graph, calibration, seed)?;
    post_training(&graph, &inputs, &options)?.apply(&mut graph)?;
    lap("quantize");
    to_integers(&mut graph, &target)?;
    lap("to integers");
    let compiled = vta_compiler::compile(&graph, design)?;
    lap("compile");
    Ok(Built {
        integer: graph,
        compiled,
        phases,
    })
}

/// Runs a network on one input of noise, on a device and on the oracle.
///
/// # Errors
/// Those of the device; a result that is not the oracle's.
pub fn run(built: &Built, device: impl Device, seed: u64) -> Result<Ran> {
    let inputs = noise(&built.integer, 1, seed)?.remove(0);
    let mut network = Network::load(&built.compiled.program, device)?;
    let outputs = network.run(&inputs)?;
    let stats = network.stats();
    let time = |stream: bool| {
        let steps = stats.steps.iter();
        let steps = steps.filter(|step| (step.what == "run") == stream);
        steps.map(|step| step.time).sum()
    };
    let start = Instant::now();
    let expected = Interpreter::new(&built.integer)?.run(&inputs)?;
    let oracle = start.elapsed();
    ensure!(outputs == expected, "the device and the oracle differ");
    Ok(Ran {
        counters: stats.counters,
        cycles: stats.cycles(),
        streams: stats.streams.iter().map(|stream| stream.stream).collect(),
        phases: [("streams", time(true)), ("host", time(false))],
        oracle,
    })
}

/// The fastest of `repeat` inferences on a device, from the input to the result.
///
/// # Errors
/// Those of the device.
pub fn inference(built: &Built, device: impl Device, repeat: u32, seed: u64) -> Result<Duration> {
    let inputs = noise(&built.integer, 1, seed)?.remove(0);
    let mut network = Network::load(&built.compiled.program, device)?;
    let (result, time) = crate::best(repeat, || network.run(&inputs));
    result?;
    Ok(time)
}

/// The fastest of `repeat` inferences of the oracle, from the input to the result.
///
/// # Errors
/// Those of the graph.
pub fn oracle(built: &Built, repeat: u32, seed: u64) -> Result<Duration> {
    let inputs = noise(&built.integer, 1, seed)?.remove(0);
    let oracle = Interpreter::new(&built.integer)?;
    let (result, time) = crate::best(repeat, || oracle.run(&inputs));
    result?;
    Ok(time)
}

/// The cycles of the streams with these indices, without their data.
///
/// The program is taken as it is: it lies on whole pages wherever it is loaded, and so nothing of it
/// takes another time there.
///
/// # Errors
/// Those of the streams.
pub fn time(built: &Built, sim: &CycleSim, streams: &[usize], memory: MemoryModel) -> Result<u64> {
    let options = CycleOptions {
        memory,
        ..CycleOptions::default()
    };
    let mut cycles = 0;
    for stream in streams {
        let insns = &built.compiled.program.streams[*stream];
        cycles += sim.time(0, insns, &options)?.cycles;
    }
    Ok(cycles)
}

/// Runs of seeded noise in [-1, 1).
fn noise(graph: &Graph, runs: usize, seed: u64) -> Result<Vec<Vec<Tensor>>> {
    let input = graph.inputs.first().context("a network without input")?;
    let ty = &graph.value(*input).ty;
    ensure!(ty.dtype == DType::F32, "the input is {ty}, not f32");
    let mut random = StdRng::seed_from_u64(seed);
    let mut tensor = || {
        let values = (0..ty.len()).map(|_| random.random_range(-1.0..1.0));
        Tensor::f32(ty.shape.clone(), values.collect())
    };
    Ok((0..runs).map(|_| vec![tensor()]).collect())
}
