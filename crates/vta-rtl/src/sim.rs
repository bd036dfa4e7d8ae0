//! Runs of a model: registers, memory, scratchpads.

use std::ffi::{CStr, CString};
use std::num::NonZeroU64;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use vta_isa::{Design, FaultCode, Feature, INSN_BYTES, MemType, Module, Register, UOP_BYTES};
use vta_sim::{Dram, MemoryModel};

use crate::library::{Memory, Model, Status};
use crate::{RtlError, RtlModel};

/// The bits of [`Register::Control`].
const LAUNCH: u32 = 1;
const CLEAR_TOKENS: u32 = 1 << 2;
/// The registers of [`RtlOptions::pointers`].
const POINTERS: [Register; 5] = [
    Register::UopBase,
    Register::InpBase,
    Register::WgtBase,
    Register::AccBase,
    Register::OutBase,
];

/// How to run a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtlOptions {
    /// The memory behind the bus.
    pub memory: MemoryModel,
    /// Seed of a memory that keeps to AXI4 and to nothing else: at random it takes no address, leaves gaps
    /// in data and answers late. Cycles then say little; results are the same.
    pub unruly: Option<NonZeroU64>,
    /// Cycles after which the run is given up.
    pub max_cycles: u64,
    /// Cycles without movement after which the hardware itself gives up; 0 for never.
    pub watchdog: u32,
    /// What the addresses of micro-ops, inputs, weights, accumulators and outputs are joined with by OR:
    /// multiples of 4096.
    pub pointers: [u64; 5],
    /// Go on with the scratchpads and tokens of the last run instead of clearing them. After a run that
    /// failed nothing is kept.
    pub keep_state: bool,
}

impl Default for RtlOptions {
    /// The default memory, 2^34 cycles, watchdog and pointers as after reset, from a clear state.
    fn default() -> RtlOptions {
        RtlOptions {
            memory: MemoryModel::default(),
            unruly: None,
            max_cycles: 1 << 34,
            watchdog: 1 << 20,
            pointers: [0; 5],
            keep_state: false,
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RtlReport {
    /// Cycles from the launch to the last retirement, both included, as the event counter shows them.
    pub cycles: u64,
    /// GEMM and ALU slots, as the user counter shows them.
    pub slots: u32,
    /// By [`Module`], the cycle in which each of its instructions retired, in their order.
    pub retired: [Vec<u64>; 3],
}

/// The hardware of one design, with its state between runs.
#[derive(Debug)]
pub struct RtlSim {
    model: Arc<RtlModel>,
    handle: *mut Model,
    /// Whether the state is the one after reset.
    clear: bool,
    /// Whether the last run ended as it should.
    sound: bool,
    /// Whether it ended at all, so that the hardware takes a launch.
    ended: bool,
}

// SAFETY: a handle owns all that it points to and may be used by one thread after another.
unsafe impl Send for RtlSim {}

impl Drop for RtlSim {
    fn drop(&mut self) {
        // SAFETY: the handle came from `open` of this library, and nobody uses it any more.
        unsafe { (self.model.library.close)(self.handle) }
    }
}

impl RtlSim {
    /// The hardware after reset.
    pub fn new(model: Arc<RtlModel>) -> RtlSim {
        RtlSim::open(model, ptr::null())
    }

    /// The hardware after reset; all that happens in it until it is dropped is written to a file in FST
    /// format. The model must have been built with waveforms.
    pub fn with_wave(model: Arc<RtlModel>, wave: &Path) -> Result<RtlSim, RtlError> {
        if !model.has_waves() {
            return Err(RtlError::NoWaves);
        }
        // The library says nothing about a file that it cannot write.
        std::fs::File::create(wave).map_err(RtlError::io(wave))?;
        let name = CString::new(wave.as_os_str().as_encoded_bytes())
            .map_err(|error| RtlError::io(wave)(error.into()))?;
        Ok(RtlSim::open(model, name.as_ptr()))
    }

    fn open(model: Arc<RtlModel>, wave: *const std::ffi::c_char) -> RtlSim {
        // SAFETY: `wave` is null or a string that ends with a zero.
        let handle = unsafe { (model.library.open)(wave) };
        RtlSim {
            model,
            handle,
            clear: true,
            sound: true,
            ended: true,
        }
    }

    /// The hardware after reset again. It needs none between runs: this is for who wants no traces of them.
    pub fn reset(&mut self) {
        // SAFETY: the handle is open.
        unsafe { (self.model.library.reset)(self.handle) };
        (self.clear, self.sound, self.ended) = (true, true, true);
    }

    /// The design that it is.
    pub fn design(&self) -> &Design {
        self.model.design()
    }

    /// Runs the `count` instructions at physical address `address` of the image.
    ///
    /// After an error the image holds what had been stored until then.
    pub fn run(
        &mut self,
        dram: &mut Dram,
        address: u64,
        count: u64,
        options: &RtlOptions,
    ) -> Result<RtlReport, RtlError> {
        let insns = self.stream(dram, address, count)?;
        if !self.ended {
            self.reset();
        }
        let goes_on = self.clear || options.keep_state && self.sound;
        if !goes_on {
            // SAFETY: the handle is open.
            unsafe { (self.model.library.clear)(self.handle) };
        }
        (self.clear, self.sound, self.ended) = (false, false, false);
        self.write(Register::InsnCount, insns.into())?;
        self.write(Register::InsnBase, address)?;
        self.write(Register::Watchdog, options.watchdog.into())?;
        for (register, pointer) in POINTERS.into_iter().zip(options.pointers) {
            self.write(register, pointer)?;
        }
        let tokens = if options.keep_state { 0 } else { CLEAR_TOKENS };
        match self.launch(LAUNCH | tokens, dram, options) {
            Status::Done => {}
            Status::CycleLimit => {
                return Err(RtlError::CycleLimit {
                    cycles: options.max_cycles,
                });
            }
            Status::Broken => return Err(self.broken()),
        }
        self.ended = true;
        self.check_fault()?;
        let retired = Module::ALL.iter().map(|module| self.retired(*module));
        let report = RtlReport {
            retired: retired.collect::<Vec<_>>().try_into().unwrap_or_default(),
            cycles: self.read(Register::EventCounter)?.into(),
            slots: self.read(Register::UserCounter)?,
        };
        let last = report.retired.iter().flatten().max();
        let cycles = last.map_or(0, |cycle| cycle + 1);
        // The register has 32 bits.
        if report.cycles != cycles & u64::from(u32::MAX) {
            return Err(RtlError::Protocol(format!(
                "the event counter shows {} cycles, the retirements {cycles}",
                report.cycles
            )));
        }
        self.sound = true;
        Ok(RtlReport { cycles, ..report })
    }

    fn check_fault(&mut self) -> Result<(), RtlError> {
        let fault = self.read(Register::Fault)?;
        let module = (fault >> 4 & 3).checked_sub(1);
        match FaultCode::from_code((fault & 0xf) as u8) {
            Some(FaultCode::None) => Ok(()),
            Some(code) => Err(RtlError::Fault {
                code,
                module: module.and_then(|module| Module::from_code(module as u8)),
            }),
            None => Err(RtlError::Protocol(format!(
                "the fault register shows {fault:#x}, which is no fault"
            ))),
        }
    }

    /// The content of a scratchpad, as the elements lie in DRAM; of micro-ops, the bits of their fields.
    /// [`MemType::Acc8`] has none of its own and gives nothing, as does what the design lacks.
    pub fn scratchpad(&self, mem: MemType) -> Vec<u8> {
        let bytes = self.design().depth(mem) as usize * self.design().elem_bytes(mem);
        match mem {
            // Neighbours lie in neighbouring banks, of which there is one for each micro-op of a beat.
            MemType::Uop => {
                let banks = (self.design().bus_bytes() / UOP_BYTES).min(bytes / UOP_BYTES);
                let banks: Vec<&[u8]> = (0..banks)
                    .map(|bank| self.memory(&format!("gen_bank[{bank}].u_mem")))
                    .collect();
                // A micro-op ends within its 32 bits.
                let fields = (self.design().uop_layout().covered as u32).to_le_bytes();
                let content = (0..bytes).map(|at| {
                    let (uop, byte) = (at / UOP_BYTES, at % UOP_BYTES);
                    let (row, bank) = (uop / banks.len(), uop % banks.len());
                    banks[bank].get(row * UOP_BYTES + byte).unwrap_or(&0) & fields[byte]
                });
                content.collect()
            }
            MemType::Wgt => self.memory("u_wgt").to_vec(),
            MemType::Inp => self.memory("u_inp").to_vec(),
            MemType::Acc => self.memory("u_acc").to_vec(),
            // With rescalings the outputs are kept as the accumulators that they are the low bits of.
            MemType::Out if self.design().has(Feature::RequantStore) => {
                self.low_bits(self.memory("u_out"))
            }
            MemType::Out => self.memory("u_out").to_vec(),
            MemType::Acc8 => Vec::new(),
            MemType::Rqt => self.memory("u_rqt").to_vec(),
        }
    }

    /// Accumulators as outputs, packed.
    fn low_bits(&self, accumulators: &[u8]) -> Vec<u8> {
        let bits = self.design().out_bits() as usize;
        let low = accumulators
            .iter()
            .step_by(self.design().acc_bits() as usize / 8);
        let low: Vec<u8> = low.copied().collect();
        let pack = |values: &[u8]| {
            let values = values.iter().enumerate();
            let mask = u8::MAX >> (8 - bits);
            values.fold(0, |byte, (at, value)| byte | (value & mask) << (at * bits))
        };
        low.chunks(8 / bits).map(pack).collect()
    }

    /// The memory of the instance whose path ends in `path`; elements are whole bytes, as in DRAM.
    fn memory(&self, path: &str) -> &[u8] {
        let (Ok(path), mut bytes) = (CString::new(path), 0) else {
            return &[];
        };
        // SAFETY: the handle is open, and the memory is part of what it owns.
        unsafe {
            let data = (self.model.library.memory)(self.handle, path.as_ptr(), &mut bytes);
            if data.is_null() {
                return &[];
            }
            std::slice::from_raw_parts(data.cast(), bytes as usize)
        }
    }

    /// The instructions as the register counts them, if they lie in the image.
    fn stream(&self, dram: &Dram, address: u64, count: u64) -> Result<u32, RtlError> {
        let error = |problem| RtlError::Stream {
            address,
            count,
            problem,
        };
        let bytes = count.checked_mul(INSN_BYTES as u64);
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let inside = bytes.is_some_and(|bytes| dram.get(address, bytes).is_some());
        if !inside {
            return Err(error("they do not lie in the image"));
        }
        if address % INSN_BYTES as u64 != 0 {
            return Err(error("the address is not a multiple of 16"));
        }
        if self.design().addr_bits() == 32 && dram.end() > 1 << 32 {
            return Err(error("the image ends past the design's addresses"));
        }
        u32::try_from(count).map_err(|_| error("they are more than the hardware counts"))
    }

    /// Writes a register, a pointer in halves.
    fn write(&mut self, register: Register, value: u64) -> Result<(), RtlError> {
        let offset = register.offset(self.design());
        let halves = if register.is_pointer() {
            self.design().addr_bits() / 32
        } else {
            1
        };
        for half in 0..halves {
            let (offset, value) = (offset + 4 * half, (value >> (32 * half)) as u32);
            // SAFETY: the handle is open.
            if !unsafe { (self.model.library.write)(self.handle, offset, value) } {
                return Err(self.broken());
            }
        }
        Ok(())
    }

    fn read(&mut self, register: Register) -> Result<u32, RtlError> {
        let (offset, mut value) = (register.offset(self.design()), 0);
        // SAFETY: the handle is open.
        if !unsafe { (self.model.library.read)(self.handle, offset, &mut value) } {
            return Err(self.broken());
        }
        Ok(value)
    }

    fn launch(&mut self, control: u32, dram: &mut Dram, options: &RtlOptions) -> Status {
        let offset = Register::Control.offset(self.design());
        let memory = Memory::new(dram, &options.memory, options.unruly);
        let launch = self.model.library.launch;
        // SAFETY: the handle is open, and the image outlives the call, after which nobody holds it.
        match unsafe { launch(self.handle, offset, control, &memory, options.max_cycles) } {
            0 => Status::Done,
            1 => Status::CycleLimit,
            _ => Status::Broken,
        }
    }

    fn retired(&self, module: Module) -> Vec<u64> {
        let mut count = 0;
        // SAFETY: the handle is open, and the cycles are copied before the next run.
        unsafe {
            let cycles = (self.model.library.retired)(self.handle, module as u32, &mut count);
            match count {
                0 => Vec::new(),
                _ => std::slice::from_raw_parts(cycles, count as usize).to_vec(),
            }
        }
    }

    /// Which rule was broken.
    fn broken(&self) -> RtlError {
        // SAFETY: the handle is open, and the text is copied.
        let text = unsafe { CStr::from_ptr((self.model.library.error)(self.handle)) };
        RtlError::Protocol(text.to_string_lossy().into_owned())
    }
}
