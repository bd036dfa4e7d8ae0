//! The program container: a [`Program`] as one file (`.vta`).
//!
//! All integers are little-endian. The file is
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | [`MAGIC`] |
//! | 8..12 | [`VERSION`] |
//! | 12..16 | number of sections |
//! | 16..24 | length of the file |
//! | 24..56 | digest of the design ([`vta_isa::Design::digest`]) |
//! | 56..88 | SHA-256 of the whole file with these 32 bytes zero |
//! | 88.. | section table: kind `u32`, zero `u32`, offset `u64`, length `u64` each |
//!
//! and then the sections, each at the next multiple of 64 with zeros before it, in the order of
//! the table: one CONFIG (JSON), one META (JSON), every image section, every stream. There is
//! one way to write a program, and a file laid out in any other way is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vta_isa::HwConfig;

use crate::program::{ImageSection, Layer, Placement, Program, Slot, SlotId, Step};
use crate::{Preprocess, ProgramError};

/// The first bytes of a container. Not text, so that a transfer as text is noticed.
pub const MAGIC: [u8; 8] = *b"\x89VTA\r\n\x1a\n";
/// The version of the format that is written and read.
pub const VERSION: u32 = 2;

const DIGEST_AT: usize = 24;
const SHA_AT: usize = 56;
const TABLE_AT: usize = 88;
const ENTRY: usize = 24;
const ALIGN: usize = 64;

const CONFIG: u32 = 1;
const META: u32 = 2;
const IMAGE: u32 = 3;
const STREAM: u32 = 4;

/// Why a file is not a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ContainerError {
    /// Not a container at all.
    #[error("not a VTA program: it does not start as one; `vta compile -o FILE.vta` writes them")]
    NotAProgram,
    /// Another version of the format.
    #[error(
        "the program has format version {0}, this build reads version {VERSION}; compile it again"
    )]
    Version(u32),
    /// The file is not what was written.
    #[error("the program file is damaged: {0}; copy or compile it again")]
    Damaged(String),
    /// The file is whole, but what it says breaks a rule of programs.
    #[error("the program file is invalid: {0}; compile it again")]
    Invalid(#[from] ProgramError),
}

/// What of a program is kept as JSON. `image` holds the offsets of the image sections.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta<'a> {
    name: Cow<'a, str>,
    arena_bytes: u64,
    image: Vec<u64>,
    steps: Cow<'a, [Step]>,
    slots: Cow<'a, [Slot]>,
    inputs: Cow<'a, [SlotId]>,
    outputs: Cow<'a, [SlotId]>,
    preprocess: Cow<'a, Option<Preprocess>>,
    labels: Cow<'a, [String]>,
    placement: Cow<'a, [Placement]>,
    layers: Cow<'a, [Layer]>,
    notes: Cow<'a, BTreeMap<String, String>>,
}

impl Program {
    /// The program as a container. The same program gives the same bytes.
    ///
    /// # Errors
    /// A program that breaks a rule ([`Program::check`]) is not written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ProgramError> {
        let design = self.check()?;
        let meta = Meta {
            name: Cow::Borrowed(&self.name),
            arena_bytes: self.arena_bytes,
            image: self.image.iter().map(|s| s.offset).collect(),
            steps: Cow::Borrowed(&self.steps),
            slots: Cow::Borrowed(&self.slots),
            inputs: Cow::Borrowed(&self.inputs),
            outputs: Cow::Borrowed(&self.outputs),
            preprocess: Cow::Borrowed(&self.preprocess),
            labels: Cow::Borrowed(&self.labels),
            placement: Cow::Borrowed(&self.placement),
            layers: Cow::Borrowed(&self.layers),
            notes: Cow::Borrowed(&self.notes),
        };
        let config = self.config.to_json().into_bytes();
        let meta = serde_json::to_vec(&meta).expect("plain data serializes");
        let mut sections: Vec<(u32, &[u8])> = vec![(CONFIG, &config), (META, &meta)];
        sections.extend(self.image.iter().map(|s| (IMAGE, &s.bytes[..])));
        sections.extend(self.streams.iter().map(|s| (STREAM, &s[..])));

        let mut out = vec![0; TABLE_AT + ENTRY * sections.len()];
        for (i, (kind, bytes)) in sections.iter().enumerate() {
            out.resize(out.len().next_multiple_of(ALIGN), 0);
            let entry = TABLE_AT + ENTRY * i;
            let offset = out.len() as u64;
            out[entry..entry + 4].copy_from_slice(&kind.to_le_bytes());
            out[entry + 8..entry + 16].copy_from_slice(&offset.to_le_bytes());
            out[entry + 16..entry + 24].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        let len = out.len() as u64;
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&(sections.len() as u32).to_le_bytes());
        out[16..24].copy_from_slice(&len.to_le_bytes());
        out[DIGEST_AT..SHA_AT].copy_from_slice(&design.digest());
        let sha = checksum(&out);
        out[SHA_AT..TABLE_AT].copy_from_slice(&sha);
        Ok(out)
    }

    /// Reads a container and checks all of it.
    pub fn from_bytes(file: &[u8]) -> Result<Program, ContainerError> {
        let damaged = |what: &str| ContainerError::Damaged(what.to_string());
        if !file.starts_with(&MAGIC) {
            return Err(ContainerError::NotAProgram);
        }
        let version = u32_at(file, 8).ok_or_else(|| damaged("it ends within its header"))?;
        if version != VERSION {
            return Err(ContainerError::Version(version));
        }
        let len = u64_at(file, 16).ok_or_else(|| damaged("it ends within its header"))?;
        if len != file.len() as u64 {
            return Err(damaged(&format!(
                "it has {} bytes and says it has {len}",
                file.len()
            )));
        }
        if file.len() < TABLE_AT {
            return Err(damaged("it ends within its header"));
        }
        if checksum(file)[..] != file[SHA_AT..TABLE_AT] {
            return Err(damaged("its checksum does not match its content"));
        }
        let program = read_program(&sections(file)?)?;
        let design = program.check()?;
        if design.digest()[..] != file[DIGEST_AT..SHA_AT] {
            return Err(damaged(
                "its design digest is not that of its configuration",
            ));
        }
        Ok(program)
    }
}

fn checksum(file: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(&file[..SHA_AT]);
    sha.update([0; 32]);
    sha.update(&file[TABLE_AT..]);
    sha.finalize().into()
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().expect("4 bytes")))
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
}

/// The kind and the bytes of each section; refuses any layout but the one that is written.
fn sections(file: &[u8]) -> Result<Vec<(u32, &[u8])>, ContainerError> {
    let damaged = |what: String| ContainerError::Damaged(what);
    let count = u32_at(file, 12).unwrap_or(0) as usize;
    let table = count
        .checked_mul(ENTRY)
        .and_then(|n| file[TABLE_AT..].get(..n))
        .ok_or_else(|| damaged(format!("its table of {count} sections does not fit")))?;
    let mut end = TABLE_AT + table.len();
    let mut found = Vec::with_capacity(count);
    for (i, entry) in table.chunks_exact(ENTRY).enumerate() {
        let read = |at| u64_at(entry, at).expect("inside the entry");
        let start = end.next_multiple_of(ALIGN);
        let bytes = usize::try_from(read(16))
            .ok()
            .and_then(|len| file.get(start..start.checked_add(len)?))
            .filter(|_| read(8) == start as u64 && u32_at(entry, 4) == Some(0))
            .filter(|_| file[end..start].iter().all(|&b| b == 0))
            .ok_or_else(|| damaged(format!("section {i} does not lie where it must")))?;
        end = start + bytes.len();
        found.push((u32_at(entry, 0).expect("inside the entry"), bytes));
    }
    if end != file.len() {
        return Err(damaged("bytes follow its last section".into()));
    }
    Ok(found)
}

fn read_program(sections: &[(u32, &[u8])]) -> Result<Program, ContainerError> {
    let invalid = |what: String| ContainerError::Invalid(ProgramError(what));
    let [(CONFIG, config), (META, meta), rest @ ..] = sections else {
        return Err(invalid(
            "it must begin with configuration and metadata".into(),
        ));
    };
    let config = std::str::from_utf8(config)
        .map_err(|e| e.to_string())
        .and_then(|text| HwConfig::from_json(text).map_err(|e| e.to_string()))
        .map_err(|e| invalid(format!("configuration: {e}")))?;
    let meta: Meta<'_> =
        serde_json::from_slice(meta).map_err(|e| invalid(format!("metadata: {e}")))?;
    let (images, streams) = rest.split_at(meta.image.len().min(rest.len()));
    if images.len() < meta.image.len()
        || images.iter().any(|s| s.0 != IMAGE)
        || streams.iter().any(|s| s.0 != STREAM)
    {
        return Err(invalid(
            "its sections are not those that it describes".into(),
        ));
    }
    let image = meta.image.iter().zip(images).map(|(&offset, (_, bytes))| {
        let bytes = bytes.to_vec();
        ImageSection { offset, bytes }
    });
    Ok(Program {
        config,
        image: image.collect(),
        streams: streams.iter().map(|s| s.1.to_vec()).collect(),
        name: meta.name.into_owned(),
        arena_bytes: meta.arena_bytes,
        steps: meta.steps.into_owned(),
        slots: meta.slots.into_owned(),
        inputs: meta.inputs.into_owned(),
        outputs: meta.outputs.into_owned(),
        preprocess: meta.preprocess.into_owned(),
        labels: meta.labels.into_owned(),
        placement: meta.placement.into_owned(),
        layers: meta.layers.into_owned(),
        notes: meta.notes.into_owned(),
    })
}
