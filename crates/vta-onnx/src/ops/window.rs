//! Operators with a sliding window: convolution and pooling.

use std::slice::from_ref;

use vta_graph::{ConvAttrs, Op, PoolAttrs, Window};

use crate::import::{Importer, Known};
use crate::node::NodeView;

pub(super) fn conv(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let hw = spatial(im, n)?;
    let weight = n.input(1)?;
    let &[_, _, kh, kw] = im.shape(weight) else {
        return Err(format!(
            "weight of shape {:?}; a 2-D convolution has a weight [O, I/groups, KH, KW]",
            im.shape(weight)
        ));
    };
    if let Some(kernel) = n.extents::<2>("kernel_shape", 1)? {
        if kernel != [kh, kw] {
            return Err(format!(
                "kernel_shape is {kernel:?}, but the weight's kernel is [{kh}, {kw}]"
            ));
        }
    }
    let window = window(n, [kh, kw], hw)?;
    let groups = usize::try_from(n.int("group")?.unwrap_or(1))
        .ok()
        .filter(|&g| g > 0)
        .ok_or("attribute `group` is not positive")?;
    let inputs: Vec<Known> = n.inputs.iter().flatten().cloned().collect();
    im.emit(n, Op::Conv(ConvAttrs { window, groups }), &inputs)
}

pub(super) fn max_pool(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    n.only_int("storage_order", 0)?;
    let attrs = pool(im, n, false)?;
    im.emit(n, Op::MaxPool(attrs), from_ref(n.input(0)?))
}

pub(super) fn average_pool(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    let attrs = pool(im, n, n.flag("count_include_pad", false)?)?;
    im.emit(n, Op::AvgPool(attrs), from_ref(n.input(0)?))
}

pub(super) fn global_average_pool(im: &mut Importer, n: &NodeView) -> Result<Known, String> {
    spatial(im, n)?;
    im.emit(n, Op::GlobalAvgPool, from_ref(n.input(0)?))
}

/// Height and width of the first input, which has to be NCHW.
fn spatial(im: &Importer, n: &NodeView) -> Result<[usize; 2], String> {
    match *im.shape(n.input(0)?) {
        [_, _, h, w] => Ok([h, w]),
        ref other => Err(format!(
            "input of shape {other:?}; only 2-D windows over [N, C, H, W] are supported"
        )),
    }
}

fn pool(im: &Importer, n: &NodeView, count_include_pad: bool) -> Result<PoolAttrs, String> {
    let hw = spatial(im, n)?;
    let kernel = n
        .extents::<2>("kernel_shape", 1)?
        .ok_or("attribute `kernel_shape` is missing")?;
    let window = window(n, kernel, hw)?;
    for i in 0..4 {
        if window.pads[i] >= reach(&window, i % 2)? {
            return Err(format!(
                "pads {:?} reach as far as the kernel {kernel:?}; a window would hold nothing",
                window.pads
            ));
        }
    }
    let mut extra = [0; 2];
    if n.flag("ceil_mode", false)? {
        for (i, extra) in extra.iter_mut().enumerate() {
            *extra = ceil_extra(&window, i, hw[i])?;
        }
    }
    Ok(PoolAttrs {
        window,
        extra,
        count_include_pad,
    })
}

/// Extent that a dilated kernel covers along spatial axis `i`.
fn reach(w: &Window, i: usize) -> Result<usize, String> {
    (w.kernel[i] - 1)
        .checked_mul(w.dilation[i])
        .and_then(|r| r.checked_add(1))
        .ok_or_else(|| "the dilated kernel is too large".into())
}

/// What rounding the output size up adds to the padding after axis `i`. A last window that
/// would start in that padding is dropped, as ONNX asks for.
pub(crate) fn ceil_extra(w: &Window, i: usize, extent: usize) -> Result<usize, String> {
    let reach = reach(w, i)?;
    let (begin, end) = (w.pads[i], w.pads[i + 2]);
    let Some(room) = (extent + begin + end).checked_sub(reach) else {
        return Ok(0);
    };
    let mut last = room.div_ceil(w.stride[i]);
    if last * w.stride[i] >= extent + begin {
        last -= 1;
    }
    Ok((last * w.stride[i]).saturating_sub(room))
}

/// The window that a node's attributes describe for an input of `hw`.
fn window(n: &NodeView, kernel: [usize; 2], hw: [usize; 2]) -> Result<Window, String> {
    let mut window = Window {
        kernel,
        stride: n.extents("strides", 1)?.unwrap_or([1; 2]),
        dilation: n.extents("dilations", 1)?.unwrap_or([1; 2]),
        pads: [0; 4],
    };
    if kernel.contains(&0) {
        return Err(format!("kernel {kernel:?} is empty"));
    }
    let auto_pad = n.text("auto_pad")?.unwrap_or_default();
    match auto_pad.as_str() {
        "" | "NOTSET" => window.pads = n.extents("pads", 0)?.unwrap_or_default(),
        "VALID" => {}
        "SAME_UPPER" | "SAME_LOWER" => {
            for (i, extent) in hw.into_iter().enumerate() {
                let steps = extent.div_ceil(window.stride[i]).saturating_sub(1);
                let need = steps
                    .checked_mul(window.stride[i])
                    .and_then(|n| n.checked_add(reach(&window, i).ok()?))
                    .ok_or("the window is too large")?;
                let total = need.saturating_sub(extent);
                let (less, more) = (total / 2, total - total / 2);
                let upper = auto_pad == "SAME_UPPER";
                let (begin, end) = if upper { (less, more) } else { (more, less) };
                (window.pads[i], window.pads[i + 2]) = (begin, end);
            }
        }
        other => {
            return Err(format!(
                "auto_pad `{other}`; NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported"
            ));
        }
    }
    Ok(window)
}
