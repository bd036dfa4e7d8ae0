//! What several tests start from.

use vta::{Options, Samples, digits};
use vta_graph::Tensor;
use vta_isa::Design;
use vta_program::Program;

/// The digits network for a design, and an input.
pub(crate) fn digits_network(design: &Design) -> (Program, Tensor) {
    let model = digits::model().unwrap();
    let preprocess = digits::recipe().resolve(&model).unwrap();
    let options = Options {
        design: design.clone(),
        calibration: digits::calibration(&model).unwrap(),
        preprocess: Some(preprocess.clone()),
        ..Options::default()
    };
    let program = vta::compile(&model, &options, &()).unwrap().program;
    let photo = vta::parse_image(digits::SAMPLE).unwrap();
    let input = Samples::from_image(&photo, &preprocess, model.input().unwrap());
    (program, input.get(0).unwrap())
}
