//! How the windows that a layer reads vary: the second moments of its input, position by position of the kernel.

use super::plan::is_layer;
use super::threads;
use crate::interp::Interpreter;
use crate::{ConvAttrs, Graph, GraphError, Node, Op, Tensor, Window};

/// Weights of an output channel up to which moments are kept: their number and memory grow with the square, and the
/// time of what is done with them with the cube.
const WIDEST: usize = 1280;

/// Windows looked at in each layer, in all runs together, spread evenly.
const WINDOWS: usize = 4096;

/// Of the windows of one group of channels, each flattened as a row of the weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) sums: Vec<f64>,
    /// Row by row; above the diagonal nothing is kept.
    products: Vec<f64>,
}

impl Moments {
    pub(super) fn mean(&self, i: usize) -> f64 {
        self.sums[i] / self.count
    }

    /// Of two positions, whichever comes first.
    pub(super) fn covariance(&self, i: usize, j: usize) -> f64 {
        let product = self.products[i.max(j) * self.sums.len() + i.min(j)];
        product / self.count - self.mean(i) * self.mean(j)
    }

    /// Of windows of `width` elements each, one after the other.
    pub(super) fn of(windows: &[f64], width: usize) -> Moments {
        let mut moments = Moments {
            count: (windows.len() / width) as f64,
            sums: vec![0.0; width],
            products: vec![0.0; width * width],
        };
        // Several at once: the products are many, and go through memory once for all of them.
        let mut four = vec![0.0; 4 * width];
        for some in windows.chunks(4 * width) {
            four.fill(0.0);
            four[..some.len()].copy_from_slice(some);
            let (ab, cd) = four.split_at(2 * width);
            let ((a, b), (c, d)) = (ab.split_at(width), cd.split_at(width));
            for i in 0..width {
                moments.sums[i] += a[i] + b[i] + c[i] + d[i];
                let products = &mut moments.products[i * width..=i * width + i];
                let earlier = a.iter().zip(b).zip(c.iter().zip(d));
                for (product, ((x, y), (z, w))) in products.iter_mut().zip(earlier) {
                    *product += a[i] * x + b[i] * y + c[i] * z + d[i] * w;
                }
            }
        }
        moments
    }

    fn merge(&mut self, other: &Moments) {
        self.count += other.count;
        let mine = self.sums.iter_mut().chain(&mut self.products);
        let all = mine.zip(other.sums.iter().chain(&other.products));
        all.for_each(|(mine, other)| *mine += other);
    }
}

/// For each convolution and dense layer, in the order of the nodes, the moments of each group of channels; none where
/// windows are wider than [`WIDEST`].
pub(super) fn moments(
    graph: &Graph,
    inputs: &[Vec<Tensor>],
    threads: usize,
) -> Result<Vec<Vec<Moments>>, GraphError> {
    let interpreter = Interpreter::new(graph)?;
    let layers: Vec<&Node> = (graph.nodes.iter())
        .filter(|node| is_layer(graph, node))
        .collect();
    let most = WINDOWS.div_ceil(inputs.len().max(1));
    let look = |run: usize| {
        let mut seen = vec![Vec::new(); layers.len()];
        interpreter.run_with(&inputs[run], &mut |v, tensor| {
            for (seen, node) in seen.iter_mut().zip(&layers) {
                if node.inputs[0] == v {
                    *seen = of_layer(graph, node, tensor, most);
                }
            }
        })?;
        Ok(seen)
    };
    let mut all: Result<Vec<Vec<Moments>>, GraphError> = Ok(Vec::new());
    threads::in_order(threads, inputs.len(), look, |seen| match (&mut all, seen) {
        (Ok(all), Ok(seen)) if !all.is_empty() => {
            let groups = all.iter_mut().flatten();
            for (mine, other) in groups.zip(seen.iter().flatten()) {
                mine.merge(other);
            }
        }
        (Ok(_), seen) => all = seen,
        (Err(_), _) => {}
    });
    all
}

fn of_layer(graph: &Graph, node: &Node, x: &Tensor, most: usize) -> Vec<Moments> {
    let row = &graph.value(node.inputs[1]).ty.shape[1..];
    let width = row.iter().product();
    let Some(elements) = x.as_f32().filter(|_| (1..=WIDEST).contains(&width)) else {
        return Vec::new();
    };
    match &node.op {
        Op::Conv(ConvAttrs { groups, window }) => {
            let out = &graph.value(node.output).ty.shape;
            let images = elements.chunks(elements.len() / out[0]);
            let of_group = |group: usize| {
                let channels = group * row[0]..(group + 1) * row[0];
                let mut windows = Vec::new();
                for image in images.clone() {
                    let plane = x.shape()[2] * x.shape()[3];
                    let planes = &image[channels.start * plane..channels.end * plane];
                    let size = [x.shape()[2], x.shape()[3]];
                    gather(planes, size, window, [out[2], out[3]], most, &mut windows);
                }
                Moments::of(&windows, width)
            };
            (0..*groups).map(of_group).collect()
        }
        _ => {
            let rows: Vec<f64> = elements.iter().map(|&x| x.into()).collect();
            vec![Moments::of(&rows, width)]
        }
    }
}

/// Some of the windows of an image, which are `out` in all; padding is 0.
fn gather(
    planes: &[f32],
    [height, width]: [usize; 2],
    window: &Window,
    out: [usize; 2],
    most: usize,
    windows: &mut Vec<f64>,
) {
    let total = out[0] * out[1];
    let taken = total.min(most);
    for at in (0..taken).map(|k| k * total / taken) {
        let corner = [
            at / out[1] * window.stride[0],
            at % out[1] * window.stride[1],
        ];
        for plane in planes.chunks(height * width) {
            for ky in 0..window.kernel[0] {
                for kx in 0..window.kernel[1] {
                    // Before the first row or column is beyond the last.
                    let y = (corner[0] + ky * window.dilation[0]).wrapping_sub(window.pads[0]);
                    let x = (corner[1] + kx * window.dilation[1]).wrapping_sub(window.pads[1]);
                    let inside = y < height && x < width;
                    windows.push(if inside {
                        plane[y * width + x].into()
                    } else {
                        0.0
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_all_windows() {
        let windows = [[1.0, 2.0], [3.0, -1.0], [0.0, 4.0], [2.0, 2.0], [5.0, 0.0]];
        let mut moments = Moments::of(windows[..2].concat().as_slice(), 2);
        moments.merge(&Moments::of(windows[2..].concat().as_slice(), 2));
        let mean = |i: usize| windows.iter().map(|w| w[i]).sum::<f64>() / 5.0;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let products = windows.iter().map(|w| (w[i] - mean(i)) * (w[j] - mean(j)));
            let expected = products.sum::<f64>() / 5.0;
            assert!(
                (moments.covariance(i, j) - expected).abs() < 1e-12,
                "{i} {j}"
            );
        }
    }

    /// Each output is the sum of its window: the moments of the windows give its mean, with padding and a stride.
    #[test]
    fn windows_are_what_a_convolution_reads() {
        let ones = vec!["1"; 24].join(", ");
        let text = format!(
            "graph \"g\" (%x: f32[1,4,5,6]) -> (%y) {{\n  \
            %w: f32[2,2,3,2] = const [{ones}]\n  \
            %y: f32[1,2,3,4] = conv(%x, %w) {{kernel=[3,2], stride=[2,2], dilation=[1,1], pads=[1,1,1,1], groups=2}}\n}}\n"
        );
        let graph = crate::text::parse(&text).unwrap();
        let run = |i: usize| {
            let values = (0..120).map(|k| ((k * 37 + i * 101) % 91) as f32 / 8.0 - 5.0);
            vec![Tensor::f32([1, 4, 5, 6], values.collect())]
        };
        let inputs: Vec<_> = (0..3).map(run).collect();
        let seen = moments(&graph, &inputs, 1).unwrap();
        assert_eq!((seen.len(), seen[0].len()), (1, 2));
        let mut sums = [0.0; 2];
        for input in &inputs {
            let y = &crate::interp::run_graph(&graph, input).unwrap()[0];
            for (i, y) in y.as_f32().unwrap().iter().enumerate() {
                sums[i / 12] += f64::from(*y);
            }
        }
        for (moments, sum) in seen[0].iter().zip(sums) {
            assert_eq!(moments.count, 36.0);
            assert!((moments.sums.iter().sum::<f64>() - sum).abs() < 1e-6);
        }
        assert_eq!(seen, moments(&graph, &inputs, 3).unwrap());
    }
}
