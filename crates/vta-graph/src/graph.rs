//! The graph: values, constants and nodes in topological order.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Op, Tensor, TensorType};

/// Index of a [`Value`] in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// Index of a [`Node`] in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// How integers stand for reals: `real = (q - zero_point) * scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// One scale, or one for each extent of `axis`; all finite and positive.
    pub scale: Vec<f32>,
    /// One zero point, or as many as scales.
    pub zero_point: Vec<i32>,
    /// The axis of per-channel scales; ignored for one scale.
    pub axis: usize,
}

impl Quant {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Quant {
            scale: vec![scale],
            zero_point: vec![zero_point],
            axis: 0,
        }
    }
}

/// A tensor that flows: an input, a constant or the output of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name, unique in the graph; ONNX's where it has one.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// The data of a constant.
    pub constant: Option<Arc<Tensor>>,
}

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name for messages and reports; ONNX's where it has one.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Its inputs; a missing optional input is not listed (they are all trailing).
    pub inputs: Vec<ValueId>,
    /// Its one output.
    pub output: ValueId,
}

/// A network, or a part of one. Nodes stand in topological order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Name for reports.
    pub name: String,
    /// All values.
    pub values: Vec<Value>,
    /// All nodes, each after the nodes that feed it.
    pub nodes: Vec<Node>,
    /// Inputs, in order.
    pub inputs: Vec<ValueId>,
    /// Outputs, in order.
    pub outputs: Vec<ValueId>,
    names: NameIndex,
}

/// Where each name stands, so that a fresh one is found without a walk over all values.
/// A cache: entries are believed only if the value still bears the name.
#[derive(Clone, Debug, Default)]
struct NameIndex {
    of_name: HashMap<String, usize>,
    /// For each base, the last suffix given.
    suffix: HashMap<String, u32>,
    indexed: usize,
}

/// What the cache knows is no property of the graph.
impl PartialEq for NameIndex {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What is wrong with a graph, a node or an input, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// An operator cannot take these inputs.
    #[error("node `{node}` ({op}): {why}")]
    Node {
        /// Name of the node.
        node: String,
        /// Name of the operator.
        op: String,
        /// The reason and the remedy.
        why: String,
    },
    /// The caller gave a wrong tensor.
    #[error("input `{name}`: {why}")]
    Input {
        /// Name of the input.
        name: String,
        /// The reason and the remedy.
        why: String,
    },
    /// The text form does not parse.
    #[error("line {line}: {why}")]
    Parse {
        /// Line, from 1.
        line: usize,
        /// The reason.
        why: String,
    },
    /// The graph breaks a rule of its own.
    #[error("{0}")]
    Invalid(String),
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Graph {
            name: name.into(),
            ..Graph::default()
        }
    }

    /// The value behind an index.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The node behind an index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Adds a value; its name is made unique by a suffix where it is taken.
    pub fn add_value(&mut self, name: &str, ty: TensorType) -> ValueId {
        let name = self.fresh_name(name);
        self.values.push(Value {
            name,
            ty,
            constant: None,
        });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.add_value(name, tensor.ty().clone());
        self.values[id.0 as usize].constant = Some(Arc::new(tensor));
        id
    }

    /// The data of a constant value.
    pub fn constant(&self, id: ValueId) -> Option<&Arc<Tensor>> {
        self.value(id).constant.as_ref()
    }

    /// The node that computes each value, by value.
    pub fn producers(&self) -> Vec<Option<NodeId>> {
        let mut p = vec![None; self.values.len()];
        for (i, n) in self.nodes.iter().enumerate() {
            p[n.output.0 as usize] = Some(NodeId(i as u32));
        }
        p
    }

    /// The nodes that read each value, by value, in order; a graph output is not a reader.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut c = vec![Vec::new(); self.values.len()];
        for (i, n) in self.nodes.iter().enumerate() {
            for v in &n.inputs {
                c[v.0 as usize].push(NodeId(i as u32));
            }
        }
        c
    }

    /// Adds a node after all others, and the value it computes, called `out_name` (made unique
    /// as in [`Graph::add_value`]).
    ///
    /// # Errors
    /// If the operator does not take these inputs ([`Op::infer`]).
    pub fn add_node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        out_name: &str,
    ) -> Result<ValueId, GraphError> {
        let ty = self.infer(name, &op, inputs)?;
        let output = self.add_value(out_name, ty);
        self.nodes.push(Node {
            name: name.to_string(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        Ok(output)
    }

    /// The type that `op` gives for these inputs; `name` is for the error alone.
    pub(crate) fn infer(
        &self,
        name: &str,
        op: &Op,
        inputs: &[ValueId],
    ) -> Result<TensorType, GraphError> {
        let types: Option<Vec<&TensorType>> = inputs
            .iter()
            .map(|v| self.values.get(v.0 as usize).map(|v| &v.ty))
            .collect();
        types
            .ok_or_else(|| "an input is no value of this graph".to_string())
            .and_then(|types| op.infer(&types))
            .map_err(|why| GraphError::node(name, op, why))
    }

    /// A name that no value bears yet: `name` itself, or `name` with the next free suffix.
    fn fresh_name(&mut self, name: &str) -> String {
        let base = if name.is_empty() { "v" } else { name };
        self.index_names();
        if !self.is_taken(base) {
            return base.to_string();
        }
        let mut i = self.names.suffix.get(base).copied().unwrap_or(0);
        loop {
            i += 1;
            let candidate = format!("{base}.{i}");
            if !self.is_taken(&candidate) {
                self.names.suffix.insert(base.to_string(), i);
                return candidate;
            }
        }
    }

    fn index_names(&mut self) {
        if self.names.indexed > self.values.len() {
            self.names = NameIndex::default();
        }
        for (i, v) in self.values.iter().enumerate().skip(self.names.indexed) {
            self.names.of_name.insert(v.name.clone(), i);
        }
        self.names.indexed = self.values.len();
    }

    fn is_taken(&self, name: &str) -> bool {
        let at = self.names.of_name.get(name);
        at.is_some_and(|&i| self.values[i].name == name)
    }

    /// Gives a value another name, made unique as in [`Graph::add_value`]. (A name written
    /// to the value directly may clash with a later one; [`Graph::verify`] finds that.)
    pub fn rename(&mut self, id: ValueId, name: &str) {
        if self.value(id).name == name {
            return;
        }
        let name = self.fresh_name(name);
        self.names.of_name.insert(name.clone(), id.0 as usize);
        self.values[id.0 as usize].name = name;
    }

    /// Drops the values that no node, input or output mentions, and numbers the others in the
    /// order of the text form: inputs, then each node's constants and output, then constants
    /// that are outputs.
    pub fn compact(&mut self) {
        let mut to = vec![None; self.values.len()];
        let mut order = Vec::new();
        let mentioned = (self.inputs.iter())
            .chain(
                (self.nodes.iter()).flat_map(|n| n.inputs.iter().chain(std::iter::once(&n.output))),
            )
            .chain(&self.outputs);
        for v in mentioned {
            let to = &mut to[v.0 as usize];
            if to.is_none() {
                *to = Some(ValueId(order.len() as u32));
                order.push(*v);
            }
        }
        let renumber = |v: &mut ValueId| *v = to[v.0 as usize].expect("a value that is mentioned");
        self.inputs.iter_mut().for_each(renumber);
        self.outputs.iter_mut().for_each(renumber);
        for n in &mut self.nodes {
            n.inputs.iter_mut().for_each(renumber);
            renumber(&mut n.output);
        }
        self.values = order.iter().map(|v| self.value(*v).clone()).collect();
        self.names = NameIndex::default();
    }
}

impl GraphError {
    pub(crate) fn node(name: &str, op: &Op, why: impl Into<String>) -> Self {
        GraphError::Node {
            node: name.to_string(),
            op: op.name().to_string(),
            why: why.into(),
        }
    }
}
