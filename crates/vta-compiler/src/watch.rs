//! Someone who looks at what a compilation makes on its way.

use vta_graph::Graph;
use vta_tir::Program;
use vta_tir::schedule::Script;

/// Someone who looks at what a compilation makes on its way, step by step.
///
/// Steps of the graph are its passes by their names, then `partition`, with the input arranged and maxima taken of
/// sums where that pays, and `pack`. Each operator of the accelerator then is a loop nest, `naive` and in its end
/// form, `schedule`, and the primitives that lead from one to the other, `script`. Each stream is seen as the nests walk into commands, `walk`, and with the tokens that order
/// them, `tokens`.
pub trait Watch {
    /// Whether a step is worth the work of showing it.
    fn wants(&self, step: &str) -> bool;
    /// The graph after a pass.
    fn graph(&mut self, pass: &str, graph: &Graph);
    /// The loop nest of an operator after a step.
    fn nest(&mut self, step: &str, nest: &Program);
    /// The loop nest of an operator with the primitives of its schedule.
    fn script(&mut self, step: &str, script: &Script);
    /// The instructions of a stream after a step.
    fn stream(&mut self, step: &str, insns: &[u8]);
}

/// Nobody looks.
impl Watch for () {
    fn wants(&self, _step: &str) -> bool {
        false
    }

    fn graph(&mut self, _pass: &str, _graph: &Graph) {}

    fn nest(&mut self, _step: &str, _nest: &Program) {}

    fn script(&mut self, _step: &str, _script: &Script) {}

    fn stream(&mut self, _step: &str, _insns: &[u8]) {}
}
