//! The integers of a layer's weights.

use super::calibrate::Channel;
use super::nearest_plane::Planes;
use super::quantization::QuantizedLayer;
use super::rounding::{GROWTH, Inputs, balance};
use super::weight::round;
use super::windows::Moments;
use crate::{DType, Data, Quant, Tensor, TensorType};

/// Float weights, output channels outermost, and the scale and type of their integers.
pub(super) struct Weights<'a> {
    tensor: &'a Tensor,
    elements: &'a [f32],
    /// One, or one for each output channel.
    scales: &'a [f32],
    dtype: DType,
}

impl<'a> Weights<'a> {
    pub(super) fn new(tensor: &'a Tensor, scales: &'a [f32], dtype: DType) -> Weights<'a> {
        Weights {
            tensor,
            elements: tensor.as_f32().expect("a float weight"),
            scales,
            dtype,
        }
    }

    fn outputs(&self) -> usize {
        self.tensor.shape()[0]
    }

    /// The weights of each output channel and their scale.
    fn rows(&self) -> impl Iterator<Item = (&'a [f32], f64)> {
        let outputs = self.outputs();
        let rows = self.elements.chunks(self.elements.len() / outputs);
        let scales = self.scales;
        let scale = move |o: usize| scales[o * scales.len() / outputs].into();
        rows.enumerate().map(move |(o, row)| (row, scale(o)))
    }

    /// Each the nearest integer and as many steps above it as the layer says, and what they stand for. Signs are the
    /// nearest: between them nothing is near.
    pub(super) fn integers(&self, layer: &QuantizedLayer) -> (Tensor, Quant) {
        let mut integers: Vec<i8> = Vec::with_capacity(self.elements.len());
        for (row, scale) in self.rows() {
            integers.extend(row.iter().map(|&w| round(w, scale, self.dtype) as i8));
        }
        if self.dtype != DType::S1 {
            let (lo, hi) = self.dtype.range().expect("an integer type");
            for (q, &step) in integers.iter_mut().zip(&layer.rounding) {
                *q = q.saturating_add(step).clamp(lo as i8, hi as i8);
            }
        }
        let quant = Quant {
            zero_point: vec![0],
            scale: self.scales.to_vec(),
            axis: 0,
        };
        let ty = TensorType::new(self.dtype, self.tensor.shape());
        (Tensor::new(ty, Data::I8(integers)), quant)
    }

    /// By how many steps each lies above the nearest integer so that errors make up for one another, by the moments of
    /// what each group of output channels reads.
    pub(super) fn rounded(&self, moments: &[Moments]) -> Vec<i8> {
        let group = self.outputs() / moments.len();
        let planes: Vec<_> = moments.iter().map(Planes::new).collect();
        self.steps(|o, row, scale, integers| {
            let Some(planes) = &planes[o / group] else {
                return;
            };
            let nearest = integers.to_vec();
            planes.round(row, integers, scale, self.dtype);
            let magnitude = |row: &[i64]| row.iter().map(|q| q.abs()).sum::<i64>();
            let most = magnitude(&nearest);
            if magnitude(integers) > most + (most as f64 / GROWTH) as i64 {
                integers.copy_from_slice(&nearest);
            }
        })
    }

    /// The same by means and deviations of the channels that the layer reads.
    pub(super) fn balanced(&self, channels: &[Channel]) -> Vec<i8> {
        let (means, deviations): (Vec<f32>, Vec<f32>) =
            channels.iter().map(Channel::moments).unzip();
        let read = self.tensor.shape()[1];
        let group = self.outputs() / (channels.len() / read).max(1);
        self.steps(|o, row, scale, integers| {
            let group = o / group * read..(o / group + 1) * read;
            let inputs = Inputs {
                means: &means[group.clone()],
                deviations: &deviations[group],
            };
            balance(row, integers, scale, &inputs, self.dtype);
        })
    }

    /// By how many steps `change` moves the integers of output channels from the nearest, up to the last that moves;
    /// none of signs.
    fn steps(&self, change: impl Fn(usize, &[f32], f64, &mut [i64])) -> Vec<i8> {
        if self.dtype == DType::S1 {
            return Vec::new();
        }
        let mut steps = Vec::with_capacity(self.elements.len());
        for (o, (row, scale)) in self.rows().enumerate() {
            let nearest = |&w: &f32| round(w, scale, self.dtype) as i64;
            let mut integers: Vec<i64> = row.iter().map(nearest).collect();
            change(o, row, scale, &mut integers);
            let step = |(q, w)| (q - nearest(w)) as i8;
            steps.extend(integers.iter().zip(row).map(step));
        }
        steps.truncate(
            steps
                .iter()
                .rposition(|&step| step != 0)
                .map_or(0, |last| last + 1),
        );
        steps
    }
}
