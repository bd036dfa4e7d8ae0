//! Operators whose result has more rows and columns than their input: transposed convolution and nearest resizing, depth to
//! space.
//!
//! With a stride of `s`, every `s`-th row of a transposed convolution's result is an ordinary convolution of the
//! input, with every `s`-th row of the kernel, turned round. The convolutions of all these phases, rows and columns,
//! become one with a channel for each phase, under a window that holds all of theirs; `depth_to_space` puts the phases of
//! a position side by side.

use std::slice::from_ref;
use std::sync::Arc;

use vta_graph::{ConvAttrs, Data, Op, Quant, Tensor, Window};

use crate::import::{Importer, Known};
use crate::node::NodeView;

/// Strides and factors are at most so large.
const MOST: usize = 256;

/// Rows or columns of a transposed convolution.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Rows cut off before.
    before: usize,
    output: usize,
}

impl Axis {
    /// Places of a dilated kernel.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Of the kernel of phase `r`: the first place, and by how many rows of the input it looks ahead.
    fn phase(&self, r: usize) -> (usize, i64) {
        let first = (r + self.before) % self.stride;
        (first, ((r + self.before) / self.stride) as i64)
    }

    /// The first and last row that any phase reads, counted from that of its result.
    fn window(&self) -> [i64; 2] {
        let ends = (0..self.stride).map(|r| {
            let (first, ahead) = self.phase(r);
            let taps = self.reach().saturating_sub(first).div_ceil(self.stride);
            [ahead - taps as i64 + 1, ahead]
        });
        // Nothing is cut off the input.
        ends.fold([0, 0], |all, end| [all[0].min(end[0]), all[1].max(end[1])])
    }

    /// Which row of the kernel each phase multiplies at each row of the window; `None` if none.
    fn taps(&self) -> Vec<Vec<Option<usize>>> {
        let [low, high] = self.window();
        let tap = |r: usize, at: i64| {
            let (first, ahead) = self.phase(r);
            let back = usize::try_from(ahead - at).ok()?;
            let place = first + back * self.stride;
            (place < self.reach() && place % self.dilation == 0).then(|| place / self.dilation)
        };
        let row = |r| (low..=high).map(|at| tap(r, at)).collect();
        (0..self.stride).map(row).collect()
    }

    /// Rows of each phase.
    fn rows(&self) -> usize {
        self.output.div_ceil(self.stride)
    }

    /// Padding of the window before and after the input; more rows than wanted where the second would be negative.
    fn pads(&self) -> [usize; 2] {
        let [low, high] = self.window();
        let after = self.rows() as i64 - 1 + high - (self.input as i64 - 1);
        [-low as usize, after.max(0) as usize]
    }
}

/// The axes of a node, whose result is as large as its attributes say.
fn axes(n: &NodeView, hw: [usize; 2], kernel: [usize; 2]) -> Result<[Axis; 2], String> {
    if let Some(mode) = n.text("auto_pad")?.filter(|mode| mode != "NOTSET") {
        return Err(format!("auto_pad `{mode}`; write the pads out"));
    }
    if n.ints("output_shape")?.is_some() {
        return Err("attribute `output_shape`; write the pads out".into());
    }
    let stride: [usize; 2] = n.extents("strides", 1)?.unwrap_or([1; 2]);
    let dilation: [usize; 2] = n.extents("dilations", 1)?.unwrap_or([1; 2]);
    let pads: [usize; 4] = n.extents("pads", 0)?.unwrap_or_default();
    let more: [usize; 2] = n.extents("output_padding", 0)?.unwrap_or_default();
    let axis = |i: usize| {
        let mut axis = Axis {
            input: hw[i],
            kernel: kernel[i],
            stride: stride[i],
            dilation: dilation[i],
            before: pads[i],
            output: 0,
        };
        let whole = (hw[i] - 1)
            .checked_mul(stride[i])
            .and_then(|n| n.checked_add(axis.reach() + more[i]));
        let cut = pads[i] + pads[i + 2];
        let output = whole.and_then(|n| n.checked_sub(cut)).filter(|&n| n > 0);
        axis.output = output.ok_or_else(|| format!("pads {pads:?} leave nothing of the result"))?;
        Ok::<_, String>(axis)
    };
    Ok([axis(0)?, axis(1)?])
}

pub(super) fn conv_transpose(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let x = n.input(0)?.clone();
    let (&[batch, channels, h, w], &[inputs, each, kh, kw]) = (im.shape(&x), im.shape(n.input(1)?))
    else {
        return Err(format!(
            "its input is {:?} and its weight {:?}; only 2-D windows over [N, C, H, W] are supported",
            im.shape(&x),
            im.shape(n.input(1)?)
        ));
    };
    if [channels, each, kh, kw, h, w].contains(&0) {
        return Err(format!(
            "its input is {:?} and its weight {:?}: an extent is zero, there is nothing to compute",
            im.shape(&x),
            im.shape(n.input(1)?)
        ));
    }
    let groups = usize::try_from(n.int("group")?.unwrap_or(1)).unwrap_or(0);
    if groups == 0 || channels % groups != 0 || inputs != channels {
        return Err(format!(
            "group={groups} with {channels} channels and a weight for {inputs}: the weight has one for each channel, \
             and the groups divide them"
        ));
    }
    let axes = axes(n, [h, w], [kh, kw])?;
    let [rows, columns] = axes;
    let strides = axes.map(|axis| axis.stride);
    if strides.iter().any(|&stride| stride > MOST) {
        return Err(format!("strides {strides:?}; up to {MOST} are supported"));
    }
    let phases = rows.stride * columns.stride;
    let outputs = groups
        .checked_mul(each)
        .filter(|&n| n <= 1 << 24)
        .ok_or_else(|| {
            format!("{groups} groups of {each} output channels; up to 2^24 together are supported")
        })?;
    let wide = axes
        .map(|axis| axis.window())
        .map(|[low, high]| (high - low + 1) as usize);
    // Channel by channel of the result, the phases one after the other.
    let shape = [outputs * phases, channels / groups, wide[0], wide[1]];
    im.charge(&shape)?;
    let taps = axes.map(|axis| axis.taps());
    let weight = gathered(n.input(1)?, "weight", n, shape.to_vec(), phases, |at| {
        let (channel, phase) = (at[0] / phases, at[0] % phases);
        let ky = taps[0][phase / columns.stride][at[2]]?;
        let kx = taps[1][phase % columns.stride][at[3]]?;
        let from = channel / each * (channels / groups) + at[1];
        Some(((from * each + channel % each) * kh + ky) * kw + kx)
    })?;
    let mut operands = vec![x, weight];
    if let Some(bias) = n.optional(2) {
        let each = |at: &[usize]| Some(at[0] / phases);
        operands.push(gathered(
            bias,
            "bias",
            n,
            vec![outputs * phases],
            phases,
            each,
        )?);
    }
    let [[top, bottom], [left, right]] = axes.map(|axis| axis.pads());
    let window = Window {
        kernel: wide,
        stride: [1, 1],
        dilation: [1, 1],
        pads: [top, left, bottom, right],
    };
    let op = Op::Conv(ConvAttrs { window, groups });
    if phases == 1
        && axes.iter().all(|axis| {
            axis.input + axis.pads().iter().sum::<usize>() + 1
                == axis.output + (axis.window()[1] - axis.window()[0] + 1) as usize
        })
    {
        return im.emit(n, op, &operands);
    }
    let sums = im.emit_step(n, "phases", op, &operands)?;
    let &[_, _, ph, pw] = im.shape(&sums) else {
        return Err("a convolution of rank 4".into());
    };
    let block = axes.map(|axis| axis.stride);
    let together = Op::DepthToSpace {
        block,
        groups: outputs,
        channels: outputs,
    };
    if [ph * block[0], pw * block[1]] == axes.map(|axis| axis.output) {
        return im.emit(n, together, &[sums]);
    }
    let together = im.emit_step(n, "together", together, &[sums])?;
    let op = Op::Slice {
        start: vec![0; 4],
        end: vec![batch, outputs, rows.output, columns.output],
        step: vec![1; 4],
    };
    im.emit(n, op, &[together])
}

/// The elements of a constant that `from` names for each index of a new shape, zeros where it names none. Scales, one
/// for each channel of a weight's axis 1 or of a bias, are those of the new channels, `phases` for each.
fn gathered(
    known: &Known,
    what: &str,
    n: &NodeView,
    shape: Vec<usize>,
    phases: usize,
    from: impl Fn(&[usize]) -> Option<usize>,
) -> Result<Known, String> {
    let Known::Constant(c) = known else {
        return Err(format!("its {what} is not constant"));
    };
    let len: usize = shape.iter().product();
    let mut at = vec![0; shape.len()];
    let mut places = Vec::with_capacity(len);
    for _ in 0..len {
        places.push(from(&at));
        for (i, extent) in at.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < *extent {
                break;
            }
            *i = 0;
        }
    }
    macro_rules! pick {
        ($v:expr) => {
            places
                .iter()
                .map(|p| p.map_or(Default::default(), |p| $v[p]))
                .collect()
        };
    }
    let data = match c.tensor.data() {
        Data::F32(v) => Data::F32(pick!(v)),
        Data::I64(v) => Data::I64(pick!(v)),
        Data::I32(v) => Data::I32(pick!(v)),
        Data::I8(v) => Data::I8(pick!(v)),
        Data::U8(v) => Data::U8(pick!(v)),
    };
    let channels = shape[0];
    let tensor = Tensor::new(vta_graph::TensorType::new(c.tensor.dtype(), shape), data);
    let name = format!("{}.{what}", n.proto.output[0]);
    let Some((quant, stored)) = &c.quant else {
        return Ok(Known::constant(&name, tensor));
    };
    if quant.zero_point.iter().any(|&z| z != 0) {
        return Err(format!("its {what} has a zero point that is not 0"));
    }
    let mut quant = Quant {
        axis: 0,
        ..quant.clone()
    };
    let axis = if what == "bias" { 0 } else { 1 };
    if quant.scale.len() > 1 && c.quant.as_ref().is_some_and(|(q, _)| q.axis != axis) {
        return Err(format!(
            "its {what} has scales along an axis other than that of the outputs, {axis}"
        ));
    }
    if quant.scale.len() > 1 {
        let each = quant.scale.len();
        quant.scale = (0..channels)
            .map(|c| quant.scale[c / phases % each])
            .collect();
        quant.zero_point = vec![0; channels];
    }
    Ok(Known::dequantized(&name, Arc::new(tensor), quant, stored))
}

/// Nearest resizing by whole factors: each row and column as often as its factor says.
pub(super) fn resize(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let mode = n.text("mode")?.unwrap_or("nearest".into());
    if mode != "nearest" {
        return Err(format!("mode `{mode}`; only `nearest` is supported"));
    }
    let shape = im.shape(n.input(0)?).to_vec();
    let policy = n.text("keep_aspect_ratio_policy")?;
    if let Some(policy) = policy.filter(|policy| policy != "stretch") {
        return Err(format!(
            "keep_aspect_ratio_policy `{policy}`; only `stretch` is supported"
        ));
    }
    if let Some(axes) = n.ints("axes")? {
        if !axes.iter().copied().eq(0..shape.len() as i64) {
            return Err(format!(
                "axes {axes:?}; only scales or sizes of all axes in their order are supported"
            ));
        }
    }
    // Upsample has its factors as input 1, Resize since operator set 11 as input 2, or sizes as input 3.
    let is_resize = n.proto.op_type() == "Resize" && n.opset > 10;
    let scales = n
        .constant(if is_resize { 2 } else { 1 })?
        .and_then(|t| t.as_f32().map(<[f32]>::to_vec));
    let scales = scales.filter(|s| !s.is_empty());
    let sizes = if is_resize { n.constant_ints(3)? } else { None };
    let wanted = match (&scales, &sizes) {
        (Some(scales), _) => format!("scales {scales:?}"),
        (None, sizes) => format!("sizes {:?}", sizes.as_deref().unwrap_or_default()),
    };
    let factors: Option<Vec<usize>> = match (scales, sizes) {
        (Some(scales), _) => scales
            .iter()
            .map(|&s| (s >= 1.0 && s.fract() == 0.0).then_some(s as usize))
            .collect(),
        (None, Some(sizes)) if sizes.len() == shape.len() => {
            let pairs = sizes.iter().zip(&shape);
            pairs
                .map(|(&to, &from)| {
                    let to = usize::try_from(to).ok()?;
                    (from > 0 && to > 0 && to % from == 0).then(|| to / from)
                })
                .collect()
        }
        (None, Some(_)) => None,
        (None, None) => {
            return Err(
                "neither its scales nor its sizes are constant; it needs one of them".into(),
            );
        }
    };
    let factors = match factors.as_deref() {
        Some(&[1, 1, y, x]) if y.max(x) > MOST => {
            return Err(format!("factors {:?}; up to {MOST} are supported", [y, x]));
        }
        Some(&[1, 1, y, x]) if shape.len() == 4 => [y, x],
        _ => {
            return Err(format!(
                "{wanted} of {shape:?}; only whole factors of rows and columns of [N, C, H, W] are supported"
            ));
        }
    };
    check_nearest(n, factors, is_resize)?;
    if factors == [1, 1] {
        return Ok(n.input(0)?.clone());
    }
    im.emit(n, Op::Resize { factors }, from_ref(n.input(0)?))
}

/// Channels side by side as rows and columns.
pub(super) fn depth_to_space(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let shape = im.shape(n.input(0)?).to_vec();
    let &[_, channels, _, _] = &shape[..] else {
        return Err(format!("its input is {shape:?}, expected [N, C, H, W]"));
    };
    let size = n
        .int("blocksize")?
        .ok_or("attribute `blocksize` is missing")?;
    let block = usize::try_from(size)
        .ok()
        .filter(|size| (1..=MOST).contains(size));
    let block = block.ok_or_else(|| format!("blocksize {size}; 1 to {MOST} is supported"))?;
    if channels % (block * block) != 0 {
        return Err(format!(
            "{channels} channels are no whole number for each of {block} x {block} positions"
        ));
    }
    let channels = channels / (block * block);
    let groups = match n.text("mode")?.as_deref() {
        None | Some("DCR") => 1,
        Some("CRD") => channels,
        Some(mode) => return Err(format!("mode `{mode}`; DCR and CRD are supported")),
    };
    let op = Op::DepthToSpace {
        block: [block; 2],
        groups,
        channels,
    };
    im.emit(n, op, from_ref(n.input(0)?))
}

/// Whether the nearest row or column is the quotient by the factor, as for all the usual ways to count.
fn check_nearest(n: &NodeView, factors: [usize; 2], is_resize: bool) -> Result<(), String> {
    if !is_resize {
        return Ok(());
    }
    let counted = n
        .text("coordinate_transformation_mode")?
        .unwrap_or("half_pixel".into());
    let rounded = n
        .text("nearest_mode")?
        .unwrap_or("round_prefer_floor".into());
    let plain = match (counted.as_str(), rounded.as_str()) {
        (
            "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric",
            "round_prefer_floor" | "round_prefer_ceil",
        ) => true,
        ("asymmetric", "floor") => true,
        ("asymmetric", "round_prefer_floor") => factors.iter().all(|&f| f <= 2),
        _ => false,
    };
    if plain {
        return Ok(());
    }
    Err(format!(
        "coordinates `{counted}` rounded by `{rounded}`; half_pixel or asymmetric with floor are supported"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of one axis by the definition, and by phases.
    #[test]
    fn phases_are_the_transposed_convolution() {
        for case in 0..2000usize {
            let pick = |by: usize, low: usize, high: usize| low + case / by % (high - low + 1);
            let (input, kernel) = (pick(1, 1, 5), pick(5, 1, 5));
            let (stride, dilation, before) = (pick(3, 1, 4), pick(7, 1, 2), pick(11, 0, 4));
            let mut axis = Axis {
                input,
                kernel,
                stride,
                dilation,
                before,
                output: 0,
            };
            let whole = (input - 1) * stride + axis.reach();
            axis.output = match (whole + pick(13, 0, 2)).checked_sub(before) {
                Some(output) if output > 0 => output,
                _ => continue,
            };
            let x = |i: usize| 10 + i as i64 * i as i64;
            let w = |k: usize| 3 + 7 * k as i64;
            let mut expected = vec![0; axis.output];
            for i in 0..input {
                for k in 0..kernel {
                    let at = (i * stride + k * dilation).checked_sub(before);
                    if let Some(y) = at.and_then(|at| expected.get_mut(at)) {
                        *y += x(i) * w(k);
                    }
                }
            }
            let [low, high] = axis.window();
            let [pad, after] = axis.pads();
            assert!(
                input + pad + after >= axis.rows() + (high - low) as usize,
                "{axis:?}"
            );
            let taps = axis.taps();
            let got: Vec<i64> = (0..axis.output)
                .map(|o| {
                    let taps = (0..=(high - low) as usize).filter_map(|at| {
                        let k = taps[o % stride][at]?;
                        let i = (o / stride + at).checked_sub(pad).filter(|&i| i < input)?;
                        Some(x(i) * w(k))
                    });
                    taps.sum()
                })
                .collect();
            assert_eq!(got, expected, "{axis:?}");
        }
    }
}
