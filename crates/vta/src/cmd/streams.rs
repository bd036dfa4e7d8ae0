//! Raw streams and the memory that they run on, as `sim` and `check` take them.

use std::path::PathBuf;

use clap::Args;
use vta::{Error, Result};
use vta_isa::INSN_BYTES;
use vta_sim::Dram;

use crate::parse::{Tokens, number};

#[derive(Args)]
pub(super) struct Streams {
    /// The DRAM image.
    #[arg(long, value_name = "IMAGE")]
    dram: PathBuf,
    /// Physical address of the image's first byte.
    #[arg(long, value_name = "ADDRESS", default_value = "0x1000", value_parser = number)]
    base: u64,
    /// A raw stream, 16 bytes an instruction.
    #[arg(long, value_name = "STREAM", required_unless_present = "insn_addr")]
    insns: Vec<PathBuf>,
    /// Physical address of a stream that lies inside the image.
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "count",
        conflicts_with = "insns"
    )]
    #[arg(value_parser = number)]
    insn_addr: Vec<u64>,
    /// How many instructions the stream at --insn-addr has.
    #[arg(long, value_name = "N", requires = "insn_addr", value_parser = number)]
    count: Vec<u64>,
    /// Tokens to start with: load to compute, compute to load, compute to store, store to
    /// compute.
    #[arg(long, value_name = "L2C,C2L,C2S,S2C", default_value = "0,0,0,0")]
    tokens: Tokens,
}

/// A stream, and how messages name it.
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) source: Source,
}

pub(super) enum Source {
    /// The stream itself.
    Bytes(Vec<u8>),
    /// Where in the image it lies: a physical address and a count of instructions.
    Image(u64, u64),
}

impl Streams {
    pub(super) fn dram(&self) -> Result<Dram> {
        let bytes = vta::read(&self.dram)?;
        if self.base.checked_add(bytes.len() as u64).is_none() {
            return Err(Error::input(format!(
                "the image of {} bytes does not fit above --base {:#x}",
                bytes.len(),
                self.base
            )));
        }
        Ok(Dram::new(self.base, bytes))
    }

    pub(super) fn tokens(&self) -> [u32; 4] {
        self.tokens.0
    }

    /// The streams, in the order in which they are given.
    pub(super) fn streams(&self) -> Result<Vec<Stream>> {
        let (addresses, counts) = (self.insn_addr.len(), self.count.len());
        if addresses != counts {
            return Err(Error::input(format!(
                "{addresses} times --insn-addr, but {counts} times --count"
            ))
            .help("give each --insn-addr its --count"));
        }
        let mut streams = Vec::new();
        for path in &self.insns {
            streams.push(Stream {
                name: path.display().to_string(),
                source: Source::Bytes(vta::read(path)?),
            });
        }
        for (&address, &count) in self.insn_addr.iter().zip(&self.count) {
            streams.push(Stream {
                name: format!("{address:#x}"),
                source: Source::Image(address, count),
            });
        }
        Ok(streams)
    }
}

impl Stream {
    /// The stream's bytes, taken out of the image if it lies there.
    pub(super) fn bytes<'a>(&'a self, dram: &'a Dram) -> Result<&'a [u8]> {
        match self.source {
            Source::Bytes(ref bytes) => Ok(bytes),
            Source::Image(address, count) => usize::try_from(count)
                .ok()
                .and_then(|count| count.checked_mul(INSN_BYTES))
                .and_then(|len| dram.get(address, len))
                .ok_or_else(|| {
                    let (base, end) = (dram.base, dram.end());
                    Error::input(format!(
                        "{count} instructions at {address:#x} do not lie in the image, \
                         {base:#x}..{end:#x}"
                    ))
                    .help("give the --insn-addr and --count of a stream inside the image")
                }),
        }
    }
}
