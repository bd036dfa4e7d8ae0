//! `vta eval` on one thread and on two.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rayon::ThreadPoolBuilder;
use vta::{Calibration, DeviceKind, Devices, Model, Options, Samples};
use vta_graph::Tensor;
use vta_isa::Design;

/// The fastest of `repeat` evaluations of an ONNX file on `samples` inputs of noise, on one thread and on two: inputs
/// read, devices loaded, the networks run and compared.
///
/// # Errors
/// Those of every phase; results that depend on the number of threads or are not exact.
pub fn threads(
    onnx: &[u8],
    design: &Design,
    samples: usize,
    repeat: u32,
    seed: u64,
) -> Result<[Duration; 2]> {
    let model = Model::from_bytes("network", onnx)?;
    let options = Options {
        design: design.clone(),
        calibration: Calibration::Synthetic { seed },
        ..Options::default()
    };
    let built = vta::compile(&model, &options, &())?;
    let ty = model.input()?;
    let mut random = StdRng::seed_from_u64(seed);
    let values = (0..samples * ty.len()).map(|_| random.random_range(-1.0..1.0));
    let array = Tensor::f32(
        [&[samples], &ty.shape[1..]].concat(),
        values.collect::<Vec<f32>>(),
    );
    let samples = Samples::from_array(array, &vta::Preprocess::default(), ty)?;
    let devices = Devices::new(design, &DeviceKind::default(), &())?;
    let pools = [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build());
    let [one, two] = pools;
    let pools = [one?, two?];
    let mut shortest = [Duration::MAX; 2];
    // In turns, so that whatever else the machine does meets both.
    for _ in 0..repeat.max(1) {
        let mut found = Vec::new();
        for (pool, shortest) in pools.iter().zip(&mut shortest) {
            let (evaluation, time) = crate::best(1, || {
                pool.install(|| vta::evaluate(&built, &samples, usize::MAX, &devices, &()))
            });
            found.push(evaluation?);
            *shortest = time.min(*shortest);
        }
        ensure!(found[0].bit_exact, "the device and the oracle differ");
        ensure!(
            found[0] == found[1],
            "one thread and two find different scores"
        );
    }
    Ok(shortest)
}
