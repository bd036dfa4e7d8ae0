//! From words to text.

use std::fmt::Write;

use super::{RSV, UNUSED, UOP, UWORD, WORD};
use crate::field::{Spelling, Values};
use crate::{Design, INSN_BYTES, Insn, Place, UOP_BYTES, Uop};

/// One instruction as a line, without its end.
pub fn print_insn(design: &Design, insn: &Insn) -> String {
    let opcode = insn.body.opcode();
    let places = &design.layout(opcode).places;
    let values = insn.body.values();
    let mut line = opcode.name().to_string();
    for (place, &code) in places.iter().zip(&values) {
        if let Spelling::Suffix(names) = place.field.spelling {
            match usize::try_from(code).ok().and_then(|code| names.get(code)) {
                Some(name) => push(&mut line, format_args!(".{name}")),
                None => push(&mut line, format_args!(".{code}")),
            }
        }
    }
    operands(&mut line, &design.header().places, &insn.deps.values());
    operands(&mut line, places, &values);
    if insn.rsv != 0 {
        push(&mut line, format_args!(" {RSV}={:#x}", insn.rsv));
    }
    line
}

/// One micro-op as a line, without its end.
pub fn print_uop(design: &Design, uop: &Uop) -> String {
    let mut line = UOP.to_string();
    operands(&mut line, &design.uop_layout().places, &uop.values());
    line
}

/// A stream of instructions as text.
pub fn disassemble(design: &Design, stream: &[u8]) -> Result<String, LengthError> {
    let mut text = String::new();
    for bytes in words::<INSN_BYTES>(stream, "instructions")? {
        match Insn::decode(design, bytes) {
            Ok(insn) => text += &print_insn(design, &insn),
            Err(undefined) => push(&mut text, format_args!("{WORD} {:#034x}", undefined.word)),
        }
        text.push('\n');
    }
    Ok(text)
}

/// Micro-ops as text.
pub fn disassemble_uops(design: &Design, uops: &[u8]) -> Result<String, LengthError> {
    let mut text = String::new();
    for bytes in words::<UOP_BYTES>(uops, "micro-ops")? {
        let word = u32::from_le_bytes(*bytes);
        let uop = Uop::decode(design, word);
        if uop.encode(design) == Ok(word) {
            text += &print_uop(design, &uop);
        } else {
            push(&mut text, format_args!("{UWORD} {word:#010x}"));
        }
        text.push('\n');
    }
    Ok(text)
}

/// Bytes that are no whole number of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes are no whole number of {what} of {word} bytes: the file is cut or is not one")]
pub struct LengthError {
    /// What the bytes should be.
    pub what: &'static str,
    /// How many there are.
    pub len: usize,
    /// Bytes of one word.
    pub word: usize,
}

fn words<'a, const N: usize>(
    bytes: &'a [u8],
    what: &'static str,
) -> Result<impl Iterator<Item = &'a [u8; N]>, LengthError> {
    if bytes.len() % N != 0 {
        return Err(LengthError {
            what,
            len: bytes.len(),
            word: N,
        });
    }
    Ok(bytes
        .chunks_exact(N)
        .filter_map(|chunk| chunk.try_into().ok()))
}

fn operands(line: &mut String, places: &[Place], values: &Values) {
    // Whether the operand of the next field is in use, where a bit says so.
    let mut gate = None;
    let mut i = 0;
    while let Some(Place { field, .. }) = places.get(i) {
        let Some(key) = field.spelling.key() else {
            match field.spelling {
                Spelling::Flag if values[i] != 0 => push(line, format_args!(" {}", field.name)),
                Spelling::Gate => gate = Some(values[i] != 0),
                _ => (),
            }
            i += 1;
            continue;
        };
        let list = places[i..]
            .iter()
            .take_while(|p| p.field.spelling.key() == Some(key))
            .count();
        let list = &values[i..i + list];
        i += list.len();
        let prefix = match gate.take() {
            Some(true) => "",
            _ if list.iter().all(|&v| v == 0) => continue,
            Some(false) => UNUSED,
            None => "",
        };
        push(line, format_args!(" {prefix}{key}"));
        for (n, value) in list.iter().enumerate() {
            let sign = if n == 0 { '=' } else { ',' };
            match field.spelling {
                Spelling::Hex(_) => push(line, format_args!("{sign}{value:#x}")),
                _ => push(line, format_args!("{sign}{value}")),
            }
        }
    }
}

fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
}
