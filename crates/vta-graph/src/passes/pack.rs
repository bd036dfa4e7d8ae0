//! `pack`: the nodes chosen for the accelerator become packed operators over blocked tensors.
//!
//! A convolution, the residual that is added to its sums or the maximum that is taken of them, and its requantization
//! become one `vta.conv`, a sum over windows and its
//! requantization a `vta.sum_pool`, an addition a `vta.add`, a product a `vta.mul`, a function of pieces a `vta.piecewise`,
//! a maximum a `vta.max_pool`, a resizing a `vta.spread`;
//! `pack` and `unpack` appear where a tensor crosses between the host and the accelerator.
//! Zero points end here: `sum((x - z) * w)` is `sum(x * w) - z * sum(w)`, whose second half is
//! a constant of each channel, and padding that stands for `z` is read as `z`, the padding of a maximum as a value
//! that never wins: where a LOAD cannot pad with it, the tensor has a border that holds it.

mod border;

use std::borrow::Cow;
use std::collections::BTreeMap;

use border::Border;

use crate::quant::bounds::{Interval, signed_sums, value_bounds};
use crate::{
    BlockedLayout, DType, Data, Graph, GraphError, Node, NodeId, Op, PackedConv, PackedPair,
    PackedPool, PackedSpread, Piecewise, PoolAttrs, Requant, Tensor, TensorType, ValueId, Window,
};

/// The shape of the accelerator's registers, as far as layouts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Rows of a tensor register.
    pub batch: usize,
    /// Input lanes.
    pub block_in: usize,
    /// Output lanes.
    pub block_out: usize,
    /// Type of weights.
    pub weight: DType,
    /// What a LOAD pads with.
    pub padding: Padding,
}

/// The values that a LOAD can pad with. Any other has to be stored, as a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// This one.
    Fixed(i32),
    /// Each.
    Any,
}

impl Padding {
    /// What is read where an operator wants `value` beyond a tensor, or beyond a border that holds it.
    fn of(self, value: i32) -> i32 {
        match self {
            Padding::Fixed(fixed) => fixed,
            Padding::Any => value,
        }
    }

    fn is(self, value: i32) -> bool {
        self.of(value) == value
    }
}

/// Packs `graph`, in which `chosen` names the nodes that the accelerator runs. Returns, for every
/// node of the packed graph, the chosen node whose result it computes.
///
/// A chosen `qconv` has a constant weight, no bias, and as its only reader a chosen `requantize`,
/// or a chosen `qaccumulate` or `max_pool` with such a reader; a chosen `qsum_pool` has such a reader; a chosen `qadd`, `qmul` or `qpiecewise` has rank 4; the input of
/// a chosen `max_pool` with padding has a [`max_pool_fill`]; a chosen `concat` joins channels of whole blocks but for
/// its last operand, and is not [`unshareable`]; a chosen `slice` is one of rows and columns; the channels of each
/// position of a chosen `depth_to_space`, of one group, are the blocks of its result.
pub fn run(
    graph: &mut Graph,
    chosen: &[NodeId],
    regs: Registers,
) -> Result<Vec<Option<NodeId>>, GraphError> {
    let old = std::mem::take(graph);
    let ranges = value_bounds(&old);
    let borders = border::borders(&old, chosen, &ranges, regs.padding).map_err(|id| {
        let node = &old.node(id).name;
        GraphError::Invalid(format!("`{node}` and its operands have different borders"))
    })?;
    let mut p = Packer {
        new: Graph::new(&old.name),
        plain: BTreeMap::new(),
        packed: BTreeMap::new(),
        borders,
        ranges,
        regs,
        old: &old,
    };
    for &v in &old.inputs {
        let id = p.copy_value(v);
        p.new.inputs.push(id);
    }
    let mut origin = Vec::new();
    for (i, node) in old.nodes.iter().enumerate() {
        let id = NodeId(i as u32);
        let is_chosen = chosen.contains(&id);
        match &node.op {
            _ if is_chosen && is_sums(&old, node) => {}
            Op::Requantize(requant, dtype) if is_chosen => p.requantized(node, requant, *dtype)?,
            Op::MaxPool(pool) if is_chosen => p.max_pool(node, pool)?,
            Op::QAdd(add, dtype) if is_chosen => {
                p.pair(node, *dtype, |pair| Op::VtaAdd(pair, add.clone()))?;
            }
            Op::QMul(mul, dtype) if is_chosen => {
                p.pair(node, *dtype, |pair| Op::VtaMul(pair, mul.clone()))?;
            }
            Op::QPiecewise(map, dtype) if is_chosen => p.piecewise(node, map, *dtype)?,
            Op::Concat { .. } if is_chosen => p.concat(node)?,
            Op::Slice { start, end, step } if is_chosen => p.slice(node, start, end, step)?,
            Op::DepthToSpace { block, .. } | Op::Resize { factors: block } if is_chosen => {
                p.spread(node, *block)?;
            }
            _ => p.host(node)?,
        }
        if is_chosen && !is_sums(&old, node) {
            // The operator comes last, after the packing of its inputs.
            origin.resize(p.new.nodes.len() - 1, None);
            origin.push(Some(id));
        }
    }
    for &v in &old.outputs {
        let id = p.plain(v)?;
        p.new.outputs.push(id);
    }
    origin.resize(p.new.nodes.len(), None);
    *graph = p.new;
    Ok(origin)
}

/// Whether an operator's result is the sums of a packed operator that ends with their requantization.
fn is_sums(graph: &Graph, node: &Node) -> bool {
    graph.value(node.output).ty.dtype == DType::I32
}

/// The first of the chosen concatenations whose result and operands cannot be stored in one place, because they
/// are padded with different values.
pub fn unshareable(graph: &Graph, chosen: &[NodeId], padding: Padding) -> Option<NodeId> {
    border::borders(graph, chosen, &value_bounds(graph), padding).err()
}

/// The padding of an operator that reads it as the zero point, and that zero point.
pub(crate) fn zero_padding(op: &Op) -> Option<([usize; 4], i32)> {
    match op {
        Op::QConv(attrs, zero_point) => Some((attrs.window.pads, *zero_point)),
        Op::QSumPool(pool, zero_point) => Some((pool.whole_window().pads, *zero_point)),
        _ => None,
    }
}

/// Whether the operators that pad `x` with its zero point agree on it, as a border has to.
pub fn is_padded_alike(graph: &Graph, x: ValueId, padding: Padding) -> bool {
    if padding == Padding::Any {
        return true;
    }
    let readers = graph.nodes.iter().filter(|n| n.inputs.first() == Some(&x));
    let mut zero_points = readers
        .filter_map(|n| zero_padding(&n.op))
        .filter(|(pads, _)| *pads != [0; 4])
        .map(|(_, zero_point)| zero_point);
    let first = zero_points.next();
    zero_points.all(|zero_point| Some(zero_point) == first)
}

/// What stands in the padding of a maximum over `x`, if values lie within `ranges`: the zero
/// point if another reader pads with it, since a tensor has one border, else the value nearest
/// to 0 that never wins. `None` if that zero point could win.
pub fn max_pool_fill(
    graph: &Graph,
    x: ValueId,
    ranges: &[Option<Interval>],
    padding: Padding,
) -> Option<i32> {
    let low = ranges[x.0 as usize].map_or(0, |range| range.0);
    let readers = graph.nodes.iter().filter(|n| n.inputs.first() == Some(&x));
    let mut zero_points = readers
        .filter_map(|n| zero_padding(&n.op))
        .filter(|(pads, _)| *pads != [0; 4])
        .map(|(_, zero_point)| zero_point);
    match zero_points.next().filter(|_| padding != Padding::Any) {
        Some(zero_point) => (i64::from(zero_point) <= low).then_some(zero_point),
        None => i32::try_from(graph.value(x).ty.dtype.settled(low.min(0))).ok(),
    }
}

struct Packer<'a> {
    old: &'a Graph,
    new: Graph,
    /// New values by old ones, as NCHW tensors.
    plain: BTreeMap<ValueId, ValueId>,
    /// New values by old ones and lanes, in a blocked layout.
    packed: BTreeMap<(ValueId, usize), (ValueId, BlockedLayout)>,
    borders: BTreeMap<ValueId, Border>,
    ranges: Vec<Option<Interval>>,
    regs: Registers,
}

impl Packer<'_> {
    fn copy_value(&mut self, v: ValueId) -> ValueId {
        let value = self.old.value(v);
        let id = self.new.add_value(&value.name, value.ty.clone());
        self.new.values[id.0 as usize].constant = value.constant.clone();
        self.plain.insert(v, id);
        id
    }

    /// The value as an NCHW tensor, unpacked or copied on first use.
    fn plain(&mut self, v: ValueId) -> Result<ValueId, GraphError> {
        if let Some(&id) = self.plain.get(&v) {
            return Ok(id);
        }
        let mut blocked = self.packed.range((v, 0)..=(v, usize::MAX));
        let Some((packed, layout)) = blocked.next().map(|(_, found)| found.clone()) else {
            return Ok(self.copy_value(v));
        };
        let value = self.old.value(v);
        let op = Op::Unpack {
            layout,
            shape: four(&value.ty)?,
        };
        let name = format!("{}.unpack", value.name);
        let id = self.new.add_node(&name, op, &[packed], &value.name)?;
        self.plain.insert(v, id);
        Ok(id)
    }

    /// The layout of `v` in `lanes` channels a register.
    fn layout(&self, v: ValueId, lanes: usize) -> BlockedLayout {
        let (border, fill) = self.borders.get(&v).copied().unwrap_or_default();
        BlockedLayout {
            batch: self.regs.batch,
            lanes,
            border,
            fill,
        }
    }

    /// The value in blocks of `lanes`, packed by the host where the accelerator did not
    /// already leave it so.
    fn packed(&mut self, v: ValueId, lanes: usize) -> Result<(ValueId, BlockedLayout), GraphError> {
        if let Some(found) = self.packed.get(&(v, lanes)) {
            return Ok(found.clone());
        }
        let layout = self.layout(v, lanes);
        let plain = self.plain(v)?;
        let name = &self.old.value(v).name;
        let id = self.new.add_node(
            &format!("{name}.pack"),
            Op::Pack(layout.clone()),
            &[plain],
            &format!("{name}.packed{lanes}"),
        )?;
        self.packed.insert((v, lanes), (id, layout.clone()));
        Ok((id, layout))
    }

    /// What is read beyond `x`, stored or not, by an operator that wants `value` around it.
    fn pad(&self, x: ValueId, pads: [usize; 4], value: i32) -> i32 {
        match pads {
            [0, 0, 0, 0] => self.old.value(x).ty.dtype.settled(0) as i32,
            _ => self.regs.padding.of(value),
        }
    }

    fn host(&mut self, node: &Node) -> Result<(), GraphError> {
        let inputs = node
            .inputs
            .iter()
            .map(|&v| self.plain(v))
            .collect::<Result<Vec<_>, _>>()?;
        let name = &self.old.value(node.output).name;
        let id = self
            .new
            .add_node(&node.name, node.op.clone(), &inputs, name)?;
        self.plain.insert(node.output, id);
        Ok(())
    }

    /// The packed operator of a chosen requantization and the sums that it reads.
    fn requantized(
        &mut self,
        node: &Node,
        requant: &Requant,
        dtype: DType,
    ) -> Result<(), GraphError> {
        let producers = self.old.producers();
        let producer = |v: ValueId| {
            let id = producers[v.0 as usize].expect("chosen sums");
            self.old.node(id)
        };
        let sums = producer(node.inputs[0]);
        match &sums.op {
            Op::QSumPool(pool, zero_point) => {
                self.sum_pool((sums, pool, *zero_point), node, requant, dtype)
            }
            Op::QAccumulate { mult, zero_point } => {
                let residual = Some((sums.inputs[1], &mult[..], *zero_point));
                let conv = producer(sums.inputs[0]);
                self.conv(conv, residual, None, node, requant, dtype)
            }
            Op::MaxPool(pool) => {
                let conv = producer(sums.inputs[0]);
                self.conv(conv, None, Some(pool.whole_window()), node, requant, dtype)
            }
            _ => self.conv(sums, None, None, node, requant, dtype),
        }
    }

    fn conv(
        &mut self,
        conv: &Node,
        residual: Option<(ValueId, &[i32], i32)>,
        pool: Option<Window>,
        node: &Node,
        requant: &Requant,
        dtype: DType,
    ) -> Result<(), GraphError> {
        let Op::QConv(attrs, zero_point) = &conv.op else {
            unreachable!("a chosen qconv")
        };
        let weight = self
            .old
            .constant(conv.inputs[1])
            .expect("a constant weight");
        let sums = channel_sums(weight);
        let (x, in_layout) = self.packed(conv.inputs[0], self.regs.block_in)?;
        let out_layout = self.layout(node.output, self.regs.block_out);
        let block = self.regs.block_out;
        let mut packed = PackedConv {
            in_shape: four(&self.old.value(conv.inputs[0]).ty)?,
            out_shape: four(&self.old.value(node.output).ty)?,
            window: attrs.window.clone(),
            pad: self.pad(conv.inputs[0], attrs.window.pads, *zero_point),
            groups: attrs.groups,
            in_layout,
            out_layout: out_layout.clone(),
            requant: fold_zero_point(requant, &sums, *zero_point, block, &node.name)?,
            residual: None,
            pool,
        };
        if self.regs.weight == DType::S1 {
            let lanes = odd_lane(&attrs.window, packed.in_shape[1], self.regs.block_in);
            let lane = lanes * self.old.value(conv.inputs[0]).ty.dtype.settled(0);
            let all = vec![lane; sums.len()];
            packed.requant = fold_zero_point(&packed.requant, &all, 1, block, &node.name)?;
        }
        let w = self.new.add_constant(
            &format!("{}.packed", self.old.value(conv.inputs[1]).name),
            pack_weight(weight, &packed, self.regs.weight),
        );
        let mut inputs = vec![x, w];
        if let Some((addend, mult, zero_point)) = residual {
            let sums = each(mult, sums.len());
            packed.requant =
                fold_zero_point(&packed.requant, &sums, zero_point, block, &node.name)?;
            let (addend, layout) = self.packed(addend, block)?;
            let diagonal = diagonal_weight(&sums, self.regs.weight, block);
            let name = format!("{}.residual", self.old.value(node.output).name);
            inputs.extend([addend, self.new.add_constant(&name, diagonal)]);
            packed.residual = Some(layout);
        }
        let op = Op::VtaConv(packed);
        self.accelerated(&conv.name, op, dtype, &inputs, node.output, out_layout)
    }

    /// The packed operator that `of` makes of two activations.
    fn pair(
        &mut self,
        node: &Node,
        dtype: DType,
        of: impl FnOnce(PackedPair) -> Op,
    ) -> Result<(), GraphError> {
        let (a, layout_a) = self.packed(node.inputs[0], self.regs.block_out)?;
        let (b, layout_b) = self.packed(node.inputs[1], self.regs.block_out)?;
        let out_layout = self.layout(node.output, self.regs.block_out);
        let shape = |v: ValueId| four(&self.old.value(v).ty);
        let op = of(PackedPair {
            in_shapes: [shape(node.inputs[0])?, shape(node.inputs[1])?],
            in_layouts: [layout_a, layout_b],
            out_layout: out_layout.clone(),
        });
        self.accelerated(&node.name, op, dtype, &[a, b], node.output, out_layout)
    }

    fn piecewise(&mut self, node: &Node, map: &Piecewise, dtype: DType) -> Result<(), GraphError> {
        let (x, in_layout) = self.packed(node.inputs[0], self.regs.block_out)?;
        let out_layout = self.layout(node.output, self.regs.block_out);
        let op = Op::VtaPiecewise {
            shape: four(&self.old.value(node.output).ty)?,
            in_layout,
            out_layout: out_layout.clone(),
            map: map.clone(),
        };
        self.accelerated(&node.name, op, dtype, &[x], node.output, out_layout)
    }

    fn concat(&mut self, node: &Node) -> Result<(), GraphError> {
        let lanes = self.regs.block_out;
        let parts = node.inputs.iter().map(|&v| self.packed(v, lanes));
        let parts = parts
            .map(|part| Ok(part?.0))
            .collect::<Result<Vec<_>, GraphError>>()?;
        let dtype = self.old.value(node.output).ty.dtype;
        let layout = self.layout(node.output, lanes);
        self.accelerated(
            &node.name,
            Op::VtaConcat,
            dtype,
            &parts,
            node.output,
            layout,
        )
    }

    fn sum_pool(
        &mut self,
        (sums, pool, zero_point): (&Node, &PoolAttrs, i32),
        node: &Node,
        requant: &Requant,
        dtype: DType,
    ) -> Result<(), GraphError> {
        let (x, packed) = self.pool(sums.inputs[0], node.output, pool, zero_point)?;
        let requant = sum_pool_requant(
            requant,
            &packed.window,
            packed.out_shape[1],
            zero_point,
            self.regs.block_out,
            &node.name,
        )?;
        let layout = packed.out_layout.clone();
        let op = Op::VtaSumPool(packed, requant);
        self.accelerated(&sums.name, op, dtype, &[x], node.output, layout)
    }

    fn max_pool(&mut self, node: &Node, pool: &PoolAttrs) -> Result<(), GraphError> {
        let x = node.inputs[0];
        let dtype = self.old.value(node.output).ty.dtype;
        let least = max_pool_fill(self.old, x, &self.ranges, self.regs.padding).unwrap_or(0);
        let (x, packed) = self.pool(x, node.output, pool, least)?;
        let layout = packed.out_layout.clone();
        let op = Op::VtaMaxPool(packed);
        self.accelerated(&node.name, op, dtype, &[x], node.output, layout)
    }

    /// Some of the rows and columns: what lies around them is a border that no window reaches.
    fn slice(
        &mut self,
        node: &Node,
        start: &[usize],
        end: &[usize],
        step: &[usize],
    ) -> Result<(), GraphError> {
        let (input, mut pool) = (node.inputs[0], PoolAttrs::unit());
        pool.window.stride = [step[2], step[3]];
        let (x, mut packed) = self.pool(input, node.output, &pool, 0)?;
        let [n, c, h, w] = packed.in_shape;
        packed.in_shape = [n, c, end[2] - start[2], end[3] - start[3]];
        let cut = [start[2], start[3], h - end[2], w - end[3]];
        for (border, cut) in packed.in_layout.border.iter_mut().zip(cut) {
            *border += cut;
        }
        let dtype = self.old.value(node.output).ty.dtype;
        let same = copy_requant(dtype, c, self.regs.block_out);
        let layout = packed.out_layout.clone();
        let op = Op::VtaSumPool(packed, same);
        self.accelerated(&node.name, op, dtype, &[x], node.output, layout)
    }

    fn spread(&mut self, node: &Node, block: [usize; 2]) -> Result<(), GraphError> {
        let x = node.inputs[0];
        let (packed, in_layout) = self.packed(x, self.regs.block_out)?;
        let out_layout = self.layout(node.output, self.regs.block_out);
        let op = Op::VtaSpread(PackedSpread {
            in_shape: four(&self.old.value(x).ty)?,
            out_shape: four(&self.old.value(node.output).ty)?,
            block,
            in_layout,
            out_layout: out_layout.clone(),
        });
        let dtype = self.old.value(node.output).ty.dtype;
        self.accelerated(&node.name, op, dtype, &[packed], node.output, out_layout)
    }

    /// The packed input, and the packed window over it, which wants `pad` around it.
    fn pool(
        &mut self,
        input: ValueId,
        output: ValueId,
        pool: &PoolAttrs,
        pad: i32,
    ) -> Result<(ValueId, PackedPool), GraphError> {
        let (x, in_layout) = self.packed(input, self.regs.block_out)?;
        let packed = PackedPool {
            in_shape: four(&self.old.value(input).ty)?,
            out_shape: four(&self.old.value(output).ty)?,
            window: pool.whole_window(),
            pad: self.pad(input, pool.whole_window().pads, pad),
            in_layout,
            out_layout: self.layout(output, self.regs.block_out),
        };
        Ok((x, packed))
    }

    fn accelerated(
        &mut self,
        name: &str,
        op: Op,
        dtype: DType,
        inputs: &[ValueId],
        output: ValueId,
        layout: BlockedLayout,
    ) -> Result<(), GraphError> {
        let value = format!("{}.packed", self.old.value(output).name);
        let id = self.new.add_node(name, op, inputs, &value)?;
        debug_assert_eq!(self.new.value(id).ty.dtype, dtype);
        self.packed.insert((output, layout.lanes), (id, layout));
        Ok(())
    }
}

fn four(ty: &TensorType) -> Result<[usize; 4], GraphError> {
    ty.shape[..]
        .try_into()
        .map_err(|_| GraphError::Invalid(format!("{ty} has no NCHW shape")))
}

/// The sum of each output channel's weights, of which axis 0 is the channel.
///
/// # Panics
/// If the weights are no integers.
pub fn channel_sums(weight: &Tensor) -> Vec<i64> {
    let sums = signed_sums(weight, weight.shape()[0]).expect("integer weights");
    sums.into_iter()
        .map(|(below, above)| below + above)
        .collect()
}

/// The elements of a weight, which fit 8 bits whatever its type.
fn narrow(weight: &Tensor) -> Cow<'_, [i8]> {
    if let Data::I8(values) = weight.data() {
        return values.into();
    }
    let values = weight.to_ints().expect("integer weights").into_iter();
    values
        .map(|w| w.try_into().expect("a narrow weight"))
        .collect()
}

/// Of signs, which have no 0, those of lanes without a channel cancel out in pairs. Of how many weights of an
/// output channel there is no other: one at each position of the window, +1, if such lanes are odd in number.
pub fn odd_lane(window: &Window, channels: usize, block_in: usize) -> i64 {
    let unread = channels.next_multiple_of(block_in) - channels;
    (unread % 2 * window.kernel.iter().product::<usize>()) as i64
}

/// `[O, I/groups, KH, KW]` to the weight of `conv`, of `dtype`: zero where a block reaches past the channels,
/// and between channels of different groups; signs past the channels are those of [`odd_lane`].
fn pack_weight(weight: &Tensor, conv: &PackedConv, dtype: DType) -> Tensor {
    let [o, i, kh, kw] = weight.shape()[..] else {
        unreachable!("weights have rank 4")
    };
    let values = narrow(weight);
    let (bo, bi) = (conv.out_layout.lanes, conv.in_layout.lanes);
    let [group_in, group_out] = conv.group_blocks();
    let shape = vec![o.div_ceil(bo), group_in, kh, kw, bo, bi];
    let mut out = vec![0i8; shape.iter().product()];
    if dtype == DType::S1 {
        let sign = |lane: usize| if (bi - lane) % 2 == 1 { 1 } else { -1 };
        (out.iter_mut().enumerate()).for_each(|(at, w)| *w = sign(at % bi));
    }
    for oc in 0..o {
        let first_channel = oc / (o / conv.groups) * i;
        let first_block = oc / bo / group_out * group_in;
        for ic in 0..i {
            let channel = first_channel + ic - first_block * bi;
            let block = ((oc / bo) * group_in + channel / bi) * kh * kw;
            let lane = (block * bo + oc % bo) * bi + channel % bi;
            let taps = &values[(oc * i + ic) * kh * kw..][..kh * kw];
            for (w, &tap) in out[lane..].iter_mut().step_by(bo * bi).zip(taps) {
                *w = tap;
            }
        }
    }
    debug_assert!(
        out.iter().all(|&w| dtype.holds(w.into())),
        "weights of {dtype}"
    );
    Tensor::new(TensorType::new(dtype, shape), Data::I8(out))
}

/// One factor a channel of the given one or as many.
pub fn each(mult: &[i32], channels: usize) -> Vec<i64> {
    (0..channels).map(|c| mult[c % mult.len()].into()).collect()
}

/// How many weights of `dtype` it takes to sum to the largest of `factors`.
pub fn passes(factors: &[i64], dtype: DType) -> usize {
    let (_, most) = dtype.range().expect("an integer type");
    let largest = factors.iter().copied().max().unwrap_or(0);
    (largest as u64).div_ceil(most.max(1) as u64).max(1) as usize
}

/// Weights `[C/block, P, block, block]` whose sum over `P` has the factors on its diagonal.
fn diagonal_weight(factors: &[i64], dtype: DType, block: usize) -> Tensor {
    let (_, most) = dtype.range().expect("an integer type");
    let (blocks, passes) = (factors.len().div_ceil(block), passes(factors, dtype));
    let mut out = vec![0; blocks * passes * block * block];
    for (c, &factor) in factors.iter().enumerate() {
        let mut left = factor;
        for pass in 0..passes {
            let weight = left.min(most);
            left -= weight;
            out[(((c / block) * passes + pass) * block + c % block) * block + c % block] = weight;
        }
    }
    Tensor::from_ints(dtype, vec![blocks, passes, block, block], &out)
}

/// The requantization over whole blocks of channels, with `-zero_point * sum(w)` in its addend.
///
/// # Errors
/// An addend beyond 64 bits.
pub fn fold_zero_point(
    requant: &Requant,
    sums: &[i64],
    zero_point: i32,
    block: usize,
    node: &str,
) -> Result<Requant, GraphError> {
    let pick = |v: &[i64], c: usize| if v.len() == 1 { v[0] } else { v[c] };
    let mults: Vec<i64> = requant.mult.iter().map(|&m| m.into()).collect();
    let mut mult = Vec::new();
    let mut add = Vec::new();
    for (c, sum) in sums.iter().enumerate() {
        let m = pick(&mults, c);
        let term = i128::from(m) * i128::from(*sum) * i128::from(zero_point);
        let d = i64::try_from(i128::from(pick(&requant.add, c)) - term).map_err(|_| {
            GraphError::Node {
                node: node.to_string(),
                op: "requantize".to_string(),
                why: format!("channel {c}: its zero point's share leaves 64 bits"),
            }
        })?;
        mult.push(m as i32);
        add.push(d);
    }
    let whole = sums.len().div_ceil(block) * block;
    mult.resize(whole, 0);
    add.resize(whole, 0);
    Ok(Requant {
        mult,
        add,
        ..requant.clone()
    })
}

/// What follows sums that are the values themselves.
pub fn copy_requant(dtype: DType, channels: usize, block: usize) -> Requant {
    let lanes = channels.div_ceil(block) * block;
    Requant {
        mult: vec![1; lanes],
        add: vec![0; lanes],
        ..Requant::identity(dtype)
    }
}

/// What follows the sums of a `qsum_pool` over `window` as stored: [`fold_zero_point`] with a
/// weight of 1 at every position.
///
/// # Errors
/// An addend beyond 64 bits.
pub fn sum_pool_requant(
    requant: &Requant,
    window: &Window,
    channels: usize,
    zero_point: i32,
    block: usize,
    node: &str,
) -> Result<Requant, GraphError> {
    let positions = window.kernel.iter().product::<usize>() as i64;
    fold_zero_point(requant, &vec![positions; channels], zero_point, block, node)
}
