//! The log of searched schedules: what was measured once need not be measured again.
//!
//! A line is one operator on one design, its fields separated by tabs: digest of the design, digest of the
//! operator's naive nest, cycles, schedule, and for a person what the operator is. Lines that begin with `#`
//! are comments. Of several lines on one operator the last counts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use vta_isa::Design;
use vta_tir::{Program, Stmt, Value};

/// What tells searches apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Of everything in a design that time depends on.
    design: String,
    /// Of a naive nest, whatever its name and its literals.
    operator: String,
}

impl Key {
    /// The key of an operator, given as its naive nest, on a design.
    pub fn new(design: &Design, naive: &Program) -> Key {
        let mut nest = naive.clone();
        nest.name = String::new();
        nest.walk_mut(&mut |stmt| {
            if let Stmt::Assign { value, .. } | Stmt::Accumulate { value, .. } = stmt {
                forget(value);
            }
        });
        Key {
            design: short(&design.config().to_json()),
            operator: short(&nest.to_string()),
        }
    }
}

/// Puts 0 for every literal: how long an operation takes does not depend on it.
fn forget(value: &mut Value) {
    match value {
        Value::Const(literal) => *literal = 0,
        Value::Read { .. } => {}
        Value::Cast(_, inner) => forget(inner),
        Value::Bin(_, a, b) => {
            forget(a);
            forget(b);
        }
    }
}

fn short(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest[..6].iter().map(|b| format!("{b:02x}")).collect()
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Cycles of the operator by itself, as the search measures them.
    pub cycles: u64,
    /// The schedule, as it prints.
    pub schedule: String,
    /// What the operator is, for a person.
    pub what: String,
}

/// Records by what they are about. `Display` writes the log, `FromStr` reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<Key, Record>);

impl Records {
    /// The record about `key`.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.0.get(key)
    }

    /// Keeps a record, in place of the one before.
    pub fn insert(&mut self, key: Key, record: Record) {
        self.0.insert(key, record);
    }

    /// Keeps all of `other` too; what both have is `other`'s.
    pub fn merge(&mut self, other: Records) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# design\toperator\tcycles\tschedule\twhat")?;
        self.0.iter().try_for_each(|(key, record)| {
            let Key { design, operator } = key;
            let Record {
                cycles,
                schedule,
                what,
            } = record;
            writeln!(f, "{design}\t{operator}\t{cycles}\t{schedule}\t{what}")
        })
    }
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}; a record is five fields separated by tabs")]
pub struct RecordError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for Records {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Records, RecordError> {
        let mut records = Records::default();
        let lines = text.lines().enumerate();
        for (i, line) in lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
            let error = |why| RecordError { line: i + 1, why };
            let fields: Vec<&str> = line.split('\t').collect();
            let [design, operator, cycles, schedule, what] = fields[..] else {
                return Err(error(format!("{} fields", fields.len())));
            };
            let cycles = cycles
                .parse()
                .map_err(|_| error(format!("`{cycles}` is no number of cycles")))?;
            let key = Key {
                design: design.to_owned(),
                operator: operator.to_owned(),
            };
            let record = Record {
                cycles,
                schedule: schedule.to_owned(),
                what: what.to_owned(),
            };
            records.insert(key, record);
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# design\toperator\tcycles\tschedule\twhat\n\
                       0a\t0b\t541839\tco 4 y 14 x 14 ci 4 twice\t1x64x56x56, 3x3\n";

    #[test]
    fn a_log_reads_back() {
        let records: Records = LOG.parse().expect("a log");
        assert_eq!(records.len(), 1);
        assert_eq!(records.to_string(), LOG);
    }

    #[test]
    fn damaged_lines_are_named() {
        for (damaged, wanted) in [
            ("0a\t0b\t541839\tco 4\n", "line 1: 4 fields"),
            ("\n0a\t0b\tmany\tco 4\tx\n", "line 2: `many` is no number"),
        ] {
            let error = damaged.parse::<Records>().expect_err("it is damaged");
            assert!(error.to_string().starts_with(wanted), "{error}");
        }
    }
}
