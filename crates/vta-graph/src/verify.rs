//! The rules that every graph keeps, whoever built it.

use std::collections::HashSet;

use crate::{DType, Data, Graph, GraphError, Tensor, ValueId};

impl Graph {
    /// Checks that the graph is well formed: every index names a value; names of values are
    /// unique and not empty; inputs are distinct and neither constant nor computed; every
    /// value is computed once, before it is read; constants have the type of their value and
    /// elements within it; the type of each node's output is the one that [`Op::infer`] gives.
    ///
    /// Values that nothing mentions are tolerated (see [`Graph::compact`]).
    ///
    /// # Errors
    /// The first rule that is broken, naming where.
    ///
    /// [`Op::infer`]: crate::Op::infer
    pub fn verify(&self) -> Result<(), GraphError> {
        self.verify_values()?;
        let mut defined: Vec<bool> = self.values.iter().map(|v| v.constant.is_some()).collect();
        for &v in &self.inputs {
            let value = self.checked_value(v, "an input")?;
            if defined[v.0 as usize] {
                return invalid(format!(
                    "input `{}` is listed twice or has constant data",
                    value.name
                ));
            }
            if value.ty.is_empty() {
                return invalid(format!("input `{}`, {}, is empty", value.name, value.ty));
            }
            defined[v.0 as usize] = true;
        }
        for n in &self.nodes {
            for &v in &n.inputs {
                let value = self.checked_value(v, &n.name)?;
                if !defined[v.0 as usize] {
                    return Err(GraphError::node(
                        &n.name,
                        &n.op,
                        format!("it reads `{}` before anything computes it", value.name),
                    ));
                }
            }
            let output = self.checked_value(n.output, &n.name)?;
            let ty = self.infer(&n.name, &n.op, &n.inputs)?;
            if output.ty != ty {
                return Err(GraphError::node(
                    &n.name,
                    &n.op,
                    format!(
                        "its output `{}` is declared {}, it gives {ty}",
                        output.name, output.ty
                    ),
                ));
            }
            if std::mem::replace(&mut defined[n.output.0 as usize], true) {
                return Err(GraphError::node(
                    &n.name,
                    &n.op,
                    format!("its output `{}` has a value already", output.name),
                ));
            }
        }
        for &v in &self.outputs {
            let value = self.checked_value(v, "an output")?;
            if !defined[v.0 as usize] {
                return invalid(format!("output `{}` is never computed", value.name));
            }
        }
        Ok(())
    }

    fn verify_values(&self) -> Result<(), GraphError> {
        let mut names = HashSet::new();
        for v in &self.values {
            if v.name.is_empty() {
                return invalid("a value has no name".into());
            }
            if !names.insert(v.name.as_str()) {
                return invalid(format!("two values are called `{}`", v.name));
            }
            v.ty.checked_len()
                .map_err(|why| GraphError::Invalid(format!("value `{}`: {why}", v.name)))?;
            if let Some(c) = &v.constant {
                if *c.ty() != v.ty {
                    return invalid(format!(
                        "constant `{}` is declared {}, its data is {}",
                        v.name,
                        v.ty,
                        c.ty()
                    ));
                }
                check_elements(c).map_err(|why| {
                    GraphError::Invalid(format!("constant `{}`, {}: {why}", v.name, v.ty))
                })?;
            }
        }
        Ok(())
    }

    fn checked_value(&self, id: ValueId, of: &str) -> Result<&crate::Value, GraphError> {
        self.values.get(id.0 as usize).ok_or_else(|| {
            GraphError::Invalid(format!("{of}: index {} is no value of this graph", id.0))
        })
    }
}

fn invalid(why: String) -> Result<(), GraphError> {
    Err(GraphError::Invalid(why))
}

/// Elements kept in a wider type than their own (`i4`, `bool`, ...) must lie within it.
pub(crate) fn check_elements(t: &Tensor) -> Result<(), String> {
    let outside = match (t.data(), t.dtype()) {
        (Data::U8(v), DType::Bool) => v.iter().find(|x| **x > 1).map(|x| i64::from(*x)),
        (Data::I8(v), dtype) => {
            let mut values = v.iter().map(|x| i64::from(*x));
            values.find(|&x| !dtype.holds(x))
        }
        _ => None,
    };
    match outside {
        Some(x) => Err(format!("element {x} does not fit {}", t.dtype())),
        None => Ok(()),
    }
}
