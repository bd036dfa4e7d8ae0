//! `vta mutate`

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use vta::{Error, Progress, Result};
use vta_rtl::{Catch, Mutation, SOURCES, mutations, try_mutations};

use crate::bar::Bar;
use crate::output;
use crate::parse::{count, number};

/// Put deliberate bugs into the hardware, one at a time, and see that co-simulation catches each.
///
/// The list is hardware/dv/mutations.txt. The programs are those of `vta cosim`; they run on one bug until
/// one of them differs. Exits with 1 if a bug is not caught.
#[derive(Args)]
pub(super) struct Mutate {
    /// Files of hardware/rtl whose bugs are tried; all of them if none is given.
    #[arg(value_name = "FILE.sv")]
    files: Vec<String>,
    /// Programs after which a bug is not caught.
    #[arg(long, value_name = "N", default_value = "200", value_parser = count::<u64>)]
    programs: u64,
    /// Seed of the first program; each further one has the next.
    #[arg(long, value_name = "N", default_value = "1", value_parser = number)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    bug: &'a str,
    design: &'a str,
    /// The telling difference; null if there is none.
    caught_by: Option<String>,
    /// Run until then.
    programs: u64,
    differences: &'a [String],
}

impl Mutate {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mutations = self.mutations()?;
        let bar = Bar::default();
        bar.stage("mutate", mutations.len());
        let seeds = self.seed..self.seed.saturating_add(self.programs);
        let catches = try_mutations(&mutations, &seeds, &|| bar.step())?;
        drop(bar);
        let rows: Vec<Row> = mutations
            .iter()
            .zip(&catches)
            .map(|(mutation, catch)| row(mutation, catch.as_ref(), self.programs))
            .collect();
        if self.json {
            output::print_json(&rows)?;
        } else {
            output::print(text(&rows))?;
        }
        Ok(match catches.iter().all(Option::is_some) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    /// Those of the files that are asked for.
    fn mutations(&self) -> Result<Vec<Mutation>> {
        for file in &self.files {
            if !SOURCES.iter().any(|(name, _)| name == file) {
                let names = SOURCES.iter().map(|(name, _)| *name).collect::<Vec<_>>();
                return Err(Error::input(format!("{file} is no file of hardware/rtl"))
                    .help(format!("there are {}", names.join(", "))));
            }
        }
        let mut mutations = mutations()?;
        mutations.retain(|mutation| self.files.is_empty() || self.files.contains(&mutation.file));
        Ok(mutations)
    }
}

fn row<'a>(mutation: &'a Mutation, catch: Option<&'a Catch>, programs: u64) -> Row<'a> {
    Row {
        file: &mutation.file,
        bug: &mutation.bug,
        design: &mutation.design,
        caught_by: catch.map(|catch| catch.by.to_string()),
        programs: catch.map_or(programs, |catch| catch.programs),
        differences: catch.map_or(&[], |catch| &catch.differences),
    }
}

fn text(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        vec![
            row.file.to_owned(),
            row.bug.to_owned(),
            row.design.to_owned(),
            row.caught_by.clone().unwrap_or("NOT CAUGHT".to_owned()),
            row.programs.to_string(),
        ]
    });
    let headers = ["file", "bug", "design", "caught by", "programs"];
    let table = output::table(&headers, &cells.collect::<Vec<_>>());
    let caught = rows.iter().filter(|row| row.caught_by.is_some()).count();
    format!("{table}\n{caught} of {} caught\n", rows.len())
}
