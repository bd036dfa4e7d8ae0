//! Host tensors between the steps of a program, and the graphs that the host runs.

use std::collections::BTreeMap;

use vta_graph::{Graph, GraphError, NodeId, ValueId, text};
use vta_program::{Slot, SlotId, Step};

/// Slots under construction: one for each value that passes between steps.
pub(crate) struct Slots<'a> {
    graph: &'a Graph,
    slots: Vec<Slot>,
    by_value: BTreeMap<ValueId, SlotId>,
}

impl<'a> Slots<'a> {
    /// No slots yet.
    pub(crate) fn new(graph: &'a Graph) -> Self {
        Slots {
            graph,
            slots: Vec::new(),
            by_value: BTreeMap::new(),
        }
    }

    /// The slot of a value, made on first use.
    pub(crate) fn of(&mut self, v: ValueId) -> SlotId {
        if let Some(&slot) = self.by_value.get(&v) {
            return slot;
        }
        let value = self.graph.value(v);
        let slot = self.slots.len() as SlotId;
        self.slots.push(Slot {
            name: value.name.clone(),
            dtype: value.ty.dtype.name().to_string(),
            shape: value.ty.shape.clone(),
        });
        self.by_value.insert(v, slot);
        slot
    }

    /// The step in which the host runs `nodes`.
    ///
    /// # Errors
    /// None on a verified graph.
    pub(crate) fn host_step(&mut self, nodes: &[NodeId]) -> Result<Step, GraphError> {
        let made: Vec<ValueId> = nodes.iter().map(|&n| self.graph.node(n).output).collect();
        let read_elsewhere = |v: &ValueId| {
            let others = self.graph.nodes.iter().enumerate();
            self.graph.outputs.contains(v)
                || others
                    .filter(|(i, _)| !nodes.contains(&NodeId(*i as u32)))
                    .any(|(_, n)| n.inputs.contains(v))
        };
        let outputs: Vec<ValueId> = made.iter().copied().filter(read_elsewhere).collect();
        let mut part = Graph::new(&self.graph.name);
        let mut ids: BTreeMap<ValueId, ValueId> = BTreeMap::new();
        let mut inputs = Vec::new();
        for &n in nodes {
            let node = self.graph.node(n);
            for &v in &node.inputs {
                if ids.contains_key(&v) {
                    continue;
                }
                let value = self.graph.value(v);
                let id = match &value.constant {
                    Some(tensor) => part.add_constant(&value.name, tensor.as_ref().clone()),
                    None => {
                        let id = part.add_value(&value.name, value.ty.clone());
                        part.inputs.push(id);
                        inputs.push(v);
                        id
                    }
                };
                ids.insert(v, id);
            }
            let from: Vec<ValueId> = node.inputs.iter().map(|v| ids[v]).collect();
            let name = &self.graph.value(node.output).name;
            let output = part.add_node(&node.name, node.op.clone(), &from, name)?;
            ids.insert(node.output, output);
        }
        part.outputs = outputs.iter().map(|v| ids[v]).collect();
        Ok(self.step(&part, &inputs, &outputs))
    }

    /// Steps that make the outputs that are constants.
    pub(crate) fn constant_outputs(&mut self) -> Vec<Step> {
        let constants: Vec<ValueId> = self
            .graph
            .outputs
            .iter()
            .copied()
            .filter(|&v| self.graph.constant(v).is_some())
            .collect();
        if constants.is_empty() {
            return Vec::new();
        }
        let mut part = Graph::new(&self.graph.name);
        for &v in &constants {
            let tensor = self
                .graph
                .constant(v)
                .expect("just filtered")
                .as_ref()
                .clone();
            let id = part.add_constant(&self.graph.value(v).name, tensor);
            part.outputs.push(id);
        }
        vec![self.step(&part, &[], &constants)]
    }

    fn step(&mut self, part: &Graph, inputs: &[ValueId], outputs: &[ValueId]) -> Step {
        Step::Host {
            graph: text::print(part, text::PrintOptions { data: true }),
            inputs: inputs.iter().map(|&v| self.of(v)).collect(),
            outputs: outputs.iter().map(|&v| self.of(v)).collect(),
        }
    }

    /// The finished table.
    pub(crate) fn into_slots(self) -> Vec<Slot> {
        self.slots
    }
}
