//! Damaged files: each gives an error of its own making or a result, never a panic.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use vta::{Calibration, Error, Kind, Model, Options, Recipe, Samples};
use vta_graph::{DType, TensorType};

const FILES: u64 = 1000;

fn digits(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    std::fs::read(folder.join(name)).unwrap()
}

/// A copy with some bytes changed, cut off, left out or repeated.
fn damaged(file: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut file = file.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..file.len());
        // Headers are where damage has consequences.
        let at = if rng.random_bool(0.5) {
            at.min(at % 200)
        } else {
            at
        };
        let len = rng.random_range(1..32).min(file.len() - at);
        match rng.random_range(0..5) {
            0 => file[at] ^= 1 << rng.random_range(0..8),
            1 => file[at] = rng.random(),
            2 => file.truncate(at.max(1)),
            3 if len < file.len() => drop(file.drain(at..at + len)),
            _ => {
                let copy = file[at..at + len].to_vec();
                file.splice(at..at, copy);
            }
        }
    }
    file
}

fn check<T>(seed: u64, result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => {
            assert_ne!(error.kind(), Kind::Bug, "file {seed}: {error}");
            assert!(!error.message().is_empty(), "file {seed}");
            false
        }
    }
}

#[test]
fn arrays() {
    let (file, ty) = (
        digits("calib/x.npy"),
        TensorType::new(DType::F32, [1, 1, 8, 8]),
    );
    let read = |seed: &u64| {
        let array = vta::parse_npy(&damaged(&file, *seed));
        let samples =
            array.and_then(|array| Samples::from_array(array, &vta::Preprocess::default(), &ty));
        check(*seed, samples.and_then(|samples| samples.all()))
    };
    let read = (0..FILES).into_par_iter().filter(read).count() as u64;
    assert!((1..FILES).contains(&read), "{read} of {FILES} files read");
}

#[test]
fn images() {
    let png = digits("samples/digit_3_0.png");
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let photo = image::load_from_memory(&png).unwrap().resize_exact(
        40,
        24,
        image::imageops::FilterType::Nearest,
    );
    photo.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    for (kind, file) in [("PNG", png), ("JPEG", jpeg.into_inner())] {
        let read = |seed: &u64| check(*seed, vta::parse_image(&damaged(&file, *seed)));
        let read = (0..FILES).into_par_iter().filter(read).count() as u64;
        assert!(
            (1..FILES).contains(&read),
            "{read} of {FILES} {kind} files read"
        );
    }
}

#[test]
fn labels() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a,b.png"),
        digits("samples/digit_3_0.png"),
    )
    .unwrap();
    let text = "file,label,from\n\"a,b.png\",3|5,\"here\"\n\"a,b.png\",8,\"\"\"there\"\"\"\n";
    let ty = TensorType::new(DType::F32, [1, 1, 8, 8]);
    let read = |seed: &u64| {
        std::fs::write(
            folder.path().join("labels.csv"),
            damaged(text.as_bytes(), *seed),
        )
        .unwrap();
        let samples = Samples::open(folder.path(), &vta::Preprocess::default(), &ty);
        check(*seed, samples.and_then(|samples| samples.all()))
    };
    let read = (0..FILES).filter(read).count() as u64;
    assert!((1..FILES).contains(&read), "{read} of {FILES} files read");
}

/// The networks that still read are quantized and compiled.
#[test]
fn networks() {
    // Compiling costs more than reading: every network is read, one in ten goes on.
    let compiled_share = std::env::var("VTA_THOROUGH").map_or(10, |_| 1);
    let file = digits("digits.onnx");
    let compile = |seed: &u64| {
        let model = Model::from_bytes("damaged", &damaged(&file, *seed));
        let options = |model: &Model| {
            Ok::<_, Error>(Options {
                calibration: Calibration::Synthetic { seed: *seed },
                preprocess: Some(Recipe::default().resolve(model)?),
                ..Options::default()
            })
        };
        check(
            *seed,
            model.and_then(|model| match seed % compiled_share {
                0 => vta::compile(&model, &options(&model)?, &()).map(drop),
                _ => Ok(()),
            }),
        )
    };
    let read = (0..FILES).into_par_iter().filter(compile).count() as u64;
    assert!((1..FILES).contains(&read), "{read} of {FILES} files read");
}
