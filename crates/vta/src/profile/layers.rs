//! Layers that are alike, as one.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Operator, Profile, Spent};

/// Operators of the accelerator that are alike in kind and shape.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// `C1`, `C2`, ... for convolutions, from the largest input to the smallest; the operator for others.
    pub name: String,
    /// Name of the operator.
    pub op: String,
    /// Logical extents.
    pub shape: String,
    /// How many there are.
    pub times: usize,
    /// What they took together.
    pub spent: Spent,
}

impl Profile {
    /// The accelerator's operators, alike ones as one: convolutions first.
    pub fn layers(&self) -> Vec<Layer> {
        let is_conv = |op: &Operator| op.op == super::CONVOLUTION;
        let on_vta = self.operators.iter().filter(|op| op.spent.is_some());
        let mut operators: Vec<&Operator> = on_vta.collect();
        operators.sort_by_key(|op| (!is_conv(op), Reverse(positions(&op.input))));
        let mut layers: Vec<Layer> = Vec::new();
        let mut convolutions = 0;
        for operator in operators {
            let Some(spent) = &operator.spent else {
                continue;
            };
            let alike =
                |layer: &&mut Layer| (&layer.op, &layer.shape) == (&operator.op, &operator.shape);
            if let Some(layer) = layers.iter_mut().find(alike) {
                layer.times += 1;
                layer.spent.add(spent);
                continue;
            }
            convolutions += usize::from(is_conv(operator));
            layers.push(Layer {
                name: match is_conv(operator) {
                    true => format!("C{convolutions}"),
                    false => operator.op.clone(),
                },
                op: operator.op.clone(),
                shape: operator.shape.clone(),
                times: 1,
                spent: *spent,
            });
        }
        layers
    }
}

/// Rows times columns of a tensor's extents.
pub(super) fn positions(extents: &[usize]) -> usize {
    extents.iter().skip(2).product()
}
