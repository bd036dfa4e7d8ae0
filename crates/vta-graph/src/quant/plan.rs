//! Which values of a float graph become integers, and which of them share a scale.

use std::collections::BTreeMap;

use crate::{Graph, Node, Op, PoolAttrs, ValueId};

/// What `quantize` does with each value, by value id.
pub(super) struct Plan {
    /// Values that are stored as integers.
    pub(super) stored: Vec<bool>,
    /// Values of one group have one scale: the group's name is its first value.
    group: Vec<u32>,
    residuals: BTreeMap<usize, ValueId>,
}

impl Plan {
    pub(super) fn new(graph: &Graph) -> Plan {
        let mut plan = Plan {
            stored: vec![false; graph.values.len()],
            group: (0..graph.values.len() as u32).collect(),
            residuals: BTreeMap::new(),
        };
        let (consumers, producers) = (graph.consumers(), graph.producers());
        let mut fused = vec![false; graph.nodes.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            if fused[i] {
                continue;
            }
            match role(graph, node) {
                Role::Layer(operands) => {
                    for &v in &node.inputs[..operands] {
                        plan.store(v);
                    }
                    let same = |a, b| graph.value(a).ty.shape == graph.value(b).ty.shape;
                    let summands = match (&node.op, &node.inputs[..operands]) {
                        (Op::Add, &[a, b]) if same(a, b) => Some((a, b)),
                        _ => None,
                    };
                    if let Some((a, b)) = summands {
                        let sums = [(a, b), (b, a)].into_iter().filter_map(|(sums, addend)| {
                            let conv = producers[sums.0 as usize]?.0 as usize;
                            let alone = consumers[sums.0 as usize].len() == 1;
                            let fits =
                                alone && is_conv(graph, conv) && !graph.outputs.contains(&sums);
                            let weights = || graph.value(graph.nodes[conv].inputs[1]).ty.len();
                            fits.then(|| (weights(), conv, addend))
                        });
                        if let Some((_, conv, addend)) = sums.max_by_key(|s| (s.0, s.1)) {
                            plan.residuals.insert(conv, addend);
                        }
                    }
                    // Activations that only bound the result are part of the layer.
                    let mut result = node.output;
                    while let [next] = consumers[result.0 as usize][..] {
                        let activation = graph.node(next);
                        let bounds = matches!(activation.op, Op::Relu | Op::Clip { .. });
                        if !bounds || graph.outputs.contains(&result) {
                            break;
                        }
                        fused[next.0 as usize] = true;
                        result = activation.output;
                    }
                    plan.store(result);
                }
                Role::Bound if plan.is_stored(node.inputs[0]) => plan.store(node.output),
                Role::Arrange if plan.is_stored(node.inputs[0]) => {
                    plan.store(node.output);
                    plan.join(node.inputs[0], node.output);
                }
                Role::Concat if node.inputs.iter().any(|&v| plan.is_stored(v)) => {
                    plan.store(node.output);
                    for &v in &node.inputs {
                        plan.store(v);
                        plan.join(v, node.output);
                    }
                }
                _ => {}
            }
        }
        plan
    }

    fn store(&mut self, v: ValueId) {
        self.stored[v.0 as usize] = true;
    }

    /// The activation that is added to the result of a convolution, node `conv`, where that is all that
    /// the result is for. Of two convolutions that are added, the larger one's sums take the other.
    pub(super) fn residual(&self, conv: usize) -> Option<ValueId> {
        self.residuals.get(&conv).copied()
    }

    /// Whether a value may go to the addition of a residual as sums, not stored.
    pub(super) fn may_be_sums(&self, graph: &Graph, v: ValueId) -> bool {
        let mut convolutions = self.residuals.keys();
        convolutions.any(|&conv| graph.nodes[conv].output == v)
    }

    pub(super) fn is_stored(&self, v: ValueId) -> bool {
        self.stored[v.0 as usize]
    }

    /// The group of a value, named by its first.
    pub(super) fn group(&self, v: ValueId) -> ValueId {
        let mut at = v.0;
        while self.group[at as usize] != at {
            at = self.group[at as usize];
        }
        ValueId(at)
    }

    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.group(a), self.group(b));
        self.group[a.max(b).0 as usize] = a.min(b).0;
    }
}

/// Whether a node is a convolution that computes on integers.
fn is_conv(graph: &Graph, node: usize) -> bool {
    let node = &graph.nodes[node];
    matches!(node.op, Op::Conv(_)) && is_layer(graph, node)
}

enum Role {
    /// Computes on integers; its first operands are activations.
    Layer(usize),
    /// Bounds its operand.
    Bound,
    /// Takes integers along, at their scale.
    Arrange,
    /// Puts integers of one scale side by side.
    Concat,
    /// Stays in floats.
    Float,
}

fn role(graph: &Graph, node: &Node) -> Role {
    let constant = |&v: &ValueId| graph.constant(v).is_some_and(|t| t.as_f32().is_some());
    let shape = |v: ValueId| &graph.value(v).ty.shape;
    match &node.op {
        _ if is_layer(graph, node) => Role::Layer(1),
        Op::Add | Op::Sub | Op::Mul
            if pairs(shape(node.inputs[0]), shape(node.inputs[1]))
                && !node.inputs.iter().any(constant) =>
        {
            Role::Layer(2)
        }
        Op::Sigmoid | Op::HardSwish | Op::Silu => Role::Layer(1),
        Op::GlobalAvgPool => Role::Layer(1),
        Op::LeakyRelu { .. } => Role::Layer(1),
        Op::AvgPool(p) if has_one_divisor(p) => Role::Layer(1),
        Op::Relu | Op::Clip { .. } => Role::Bound,
        Op::Pad { value, .. } if *value == 0.0 => Role::Arrange,
        Op::MaxPool(_) | Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } => {
            Role::Arrange
        }
        Op::DepthToSpace { .. } | Op::Resize { .. } => Role::Arrange,
        Op::Concat { .. } if !node.inputs.iter().any(constant) => Role::Concat,
        _ => Role::Float,
    }
}

/// Whether two shapes are the same, or one has one row and column for all of the other's.
fn pairs(a: &[usize], b: &[usize]) -> bool {
    let planes = |s: &[usize]| matches!(s, [_, _, 1, 1]);
    a == b || (a.len() == 4 && b.len() == 4 && a[..2] == b[..2] && (planes(a) || planes(b)))
}

/// Whether the node is a convolution or dense layer whose weight and bias are known floats.
pub(super) fn is_layer(graph: &Graph, node: &Node) -> bool {
    let constant = |&v: &ValueId| graph.constant(v).is_some_and(|t| t.as_f32().is_some());
    matches!(node.op, Op::Conv(_) | Op::Dense) && node.inputs[1..].iter().all(constant)
}

/// How many channels a layer reads.
pub(super) fn input_channels(graph: &Graph, layer: &Node) -> usize {
    let groups = match &layer.op {
        Op::Conv(attrs) => attrs.groups,
        _ => 1,
    };
    graph.value(layer.inputs[1]).ty.shape[1] * groups
}

/// Whether every window of an average pooling is divided by the same number.
pub(crate) fn has_one_divisor(p: &PoolAttrs) -> bool {
    p.extra == [0, 0] && (p.count_include_pad || p.window.pads == [0; 4])
}
