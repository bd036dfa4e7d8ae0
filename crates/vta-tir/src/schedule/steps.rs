use std::fmt;

use super::{ScheduleError, apply};
use crate::intrinsics::Geometry;
use crate::program::Program;
use crate::text::{ParseError, parse};

/// The line that begins a schedule of the loop nest.
const SCHEDULE: &str = "schedule";
/// What a line that begins a step starts with; its title follows.
const STEP: &str = "step";

/// A loop nest with schedules for it, in steps: what a file holds that a person schedules by.
///
/// Its text is the nest, the line `schedule`, and then lines for [`apply`]. A line `step TITLE` makes one step of
/// all lines up to the next of its kind; a line before the first of them is a step by itself. Another line `schedule`
/// begins again with the nest as it was written. `//` begins a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The nest that the steps begin with.
    pub naive: Program,
    /// The steps of all schedules, in order.
    pub steps: Vec<ScriptStep>,
}

/// Lines of a schedule that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStep {
    /// Whether the step is the first of its schedule, and so begins with the naive nest.
    pub anew: bool,
    /// What they do, if the text says.
    pub title: Option<String>,
    /// The lines; without a title it is one.
    pub lines: Vec<ScriptLine>,
}

/// One primitive with its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptLine {
    /// Its line in the text, counted from 1.
    pub number: usize,
    /// The line for [`apply`].
    pub text: String,
}

impl Script {
    /// A script of single lines.
    pub fn new(naive: Program, lines: impl IntoIterator<Item = String>) -> Script {
        let first = naive.to_string().lines().count() + 2;
        let lines = (first..).zip(lines);
        let steps = lines.map(|(number, text)| ScriptStep::single(number, text));
        Script {
            naive,
            steps: begun(steps.collect()),
        }
    }

    /// Reads a script; one without the line `schedule` has no steps.
    ///
    /// # Errors
    /// The first place where the nest is no program, or a step without a title. Whether lines are primitives that apply,
    /// [`apply`] says.
    pub fn parse(text: &str) -> Result<Script, ParseError> {
        let bare = |line: &str| {
            line.split("//")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let nest_lines = text.lines().take_while(|line| bare(line) != SCHEDULE);
        let nest: Vec<&str> = nest_lines.collect();
        let naive = parse(&nest.join("\n"))?;
        let (mut all, mut steps): (Vec<ScriptStep>, Vec<ScriptStep>) = Default::default();
        for (i, line) in text.lines().enumerate().skip(nest.len() + 1) {
            let (number, line) = (i + 1, bare(line));
            let (word, title) = line.split_once(' ').unwrap_or((&line, ""));
            match steps.last_mut() {
                _ if line.is_empty() => {}
                _ if line == SCHEDULE => all.append(&mut begun(std::mem::take(&mut steps))),
                _ if word == STEP && title.trim().is_empty() => {
                    return Err(ParseError {
                        line: number,
                        column: 1,
                        message: format!("expected a title behind `{STEP}`"),
                    });
                }
                _ if word == STEP => steps.push(ScriptStep {
                    anew: false,
                    title: Some(title.trim().to_owned()),
                    lines: Vec::new(),
                }),
                Some(step) if step.title.is_some() => {
                    step.lines.push(ScriptLine { number, text: line });
                }
                _ => steps.push(ScriptStep::single(number, line)),
            }
        }
        all.append(&mut begun(steps));
        Ok(Script { naive, steps: all })
    }

    /// The same with every line as a step by itself.
    pub fn by_line(self) -> Script {
        let mut anew = false;
        let lines = self.steps.into_iter().flat_map(|step| {
            anew |= step.anew;
            let singles = step.lines.into_iter();
            let mut steps: Vec<_> = singles
                .map(|l| ScriptStep::single(l.number, l.text))
                .collect();
            if let Some(first) = steps.first_mut() {
                first.anew = std::mem::take(&mut anew);
            }
            steps
        });
        Script {
            naive: self.naive,
            steps: lines.collect(),
        }
    }
}

/// The steps of one schedule.
fn begun(mut steps: Vec<ScriptStep>) -> Vec<ScriptStep> {
    if let Some(first) = steps.first_mut() {
        first.anew = true;
    }
    steps
}

impl ScriptStep {
    fn single(number: usize, text: String) -> ScriptStep {
        ScriptStep {
            anew: false,
            title: None,
            lines: vec![ScriptLine { number, text }],
        }
    }

    /// The title, or else the line.
    pub fn name(&self) -> &str {
        let line = self.lines.first().map_or("", |line| &line.text);
        self.title.as_deref().unwrap_or(line)
    }

    /// Applies the lines in turn.
    ///
    /// # Errors
    /// What the first line that fails reports, with its number; the lines before it are applied.
    pub fn apply(
        &self,
        program: &mut Program,
        geometry: &Geometry,
    ) -> Result<(), (usize, ScheduleError)> {
        self.lines
            .iter()
            .try_for_each(|line| apply(program, &line.text, geometry).map_err(|e| (line.number, e)))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.naive)?;
        for step in &self.steps {
            if step.anew {
                writeln!(f, "{SCHEDULE}")?;
            }
            if let Some(title) = &step.title {
                writeln!(f, "{STEP} {title}")?;
            }
            for line in &step.lines {
                writeln!(f, "{}", line.text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEST: &str = "program p(y: out i8[4, 2]) {\n  for i in 0..4 {\n    for j in 0..2 {\n      \
        y[i, j] = 1\n    }\n  }\n}\n";
    const GEOMETRY: Geometry = Geometry {
        batch: 1,
        block_in: 1,
        block_out: 1,
    };

    #[test]
    fn steps_have_titles_and_lines_of_their_own() {
        let text = format!(
            "{NEST}  schedule // now\nsplit i 2\n\nstep tiled twice\nsplit j 1 // columns\nfuse jo ji\n"
        );
        let script = Script::parse(&text).unwrap();
        let names: Vec<&str> = script.steps.iter().map(ScriptStep::name).collect();
        assert_eq!(names, ["split i 2", "tiled twice"]);
        let numbers: Vec<usize> = script.steps[1].lines.iter().map(|l| l.number).collect();
        assert_eq!(numbers, [12, 13]);
        let printed =
            format!("{NEST}schedule\nsplit i 2\nstep tiled twice\nsplit j 1\nfuse jo ji\n");
        assert_eq!(script.to_string(), printed);
        let lines = script.by_line();
        assert_eq!(lines.steps.len(), 3);
        let again = Script::new(
            lines.naive.clone(),
            ["split i 2", "split j 1", "fuse jo ji"].map(String::from),
        );
        assert_eq!(again.to_string(), lines.to_string());
        assert_eq!(Script::parse(&again.to_string()), Ok(again));
    }

    #[test]
    fn what_fails_has_its_line() {
        let script =
            Script::parse(&format!("{NEST}schedule\nstep one\nsplit i 2\nsplit i 2\n")).unwrap();
        let mut nest = script.naive.clone();
        let (line, error) = script.steps[0].apply(&mut nest, &GEOMETRY).unwrap_err();
        assert_eq!((line, error.primitive), (11, "split"));
        assert!(nest.to_string().contains("for io in 0..2"), "{nest}");
        let error = Script::parse(&format!("{NEST}schedule\nstep \n")).unwrap_err();
        assert_eq!(error.line, 9);
        assert_eq!(Script::parse(NEST).unwrap().steps, []);
    }
}
