//! Raw pixels and features to input tensors.

use proptest::prelude::*;
use vta_graph::{DType, Tensor, TensorType};
use vta_program::{IntegerInput, Layout, Preprocess, Resize};
use vta_runtime::preprocess::{from_array, from_image};
use vta_runtime::resize::{Image, shrink_and_crop};

/// A picture without symmetry.
fn pattern(height: usize, width: usize) -> Vec<u8> {
    let pixel = |y: usize, x: usize| (y * y * 37 + x * x * x * 11 + x * y * 5) % 251;
    (0..height)
        .flat_map(|y| (0..width).map(move |x| pixel(y, x) as u8))
        .collect()
}

/// Pixels of `pattern(9, 13)` scaled by Pillow 11 (bilinear): larger, smaller, one side only.
#[test]
fn scales_as_the_reference_does() {
    let image = Image::new(9, 13, 1, pattern(9, 13)).unwrap();
    let small = [
        66, 106, 122, 137, 128, 126, 133, 103, 148, 139, 142, 148, 134, 133, 118, 118, 150, 135,
        129, 114,
    ];
    assert_eq!(image.resized(4, 5).pixels(), small);
    // Each pixel times its position, summed.
    let digest = |h, w| {
        let scaled = image.resized(h, w);
        (1u64..)
            .zip(scaled.pixels())
            .map(|(i, &p)| i * u64::from(p))
            .sum::<u64>()
    };
    assert_eq!(digest(4, 5), 27_376);
    assert_eq!(digest(20, 7), 1_283_716);
    assert_eq!(digest(9, 26), 3_570_313);
}

#[test]
fn colour_becomes_grey_and_grey_colour() {
    let rgb = Image::new(1, 2, 3, vec![0, 111, 146, 255, 255, 255]).unwrap();
    assert_eq!(rgb.with_channels(1).unwrap().pixels(), [82, 255]);
    let grey = Image::new(1, 2, 1, vec![3, 4]).unwrap();
    assert_eq!(grey.with_channels(3).unwrap().pixels(), [3, 3, 3, 4, 4, 4]);
    assert!(rgb.with_channels(4).is_err());
    assert!(Image::new(2, 2, 3, vec![0; 11]).is_err());
}

#[test]
fn a_photo_becomes_a_centred_input() {
    let (height, width) = (30, 47);
    let mut pixels = pattern(height, width);
    pixels = pixels
        .into_iter()
        .flat_map(|p| [p, 255 - p, p / 2])
        .collect();
    let photo = Image::new(height, width, 3, pixels).unwrap();
    let preprocess = Preprocess {
        scale: 1.0 / 255.0,
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        resize: Some(Resize {
            short_side: 15,
            crop: [12, 10],
        }),
        ..Preprocess::default()
    };
    let ty = TensorType::new(DType::F32, [1, 3, 12, 10]);
    let input = from_image(&preprocess, &photo, &ty).unwrap();
    // 47 * 15 / 30 = 23 columns; (15 - 12) / 2 = 1.5 and (23 - 10) / 2 = 6.5 round to even.
    let scaled = photo.resized(15, 23);
    let channels = input.as_f32().unwrap().chunks_exact(120).enumerate();
    for (c, plane) in channels {
        for (i, &value) in plane.iter().enumerate() {
            let (y, x) = (i / 10 + 2, i % 10 + 6);
            let pixel = f64::from(scaled.pixels()[(y * 23 + x) * 3 + c]);
            assert_eq!(
                value,
                ((pixel * preprocess.scale - preprocess.mean[c]) / preprocess.std[c]) as f32
            );
        }
    }
    let sliver = Image::new(1, 100_000, 3, vec![0; 300_000]).unwrap();
    let error = shrink_and_crop(&sliver, 256, [224, 224]).unwrap_err();
    assert!(error.to_string().contains("crop it first"), "{error}");
}

#[test]
fn integer_inputs_round_and_saturate() {
    let preprocess = Preprocess {
        mean: vec![128.0],
        layout: Layout::Nhwc,
        ..Preprocess::default()
    };
    let pixels = Tensor::from_ints(DType::U8, [2, 2, 1], &[0, 127, 128, 255]);
    let ty = TensorType::new(DType::I8, [1, 2, 2, 1]);
    let input = from_array(&preprocess, &pixels, &ty).unwrap();
    assert_eq!(input, Tensor::i8([1, 2, 2, 1], vec![-128, -1, 0, 127]));
    let integer = Some(IntegerInput {
        scale: 2.0,
        zero_point: 100,
    });
    let input = from_array(
        &Preprocess {
            integer,
            ..preprocess
        },
        &pixels,
        &ty,
    )
    .unwrap();
    // -128 / 2 + 100; -0.5 to even; 0; 63.5 to even and over the top.
    assert_eq!(input, Tensor::i8([1, 2, 2, 1], vec![36, 100, 100, 127]));
}

#[test]
fn misfits_are_named() {
    let ty = TensorType::new(DType::F32, [1, 3, 8, 8]);
    let fails = |preprocess: Preprocess, shape: [usize; 3]| {
        let data = Tensor::from_ints(DType::U8, shape, &vec![0; shape.iter().product()]);
        from_array(&preprocess, &data, &ty).unwrap_err().to_string()
    };
    let message = fails(Preprocess::default(), [9, 8, 3]);
    assert!(
        message.contains("[9, 8, 3]") && message.contains("8 x 8 with 3 channels"),
        "{message}"
    );
    let two = Preprocess {
        mean: vec![1.0, 2.0],
        ..Preprocess::default()
    };
    let message = fails(two, [8, 8, 3]);
    assert!(
        message.contains("mean has 2 values and the input 3 channels"),
        "{message}"
    );
    let zero = Preprocess {
        std: vec![0.0],
        ..Preprocess::default()
    };
    assert!(fails(zero, [8, 8, 3]).contains("std"));
}

proptest! {
    /// The four ways in which samples are stored give the same input.
    #[test]
    fn layouts_agree(c in 1usize..5, h in 2usize..6, w in 6usize..9, mean in -3i32..4) {
        let hwc: Vec<i64> = (0..(h * w * c) as i64).map(|i| i % 256).collect();
        let chw: Vec<i64> = (0..h * w * c).map(|i| hwc[(i % (h * w)) * c + i / (h * w)]).collect();
        let preprocess = |layout| Preprocess {
            mean: (0..c).map(|i| f64::from(mean) * i as f64).collect(),
            layout,
            ..Preprocess::default()
        };
        let (nchw, nhwc) = (preprocess(Layout::Nchw), preprocess(Layout::Nhwc));
        let to_nchw = TensorType::new(DType::F32, [1, c, h, w]);
        let to_nhwc = TensorType::new(DType::F32, [1, h, w, c]);
        let image = Tensor::from_ints(DType::U8, [h, w, c], &hwc);
        let expected = from_array(&nchw, &image, &to_nchw).unwrap();
        let planes = Tensor::from_ints(DType::I32, [1, c, h, w], &chw);
        if [c, h, w].iter().collect::<std::collections::BTreeSet<_>>().len() == 3 {
            prop_assert_eq!(&from_array(&nchw, &planes, &to_nchw).unwrap(), &expected);
        }
        let rows = from_array(&nhwc, &image, &to_nhwc).unwrap();
        let (rows, expected) = (rows.as_f32().unwrap(), expected.as_f32().unwrap());
        for i in 0..h * w * c {
            prop_assert_eq!(rows[(i % (h * w)) * c + i / (h * w)], expected[i]);
            prop_assert_eq!(f64::from(expected[i]), chw[i] as f64 - f64::from(mean) * (i / (h * w)) as f64);
        }
    }

    /// What one pass computes is the weighted mean, to within the rounding of two passes.
    #[test]
    fn scaling_is_a_weighted_mean(h in 1usize..12, w in 1usize..12, to_h in 1usize..12, to_w in 1usize..12) {
        let pixels = pattern(h, w);
        let image = Image::new(h, w, 1, pixels.clone()).unwrap();
        let weights = |from: usize, to: usize, i: usize| {
            let scale = from as f64 / to as f64;
            let center = (i as f64 + 0.5) * scale;
            let at = move |j: usize| (1.0 - (j as f64 + 0.5 - center).abs() / scale.max(1.0)).max(0.0);
            let sum: f64 = (0..from).map(at).sum();
            (0..from).map(|j| at(j) / sum).collect::<Vec<f64>>()
        };
        let scaled = image.resized(to_h, to_w);
        for y in 0..to_h {
            let rows = weights(h, to_h, y);
            for x in 0..to_w {
                let columns = weights(w, to_w, x);
                let sum: f64 = (0..h * w).map(|i| rows[i / w] * columns[i % w] * f64::from(pixels[i])).sum();
                prop_assert!((f64::from(scaled.pixels()[y * to_w + x]) - sum).abs() <= 1.01);
            }
        }
    }
}
