//! Networks as they come: read, checked and prepared.

use std::path::Path;

use vta_compiler::Watch;
use vta_graph::{Graph, Op, TensorType, passes};

use crate::{Error, Result, read};

/// A network ready to be quantized (if it is not yet) and compiled.
#[derive(Clone, Debug)]
pub struct Model {
    graph: Graph,
    notes: Vec<String>,
}

impl Model {
    /// The network of an ONNX file, named after the file.
    pub fn open(path: &Path) -> Result<Model> {
        Model::open_watched(path, &mut ())
    }

    /// The same, while someone watches the passes that prepare it.
    pub fn open_watched(path: &Path, watch: &mut dyn Watch) -> Result<Model> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Model::watched(&name, &read(path)?, watch).map_err(|e| e.at(path.display()))
    }

    /// The network of the bytes of an ONNX file.
    pub fn from_bytes(name: &str, onnx: &[u8]) -> Result<Model> {
        Model::watched(name, onnx, &mut ())
    }

    /// The same, while someone watches the passes that prepare it; the first is `import`.
    pub fn watched(name: &str, onnx: &[u8], watch: &mut dyn Watch) -> Result<Model> {
        let mut imported = vta_onnx::import(onnx)?;
        imported.graph.name = name.to_owned();
        watch.graph("import", &imported.graph);
        let mut model = Model::prepared(imported.graph, watch)?;
        model.notes = imported.notes;
        Ok(model)
    }

    /// A network that is a graph already: of floats, or with `quantize` and `dequantize`.
    pub fn from_graph(graph: Graph) -> Result<Model> {
        Model::prepared(graph, &mut ())
    }

    fn prepared(mut graph: Graph, watch: &mut dyn Watch) -> Result<Model> {
        graph.verify()?;
        passes::prepare_watched(&mut graph, &mut |pass, graph| watch.graph(pass, graph))?;
        let notes = Vec::new();
        Ok(Model { graph, notes })
    }

    /// The prepared graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What was assumed while reading, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether the network brings its own scales, so that it needs no calibration.
    pub fn is_quantized(&self) -> bool {
        let quantizes = |op: &Op| matches!(op, Op::Quantize(..) | Op::Dequantize(_));
        self.graph.nodes.iter().any(|node| quantizes(&node.op))
    }

    /// The type of the one input.
    ///
    /// # Errors
    /// If the network has several inputs: files hold one.
    pub fn input(&self) -> Result<&TensorType> {
        match self.graph.inputs[..] {
            [input] => Ok(&self.graph.value(input).ty),
            _ => Err(one_input_only(self.graph.inputs.len())),
        }
    }
}

/// The error of a network whose inputs do not fit one file.
pub(crate) fn one_input_only(count: usize) -> Error {
    Error::input(format!(
        "the network has {count} inputs, and a file gives one"
    ))
    .help("networks of one input run from files; run others through the library")
}
