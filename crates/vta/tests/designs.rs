//! The digits network on designs of other widths, blocks and buffers; and on any number of
//! threads.

use std::path::Path;

use vta::{DeviceKind, Devices, Evaluation, Module, Options, Samples, digits};
use vta_isa::{Design, HwConfig};

fn evaluate(design: &Design, threads: usize, limit: usize) -> Evaluation {
    let model = digits::model().unwrap();
    let preprocess = digits::recipe().resolve(&model).unwrap();
    let options = Options {
        design: design.clone(),
        calibration: digits::calibration(&model).unwrap(),
        preprocess: Some(preprocess.clone()),
        labels: digits::labels(),
        ..Options::default()
    };
    let built = vta::compile(&model, &options, &()).unwrap();
    let devices = Devices::new(design, &DeviceKind::default(), &()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/test");
    let samples = Samples::open(&folder, &preprocess, model.input().unwrap()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| vta::evaluate(&built, &samples, limit, &devices, &()).unwrap())
}

#[test]
fn threads_do_not_matter() {
    let [one, three] = [1, 3].map(|threads| evaluate(&Design::default(), threads, 40));
    assert_eq!(one, three);
    assert!(one.bit_exact && one.n == 40);
    assert!(one.vta_top1 >= Some(0.95), "{one:?}");
}

#[test]
fn every_design_is_exact() {
    for (config, top1) in [
        (
            r#"{"LOG_BATCH": 2, "LOG_BLOCK_IN": 2, "LOG_BLOCK_OUT": 4}"#,
            0.9,
        ),
        (
            r#"{"LOG_BLOCK": 5, "LOG_INP_BUFF_SIZE": 12, "LOG_ACC_BUFF_SIZE": 13}"#,
            0.9,
        ),
        (
            r#"{"LOG_BLOCK": 3, "LOG_WGT_WIDTH": 2, "LOG_INP_WIDTH": 2, "LOG_WGT_BUFF_SIZE": 15,
               "LOG_INP_BUFF_SIZE": 13, "LOG_ACC_BUFF_SIZE": 16}"#,
            0.7,
        ),
        (
            r#"{"LOG_WGT_WIDTH": 1, "LOG_INP_WIDTH": 1, "LOG_WGT_BUFF_SIZE": 16,
               "LOG_INP_BUFF_SIZE": 13}"#,
            0.0,
        ),
        (include_str!("../../../hardware/dv/designs/signs.json"), 0.0),
        (
            include_str!("../../../hardware/dv/designs/codesign.json"),
            0.9,
        ),
    ] {
        let design = HwConfig::from_json(config)
            .and_then(HwConfig::design)
            .expect(config);
        let result = evaluate(&design, 2, 12);
        assert!(result.bit_exact, "{config}: {result:?}");
        assert!(result.vta_top1 >= Some(top1), "{config}: {result:?}");
    }
}

#[test]
fn a_module_survives_its_file() {
    let model = digits::model().unwrap();
    let options = Options {
        calibration: digits::calibration(&model).unwrap(),
        preprocess: Some(digits::recipe().resolve(&model).unwrap()),
        ..Options::default()
    };
    let mut module = Module::load(vta::compile(&model, &options, &()).unwrap().program).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [path, photo] = ["digits.vta", "three.png"].map(|name| folder.path().join(name));
    module.save(&path).unwrap();
    std::fs::write(&photo, digits::SAMPLE).unwrap();
    let input = [module.samples(&photo).unwrap().get(0).unwrap()];
    let mut again = Module::load(Module::read_program(&path).unwrap()).unwrap();
    assert_eq!(module.run(&input).unwrap(), again.run(&input).unwrap());
    assert_eq!(module.counters(), again.counters());
}
