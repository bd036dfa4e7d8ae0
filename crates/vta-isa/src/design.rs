//! A validated design: the geometry and the field layouts that follow from its parameters.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::{Digested, KEYS, buffer_key};
use crate::field::LogDepths;
use crate::fields::{ALU, FINISH, GEMM, HEADER, MEM, OPCODE_BITS, UOP};
use crate::layout::{Layout, Place};
use crate::{AluOp, ChannelRequant, ConfigError, Feature, HwConfig, MemType, Opcode, UOP_BYTES};

/// Bytes of a DRAM page, and the largest element of any memory.
pub const PAGE_BYTES: usize = 4096;

/// A design that has been checked. Cloning shares it.
///
/// Depths and addresses count *elements*: one micro-op, `batch x block_in` inputs,
/// `block_out x block_in` weights (a row is an output channel), `batch x block_out` accumulators
/// or outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    config: HwConfig,
    /// By [`MemType`]: log2 of an element's bytes, and of the elements in the scratchpad.
    log_elem_bytes: LogDepths,
    log_depth: LogDepths,
    features: Vec<Feature>,
    header: Layout,
    bodies: [Layout; 5],
    uop: Layout,
    digest: [u8; 32],
}

impl Default for Design {
    /// The preset `default`.
    fn default() -> Design {
        match Design::new(HwConfig::default()) {
            Ok(design) => design,
            Err(error) => unreachable!("the default design is valid: {error}"),
        }
    }
}

impl Design {
    pub(crate) fn new(config: HwConfig) -> Result<Design, ConfigError> {
        let config = config.checked()?;
        let features = |feature: &&Feature| config.features.iter().any(|f| f == feature.name());
        let features: Vec<Feature> = Feature::ALL.iter().filter(features).copied().collect();
        for feature in &features {
            feature.check(&config)?;
        }
        let (batch, inp, out) = (config.log_batch, config.log_block_in, config.log_block_out);
        // In the order of `MemType`: log2 of the values in an element and of a value's bits.
        let elements = [
            (0, (8 * UOP_BYTES).ilog2()),
            (inp + out, config.log_wgt_width),
            (batch + inp, config.log_inp_width),
            (batch + out, config.log_acc_width),
            (batch + out, config.log_inp_width),
            (batch + out, 3),
            (0, (8 * ChannelRequant::BYTES).ilog2()),
        ];
        let mut log_elem_bytes = LogDepths::default();
        for (&mem, (lanes, width)) in MemType::ALL.iter().zip(elements) {
            let (log_bits, keys) = (lanes + width, element_keys(mem));
            if log_bits < 3 {
                let bits = 1 << log_bits;
                return Err(ConfigError::PartOfByte { mem, bits, keys });
            }
            let log_bytes = log_bits - 3;
            if log_bytes > PAGE_BYTES.ilog2() {
                return Err(ConfigError::ElementTooLarge {
                    mem,
                    log_bytes,
                    keys,
                });
            }
            log_elem_bytes[mem as usize] = log_bytes;
        }

        // The scratchpad that holds each memory: outputs and 8-bit values are views of the register
        // file, one element of it each.
        let buffers = [
            (MemType::Uop, config.log_uop_buff_size),
            (MemType::Wgt, config.log_wgt_buff_size),
            (MemType::Inp, config.log_inp_buff_size),
            (MemType::Acc, config.log_acc_buff_size),
            (MemType::Acc, config.log_acc_buff_size),
            (MemType::Acc, config.log_acc_buff_size),
            (MemType::Rqt, config.log_rqt_buff_size),
        ];
        let mut log_depth = LogDepths::default();
        for (depth, (mem, size)) in log_depth.iter_mut().zip(buffers) {
            let element = log_elem_bytes[mem as usize];
            *depth = size
                .checked_sub(element)
                .ok_or_else(|| ConfigError::Value {
                    key: buffer_key(mem),
                    given: size.to_string(),
                    expected: format!("at least {element}, for one {mem} element"),
                })?;
        }

        if features.contains(&Feature::RequantStore) && log_depth[MemType::Rqt as usize] < out {
            let least = ChannelRequant::BYTES.ilog2() + out;
            return Err(ConfigError::Value {
                key: buffer_key(MemType::Rqt),
                given: config.log_rqt_buff_size.to_string(),
                expected: format!("at least {least}, for a rescaling of each channel of a block"),
            });
        }

        let layout = |format| Layout::new(format, &log_depth, &[]);
        // What only a STORE has takes the room of its padding.
        let in_load = |feature: &&Feature| **feature != Feature::RequantStore;
        let in_load: Vec<Feature> = features.iter().filter(in_load).copied().collect();
        let bodies = [
            Layout::new(&MEM, &log_depth, &in_load)?,
            Layout::new(&MEM, &log_depth, &features)?,
            Layout::new(&GEMM, &log_depth, &features)?,
            layout(&FINISH)?,
            layout(&ALU)?,
        ];
        let uop = layout(&UOP)?;
        let header = layout(&HEADER)?;
        check_addressable(&bodies[0], &log_depth, &features)?;
        let digest = digest(&config);
        Ok(Design(Arc::new(Inner {
            config,
            log_elem_bytes,
            log_depth,
            features,
            header,
            bodies,
            uop,
            digest,
        })))
    }

    /// The parameters.
    pub fn config(&self) -> &HwConfig {
        &self.0.config
    }

    /// Rows of a tensor register.
    pub fn batch(&self) -> usize {
        1 << self.0.config.log_batch
    }

    /// Input channels of a weight tile.
    pub fn block_in(&self) -> usize {
        1 << self.0.config.log_block_in
    }

    /// Output channels of a weight tile.
    pub fn block_out(&self) -> usize {
        1 << self.0.config.log_block_out
    }

    /// Bits of an input value.
    pub fn inp_bits(&self) -> u32 {
        1 << self.0.config.log_inp_width
    }

    /// Bits of a weight.
    pub fn wgt_bits(&self) -> u32 {
        1 << self.0.config.log_wgt_width
    }

    /// Bits of an accumulator.
    pub fn acc_bits(&self) -> u32 {
        1 << self.0.config.log_acc_width
    }

    /// Bits of an output value: those of an input value.
    pub fn out_bits(&self) -> u32 {
        self.inp_bits()
    }

    /// Bits of one value in DRAM; of a micro-op, all 32.
    pub fn value_bits(&self, mem: MemType) -> u32 {
        match mem {
            MemType::Uop => 8 * UOP_BYTES as u32,
            MemType::Wgt => self.wgt_bits(),
            MemType::Inp => self.inp_bits(),
            MemType::Acc => self.acc_bits(),
            MemType::Out => self.out_bits(),
            MemType::Acc8 => 8,
            MemType::Rqt => 8 * ChannelRequant::BYTES as u32,
        }
    }

    /// Values in an element; of micro-ops and rescalings, one.
    pub fn lanes(&self, mem: MemType) -> usize {
        match mem {
            MemType::Uop | MemType::Rqt => 1,
            MemType::Wgt => self.block_out() * self.block_in(),
            MemType::Inp => self.batch() * self.block_in(),
            MemType::Acc | MemType::Out | MemType::Acc8 => self.batch() * self.block_out(),
        }
    }

    /// Bytes of an element in DRAM: at least 1, at most [`PAGE_BYTES`].
    pub fn elem_bytes(&self, mem: MemType) -> usize {
        1 << self.0.log_elem_bytes[mem as usize]
    }

    /// Bits of an element in DRAM.
    pub fn elem_bits(&self, mem: MemType) -> usize {
        8 * self.elem_bytes(mem)
    }

    /// Elements in the scratchpad. [`MemType::Out`] and [`MemType::Acc8`] are views of the register
    /// file and as deep as it is.
    pub fn depth(&self, mem: MemType) -> u32 {
        1 << self.log_depth(mem)
    }

    /// log2 of [`Design::depth`].
    pub fn log_depth(&self, mem: MemType) -> u32 {
        self.0.log_depth[mem as usize]
    }

    /// Elements in one page of DRAM.
    pub fn elems_per_page(&self, mem: MemType) -> usize {
        PAGE_BYTES / self.elem_bytes(mem)
    }

    /// Whether LOAD takes [`MemType::Acc8`]: accumulators have 32 bits and inputs 8.
    pub fn has_acc8(&self) -> bool {
        self.acc_bits() == 32 && self.inp_bits() == 8
    }

    /// Whether the design has the feature.
    pub fn has(&self, feature: Feature) -> bool {
        self.0.features.contains(&feature)
    }

    /// Whether LOAD or STORE can name the memory.
    pub fn has_memory(&self, mem: MemType) -> bool {
        match mem {
            MemType::Acc8 => self.has_acc8(),
            MemType::Rqt => self.has(Feature::RequantStore),
            _ => true,
        }
    }

    /// The memories that LOAD or STORE can name.
    pub fn memories(&self) -> impl Iterator<Item = MemType> + '_ {
        let all = MemType::ALL.iter().copied();
        all.filter(|&mem| self.has_memory(mem))
    }

    /// Blocks of rescalings in the table: what a STORE's `entry` is below.
    pub fn requant_entries(&self) -> u32 {
        self.depth(MemType::Rqt) >> self.0.config.log_block_out
    }

    /// Whether the ALU has the operation.
    pub fn has_alu(&self, op: AluOp) -> bool {
        self.0.config.alu_ops.iter().any(|name| name == op.name())
    }

    /// Bytes of a beat of the memory bus.
    pub fn bus_bytes(&self) -> usize {
        1 << (self.0.config.log_bus_width - 3)
    }

    /// Bytes of the aligned block that no burst leaves: at most [`PAGE_BYTES`].
    pub fn burst_bytes(&self) -> usize {
        PAGE_BYTES.min(self.bus_bytes() << self.0.config.log_burst)
    }

    /// Bits of a DRAM address.
    pub fn addr_bits(&self) -> u32 {
        1 << self.0.config.log_addr_width
    }

    /// SHA-256 of the parameters that streams and results depend on: widths, batch, blocks,
    /// buffer sizes, operations and features, not the target, the clock, the bus, the queues, the
    /// pipeline or the part.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// The largest trip count of a hardware loop.
    pub fn max_iter(&self) -> u32 {
        self.max(Opcode::Gemm, "iter_out")
    }

    /// The largest factor on a GEMM's or ALU's destination.
    pub fn max_factor_dst(&self) -> u32 {
        self.max(Opcode::Gemm, "dst_factor_out")
    }

    /// The largest factor on a GEMM's source.
    pub fn max_factor_src(&self) -> u32 {
        self.max(Opcode::Gemm, "src_factor_out")
    }

    /// The largest factor on an ALU's source.
    pub fn max_factor_alu_src(&self) -> u32 {
        self.max(Opcode::Alu, "src_factor_out")
    }

    /// The largest factor on a GEMM's weight.
    pub fn max_factor_wgt(&self) -> u32 {
        self.max(Opcode::Gemm, "wgt_factor_out")
    }

    /// The largest row count of a LOAD or STORE.
    pub fn max_y_size(&self) -> u32 {
        self.max(Opcode::Load, "y_size")
    }

    /// The largest row length of a LOAD or STORE, elements.
    pub fn max_x_size(&self) -> u32 {
        self.max(Opcode::Load, "x_size")
    }

    /// The largest row stride of a LOAD or STORE, elements.
    pub fn max_x_stride(&self) -> u32 {
        self.max(Opcode::Load, "x_stride")
    }

    /// The largest scratchpad element that a LOAD or STORE can begin at.
    pub fn max_sram_base(&self) -> u32 {
        self.max(Opcode::Load, "sram_base")
    }

    /// The largest padding of a LOAD on each of its four sides, elements.
    pub fn max_pad(&self) -> u32 {
        self.max(Opcode::Load, "y_pad_0")
    }

    /// The smallest and the largest immediate of ALU.
    pub fn imm_range(&self) -> (i32, i32) {
        let (min, max) = self.place(Opcode::Alu, "imm").range();
        // The field's type is `i32`, which bounds both.
        (min as i32, max as i32)
    }

    fn max(&self, opcode: Opcode, field: &str) -> u32 {
        // No field is wider than its `u32`.
        self.place(opcode, field).range().1 as u32
    }

    fn place(&self, opcode: Opcode, field: &str) -> &Place {
        match self.layout(opcode).place(field) {
            Some(place) => place,
            None => unreachable!("{opcode} has no field {field}"),
        }
    }

    /// Where the token flags lie.
    pub fn header(&self) -> &Layout {
        &self.0.header
    }

    /// Where the fields of an instruction's body lie.
    pub fn layout(&self, opcode: Opcode) -> &Layout {
        &self.0.bodies[opcode as usize]
    }

    /// Where the fields of a micro-op lie.
    pub fn uop_layout(&self) -> &Layout {
        &self.0.uop
    }

    /// The bits of an instruction that no field covers.
    pub fn free_bits(&self, opcode: Opcode) -> u128 {
        let opcode_bits = (1 << OPCODE_BITS) - 1;
        !(opcode_bits | self.header().covered | self.layout(opcode).covered)
    }
}

/// The keys that the size of an element follows from.
fn element_keys(mem: MemType) -> &'static str {
    match mem {
        MemType::Uop => "nothing: a micro-op has 32 bits",
        MemType::Wgt => "LOG_BLOCK_IN, LOG_BLOCK_OUT or LOG_WGT_WIDTH",
        MemType::Inp => "LOG_BATCH, LOG_BLOCK_IN or LOG_INP_WIDTH",
        MemType::Acc => "LOG_BATCH, LOG_BLOCK_OUT or LOG_ACC_WIDTH",
        MemType::Out => "LOG_BATCH, LOG_BLOCK_OUT or LOG_INP_WIDTH",
        MemType::Acc8 => "LOG_BATCH or LOG_BLOCK_OUT",
        MemType::Rqt => "nothing: a rescaling has 16 bytes",
    }
}

/// A scratchpad must not be deeper than `sram_base` can name.
fn check_addressable(
    mem_layout: &Layout,
    log_depth: &LogDepths,
    features: &[Feature],
) -> Result<(), ConfigError> {
    let Some(place) = mem_layout.place("sram_base") else {
        unreachable!("LOAD has a scratchpad address");
    };
    let table = features.contains(&Feature::RequantStore);
    let table = table.then_some(MemType::Rqt);
    let memories = [MemType::Uop, MemType::Wgt, MemType::Inp, MemType::Acc];
    for mem in memories.into_iter().chain(table) {
        let depth = log_depth[mem as usize];
        if depth > place.width {
            return Err(ConfigError::Unaddressable {
                field: place.field.name,
                has: place.width,
                mem,
                depth,
                key: buffer_key(mem),
            });
        }
    }
    Ok(())
}

fn digest(config: &HwConfig) -> [u8; 32] {
    let (mut config, mut default) = (config.clone(), HwConfig::default());
    let mut hash = Sha256::new();
    for key in KEYS {
        let value = key.value(&mut config);
        let covered = match key.digested {
            Digested::No => false,
            Digested::Yes => true,
            Digested::UnlessDefault => value != key.value(&mut default),
        };
        if covered {
            hash.update(format!("{}={value}\n", key.name));
        }
    }
    hash.finalize().into()
}
