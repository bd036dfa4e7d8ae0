//! The C interface of `hardware/dv/harness.cpp`.

use std::ffi::{c_char, c_void};
use std::num::NonZeroU64;
use std::path::Path;

use vta_sim::{Channel, MemoryModel, stall};

use crate::RtlError;

/// A model behind the interface.
#[repr(C)]
pub(crate) struct Model {
    _private: [u8; 0],
}

/// DRAM and its manners.
#[repr(C)]
pub(crate) struct Memory {
    dram: *mut u8,
    base: u64,
    bytes: u64,
    latency: u64,
    stall: Option<extern "C" fn(u64, u32, u64) -> u32>,
    seed: u64,
    unruly: u64,
}

impl Memory {
    /// The image `dram`, which nothing else touches while the result is in use.
    pub(crate) fn new(
        dram: &mut vta_sim::Dram,
        model: &MemoryModel,
        unruly: Option<NonZeroU64>,
    ) -> Memory {
        Memory {
            dram: dram.bytes.as_mut_ptr(),
            base: dram.base,
            bytes: dram.bytes.len() as u64,
            latency: model.latency.into(),
            stall: model
                .stalls
                .map(|_| stalled as extern "C" fn(u64, u32, u64) -> u32),
            seed: model.stalls.unwrap_or(0),
            unruly: unruly.map_or(0, NonZeroU64::get),
        }
    }
}

extern "C" fn stalled(seed: u64, channel: u32, burst: u64) -> u32 {
    let channel = if channel == 0 {
        Channel::Read
    } else {
        Channel::Write
    };
    stall(seed, channel, burst)
}

/// How a launched run ended.
pub(crate) enum Status {
    Done,
    CycleLimit,
    Broken,
}

macro_rules! library {
    ($( $name:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?; )*) => {
        /// The functions of a loaded library.
        #[derive(Debug)]
        pub(crate) struct Library {
            $( pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?, )*
            // Keeps the functions where they are.
            _library: libloading::Library,
        }

        impl Library {
            fn functions(library: libloading::Library) -> Result<Library, libloading::Error> {
                // SAFETY: the library was built from the harness that these types describe.
                unsafe { Ok(Library { $( $name: *library.get($symbol)?, )* _library: library }) }
            }
        }
    };
}

library! {
    open = b"vta_open\0": fn(*const c_char) -> *mut Model;
    reset = b"vta_reset\0": fn(*mut Model);
    clear = b"vta_clear\0": fn(*mut Model);
    close = b"vta_close\0": fn(*mut Model);
    write = b"vta_write\0": fn(*mut Model, u32, u32) -> bool;
    read = b"vta_read\0": fn(*mut Model, u32, *mut u32) -> bool;
    launch = b"vta_launch\0": fn(*mut Model, u32, u32, *const Memory, u64) -> u32;
    error = b"vta_error\0": fn(*const Model) -> *const c_char;
    retired = b"vta_retired\0": fn(*const Model, u32, *mut u64) -> *const u64;
    memory = b"vta_memory\0": fn(*const Model, *const c_char, *mut u64) -> *const c_void;
}

impl Library {
    pub(crate) fn load(path: &Path) -> Result<Library, RtlError> {
        // SAFETY: what runs when it is loaded are the constructors of Verilator's runtime.
        let library = unsafe { libloading::Library::new(path) };
        library
            .and_then(Library::functions)
            .map_err(|error| RtlError::Load {
                path: path.to_owned(),
                error,
            })
    }
}
