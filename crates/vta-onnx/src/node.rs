//! A node of the file with its inputs looked up and its attributes checked.

use vta_graph::Tensor;

use crate::import::Known;
use crate::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};
use crate::tensor;

/// Largest stride, pad, dilation or kernel extent; more is a damaged file.
const MAX_EXTENT: i64 = 1 << 24;

/// What the importer of one operator sees.
pub(crate) struct NodeView<'a> {
    pub(crate) proto: &'a NodeProto,
    /// The node's name, or its first output where it has none.
    pub(crate) name: &'a str,
    /// Version of the standard operator set.
    pub(crate) opset: i64,
    /// `None` for an optional input that is not given.
    pub(crate) inputs: Vec<Option<Known>>,
    /// Which of the outputs is asked for; the first, but of a `Split`.
    pub(crate) output: usize,
}

impl NodeView<'_> {
    /// The name of the output that is asked for.
    pub(crate) fn output_name(&self) -> &str {
        &self.proto.output[self.output]
    }

    /// Input `i`, which the operator requires.
    pub(crate) fn input(&self, i: usize) -> Result<&Known, String> {
        self.optional(i)
            .ok_or_else(|| format!("input {i} is missing"))
    }

    /// Input `i`, if it is given.
    pub(crate) fn optional(&self, i: usize) -> Option<&Known> {
        self.inputs.get(i)?.as_ref()
    }

    /// Input `i`, if it is given; it has to be a constant.
    pub(crate) fn constant(&self, i: usize) -> Result<Option<&Tensor>, String> {
        match self.optional(i) {
            None => Ok(None),
            Some(known) => known.as_constant().map(Some).ok_or_else(|| {
                format!(
                    "input {i} `{}` is computed from the network's input; only a constant is \
                     supported, so export the model with fixed shapes and parameters",
                    self.proto.input[i]
                )
            }),
        }
    }

    /// Input `i`, if it is given, as a list of integers known now.
    pub(crate) fn constant_ints(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        self.constant(i)?
            .map(|t| {
                t.to_ints()
                    .ok_or_else(|| format!("input {i} is {}, not integers", t.ty()))
            })
            .transpose()
    }

    /// Input `i`, if it is given, as one number known now.
    pub(crate) fn constant_scalar(&self, i: usize) -> Result<Option<f32>, String> {
        let Some(t) = self.constant(i)? else {
            return Ok(None);
        };
        let one = match t.as_f32() {
            Some(v) => v.first().copied(),
            None => t.to_ints().and_then(|v| v.first().map(|&x| x as f32)),
        };
        one.filter(|_| t.ty().len() == 1)
            .map(Some)
            .ok_or_else(|| format!("input {i} is {}, not one number", t.ty()))
    }

    fn attribute<T>(
        &self,
        name: &str,
        kind: &str,
        get: impl FnOnce(&AttributeProto) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let found = self
            .proto
            .attribute
            .iter()
            .find(|a| a.name.as_deref() == Some(name));
        found
            .map(|a| get(a).ok_or_else(|| format!("attribute `{name}` is not {kind}")))
            .transpose()
    }

    /// An integer attribute. Some writers leave out a value of 0 and give only the type.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, String> {
        self.attribute(name, "an integer", |a| {
            a.i.or((a.r#type == Some(attribute_type::INT)).then_some(0))
        })
    }

    /// A number attribute.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f32>, String> {
        self.attribute(name, "a number", |a| {
            a.f.or((a.r#type == Some(attribute_type::FLOAT)).then_some(0.0))
        })
    }

    /// A text attribute.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.attribute(name, "text", |a| {
            String::from_utf8(a.s.clone().unwrap_or_default()).ok()
        })
    }

    /// A list of integers.
    pub(crate) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        self.attribute(name, "a list of integers", |a| {
            let fits = matches!(a.r#type, None | Some(0) | Some(attribute_type::INTS));
            fits.then(|| a.ints.clone())
        })
    }

    /// A list of numbers.
    pub(crate) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>, String> {
        self.attribute(name, "a list of numbers", |a| Some(a.floats.clone()))
    }

    /// A tensor.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, String> {
        let proto: Option<TensorProto> = self.attribute(name, "a tensor", |a| a.t.clone())?;
        proto
            .map(|t| tensor::read(t).map_err(|e| e.to_string()))
            .transpose()
    }

    /// A truth value, written as 0 or 1.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.int(name)?.map_or(default, |v| v != 0))
    }

    /// Refuses an attribute that has another value than the only one we know to run.
    pub(crate) fn only_int(&self, name: &str, value: i64) -> Result<(), String> {
        match self.int(name)? {
            Some(v) if v != value => Err(format!(
                "attribute `{name}` is {v}; only {value} is supported"
            )),
            _ => Ok(()),
        }
    }

    /// An axis of a tensor of `rank`; negative ones count from the end.
    pub(crate) fn axis(&self, default: i64, rank: usize) -> Result<usize, String> {
        resolve_axis(self.int("axis")?.unwrap_or(default), rank)
    }

    /// `N` extents for the spatial dimensions, each at least `min`.
    pub(crate) fn extents<const N: usize>(
        &self,
        name: &str,
        min: i64,
    ) -> Result<Option<[usize; N]>, String> {
        let Some(list) = self.ints(name)? else {
            return Ok(None);
        };
        if let Some(v) = list.iter().find(|v| !(min..=MAX_EXTENT).contains(v)) {
            return Err(format!(
                "attribute `{name}` has {v}; {min} to {MAX_EXTENT} is supported"
            ));
        }
        let list: Vec<usize> = list.iter().map(|&v| v as usize).collect();
        let n = list.len();
        list.try_into()
            .map(Some)
            .map_err(|_| format!("attribute `{name}` has {n} values; 2-D windows have {N}"))
    }
}

/// An axis of a tensor of `rank`; negative ones count from the end.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Result<usize, String> {
    let r = rank as i64;
    if (-r..r).contains(&axis) {
        Ok(axis.rem_euclid(r) as usize)
    } else {
        Err(format!("axis {axis} of a tensor of rank {rank}"))
    }
}

/// Axes of a tensor of `rank`, sorted; one that is named twice is an error.
pub(crate) fn resolve_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut resolved = axes
        .iter()
        .map(|&a| resolve_axis(a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    resolved.sort_unstable();
    match resolved.windows(2).find(|w| w[0] == w[1]) {
        Some(w) => Err(format!("axis {} is named twice", w[0])),
        None => Ok(resolved),
    }
}
