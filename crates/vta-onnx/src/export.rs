//! From a graph to a file.

use std::collections::HashSet;

use prost::Message;
use vta_graph::{ConvAttrs, DType, Graph, Node, Op, PoolAttrs, Quant, Tensor, ValueId, Window};

use crate::OnnxError;
use crate::ops::ceil_extra;
use crate::proto::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type,
};
use crate::tensor;

/// Version of the standard operator set that is written.
const OPSET: i64 = 13;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 7;

/// Writes a graph of float, quantize and dequantize operators as an ONNX file of operator set
/// 13. Values, nodes, inputs and outputs keep their names.
///
/// # Errors
/// If the graph holds an operator or element type that ONNX has not (the integer and packed
/// operators of later stages): the message names the node.
pub fn export(graph: &Graph) -> Result<Vec<u8>, OnnxError> {
    let mut writer = Writer {
        graph,
        out: GraphProto {
            name: Some(graph.name.clone()),
            ..Default::default()
        },
        names: graph.values.iter().map(|v| v.name.clone()).collect(),
        node_names: HashSet::new(),
        stored: HashSet::new(),
    };
    for node in &graph.nodes {
        writer.node(node)?;
    }
    for &id in &graph.inputs {
        let info = writer.info(id)?;
        writer.out.input.push(info);
    }
    for &id in &graph.outputs {
        writer.name(id)?;
        let info = writer.info(id)?;
        writer.out.output.push(info);
    }
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("vta".into()),
        graph: Some(writer.out),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
    };
    Ok(model.encode_to_vec())
}

struct Writer<'a> {
    graph: &'a Graph,
    out: GraphProto,
    /// Every name of a value in use.
    names: HashSet<String>,
    /// Every name of a node in use.
    node_names: HashSet<String>,
    /// The constants that are written already.
    stored: HashSet<ValueId>,
}

impl Writer<'_> {
    fn info(&self, id: ValueId) -> Result<ValueInfoProto, OnnxError> {
        let value = self.graph.value(id);
        let elem_type = tensor::code_of(value.ty.dtype).ok_or_else(|| OnnxError::Tensor {
            name: value.name.clone(),
            why: format!("ONNX has no element type {}", value.ty.dtype),
        })?;
        let dim = value.ty.shape.iter().map(|&d| Dimension {
            dim_value: Some(d as i64),
            dim_param: None,
        });
        Ok(ValueInfoProto {
            name: Some(value.name.clone()),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: Some(elem_type),
                    shape: Some(TensorShapeProto { dim: dim.collect() }),
                }),
            }),
        })
    }

    /// The name of a value; a constant is stored at its first use.
    fn name(&mut self, id: ValueId) -> Result<String, OnnxError> {
        let value = self.graph.value(id);
        if let Some(constant) = &value.constant {
            if self.stored.insert(id) {
                self.store(&value.name, constant)?;
            }
        }
        Ok(value.name.clone())
    }

    fn store(&mut self, name: &str, t: &Tensor) -> Result<(), OnnxError> {
        // 4-bit integers exist in later operator sets only.
        let written = tensor::write(name, t).filter(|_| t.dtype() != DType::I4);
        let proto = written.ok_or_else(|| OnnxError::Tensor {
            name: name.to_string(),
            why: format!(
                "operator set {OPSET} has no element type {}; export the graph before it is \
                 narrowed",
                t.dtype()
            ),
        })?;
        self.out.initializer.push(proto);
        Ok(())
    }

    /// Stores a constant that an attribute of ours becomes in ONNX.
    fn parameter(&mut self, node: &Node, what: &str, t: &Tensor) -> Result<String, OnnxError> {
        let name = self.fresh(node, what);
        self.store(&name, t)?;
        Ok(name)
    }

    /// A name for a value that is not in use.
    fn fresh(&mut self, node: &Node, what: &str) -> String {
        let base = format!("{}.{what}", self.graph.value(node.output).name);
        unique(&mut self.names, base)
    }

    fn push(
        &mut self,
        node: &Node,
        op_type: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let output = self.graph.value(node.output).name.clone();
        self.push_to(node, op_type, input, attribute, output);
    }

    fn push_to(
        &mut self,
        node: &Node,
        op_type: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
        output: String,
    ) {
        let name = unique(&mut self.node_names, node.name.clone());
        self.out.node.push(NodeProto {
            input,
            output: vec![output],
            name: Some(name),
            op_type: Some(op_type.to_string()),
            attribute,
            domain: None,
        });
    }

    fn node(&mut self, node: &Node) -> Result<(), OnnxError> {
        let mut inputs = node
            .inputs
            .iter()
            .map(|&id| self.name(id))
            .collect::<Result<Vec<_>, _>>()?;
        let x = &self.graph.value(node.inputs[0]).ty;
        let (op_type, attributes) = match &node.op {
            Op::Conv(a) => ("Conv", conv(a)),
            Op::Dense => return self.dense(node, inputs),
            Op::MatMul => ("MatMul", vec![]),
            Op::BatchNorm { epsilon } => ("BatchNormalization", vec![float("epsilon", *epsilon)]),
            Op::Relu => ("Relu", vec![]),
            Op::LeakyRelu { alpha } => ("LeakyRelu", vec![float("alpha", *alpha)]),
            Op::Sigmoid => ("Sigmoid", vec![]),
            Op::Silu => return self.gated(node, inputs, "Sigmoid", vec![]),
            Op::HardSwish => {
                let line = vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
                return self.gated(node, inputs, "HardSigmoid", line);
            }
            Op::Clip { lo, hi } => {
                for (what, bound) in [("min", *lo), ("max", *hi)] {
                    let t = scalar(x.dtype, bound);
                    inputs.push(self.parameter(node, what, &t)?);
                }
                ("Clip", vec![])
            }
            Op::Add => ("Add", vec![]),
            Op::Sub => ("Sub", vec![]),
            Op::Mul => ("Mul", vec![]),
            Op::Div => ("Div", vec![]),
            Op::MaxPool(p) => ("MaxPool", pool(node, p, &x.shape)?),
            Op::AvgPool(p) => {
                let mut attributes = pool(node, p, &x.shape)?;
                if p.window.dilation != [1; 2] {
                    let why = format!("operator set {OPSET} has no dilated average pooling");
                    return Err(refuse(node, why));
                }
                attributes.retain(|a| a.name.as_deref() != Some("dilations"));
                attributes.push(int("count_include_pad", p.count_include_pad.into()));
                ("AveragePool", attributes)
            }
            Op::GlobalAvgPool => ("GlobalAveragePool", vec![]),
            Op::ReduceMean { axes, keep_dims } => (
                "ReduceMean",
                vec![ints("axes", axes), int("keepdims", i64::from(*keep_dims))],
            ),
            Op::Softmax { axis } => ("Softmax", vec![int("axis", *axis as i64)]),
            Op::Reshape { shape } => {
                inputs.push(self.parameter(node, "shape", &list(shape))?);
                ("Reshape", vec![])
            }
            Op::Transpose { perm } => ("Transpose", vec![ints("perm", perm)]),
            Op::Concat { axis } => ("Concat", vec![int("axis", *axis as i64)]),
            Op::Pad {
                before,
                after,
                value,
            } => {
                let pads = list(&[before.as_slice(), after].concat());
                inputs.push(self.parameter(node, "pads", &pads)?);
                inputs.push(self.parameter(node, "value", &scalar(x.dtype, *value))?);
                ("Pad", vec![])
            }
            Op::Slice { start, end, step } => {
                let axes: Vec<usize> = (0..start.len()).collect();
                for (what, v) in [
                    ("starts", start),
                    ("ends", end),
                    ("axes", &axes),
                    ("steps", step),
                ] {
                    inputs.push(self.parameter(node, what, &list(v))?);
                }
                ("Slice", vec![])
            }
            &Op::DepthToSpace {
                block: [size, other],
                groups,
                channels,
            } if size == other
                && (groups == 1 || groups == channels)
                && channels * size * size == x.shape[1] =>
            {
                let mode = if groups == 1 { "DCR" } else { "CRD" };
                let attributes = vec![int("blocksize", size as i64), text("mode", mode)];
                ("DepthToSpace", attributes)
            }
            Op::Resize {
                factors: [rows, columns],
            } => {
                let scales = [1.0, 1.0, *rows as f32, *columns as f32];
                // No region of interest.
                inputs.push(String::new());
                inputs.push(self.parameter(node, "scales", &Tensor::f32([4], scales.to_vec()))?);
                let attributes = [
                    ("mode", "nearest"),
                    ("coordinate_transformation_mode", "asymmetric"),
                    ("nearest_mode", "floor"),
                ];
                ("Resize", attributes.map(|(k, v)| text(k, v)).to_vec())
            }
            Op::Quantize(quant, DType::S1) if is_unit(quant) => ("Sign", vec![]),
            Op::Dequantize(quant) if x.dtype == DType::S1 && is_unit(quant) => ("Identity", vec![]),
            Op::Quantize(quant, dtype) => {
                let attributes = self.quant(node, quant, *dtype, &mut inputs)?;
                ("QuantizeLinear", attributes)
            }
            Op::Dequantize(quant) => {
                let attributes = self.quant(node, quant, x.dtype, &mut inputs)?;
                ("DequantizeLinear", attributes)
            }
            other => {
                return Err(refuse(
                    node,
                    format!(
                        "ONNX has no operator for `{}`; export the graph before it is lowered to \
                         integers",
                        other.name()
                    ),
                ));
            }
        };
        self.push(node, op_type, inputs, attributes);
        Ok(())
    }

    /// `Gemm` takes matrices only; more dimensions need a product and a sum.
    fn dense(&mut self, node: &Node, inputs: Vec<String>) -> Result<(), OnnxError> {
        if self.graph.value(node.inputs[0]).ty.shape.len() == 2 {
            self.push(node, "Gemm", inputs, vec![int("transB", 1)]);
            return Ok(());
        }
        let [x, weight, bias @ ..] = inputs.as_slice() else {
            return Err(refuse(node, "it has no weight".into()));
        };
        let turned = self.fresh(node, "weight");
        let perm = vec![ints("perm", &[1, 0])];
        self.push_to(
            node,
            "Transpose",
            vec![weight.clone()],
            perm,
            turned.clone(),
        );
        let product = vec![x.clone(), turned];
        match bias {
            [] => self.push(node, "MatMul", product, vec![]),
            [bias, ..] => {
                let sum = self.fresh(node, "product");
                self.push_to(node, "MatMul", product, vec![], sum.clone());
                self.push(node, "Add", vec![sum, bias.clone()], vec![]);
            }
        }
        Ok(())
    }

    /// The product of an operand and a function of it: this operator set has no name for it.
    fn gated(
        &mut self,
        node: &Node,
        inputs: Vec<String>,
        function: &str,
        attributes: Vec<AttributeProto>,
    ) -> Result<(), OnnxError> {
        let gate = self.fresh(node, "gate");
        self.push_to(node, function, inputs.clone(), attributes, gate.clone());
        self.push(node, "Mul", [inputs, vec![gate]].concat(), vec![]);
        Ok(())
    }

    /// Scale and zero point of integers of type `dtype`, as further inputs.
    fn quant(
        &mut self,
        node: &Node,
        quant: &vta_graph::Quant,
        dtype: DType,
        inputs: &mut Vec<String>,
    ) -> Result<Vec<AttributeProto>, OnnxError> {
        let channels = quant.scale.len();
        let shape = if channels == 1 {
            vec![]
        } else {
            vec![channels]
        };
        let scale = Tensor::f32(shape.clone(), quant.scale.clone());
        inputs.push(self.parameter(node, "scale", &scale)?);
        // ONNX wants no zero point on 32-bit integers.
        if dtype != DType::I32 || quant.zero_point.iter().any(|&z| z != 0) {
            let zero: Vec<i64> = (0..channels)
                .map(|c| quant.zero_point[c % quant.zero_point.len()].into())
                .collect();
            let fits = dtype
                .range()
                .is_some_and(|(lo, hi)| zero.iter().all(|z| (lo..=hi).contains(z)));
            if !fits {
                return Err(refuse(node, format!("a zero point does not fit {dtype}")));
            }
            let zero = Tensor::from_ints(dtype, shape, &zero);
            inputs.push(self.parameter(node, "zero_point", &zero)?);
        }
        Ok(vec![int("axis", quant.axis as i64)])
    }
}

/// `base`, or `base` with a number behind it if that is taken.
fn unique(taken: &mut HashSet<String>, base: String) -> String {
    let mut name = base.clone();
    let mut i = 1;
    while !taken.insert(name.clone()) {
        name = format!("{base}.{i}");
        i += 1;
    }
    name
}

fn refuse(node: &Node, why: String) -> OnnxError {
    OnnxError::Node {
        node: node.name.clone(),
        op: node.op.name().to_string(),
        why,
    }
}

fn conv(a: &ConvAttrs) -> Vec<AttributeProto> {
    let mut attributes = window(&a.window);
    attributes.push(int("group", a.groups as i64));
    attributes
}

fn pool(node: &Node, p: &PoolAttrs, shape: &[usize]) -> Result<Vec<AttributeProto>, OnnxError> {
    let mut attributes = window(&p.window);
    if p.extra != [0; 2] {
        // ONNX can only say "round up", so that has to give exactly this much.
        let rounded = [0, 1].map(|i| ceil_extra(&p.window, i, shape[i + 2]));
        if rounded != p.extra.map(Ok) {
            return Err(refuse(
                node,
                format!(
                    "{:?} extra rows and columns are not what rounding up gives",
                    p.extra
                ),
            ));
        }
        attributes.push(int("ceil_mode", 1));
    }
    Ok(attributes)
}

fn window(w: &Window) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", &w.kernel),
        ints("strides", &w.stride),
        ints("dilations", &w.dilation),
        ints("pads", &w.pads),
    ]
}

fn list(v: &[usize]) -> Tensor {
    Tensor::i64([v.len()], v.iter().map(|&x| x as i64).collect())
}

/// One number of an element type; bounds past an integer type's range saturate.
fn scalar(dtype: DType, value: f32) -> Tensor {
    match dtype.range() {
        None => Tensor::f32([], vec![value]),
        Some((lo, hi)) => Tensor::from_ints(dtype, [], &[(value as i64).clamp(lo, hi)]),
    }
}

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_string()),
        r#type: Some(r#type),
        ..Default::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i: Some(i),
        ..attribute(name, attribute_type::INT)
    }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f: Some(f),
        ..attribute(name, attribute_type::FLOAT)
    }
}

fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        s: Some(s.into()),
        ..attribute(name, attribute_type::STRING)
    }
}

fn ints(name: &str, v: &[usize]) -> AttributeProto {
    AttributeProto {
        ints: v.iter().map(|&x| x as i64).collect(),
        ..attribute(name, attribute_type::INTS)
    }
}

/// Whether integers stand for themselves.
fn is_unit(quant: &Quant) -> bool {
    *quant == Quant::per_tensor(1.0, 0)
}
