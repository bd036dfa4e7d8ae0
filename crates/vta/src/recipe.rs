//! How raw data becomes a network's input: what the caller says, and what the network tells.

use vta_graph::{DType, Graph, Op, TensorType, ValueId};
use vta_program::{IntegerInput, Layout, Preprocess, Resize};

use crate::{Error, Model, Result};

/// What the caller says of `value = (x * scale - mean) / std`. The default says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// Multiplier of the raw value, 1 by default.
    pub scale: Option<f64>,
    /// One mean for all channels or one a channel; 0 by default.
    pub mean: Vec<f64>,
    /// One deviation for all channels or one a channel; 1 by default.
    pub std: Vec<f64>,
    /// Length of the short side to which photographs are scaled before the middle is cut out;
    /// 8/7 of the input's longer side by default.
    pub short_side: Option<u32>,
}

impl Recipe {
    /// The recipe in full for a network's input.
    ///
    /// The layout is that which the network uses. An integer input with a recipe takes the
    /// quantized value; without one, it takes a pixel's offset from the middle of its range
    /// (`pixel - 128`).
    pub fn resolve(&self, model: &Model) -> Result<Preprocess> {
        let ty = model.input()?;
        let input = model.graph().inputs[0];
        let layout = layout(model.graph(), input);
        let says_nothing = self.scale.is_none() && self.mean.is_empty() && self.std.is_empty();
        let integer = match ty.dtype.range() {
            None => None,
            Some(_) if !says_nothing => Some(quantization(model.graph(), input)?),
            Some((lo, _)) => Some(IntegerInput {
                scale: 1.0,
                zero_point: i32::try_from(lo).unwrap_or(0),
            }),
        };
        let preprocess = Preprocess {
            scale: self.scale.unwrap_or(1.0),
            mean: self.mean.clone(),
            std: self.std.clone(),
            layout,
            resize: self.resize(layout, ty)?,
            integer,
        };
        let checked = preprocess.check().map(|()| preprocess);
        checked.map_err(|why| Error::input(format!("preprocessing: {why}")))
    }

    /// How photographs come to the size of the input; `None` where it is no image.
    fn resize(&self, layout: Layout, ty: &TensorType) -> Result<Option<Resize>> {
        let (height, width) = match (layout, &ty.shape[..]) {
            (Layout::Nchw, &[1, 1 | 3, h, w]) | (Layout::Nhwc, &[1, h, w, 1 | 3]) => (h, w),
            _ if self.short_side.is_some() => {
                return Err(
                    Error::input(format!("the input {ty} is no image to resize"))
                        .help("leave --resize out"),
                );
            }
            _ => return Ok(None),
        };
        let side = |n: usize| u32::try_from(n).ok().filter(|&n| n <= 1 << 13);
        let (Some(height), Some(width)) = (side(height), side(width)) else {
            return Ok(None);
        };
        Ok(Some(Resize {
            short_side: self.short_side.unwrap_or(height.max(width) * 8 / 7),
            crop: [height, width],
        }))
    }
}

/// The order of an image input's dimensions: where the network transposes the input before
/// anything else mixes them, it says so itself; otherwise the extents speak.
fn layout(graph: &Graph, input: ValueId) -> Layout {
    let mut value = input;
    for node in &graph.nodes {
        if !node.inputs.contains(&value) {
            continue;
        }
        match &node.op {
            Op::Quantize(..) | Op::Dequantize(_) | Op::Add | Op::Sub | Op::Mul | Op::Div => {
                value = node.output;
            }
            Op::Transpose { perm } if perm[..] == [0, 3, 1, 2] => return Layout::Nhwc,
            _ => break,
        }
    }
    let colours = |extent: usize| extent == 1 || extent == 3;
    match graph.value(input).ty.shape[..] {
        [_, c, _, last] if colours(last) && !colours(c) => Layout::Nhwc,
        _ => Layout::Nchw,
    }
}

/// What the integers of the input stand for: the network dequantizes them first.
fn quantization(graph: &Graph, input: ValueId) -> Result<IntegerInput> {
    let readers = graph
        .nodes
        .iter()
        .filter(|n| n.inputs.first() == Some(&input));
    let quant = readers.into_iter().find_map(|node| match &node.op {
        Op::Dequantize(quant) if quant.scale.len() == 1 => Some(quant),
        _ => None,
    });
    let quant = quant.ok_or_else(|| {
        Error::input("the network's integer input has no scale of its own")
            .help("leave --scale, --mean and --std out, and give the integers themselves")
    })?;
    Ok(IntegerInput {
        scale: quant.scale[0].into(),
        zero_point: quant.zero_point.first().copied().unwrap_or(0),
    })
}

/// The recipe for data that are an integer input's own numbers already: none.
pub(crate) fn verbatim(preprocess: &Preprocess, data: DType, input: DType) -> Option<Preprocess> {
    (data == input && input.range().is_some()).then(|| Preprocess {
        layout: preprocess.layout,
        ..Preprocess::default()
    })
}
