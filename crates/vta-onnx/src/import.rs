//! From a file to a graph: inputs, constants and nodes in order.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use prost::Message;
use vta_graph::{DType, Graph, GraphError, Op, Quant, Tensor, TensorType, Value, ValueId};

use crate::node::NodeView;
use crate::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::{self, MAX_ELEMENTS};
use crate::{OnnxError, fold, ops};

/// Versions of the standard operator set whose meaning is known here.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=22;

/// Most nodes that a model may have.
const MAX_NODES: usize = 1 << 16;

/// A network read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network; its values keep the names that they have in the file.
    pub graph: Graph,
    /// Version of the standard operator set that the file asks for.
    pub opset: i64,
    /// What was assumed while reading, one sentence each.
    pub notes: Vec<String>,
}

/// Reads an ONNX file: float, or quantized with `QuantizeLinear` and `DequantizeLinear`.
///
/// Shapes come out static: an unknown batch counts as 1. Shape arithmetic and arrangement of
/// constants is evaluated. `DequantizeLinear` of a constant stays an operator, and weights of
/// [`Op::Dense`] are always `[N, K]`, be they `f32` constants or dequantized ones.
///
/// # Errors
/// If the bytes are no ONNX file, the model is damaged, or it holds something that nothing
/// here can run; the message names the node or tensor, and what would do. Memory stays
/// proportional to the file.
pub fn import(bytes: &[u8]) -> Result<Imported, OnnxError> {
    let model = ModelProto::decode(bytes).map_err(|e| OnnxError::NotOnnx(e.to_string()))?;
    let opset = opset(&model)?;
    let proto = model
        .graph
        .ok_or_else(|| OnnxError::NotOnnx("it holds no graph".into()))?;
    if !proto.sparse_initializer.is_empty() {
        return Err(OnnxError::Model(
            "sparse initializers are not supported; store them dense".into(),
        ));
    }
    if proto.node.len() > MAX_NODES {
        return Err(OnnxError::Model(format!(
            "{} nodes; at most {MAX_NODES} are supported",
            proto.node.len()
        )));
    }
    let mut importer = Importer {
        graph: Graph::default(),
        notes: Vec::new(),
        known: HashMap::new(),
        fold_budget: 16 * bytes.len() as u64 + (1 << 20),
        elements: 0,
    };
    importer.run(proto, opset)?;
    Ok(Imported {
        graph: importer.graph,
        opset,
        notes: importer.notes,
    })
}

fn opset(model: &ModelProto) -> Result<i64, OnnxError> {
    let version = model
        .opset_import
        .iter()
        .find(|o| is_standard(o.domain.as_deref()))
        .map(|o| o.version.unwrap_or(0));
    match version {
        Some(v) if OPSETS.contains(&v) => Ok(v),
        Some(v) => Err(OnnxError::Model(format!(
            "operator set {v}; {} to {} are supported, so convert the model \
             (onnx.version_converter.convert_version)",
            OPSETS.start(),
            OPSETS.end()
        ))),
        None => Err(OnnxError::NotOnnx(
            "it names no version of the standard operators".into(),
        )),
    }
}

fn is_standard(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}

/// What is known of an ONNX value.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Computed by the graph, or an input of it.
    Value(ValueId),
    /// Known now; it enters the graph only where an operator needs it.
    Constant(Rc<Constant>),
}

/// A constant, or a dequantized constant.
#[derive(Debug)]
pub(crate) struct Constant {
    /// Name of the ONNX value.
    name: String,
    /// The data.
    pub(crate) tensor: Arc<Tensor>,
    /// Set if the value is `Dequantize(tensor)`: then also the name of the integer constant.
    pub(crate) quant: Option<(Quant, String)>,
    /// Where it stands in the graph, once it does.
    id: OnceCell<ValueId>,
}

impl Constant {
    /// Name of the ONNX value.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Known {
    /// A constant.
    pub(crate) fn constant(name: &str, tensor: Tensor) -> Known {
        Known::stored(name.to_string(), Arc::new(tensor), None)
    }

    /// `Dequantize(tensor)` under `name`, where the tensor itself is called `stored`.
    pub(crate) fn dequantized(
        name: &str,
        tensor: Arc<Tensor>,
        quant: Quant,
        stored: &str,
    ) -> Known {
        Known::stored(name.to_string(), tensor, Some((quant, stored.to_string())))
    }

    fn stored(name: String, tensor: Arc<Tensor>, quant: Option<(Quant, String)>) -> Known {
        Known::Constant(Rc::new(Constant {
            name,
            tensor,
            quant,
            id: OnceCell::new(),
        }))
    }

    /// The data of a constant that is not quantized.
    pub(crate) fn as_constant(&self) -> Option<&Tensor> {
        match self {
            Known::Constant(c) if c.quant.is_none() => Some(&c.tensor),
            _ => None,
        }
    }
}

/// The state of an import; `ops` has one function on it for each operator.
pub(crate) struct Importer {
    graph: Graph,
    pub(crate) notes: Vec<String>,
    known: HashMap<String, Known>,
    /// Elements that constant folding may still produce: bounded by the size of the file, so
    /// that a small file cannot ask for much memory.
    fold_budget: u64,
    /// Elements of all values so far.
    elements: u64,
}

impl Importer {
    fn run(&mut self, proto: GraphProto, opset: i64) -> Result<(), OnnxError> {
        self.graph.name = proto.name.unwrap_or_default();
        check_names(&proto.node)?;
        let live = live_values(&proto.node, &proto.output);
        let mut initialized = HashSet::new();
        for t in proto.initializer {
            let name = t.name.clone().unwrap_or_default();
            if live.contains(&name) {
                let known = Known::constant(&name, tensor::read(t)?);
                self.known.insert(name.clone(), known);
            }
            initialized.insert(name);
        }
        for info in &proto.input {
            let name = info.name.as_deref().unwrap_or_default();
            // Files before IR version 4 list constants among the inputs.
            if !initialized.contains(name) {
                self.add_input(name, info)?;
            }
        }
        for node in &proto.node {
            if node.output.iter().any(|o| live.contains(o)) {
                self.add_node(node, opset, &live)?;
            }
        }
        for info in &proto.output {
            self.add_output(info.name.as_deref().unwrap_or_default())?;
        }
        if self.graph.outputs.is_empty() {
            return Err(OnnxError::Model("it has no outputs".into()));
        }
        Ok(())
    }

    fn add_input(&mut self, name: &str, info: &ValueInfoProto) -> Result<(), OnnxError> {
        let ty = self.input_type(name, info).map_err(|why| {
            OnnxError::Graph(GraphError::Input {
                name: name.to_string(),
                why,
            })
        })?;
        self.count(ty.len()).map_err(OnnxError::Model)?;
        let id = self.graph.add_value(name, ty);
        self.graph.inputs.push(id);
        match self.known.insert(name.to_string(), Known::Value(id)) {
            None => Ok(()),
            Some(_) => Err(OnnxError::Model(format!("input `{name}` is listed twice"))),
        }
    }

    fn input_type(&mut self, name: &str, info: &ValueInfoProto) -> Result<TensorType, String> {
        let ty = info
            .r#type
            .as_ref()
            .and_then(|t| t.tensor_type.as_ref())
            .ok_or("it is not a tensor")?;
        let dtype = tensor::dtype_of(ty.elem_type.unwrap_or(0))?;
        let shape = ty
            .shape
            .as_ref()
            .ok_or("its rank is not given; export the model with fixed shapes")?;
        let mut dims = Vec::with_capacity(shape.dim.len());
        for (axis, dim) in shape.dim.iter().enumerate() {
            dims.push(match dim.dim_value {
                Some(d) if d > 0 => d,
                _ if axis == 0 => {
                    let symbol = dim.dim_param.as_deref().unwrap_or("?");
                    self.notes
                        .push(format!("batch `{symbol}` of input `{name}` taken as 1"));
                    1
                }
                _ => {
                    return Err(format!(
                        "extent {axis} is not fixed; export the model with fixed shapes \
                         (only the batch may be open)"
                    ));
                }
            });
        }
        Ok(TensorType::new(dtype, tensor::checked_shape(&dims)?))
    }

    fn add_node(
        &mut self,
        proto: &NodeProto,
        opset: i64,
        live: &HashSet<String>,
    ) -> Result<(), OnnxError> {
        let first = proto.output.first().map_or("", |o| o);
        let name = proto.name.as_deref().filter(|n| !n.is_empty());
        let name = name.unwrap_or(first);
        let op = proto.op_type.as_deref().unwrap_or_default();
        let at = |why: String| OnnxError::Node {
            node: name.to_string(),
            op: op.to_string(),
            why,
        };
        let standard = is_standard(proto.domain.as_deref());
        let Some(handler) = ops::find(op).filter(|_| standard) else {
            let domain = proto.domain.as_deref().filter(|_| !standard);
            return Err(OnnxError::UnsupportedOp {
                node: name.to_string(),
                op: domain.map_or(op.to_string(), |d| format!("{d}::{op}")),
            });
        };
        let several = op == ops::SPLIT;
        let mut others = 1..proto.output.len();
        let other = others.find(|&i| live.contains(&proto.output[i]));
        if let Some(i) = other.filter(|_| !several) {
            return Err(at(format!(
                "output {i} `{}` is used; only the first output is supported",
                proto.output[i]
            )));
        }
        let mut inputs = Vec::with_capacity(proto.input.len());
        for input in &proto.input {
            inputs.push(match self.known.get(input) {
                Some(known) => Some(known.clone()),
                None if input.is_empty() => None,
                None => {
                    return Err(at(format!(
                        "input `{input}` is not computed by any node before it"
                    )));
                }
            });
        }
        let mut view = NodeView {
            proto,
            name,
            opset,
            inputs,
            output: 0,
        };
        for (i, output) in proto.output.iter().enumerate() {
            if i > 0 && !(several && live.contains(output)) {
                continue;
            }
            view.output = i;
            let result = handler(self, &view).map_err(at)?;
            if self.known.insert(output.clone(), result).is_some() {
                return Err(OnnxError::Model(format!("`{output}` is computed twice")));
            }
        }
        Ok(())
    }

    fn add_output(&mut self, name: &str) -> Result<(), OnnxError> {
        let Some(known) = self.known.get(name).cloned() else {
            return Err(OnnxError::Model(format!(
                "output `{name}` is not computed by any node"
            )));
        };
        let id = self.place(&known).map_err(OnnxError::Model)?;
        // Nodes that vanish (Identity, a Reshape to the same shape) leave their input's name.
        let named = self.graph.inputs.contains(&id) || self.graph.outputs.contains(&id);
        if !named {
            self.graph.rename(id, name);
        }
        self.graph.outputs.push(id);
        Ok(())
    }

    /// Shape of a value.
    pub(crate) fn shape<'a>(&'a self, known: &'a Known) -> &'a [usize] {
        match known {
            Known::Value(id) => &self.graph.value(*id).ty.shape,
            Known::Constant(c) => c.tensor.shape(),
        }
    }

    /// Element type of a value.
    pub(crate) fn dtype(&self, known: &Known) -> DType {
        match known {
            Known::Value(id) => self.graph.value(*id).ty.dtype,
            Known::Constant(c) if c.quant.is_some() => DType::F32,
            Known::Constant(c) => c.tensor.dtype(),
        }
    }

    /// The value in the graph; a constant is added to it at its first use.
    pub(crate) fn place(&mut self, known: &Known) -> Result<ValueId, String> {
        let c = match known {
            Known::Value(id) => return Ok(*id),
            Known::Constant(c) => c,
        };
        if let Some(id) = c.id.get() {
            return Ok(*id);
        }
        self.count(c.tensor.ty().len())?;
        let stored = c.quant.as_ref().map_or(&c.name, |(_, stored)| stored);
        let mut id = self.graph.add_value(stored, c.tensor.ty().clone());
        let value: &mut Value = &mut self.graph.values[id.0 as usize];
        value.constant = Some(Arc::clone(&c.tensor));
        if let Some((quant, _)) = &c.quant {
            id = self.add_op(&c.name, Op::Dequantize(quant.clone()), &[id], &c.name)?;
        }
        Ok(*c.id.get_or_init(|| id))
    }

    /// Adds `op` to the graph as the last step of node `n`: it gets the names of the node and
    /// of its output.
    pub(crate) fn emit(&mut self, n: &NodeView, op: Op, inputs: &[Known]) -> Result<Known, String> {
        let ids = self.place_all(inputs)?;
        self.add_op(n.name, op, &ids, n.output_name())
            .map(Known::Value)
    }

    /// Adds `op` to the graph as an earlier step of node `n`, called `step`.
    pub(crate) fn emit_step(
        &mut self,
        n: &NodeView,
        step: &str,
        op: Op,
        inputs: &[Known],
    ) -> Result<Known, String> {
        let ids = self.place_all(inputs)?;
        let name = format!("{}.{step}", n.name);
        let out = format!("{}.{step}", n.output_name());
        self.add_op(&name, op, &ids, &out).map(Known::Value)
    }

    /// Evaluates `op` if its inputs are constants, and else adds it to the graph.
    pub(crate) fn fold_or_emit(
        &mut self,
        n: &NodeView,
        op: Op,
        inputs: &[Known],
    ) -> Result<Known, String> {
        let tensors: Option<Vec<&Tensor>> = inputs.iter().map(Known::as_constant).collect();
        if let Some(tensors) = tensors {
            if let Some(result) = fold::fold(&op, &tensors, |shape| self.charge(shape)) {
                return Ok(Known::constant(n.output_name(), result?));
            }
        }
        self.emit(n, op, inputs)
    }

    /// Takes the elements of a folded constant of `shape` off the budget.
    pub(crate) fn charge(&mut self, shape: &[usize]) -> Result<(), String> {
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let len = tensor::checked_shape(&dims)?.iter().product::<usize>() as u64;
        self.fold_budget = self
            .fold_budget
            .checked_sub(len)
            .ok_or("folding the model's constants needs far more memory than its file")?;
        Ok(())
    }

    fn place_all(&mut self, inputs: &[Known]) -> Result<Vec<ValueId>, String> {
        inputs.iter().map(|k| self.place(k)).collect()
    }

    fn add_op(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        out: &str,
    ) -> Result<ValueId, String> {
        let id = self
            .graph
            .add_node(name, op, inputs, out)
            .map_err(|e| match e {
                GraphError::Node { why, .. } => why,
                other => other.to_string(),
            })?;
        self.count(self.graph.value(id).ty.len())?;
        Ok(id)
    }

    /// Counts the elements of a new value.
    fn count(&mut self, elements: usize) -> Result<(), String> {
        self.elements += elements as u64;
        if self.elements > MAX_ELEMENTS {
            return Err(format!(
                "the network's tensors have more than {MAX_ELEMENTS} elements in all"
            ));
        }
        Ok(())
    }
}

/// Checks that every value has one producer and every node an output.
fn check_names(nodes: &[NodeProto]) -> Result<(), OnnxError> {
    let mut seen = HashSet::new();
    for node in nodes {
        if node.output.first().is_none_or(|o| o.is_empty()) {
            let name = node.name.as_deref().unwrap_or_default();
            return Err(OnnxError::Model(format!("node `{name}` has no output")));
        }
        for out in node.output.iter().filter(|o| !o.is_empty()) {
            if !seen.insert(out) {
                return Err(OnnxError::Model(format!("two nodes compute `{out}`")));
            }
        }
    }
    Ok(())
}

/// The names that the outputs depend on.
fn live_values(nodes: &[NodeProto], outputs: &[ValueInfoProto]) -> HashSet<String> {
    let mut live: HashSet<String> = outputs.iter().filter_map(|o| o.name.clone()).collect();
    for node in nodes.iter().rev() {
        if node.output.iter().any(|o| live.contains(o)) {
            let given = node.input.iter().filter(|i| !i.is_empty());
            live.extend(given.cloned());
        }
    }
    live
}
