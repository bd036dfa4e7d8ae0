//! The graph: values, constants and nodes in topological order.

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

    fn fresh_name(&self, name: &str) -> String {
        let base = if name.is_empty() { "v" } else { name };
        if !self.values.iter().any(|v| v.name == base) {
            return base.to_string();
        }
        (1..)
            .map(|i| format!("{base}.{i}"))
            .find(|n| !self.values.iter().any(|v| v.name == *n))
            .expect("some suffix is free")
    }
}
