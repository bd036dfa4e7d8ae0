//! The engine of the passes: one walk over the nodes in order, each kept or replaced.
//!
//! A rule looks *backwards*, at the nodes already emitted, so that a pattern is recognised at
//! its last node. What the replacement no longer reads is dropped at the end of the walk.
//! Values keep their names: a replaced node's output is still the value of that name.

use crate::{Graph, GraphError, Node, Op, Tensor, ValueId};

/// What becomes of a node.
#[expect(clippy::large_enum_variant, reason = "one lives at a time")]
pub(crate) enum Rewrite {
    /// Stays, with its inputs as rewritten so far.
    Keep,
    /// Its output is now computed by another operator.
    As(Op, Vec<ValueId>),
    /// Its output is another value.
    Alias(ValueId),
    /// Its output is a constant.
    Constant(Tensor),
}

/// The graph in the middle of a walk: `graph.nodes` holds what has been emitted.
pub(crate) struct Rewriter<'g> {
    /// All values; the nodes emitted so far.
    pub(crate) graph: &'g mut Graph,
    producer: Vec<Option<u32>>,
    uses: Vec<u32>,
}

impl Rewriter<'_> {
    /// The emitted node that computes a value.
    pub(crate) fn producer(&self, value: ValueId) -> Option<&Node> {
        let index = (*self.producer.get(value.0 as usize)?)?;
        Some(&self.graph.nodes[index as usize])
    }

    /// The emitted node that computes a value which nothing else reads.
    pub(crate) fn only_producer(&self, value: ValueId) -> Option<&Node> {
        self.producer(value).filter(|_| self.uses(value) <= 1)
    }

    /// How many nodes read a value; being an output counts as one more.
    pub(crate) fn uses(&self, value: ValueId) -> u32 {
        self.uses.get(value.0 as usize).copied().unwrap_or(0)
    }

    /// What to call a node: its name, or that of its output.
    pub(crate) fn name<'a>(&'a self, node: &'a Node) -> &'a str {
        match node.name.as_str() {
            "" => &self.graph.value(node.output).name,
            name => name,
        }
    }

    /// Extents of a value.
    pub(crate) fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.value(value).ty.shape
    }

    /// The elements of an `f32` constant.
    pub(crate) fn f32s(&self, value: ValueId) -> Option<&[f32]> {
        self.graph.constant(value)?.as_f32()
    }

    /// Adds a node whose output is a new value, named after the node.
    pub(crate) fn emit(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<ValueId, GraphError> {
        let output = self.graph.add_node(name, op, inputs, name)?;
        for &input in inputs {
            *self.uses_mut(input) += 1;
        }
        // The rule that asked for it is about to read it.
        *self.uses_mut(output) = 1;
        self.producer.resize(self.graph.values.len(), None);
        self.producer[output.0 as usize] = Some(self.graph.nodes.len() as u32 - 1);
        Ok(output)
    }

    fn uses_mut(&mut self, value: ValueId) -> &mut u32 {
        let index = value.0 as usize;
        if self.uses.len() <= index {
            self.uses.resize(index + 1, 0);
        }
        &mut self.uses[index]
    }

    /// Emits a node for an existing value, which takes the type that inference gives.
    fn define(&mut self, node: Node) -> Result<(), GraphError> {
        let ty = self.graph.infer(&node.name, &node.op, &node.inputs)?;
        let output = node.output.0 as usize;
        self.graph.values[output].ty = ty;
        self.producer.resize(self.graph.values.len(), None);
        self.producer[output] = Some(self.graph.nodes.len() as u32);
        self.graph.nodes.push(node);
        Ok(())
    }
}

/// Applies `rule` to every node in order; true if it replaced any.
///
/// # Errors
/// Those of the rule, and a graph whose inputs or outputs would change their type: a pass
/// that does so is wrong.
pub(crate) fn rewrite(
    graph: &mut Graph,
    mut rule: impl FnMut(&mut Rewriter, &Node) -> Result<Rewrite, GraphError>,
) -> Result<bool, GraphError> {
    let nodes = std::mem::take(&mut graph.nodes);
    let interface = interface(graph);
    let mut uses = vec![0; graph.values.len()];
    for &v in nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
        uses[v.0 as usize] += 1;
    }
    let mut alias: Vec<ValueId> = (0..graph.values.len() as u32).map(ValueId).collect();
    let mut rw = Rewriter {
        producer: vec![None; graph.values.len()],
        graph,
        uses,
    };
    let mut changed = false;
    for mut node in nodes {
        for v in &mut node.inputs {
            *v = alias[v.0 as usize];
        }
        let step = rule(&mut rw, &node)?;
        changed |= !matches!(step, Rewrite::Keep);
        match step {
            Rewrite::Keep => rw.define(node)?,
            Rewrite::As(op, inputs) => {
                for &v in &inputs {
                    *rw.uses_mut(v) += 1;
                }
                rw.define(Node { op, inputs, ..node })?;
            }
            Rewrite::Alias(to) => {
                let readers = rw.uses(node.output);
                *rw.uses_mut(to) += readers.saturating_sub(1);
                alias[node.output.0 as usize] = to;
            }
            Rewrite::Constant(tensor) => {
                let value = &mut rw.graph.values[node.output.0 as usize];
                value.ty = tensor.ty().clone();
                value.constant = Some(tensor.into());
            }
        }
    }
    if changed {
        redirect_outputs(rw.graph, &alias);
        super::dead_code::run(graph)?;
    }
    if interface != self::interface(graph) {
        return Err(GraphError::Invalid(format!(
            "a rewrite changed the inputs or outputs of graph `{}`: this is a bug of the pass",
            graph.name
        )));
    }
    Ok(changed)
}

/// Names and types of inputs and outputs, which no rewrite may change.
fn interface(graph: &Graph) -> Vec<(String, crate::TensorType)> {
    let of = |&v: &ValueId| (graph.value(v).name.clone(), graph.value(v).ty.clone());
    graph.inputs.iter().chain(&graph.outputs).map(of).collect()
}

/// An output that became another value hands it its name, unless that value is visible
/// outside under its own: then a copy bears the output's name.
fn redirect_outputs(graph: &mut Graph, alias: &[ValueId]) {
    for i in 0..graph.outputs.len() {
        let old = graph.outputs[i];
        let new = alias[old.0 as usize];
        if new == old {
            continue;
        }
        let visible = graph.inputs.contains(&new)
            || graph.outputs.contains(&new)
            || graph.constant(new).is_some();
        if visible {
            let shape = graph.value(new).ty.shape.clone();
            graph.nodes.push(Node {
                name: graph.value(old).name.clone(),
                op: Op::Reshape { shape },
                inputs: vec![new],
                output: old,
            });
        } else {
            let name = graph.value(old).name.clone();
            graph.rename(old, "replaced");
            graph.rename(new, &name);
            for output in &mut graph.outputs {
                if *output == old {
                    *output = new;
                }
            }
        }
    }
}
