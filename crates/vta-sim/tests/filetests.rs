//! What the simulator and the checker say about a stream, as files.
//!
//! A file holds instructions and micro-ops; the micro-ops lie at the start of a 16 KiB image of DRAM at 0x1000
//! (`load.uop dram=0x400`). The command may set keys of the design and options of the run:
//! `run DEP_QUEUE_DEPTH=1 tokens=1,0,0,0 insns=100 steps=1000 keep-leftover`. `table` prints the counters.
//! The cycle simulator has to find the same.

use std::fmt::{self, Write};
use std::process::ExitCode;

use vta_filetest::Suite;
use vta_isa::{HwConfig, asm};
use vta_sim::{CheckOptions, CycleOptions, CycleSim, Dram, FuncSim, Leftover, RunOptions, check};

fn main() -> ExitCode {
    vta_filetest::main(&[Suite::new("filetests", "vasm", run)])
}

fn run(command: &str, input: &str) -> Result<String, String> {
    let mut words = command.split_whitespace();
    let table = match words.next() {
        Some("run") => false,
        Some("table") => true,
        _ => return Err(format!("no command `{command}`")),
    };
    let mut options = RunOptions::default();
    let mut keys = Vec::new();
    for word in words {
        match word.split_once('=') {
            None if word == "keep-leftover" => options.leftover = Leftover::Warn,
            Some(("tokens", counts)) => {
                let counts: Vec<u32> = counts.split(',').map(number).collect::<Result<_, _>>()?;
                options.initial_tokens = counts.try_into().map_err(|_| "four counts of tokens")?;
            }
            Some(("insns", limit)) => options.insn_limit = number(limit)?,
            Some(("steps", limit)) => options.step_limit = number(limit)?,
            Some((key, value)) => keys.push(format!("\"{key}\":{value}")),
            None => return Err(format!("no option `{word}`")),
        }
    }
    let config = HwConfig::from_json(&format!("{{{}}}", keys.join(","))).map_err(text)?;
    let design = config.design().map_err(text)?;
    let listing = asm::assemble_listing(&design, input).map_err(text)?;
    let mut dram = Dram::new(0x1000, vec![0; 0x4000]);
    dram.bytes[..listing.uops.len()].copy_from_slice(&listing.uops);

    let check_options = CheckOptions {
        initial_tokens: options.initial_tokens,
        leftover: options.leftover,
        ..CheckOptions::default()
    };
    let checked = match check(&design, &dram, &listing.insns, &check_options) {
        Ok(report) => format!("{}\n", json(&report)),
        Err(findings) => findings.iter().fold(String::new(), |mut all, finding| {
            let _ = writeln!(all, "{finding}");
            all
        }),
    };
    let cycles = CycleOptions {
        run: options.clone(),
        ..CycleOptions::default()
    };
    let timed = CycleSim::new(&design).run(&mut dram.clone(), 0, &listing.insns, &cycles);
    let simulator = &mut FuncSim::new(&design);
    if table {
        let report = simulator
            .run(&mut dram, &listing.insns, &options)
            .map_err(text)?;
        return Ok(report.counters.to_string());
    }
    let simulated = simulator.run(&mut dram, &listing.insns, &options);
    match (&simulated, &timed) {
        (Ok(report), Ok(timed)) if report.counters == timed.counters => {}
        (Err(fault), Err(timed)) if fault.cause == timed.cause => {}
        _ => return Err(format!("in cycles: {timed:?}")),
    }
    let simulated = match simulated {
        Ok(report) => format!("{}\n", json(&report)),
        Err(fault) => format!("{fault}\n"),
    };
    Ok(if simulated == checked {
        format!("both: {simulated}")
    } else {
        format!("sim: {simulated}check: {checked}")
    })
}

fn number<T: std::str::FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn json(report: &impl serde::Serialize) -> String {
    serde_json::to_string(report).unwrap_or_else(text)
}
