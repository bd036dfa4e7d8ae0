//! What a device is: memory, and something that runs streams in it.

use vta_isa::Design;
use vta_program::AllocError;
use vta_sim::{Counters, CycleReport, Fault, Kind, Leftover, RunOptions};

/// How long a run may take, and what it starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Most instructions.
    pub insns: u64,
    /// Most work, in micro-op executions on a simulator and in clock cycles on hardware.
    pub steps: u64,
    /// Go on with the scratchpads and tokens of the last run, and let tokens be left over for the
    /// next; without it a run starts clear, and a token left over is a fault.
    pub keep_state: bool,
}

impl Default for RunLimits {
    /// From a clear state; 2^32 instructions, 2^34 steps.
    fn default() -> Self {
        RunLimits {
            insns: 1 << 32,
            steps: 1 << 34,
            keep_state: false,
        }
    }
}

impl RunLimits {
    /// The same for a simulator.
    pub(crate) fn options(&self) -> RunOptions {
        RunOptions {
            insn_limit: self.insns,
            step_limit: self.steps,
            keep_state: self.keep_state,
            leftover: if self.keep_state {
                Leftover::Warn
            } else {
                Leftover::Fault
            },
            ..RunOptions::default()
        }
    }
}

/// What a run of one stream did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamRun {
    /// What it did.
    pub counters: Counters,
    /// How long it took, in cycles of the design's clock; `None` on a device that knows no time.
    pub cycles: Option<u64>,
    /// What the modules spent the cycles on; `None` on a device that does not see that.
    pub report: Option<CycleReport>,
}

/// An accelerator and its memory.
///
/// Addresses are physical byte addresses, as instructions name them. Every allocation starts on a
/// page of its own; 0 is never an address.
pub trait Device {
    /// The design that the device is.
    fn design(&self) -> &Design;

    /// Address of `bytes` bytes of memory, all zero.
    fn alloc(&mut self, bytes: u64) -> Result<u64, DeviceError>;

    /// Gives back the allocation that starts at `address`.
    fn free(&mut self, address: u64) -> Result<(), DeviceError>;

    /// Copies `bytes` to device memory; the range must lie inside one allocation.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Fills `bytes` from device memory; the range must lie inside one allocation.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError>;

    /// Runs the `count` instructions at `address` and waits for the end; gives what this run did.
    fn run(
        &mut self,
        address: u64,
        count: u64,
        limits: &RunLimits,
    ) -> Result<StreamRun, DeviceError>;

    /// What all runs did.
    fn counters(&self) -> Counters;
}

/// Whose mistake an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller's: an argument is wrong.
    Caller,
    /// Nobody's: memory or time ran out.
    Limit,
    /// The stream's: it does what no stream may do.
    Fault,
}

/// Why a device refused or stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The allocator refused.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// A range that is not inside one allocation.
    #[error(
        "bytes {address:#x}..+{len:#x} do not lie inside one allocation of device memory; allocate \
         them first"
    )]
    Access {
        /// The first byte.
        address: u64,
        /// Number of bytes.
        len: u64,
    },
    /// The run stopped.
    #[error("{0}")]
    Run(Box<Fault>),
    /// Hardware, or a model of it, does not run or stopped.
    #[error("{message}")]
    Hardware {
        /// Whose mistake it is.
        kind: ErrorKind,
        /// What happened, and the remedy.
        message: String,
    },
}

impl DeviceError {
    /// Whose mistake it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DeviceError::Alloc(AllocError::Exhausted { .. }) => ErrorKind::Limit,
            DeviceError::Hardware { kind, .. } => *kind,
            DeviceError::Alloc(_) | DeviceError::Access { .. } => ErrorKind::Caller,
            DeviceError::Run(fault) => match fault.cause.kind() {
                Kind::Call => ErrorKind::Caller,
                Kind::Limit => ErrorKind::Limit,
                Kind::Stream => ErrorKind::Fault,
            },
        }
    }
}

impl From<Fault> for DeviceError {
    fn from(fault: Fault) -> Self {
        DeviceError::Run(Box::new(fault))
    }
}

/// The part of a [`Device`] that is its [`DeviceMemory`](crate::DeviceMemory), in a field of that name.
macro_rules! forward_memory {
    ($memory:ident) => {
        fn alloc(&mut self, bytes: u64) -> Result<u64, DeviceError> {
            self.$memory.alloc(bytes)
        }

        fn free(&mut self, address: u64) -> Result<(), DeviceError> {
            self.$memory.free(address)
        }

        fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
            self.$memory.write(address, bytes)
        }

        fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
            self.$memory.read(address, bytes)
        }
    };
}
pub(crate) use forward_memory;

/// A borrowed or boxed device is a device.
macro_rules! forward {
    ($($holder:ty),*) => {$(
        impl<D: Device + ?Sized> Device for $holder {
            fn design(&self) -> &Design {
                (**self).design()
            }
            fn alloc(&mut self, bytes: u64) -> Result<u64, DeviceError> {
                (**self).alloc(bytes)
            }
            fn free(&mut self, address: u64) -> Result<(), DeviceError> {
                (**self).free(address)
            }
            fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
                (**self).write(address, bytes)
            }
            fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
                (**self).read(address, bytes)
            }
            fn run(&mut self, address: u64, count: u64, limits: &RunLimits) -> Result<StreamRun, DeviceError> {
                (**self).run(address, count, limits)
            }
            fn counters(&self) -> Counters {
                (**self).counters()
            }
        }
    )*};
}
forward!(&mut D, Box<D>);
