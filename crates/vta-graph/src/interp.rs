//! The reference interpreter: what every operator means, by running it.
//!
//! Float operators compute in `f32`, in a fixed order of summation, so that results are the
//! same on every run. Integer and packed operators are exact, written straight from the
//! definitions in [`Op`], and share no code with the compiler or a simulator: they are the
//! oracle that both are held against.

mod arrange;
mod convolve;
mod elementwise;
mod integer;
mod linear;
mod packed;
#[cfg(target_arch = "x86_64")]
mod pairs;
mod pool;
mod quantize;
mod reduce;

use std::borrow::{Borrow, Cow};

use crate::verify::check_elements;
use crate::{Graph, GraphError, NodeId, Op, Tensor, TensorType, ValueId};

/// Runs a graph once. For many runs of one graph, keep an [`Interpreter`].
///
/// # Errors
/// If the graph is not well formed ([`Graph::verify`]), the inputs are not those it declares,
/// or an operator has no result (a division of integers by zero).
pub fn run_graph(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    Interpreter::new(graph)?.run(inputs)
}

/// [`run_graph`], showing each input and each computed value to `observe` as it appears.
///
/// # Errors
/// As [`run_graph`].
pub fn run_with(
    graph: &Graph,
    inputs: &[Tensor],
    observe: &mut dyn FnMut(ValueId, &Tensor),
) -> Result<Vec<Tensor>, GraphError> {
    Interpreter::new(graph)?.run_with(inputs, observe)
}

/// Applies one operator to tensors, as constant folding does.
///
/// # Errors
/// If the operator does not take these operands ([`Op::infer`]) or has no result for them.
pub fn eval(op: &Op, inputs: &[&Tensor]) -> Result<Tensor, String> {
    let types: Vec<&TensorType> = inputs.iter().map(|t| t.ty()).collect();
    let ty = op.infer(&types)?;
    apply(op, inputs, &ty)
}

/// A verified graph, ready to run. It is not changed by running: several threads may share it.
///
/// `G` is whatever holds the graph: `&Graph`, `Graph` or `Arc<Graph>`.
#[derive(Debug)]
pub struct Interpreter<G> {
    graph: G,
    /// For each node, the values that nobody reads after it.
    last_reads: Vec<Vec<ValueId>>,
}

impl<G: Borrow<Graph>> Interpreter<G> {
    /// Verifies the graph and finds where each value is read last.
    ///
    /// # Errors
    /// Those of [`Graph::verify`].
    pub fn new(graph: G) -> Result<Self, GraphError> {
        let g = graph.borrow();
        g.verify()?;
        let mut read_later = vec![false; g.values.len()];
        for v in &g.outputs {
            read_later[v.0 as usize] = true;
        }
        let mut last_reads = vec![Vec::new(); g.nodes.len()];
        for (n, dead) in g.nodes.iter().zip(&mut last_reads).rev() {
            for &v in n.inputs.iter().chain([&n.output]) {
                if !std::mem::replace(&mut read_later[v.0 as usize], true) {
                    dead.push(v);
                }
            }
        }
        Ok(Interpreter { graph, last_reads })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        self.graph.borrow()
    }

    /// The outputs for these inputs.
    ///
    /// # Errors
    /// If an input is not what the graph declares, or an operator has no result.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
        self.run_with(inputs, &mut |_, _| ())
    }

    /// [`Interpreter::run`], showing each input and each computed value to `observe` as it
    /// appears. A value is freed after its last reader.
    ///
    /// # Errors
    /// As [`Interpreter::run`].
    pub fn run_with(
        &self,
        inputs: &[Tensor],
        observe: &mut dyn FnMut(ValueId, &Tensor),
    ) -> Result<Vec<Tensor>, GraphError> {
        let g = self.graph();
        check_inputs(g, inputs)?;
        let mut live: Vec<Option<Cow<'_, Tensor>>> = (g.values.iter())
            .map(|v| v.constant.as_deref().map(Cow::Borrowed))
            .collect();
        for (&v, t) in g.inputs.iter().zip(inputs) {
            observe(v, t);
            live[v.0 as usize] = Some(Cow::Borrowed(t));
        }
        for (i, dead) in self.last_reads.iter().enumerate() {
            let n = g.node(NodeId(i as u32));
            let operands: Vec<&Tensor> = (n.inputs.iter())
                .map(|v| live[v.0 as usize].as_deref().expect("a live value"))
                .collect();
            let result = apply(&n.op, &operands, &g.value(n.output).ty)
                .map_err(|why| GraphError::node(&n.name, &n.op, why))?;
            observe(n.output, &result);
            live[n.output.0 as usize] = Some(Cow::Owned(result));
            for v in dead {
                live[v.0 as usize] = None;
            }
        }
        let outputs = g.outputs.iter();
        Ok(outputs
            .map(|v| {
                live[v.0 as usize]
                    .clone()
                    .expect("a live value")
                    .into_owned()
            })
            .collect())
    }
}

fn check_inputs(g: &Graph, inputs: &[Tensor]) -> Result<(), GraphError> {
    if inputs.len() != g.inputs.len() {
        return Err(GraphError::Invalid(format!(
            "{} inputs given, the graph takes {}",
            inputs.len(),
            g.inputs.len()
        )));
    }
    for (&v, t) in g.inputs.iter().zip(inputs) {
        let value = g.value(v);
        let error = |why| GraphError::Input {
            name: value.name.clone(),
            why,
        };
        if *t.ty() != value.ty {
            return Err(error(format!(
                "the tensor given is {}, the graph takes {}",
                t.ty(),
                value.ty
            )));
        }
        check_elements(t).map_err(error)?;
    }
    Ok(())
}

/// The result, of type `ty`, of an operator on operands that inference has accepted.
fn apply(op: &Op, x: &[&Tensor], ty: &TensorType) -> Result<Tensor, String> {
    let data = match op {
        Op::Conv(a) => linear::conv(a, x, ty),
        Op::Dense => linear::dense(x),
        Op::MatMul => linear::matmul(x, ty),
        Op::BatchNorm { epsilon } => elementwise::batch_norm(*epsilon, x),
        Op::Relu => elementwise::relu(x[0]),
        Op::LeakyRelu { alpha } => elementwise::leaky_relu(*alpha, x[0]),
        Op::Sigmoid => elementwise::sigmoid(x[0]),
        Op::HardSwish => elementwise::hard_swish(x[0]),
        Op::Silu => elementwise::silu(x[0]),
        Op::Clip { lo, hi } => elementwise::clip(*lo, *hi, x[0]),
        Op::Add | Op::Sub | Op::Mul | Op::Div => elementwise::binary(op, x[0], x[1], ty)?,
        Op::MaxPool(p) => pool::max(p, x[0], ty),
        Op::AvgPool(p) => pool::average(p, x[0], ty),
        Op::GlobalAvgPool => reduce::mean(&[2, 3], x[0]),
        Op::ReduceMean { axes, .. } => reduce::mean(axes, x[0]),
        Op::Softmax { axis } => reduce::softmax(*axis, x[0]),
        Op::Reshape { .. } => x[0].data().clone(),
        Op::Transpose { perm } => arrange::transpose(perm, x[0], ty),
        Op::Concat { axis } => arrange::concat(*axis, x),
        Op::Pad { before, value, .. } => arrange::pad(before, *value, x[0], ty),
        Op::Im2col {
            kernel,
            stride,
            dilation,
        } => arrange::im2col(*kernel, *stride, *dilation, x[0], ty),
        Op::Slice { start, step, .. } => arrange::slice(start, step, x[0], ty),
        Op::DepthToSpace { block, groups, .. } => {
            arrange::depth_to_space(*block, *groups, x[0], ty)
        }
        Op::Resize { factors } => arrange::resize(*factors, x[0]),
        Op::Quantize(q, dtype) => quantize::quantize(q, *dtype, x[0]),
        Op::Dequantize(q) => quantize::dequantize(q, x[0]),
        Op::QConv(a, zero_point) => integer::qconv(a, *zero_point, x, ty),
        Op::QDense(zero_point) => integer::qdense(*zero_point, x),
        Op::Requantize(r, dtype) => integer::requantize(r, *dtype, x[0]),
        Op::QAccumulate { mult, zero_point } => integer::qaccumulate(mult, *zero_point, x),
        Op::QAdd(e, dtype) => integer::qadd(e, *dtype, x[0], x[1]),
        Op::QMul(e, dtype) => integer::qmul(e, *dtype, x[0], x[1]),
        Op::QPiecewise(p, dtype) => integer::qpiecewise(p, *dtype, x[0]),
        Op::QSumPool(p, zero_point) => pool::sum(p, *zero_point, x[0], ty),
        Op::Pack(layout) => packed::pack(layout, x[0], ty),
        Op::Unpack { layout, shape } => packed::unpack(layout, *shape, x[0]),
        Op::VtaConv(c) => packed::vta_conv(c, x, ty),
        Op::VtaAdd(pair, add) => packed::vta_pair(pair, x, ty, |a, b| add.apply(a, b)),
        Op::VtaMul(pair, mul) => packed::vta_pair(pair, x, ty, |a, b| mul.apply(a, b)),
        Op::VtaPiecewise {
            shape,
            in_layout,
            out_layout,
            map,
        } => packed::vta_piecewise(*shape, [in_layout, out_layout], map, x[0], ty),
        Op::VtaMaxPool(p) => packed::vta_max_pool(p, x[0], ty),
        Op::VtaSumPool(p, requant) => packed::vta_sum_pool(p, requant, x[0], ty),
        Op::VtaSpread(p) => packed::vta_spread(p, x[0], ty),
        Op::VtaConcat => arrange::concat(1, x),
    };
    Ok(Tensor::new(ty.clone(), data))
}

/// The elements of an operand that inference has found to be `f32`.
fn f32s(t: &Tensor) -> &[f32] {
    t.as_f32().expect("an f32 operand")
}

/// The elements of an operand that inference has found to be `i8` or narrower.
fn i8s(t: &Tensor) -> &[i8] {
    t.as_i8().expect("a narrow operand")
}

/// The extents of an operand that inference has found to have `R` dimensions.
fn dims<const R: usize>(shape: &[usize]) -> [usize; R] {
    shape.try_into().expect("the rank that inference checked")
}
