//! Golden tests: a program, a command, what becomes of it.
//!
//! `print` reads and prints; `verify` checks, on request within `inp`, `wgt` and `acc` elements; `run` prints the outputs
//! on seeded inputs; `schedule` applies primitives, separated by `|`, prints the program, and proves on seeded inputs
//! that it still computes the same. Elements are 1 by 4 inputs and 2 by 4 weights.

mod support;

use std::process::ExitCode;

use support::outputs;
use vta_filetest::Suite;
use vta_tir::{Geometry, Limits, interp, parse, schedule, verify, verify_on};

const GEOMETRY: Geometry = Geometry {
    batch: 1,
    block_in: 4,
    block_out: 2,
};
const SEED: u64 = 2026;

fn run(command: &str, input: &str) -> Result<String, String> {
    let program = parse(input).map_err(|e| e.to_string())?;
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "print" => Ok(program.to_string()),
        "verify" => {
            let capacity: Vec<u64> = rest
                .split_whitespace()
                .filter_map(|n| n.parse().ok())
                .collect();
            let verdict = match capacity[..] {
                [inp, wgt, acc] => verify_on(
                    &program,
                    &Limits {
                        geometry: GEOMETRY,
                        inp,
                        wgt,
                        acc,
                        rqt: 8,
                    },
                ),
                _ => verify(&program),
            };
            verdict
                .map(|()| "ok\n".to_owned())
                .map_err(|e| e.to_string())
        }
        "run" => {
            let mut arrays = interp::arguments(&program, SEED);
            interp::run(&program, &mut arrays).map_err(|e| e.to_string())?;
            Ok(arrays
                .iter()
                .map(|(name, array)| format!("{name} {:?} {:?}\n", array.shape, array.data))
                .collect())
        }
        "schedule" => {
            verify(&program).map_err(|e| format!("before: {e}"))?;
            let mut scheduled = program.clone();
            for line in rest.split('|') {
                schedule::apply(&mut scheduled, line, &GEOMETRY).map_err(|e| e.to_string())?;
            }
            verify(&scheduled).map_err(|e| format!("after: {e}\n{scheduled}"))?;
            if outputs(&program, SEED) != outputs(&scheduled, SEED) {
                return Err(format!("the results differ\n{scheduled}"));
            }
            Ok(scheduled.to_string())
        }
        _ => Err(format!("no command `{verb}`")),
    }
}

fn main() -> ExitCode {
    vta_filetest::main(&[Suite::new("tests/filetests", "tir", run).comment("//")])
}
