//! What is printed.

use serde::Serialize;

/// Figures in the order in which they were found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Report {
    figures: Vec<Figure>,
}

#[derive(Clone, Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        let name = name.into();
        self.figures.push(Figure { name, value, unit });
    }

    /// The figures as an array of objects with `name`, `value` and `unit`.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("text and finite numbers")
    }

    /// A table of three columns.
    pub fn table(&self) -> String {
        let name = self.figures.iter().map(|f| f.name.len()).max().unwrap_or(0);
        let rows = self.figures.iter();
        rows.map(|f| format!("{:name$}  {:>10.3} {}\n", f.name, f.value, f.unit))
            .collect()
    }
}
