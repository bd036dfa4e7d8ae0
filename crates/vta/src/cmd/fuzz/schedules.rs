//! Random schedules, printed.

use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use vta::Result;
use vta::fuzz::{Conditions, ScheduleDifference, ScheduleRuns, Schedules};

use super::{FuzzCommand, rows};
use crate::bar::Bar;
use crate::output::{self, grouped, table};

impl FuzzCommand {
    pub(super) fn schedules(&self, seeds: Range<u64>) -> Result<ExitCode> {
        let schedules = Schedules::new(self.designs()?)?;
        let bar = Bar::default();
        let result = schedules.run(seeds.clone(), &bar);
        drop(bar);
        match result {
            Ok(runs) => {
                self.ran(seeds.end - seeds.start, &runs)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(difference) => {
                self.schedule_differs(&difference)?;
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn ran(&self, count: u64, runs: &ScheduleRuns) -> Result<()> {
        if self.json {
            return output::print_json(&json!({"schedules": count, "runs": runs}));
        }
        let operators = runs.operators.iter().map(|(name, n)| {
            let complete = runs.complete.get(name).copied().unwrap_or(0);
            vec![name.clone(), grouped(*n), grouped(complete)]
        });
        let operators: Vec<_> = operators.collect();
        output::print(format!(
            "{}\n{}\n{} schedules, no difference; {} cycles simulated\n",
            table(&["operator", "schedules", "simulated"], &operators),
            table(&["primitive", "applied"], &rows(&runs.primitives)),
            grouped(count),
            grouped(runs.cycles),
        ))
    }

    fn schedule_differs(&self, difference: &ScheduleDifference) -> Result<()> {
        let ScheduleDifference {
            seed,
            design,
            what,
            script,
            ..
        } = difference;
        let first = what.lines().next().unwrap_or_default();
        let replay = replay(difference, &self.config_of(design), self.keep.as_deref());
        let script = format!("// {first}\n// {replay}\n{script}");
        if let Some(path) = &self.keep {
            vta::write(path, script.as_bytes())?;
        }
        if self.json {
            return output::print_json(&json!({"difference": difference}));
        }
        let shown = match &self.keep {
            Some(_) => format!("the small schedule runs again by: {replay}\n"),
            None => script,
        };
        output::print(format!("seed {seed} on {design}: {what}\n{shown}"))
    }
}

/// The command that runs a schedule as it was tried; from the standard input if it was not kept.
fn replay(difference: &ScheduleDifference, config: &str, kept: Option<&Path>) -> String {
    let Conditions {
        latency,
        stalls,
        values,
        latency_hiding,
    } = difference.conditions;
    let file = kept.unwrap_or(Path::new("-")).display();
    let stalls = stalls.map_or(String::new(), |seed| format!(" --stalls {seed}"));
    let serial = if latency_hiding { "" } else { " --serial" };
    format!(
        "vta schedule {file} --config {config} --seed {values} --latency {latency}{stalls}{serial}"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cmd::Cli;

    #[test]
    fn a_difference_runs_again_by_its_command() {
        let mut difference = ScheduleDifference {
            seed: 7,
            design: "batch_2".to_owned(),
            conditions: Conditions {
                latency: 100,
                stalls: Some(5),
                values: 9,
                latency_hiding: false,
            },
            what: "step `split i 2`: the nest computes something else".to_owned(),
            script: "program p(y: out i8[2, 2, 16]) {\n}\nschedule\n".to_owned(),
        };
        let config = "hardware/dv/designs/batch_2.json";
        let command = replay(&difference, config, Some(Path::new("a.tir")));
        assert_eq!(
            command,
            format!(
                "vta schedule a.tir --config {config} --seed 9 --latency 100 --stalls 5 --serial"
            )
        );
        assert!(Cli::try_parse_from(command.split(' ')).is_ok());
        difference.conditions = Conditions {
            latency_hiding: true,
            ..Conditions::default()
        };
        let command = replay(&difference, "default", None);
        assert_eq!(
            command,
            "vta schedule - --config default --seed 0 --latency 0"
        );
        assert!(Cli::try_parse_from(command.split(' ')).is_ok());
    }
}
