//! What a network is after each step of its compilation, in the text form of that level.

use vta_compiler::Watch;
use vta_graph::Graph;
use vta_graph::text::{self, PrintOptions};
use vta_isa::{Design, asm};
use vta_tir::Program;
use vta_tir::schedule::Script;

use crate::{Error, Result};

/// The level of a step, by its language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Operators over tensors.
    Graph,
    /// Loop nests, one for each operator of the accelerator.
    Tensor,
    /// The same with the primitives of their schedules, as `vta schedule` runs them.
    Script,
    /// Instructions, one listing for each stream.
    Stream,
}

/// The texts after one step, and the names of all steps that were seen, in order.
///
/// A pass that runs several times has a number from its second time on: `canonicalize`, `canonicalize.2`.
#[derive(Clone, Debug)]
pub struct Dump {
    design: Design,
    wanted: Option<String>,
    /// Of operators, the one whose nests are seen.
    operator: Option<String>,
    operators: Vec<String>,
    steps: Vec<(String, Level)>,
    texts: Vec<String>,
}

impl Dump {
    /// A dump after the step `wanted`, or of the names alone.
    pub fn new(design: &Design, wanted: Option<&str>) -> Dump {
        Dump {
            design: design.clone(),
            wanted: wanted.map(str::to_owned),
            operator: None,
            operators: Vec::new(),
            steps: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// The same of one operator of the accelerator alone, by the name of its loop nest.
    pub fn of_operator(self, name: Option<&str>) -> Dump {
        Dump {
            operator: name.map(str::to_owned),
            ..self
        }
    }

    /// The steps so far.
    pub fn steps(&self) -> impl Iterator<Item = (&str, Level)> {
        self.steps.iter().map(|(name, level)| (&**name, *level))
    }

    /// The texts after the wanted step: one graph, or one text for each operator or stream.
    ///
    /// # Errors
    /// If there was no step of that name, or none of its texts is of the operator.
    pub fn texts(&self) -> Result<&[String]> {
        let wanted = self.wanted.as_deref().unwrap_or_default();
        if self.steps().any(|(name, _)| name == wanted) {
            return match &self.operator {
                Some(name) if self.texts.is_empty() => Err(self.lacks(name, wanted)),
                _ => Ok(&self.texts),
            };
        }
        let names: Vec<&str> = self.steps().map(|(name, _)| name).collect();
        Err(
            Error::input(format!("no step of this compilation is called `{wanted}`"))
                .help(format!("there are {}", names.join(", "))),
        )
    }

    /// That the step `wanted` has no loop nest of the name `operator`.
    fn lacks(&self, operator: &str, wanted: &str) -> Error {
        if !self.operators.is_empty() {
            let known = format!("there are {}", self.operators.join(", "));
            return Error::input(format!("no operator `{operator}`")).help(known);
        }
        let of_nests = |&(_, level): &(&str, Level)| matches!(level, Level::Tensor | Level::Script);
        let steps: Vec<&str> = self
            .steps()
            .filter(of_nests)
            .map(|(name, _)| name)
            .collect();
        let remedy = match steps.is_empty() {
            true => "no operator is on the accelerator".to_owned(),
            false => format!("those that do are {}", steps.join(", ")),
        };
        Error::input(format!("`{wanted}` prints no operator by itself")).help(remedy)
    }

    /// As `see`, of the loop nest of an operator.
    fn see_nest(&mut self, step: &str, level: Level, nest: &str, text: impl FnOnce() -> String) {
        let is_wanted = self.wanted.as_deref() == Some(step);
        if is_wanted {
            self.operators.push(nest.to_owned());
        }
        let is_other = self.operator.as_ref().is_some_and(|name| name != nest);
        if is_wanted && !is_other {
            self.texts.push(text());
        }
        self.name(step.to_owned(), level);
    }

    fn see(&mut self, name: String, level: Level, text: impl FnOnce() -> String) {
        if self.wanted.as_ref() == Some(&name) && self.operator.is_none() {
            self.texts.push(text());
        }
        self.name(name, level);
    }

    fn name(&mut self, name: String, level: Level) {
        // Of operators and streams there are many in a step.
        if self.steps.last().is_none_or(|(last, _)| *last != name) {
            self.steps.push((name, level));
        }
    }
}

impl Watch for Dump {
    fn wants(&self, _step: &str) -> bool {
        true
    }

    fn graph(&mut self, pass: &str, graph: &Graph) {
        let before = self.steps.iter().filter(|(name, _)| {
            let (name, number) = name.split_once('.').unwrap_or((name, "1"));
            name == pass && number.parse::<u32>().is_ok()
        });
        let name = match before.count() {
            0 => pass.to_owned(),
            times => format!("{pass}.{}", times + 1),
        };
        self.see(name, Level::Graph, || {
            text::print(graph, PrintOptions { data: true })
        });
    }

    fn nest(&mut self, step: &str, nest: &Program) {
        self.see_nest(step, Level::Tensor, &nest.name, || nest.to_string());
    }

    fn script(&mut self, step: &str, script: &Script) {
        let name = &script.naive.name;
        self.see_nest(step, Level::Script, name, || script.to_string());
    }

    fn stream(&mut self, step: &str, insns: &[u8]) {
        let design = self.design.clone();
        self.see(step.to_owned(), Level::Stream, || {
            asm::disassemble(&design, insns).unwrap_or_default()
        });
    }
}
