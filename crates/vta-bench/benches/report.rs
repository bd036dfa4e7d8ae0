//! `cargo bench -p vta-bench -- --help`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use vta_bench::network::{self, Built};
use vta_bench::yardstick::{Plain, StepByStep};
use vta_bench::{File, Gemm, Report, Streams, best, eval, ort, peak};
use vta_isa::{Design, HwConfig};
use vta_rtl::{RtlDevice, RtlModel};
use vta_runtime::{CycleDevice, SimDevice};
use vta_sim::{CycleSim, FuncSim, MemoryModel};

/// Speed of the simulators and of the Verilated hardware; time and memory of compiling a network.
#[derive(Parser)]
struct Arguments {
    /// The design: a preset, or a file with the keys of vta_config.json.
    #[arg(long, value_name = "NAME|FILE.json", default_value = "default")]
    config: String,
    /// Side of the matrices.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    gemm: usize,
    /// A network of the zoo.
    #[arg(long, value_name = "NAME", default_value = "resnet18")]
    network: String,
    /// Networks of the zoo whose inferences are timed beside onnxruntime's.
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "resnet8,resnet18,resnet50,mobilenet_v2"
    )]
    inference: Vec<String>,
    /// Inputs of seeded noise to calibrate on.
    #[arg(long, value_name = "N", default_value_t = 4)]
    calibration: usize,
    /// Seed of the weights and the noise.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often each is measured; the best counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Only run a .vta file: what the report starts processes of their own for.
    #[arg(long, hide = true, value_name = "FILE.vta")]
    run_file: Option<PathBuf>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.run_file {
        return File::run(path);
    }
    let design = design(&arguments.config)?;
    let mut report = Report::default();
    gemm(&arguments, &design, &mut report)?;
    for name in &arguments.inference {
        inference(&arguments, name, &design, &mut report)?;
    }
    network(&arguments, &design, &mut report)?;
    evaluation(&arguments, &design, &mut report)?;
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn design(name: &str) -> Result<Design> {
    let config = match HwConfig::preset(name) {
        Some(config) => config,
        None => {
            let text = std::fs::read_to_string(name);
            let text = text.with_context(|| {
                let presets = HwConfig::PRESETS.join(", ");
                format!("{name} is neither a file nor one of {presets}")
            })?;
            HwConfig::from_json(&text).with_context(|| name.to_owned())?
        }
    };
    config.design().with_context(|| name.to_owned())
}

fn gemm(arguments: &Arguments, design: &Design, report: &mut Report) -> Result<()> {
    let size = arguments.gemm;
    // The values do not matter to the time, nor does what they overflow.
    let values = |seed: usize| -> Vec<i8> {
        let value = |i: usize| (i.wrapping_mul(seed) >> 7) as i8;
        (0..size * size).map(value).collect()
    };
    let mut gemm = Gemm::new(design, [size; 3], &values(0x9e37), &values(0x79b9))?;
    let mut sim = FuncSim::new(design);
    let (result, time) = best(arguments.repeat, || gemm.run(&mut sim));
    let macs = result?.macs;
    ensure!(macs >= gemm.macs(), "the stream does less than the product");
    let name = format!("gemm {size}x{size}x{size}");
    report.add(format!("{name}: time"), time.as_secs_f64(), "s");
    let speed = giga(gemm.macs(), time);
    report.add(format!("{name}: speed"), speed, "GMAC/s");

    let mut plain = Plain::new([size.next_multiple_of(32); 3]);
    let (instructions, time) = best(arguments.repeat, || plain.run());
    let limit = giga((size.next_multiple_of(32) as u64).pow(3), time);
    report.add(format!("plain product, {instructions}"), limit, "GMAC/s");
    report.add(
        format!("{name}: of the plain product"),
        100.0 * speed / limit,
        "%",
    );
    let mut steps = StepByStep::new();
    let (_, time) = best(8 * arguments.repeat, || steps.run());
    let twin = giga(steps.macs(), time);
    report.add("micro-op by micro-op", twin, "GMAC/s");
    report.add(
        format!("{name}: over micro-op by micro-op"),
        speed / twin,
        "times",
    );
    Ok(())
}

/// A network's inference on the functional simulator, beside onnxruntime's.
fn inference(
    arguments: &Arguments,
    name: &str,
    design: &Design,
    report: &mut Report,
) -> Result<()> {
    let onnx = vta_onnx::export(&vta_zoo::build(name, arguments.seed)?)?;
    let built = network::build(&onnx, design, 1, arguments.seed)?;
    let repeat = 10 * arguments.repeat;
    let ours = network::inference(&built, SimDevice::new(design), repeat, arguments.seed)?;
    report.add(format!("{name}: inference"), 1e3 * ours.as_secs_f64(), "ms");
    let scratch = tempfile::tempdir()?;
    match ort::time(&onnx, scratch.path(), repeat) {
        Ok(theirs) => {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            report.add(
                format!("{name}: onnxruntime int8"),
                1e3 * theirs.as_secs_f64(),
                "ms",
            );
            report.add(
                format!("{name}: inference over onnxruntime"),
                ratio,
                "times",
            );
        }
        Err(error) => eprintln!("{name}: onnxruntime is not measured: {error:#}"),
    }
    let oracle = network::oracle(&built, repeat, arguments.seed)?;
    let time = 1e3 * oracle.as_secs_f64();
    report.add(format!("{name}: inference by the oracle"), time, "ms");
    let ratio = oracle.as_secs_f64() / ours.as_secs_f64();
    report.add(format!("{name}: oracle over inference"), ratio, "times");
    let program = &built.compiled.program;
    let file = File::measure(program, scratch.path(), "--run-file")?;
    let load = 1e3 * file.load.as_secs_f64();
    report.add(format!("{name}: load of its file"), load, "ms");
    if file.peak > 0 {
        let share = 100.0 * file.peak as f64 / File::bound(program) as f64;
        report.add(
            format!("{name}: memory to run its file"),
            mega(file.peak),
            "MB",
        );
        report.add(format!("{name}: of 1.5 arenas and 64 MiB"), share, "%");
    }
    streams(name, &built, design, repeat, report)
}

/// Evaluation of the first network on two threads, beside one.
fn evaluation(arguments: &Arguments, design: &Design, report: &mut Report) -> Result<()> {
    let Some(name) = arguments.inference.first() else {
        return Ok(());
    };
    let (seed, samples) = (arguments.seed, 200);
    let onnx = vta_onnx::export(&vta_zoo::build(name, seed)?)?;
    let [one, two] = eval::threads(&onnx, design, samples, arguments.repeat, seed)?;
    let each = 1e3 * one.as_secs_f64() / samples as f64;
    report.add(format!("{name}: eval of an input, one thread"), each, "ms");
    let ratio = one.as_secs_f64() / two.as_secs_f64();
    report.add(
        format!("{name}: eval: two threads over one"),
        ratio,
        "times",
    );
    Ok(())
}

/// What the clock, the search for races and the counters add to the functional simulator's time.
fn streams(
    name: &str,
    built: &Built,
    design: &Design,
    repeat: u32,
    report: &mut Report,
) -> Result<()> {
    let streams = Streams::measure(&built.compiled.program, design, repeat)?;
    let over = |time: Duration| time.as_secs_f64() / streams.functional.as_secs_f64();
    let figures = [
        (
            "cycle simulator over functional",
            over(streams.in_cycles),
            "times",
        ),
        (
            "race detection on over off",
            1.0 + over(streams.checked),
            "times",
        ),
        ("counters, of a run", 100.0 * over(streams.counted), "%"),
    ];
    for (what, value, unit) in figures {
        report.add(format!("{name}: {what}"), value, unit);
    }
    Ok(())
}

fn network(arguments: &Arguments, design: &Design, report: &mut Report) -> Result<()> {
    let (name, seed) = (&arguments.network, arguments.seed);
    let onnx = vta_onnx::export(&vta_zoo::build(name, seed)?)?;
    peak::reset();
    let build = || network::build(&onnx, design, arguments.calibration, seed);
    let (first, compile_peak) = (build()?, peak::bytes());
    let mut phases = first.phases.clone();
    for _ in 1..arguments.repeat {
        for (phase, again) in phases.iter_mut().zip(build()?.phases) {
            phase.1 = phase.1.min(again.1);
        }
    }
    for &(phase, time) in &phases {
        report.add(format!("{name}: {phase}"), time.as_secs_f64(), "s");
    }
    let total: Duration = phases.iter().map(|&(_, time)| time).sum();
    report.add(format!("{name}: file to program"), total.as_secs_f64(), "s");
    if let Some(bytes) = compile_peak {
        report.add(format!("{name}: memory to compile"), mega(bytes), "MB");
    }

    peak::reset();
    let mut ran = network::run(&first, SimDevice::new(design), seed)?;
    let run_peak = peak::bytes();
    for _ in 1..arguments.repeat {
        let again = network::run(&first, SimDevice::new(design), seed)?;
        for (phase, again) in ran.phases.iter_mut().zip(again.phases) {
            phase.1 = phase.1.min(again.1);
        }
        ran.oracle = ran.oracle.min(again.oracle);
    }
    let [(_, streams), _] = ran.phases;
    for (phase, time) in ran.phases {
        report.add(format!("{name}: {phase}"), time.as_secs_f64(), "s");
    }
    report.add(
        format!("{name}: speed"),
        giga(ran.counters.macs, streams),
        "GMAC/s",
    );
    report.add(format!("{name}: oracle"), ran.oracle.as_secs_f64(), "s");
    if let Some(bytes) = run_peak {
        report.add(format!("{name}: memory to run"), mega(bytes), "MB");
    }
    cycles(arguments, design, &first, report)
}

/// Everything that counts cycles, on the network that has just run on what counts none.
fn cycles(
    arguments: &Arguments,
    design: &Design,
    built: &Built,
    report: &mut Report,
) -> Result<()> {
    let (name, seed, memory) = (&arguments.network, arguments.seed, MemoryModel::default());
    let mut rate = |what: &str, cycles: u64, time: Duration| {
        report.add(format!("{name}: {what}: time"), time.as_secs_f64(), "s");
        let rate = cycles as f64 / time.as_secs_f64() / 1e6;
        report.add(format!("{name}: {what}: speed"), rate, "Mcycle/s");
    };
    let mut shortest = Duration::MAX;
    let mut ran = None;
    for _ in 0..arguments.repeat.max(1) {
        let again = network::run(built, CycleDevice::new(design, memory), seed)?;
        shortest = shortest.min(again.phases[0].1);
        ran = Some(again);
    }
    let ran = ran.context("no run")?;
    let cycles = ran.cycles.context("the cycle simulator counts cycles")?;
    rate("cycle simulator", cycles, shortest);

    let sim = CycleSim::new(design);
    let (timed, time) = best(arguments.repeat, || {
        network::time(built, &sim, &ran.streams, memory)
    });
    ensure!(timed? == cycles, "cycles depend on data");
    rate("cycle simulator without data", cycles, time);

    if let Err(error) = RtlModel::tools() {
        eprintln!("the hardware is not measured: {error}");
    } else {
        let model = RtlModel::build(design, false, &|_, _, _| {})?;
        let device = RtlDevice::new(Arc::new(model), memory);
        let rtl = network::run(built, device, seed)?;
        ensure!(
            rtl.cycles == Some(cycles),
            "the hardware and the cycle simulator differ"
        );
        rate("Verilated hardware", cycles, rtl.phases[0].1);
    }
    report.add(format!("{name}: cycles"), cycles as f64 / 1e6, "Mcycle");
    Ok(())
}

fn giga(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64() / 1e9
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
