//! Random schedules, printed.

use std::ops::Range;
use std::process::ExitCode;

use serde_json::json;
use vta::Result;
use vta::fuzz::{ScheduleDifference, ScheduleRuns, Schedules};

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
        } = difference;
        let first = what.lines().next().unwrap_or_default();
        let script = format!("// design {design}, from seed {seed}: {first}\n{script}");
        if let Some(path) = &self.keep {
            vta::write(path, script.as_bytes())?;
        }
        if self.json {
            return output::print_json(&json!({"difference": difference}));
        }
        let shown = match &self.keep {
            Some(path) => format!("the small schedule is in {}\n", path.display()),
            None => script,
        };
        output::print(format!("seed {seed} on {design}: {what}\n{shown}"))
    }
}
