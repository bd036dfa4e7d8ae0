//! From text to words.

use super::{COMMENT, RSV, UNUSED, UOP, UWORD, WORD};
use crate::field::{Spelling, Values};
use crate::{Body, Deps, Design, EncodeError, Insn, Layout, Opcode, Place, Uop};

/// A text that does not assemble: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct AsmError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// What a text assembles to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The instructions, encoded, in the order of their lines.
    pub insns: Vec<u8>,
    /// The micro-ops, encoded, in the order of their lines.
    pub uops: Vec<u8>,
}

/// Assembles a stream of instructions. A micro-op is an error here.
pub fn assemble(design: &Design, text: &str) -> Result<Vec<u8>, AsmError> {
    let mut listing = Listing::default();
    for line in lines(text) {
        line.assemble(design, &mut listing)?;
        if !listing.uops.is_empty() {
            return Err(line
                .mnemonic
                .error("a micro-op in a stream of instructions".into()));
        }
    }
    Ok(listing.insns)
}

/// Assembles instructions and micro-ops, in lines of any order.
pub fn assemble_listing(design: &Design, text: &str) -> Result<Listing, AsmError> {
    let mut listing = Listing::default();
    for line in lines(text) {
        line.assemble(design, &mut listing)?;
    }
    Ok(listing)
}

/// A word of the text and where it stands.
#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    /// The line's text, for the column.
    source: &'a str,
    line: usize,
}

struct Line<'a> {
    mnemonic: Token<'a>,
    operands: Vec<Token<'a>>,
}

/// The lines that are not blank.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().enumerate().filter_map(|(number, source)| {
        let code = source.split(COMMENT).next().unwrap_or_default();
        let mut tokens = code.split_whitespace().map(|text| Token {
            text,
            source,
            line: number + 1,
        });
        Some(Line {
            mnemonic: tokens.next()?,
            operands: tokens.collect(),
        })
    })
}

impl<'a> Token<'a> {
    fn error(&self, message: String) -> AsmError {
        // The token is a slice of its line.
        let offset = self.text.as_ptr() as usize - self.source.as_ptr() as usize;
        let column = self.source[..offset].chars().count() + 1;
        AsmError {
            line: self.line,
            column,
            message,
        }
    }

    /// The part of the token that `text`, a slice of it, is.
    fn part(&self, text: &'a str) -> Token<'a> {
        Token { text, ..*self }
    }

    /// A number of at most `bits` bits.
    fn word(&self, bits: u32) -> Result<u128, AsmError> {
        let (digits, radix) = match self.text.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (self.text, 10),
        };
        // The standard library would take a plus.
        let number = match digits.starts_with('+') {
            true => None,
            false => u128::from_str_radix(digits, radix).ok(),
        };
        let text = self.text;
        let number = number
            .ok_or_else(|| self.error(format!("`{text}` is no number; expected 12 or 0x1f")))?;
        if bits < u128::BITS && number >> bits != 0 {
            return Err(self.error(format!("{text} has more than {bits} bits")));
        }
        Ok(number)
    }

    /// A number with an optional minus.
    fn number(&self) -> Result<i64, AsmError> {
        let (digits, sign) = match self.text.strip_prefix('-') {
            Some(digits) => (digits, -1),
            None => (self.text, 1),
        };
        // 63 bits fit, with either sign.
        Ok(sign * self.part(digits).word(63)? as i64)
    }
}

impl Line<'_> {
    fn assemble(&self, design: &Design, listing: &mut Listing) -> Result<(), AsmError> {
        match self.mnemonic.text {
            WORD => listing.insns.extend(self.raw(u128::BITS)?.to_le_bytes()),
            UWORD => listing
                .uops
                .extend((self.raw(u32::BITS)? as u32).to_le_bytes()),
            UOP => {
                let layout = design.uop_layout();
                let mut fields = Fields::new(layout);
                for operand in &self.operands {
                    if !fields.set(operand)? {
                        return Err(self.unknown(operand, &[layout], ""));
                    }
                }
                let uop = Uop::from_values(&fields.values);
                let word = uop
                    .encode(design)
                    .map_err(|e| self.mnemonic.error(e.to_string()))?;
                listing.uops.extend(word.to_le_bytes());
            }
            _ => listing.insns.extend(self.insn(design)?),
        }
        Ok(())
    }

    fn raw(&self, bits: u32) -> Result<u128, AsmError> {
        match &self.operands[..] {
            [word] => word.word(bits),
            [_, extra, ..] => Err(extra.error("expected the end of the line".into())),
            [] => Err(self
                .mnemonic
                .error(format!("expected a number of {bits} bits after it"))),
        }
    }

    fn insn(&self, design: &Design) -> Result<[u8; 16], AsmError> {
        let (name, suffix) = match self.mnemonic.text.split_once('.') {
            Some((name, suffix)) => (name, Some(self.mnemonic.part(suffix))),
            None => (self.mnemonic.text, None),
        };
        let Some(&opcode) = Opcode::ALL.iter().find(|o| o.name() == name) else {
            let known: Vec<_> = Opcode::ALL.iter().map(|o| o.name()).collect();
            return Err(self.mnemonic.error(format!(
                "unknown instruction `{name}`; expected {}, {UOP}, {WORD} or {UWORD}",
                known.join(", ")
            )));
        };
        let (header_layout, layout) = (design.header(), design.layout(opcode));
        let (mut header, mut body) = (Fields::new(header_layout), Fields::new(layout));
        body.set_suffix(&self.mnemonic, suffix)?;
        let mut rsv = None;
        for operand in &self.operands {
            if let Some((RSV, value)) = operand.text.split_once('=') {
                let bits = operand.part(value).word(u128::BITS)?;
                if rsv.replace((bits, operand)).is_some() {
                    return Err(operand.error(format!("`{RSV}` is given twice")));
                }
            } else if !header.set(operand)? && !body.set(operand)? {
                return Err(self.unknown(operand, &[header_layout, layout], "rsv=, "));
            }
        }
        let insn = Insn {
            deps: Deps::from_values(&header.values),
            body: Body::from_values(opcode, &body.values),
            rsv: rsv.map_or(0, |(bits, _)| bits),
        };
        insn.encode(design).map_err(|error| match (&error, rsv) {
            (EncodeError::Reserved { .. }, Some((_, operand))) => operand.error(error.to_string()),
            _ => self.mnemonic.error(error.to_string()),
        })
    }

    fn unknown(&self, operand: &Token<'_>, layouts: &[&Layout], more: &str) -> AsmError {
        let mut known: Vec<String> = Vec::new();
        for place in layouts.iter().flat_map(|layout| &layout.places) {
            let spelled = match (place.field.spelling, place.field.spelling.key()) {
                (Spelling::Flag, _) => place.field.name.into(),
                (_, Some(key)) => format!("{key}="),
                _ => continue,
            };
            if !known.contains(&spelled) {
                known.push(spelled);
            }
        }
        operand.error(format!(
            "unknown operand `{}`; {} takes {more}{}",
            operand.text,
            self.mnemonic.text,
            known.join(", ")
        ))
    }
}

/// The fields of one line, as far as they are read.
struct Fields<'d> {
    layout: &'d Layout,
    values: Values,
    given: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    fn new(layout: &'d Layout) -> Fields<'d> {
        Fields {
            layout,
            values: Values::default(),
            given: Vec::new(),
        }
    }

    /// Sets the fields that an operand gives; `false` if it gives none of this layout.
    fn set(&mut self, operand: &Token<'_>) -> Result<bool, AsmError> {
        let places = &self.layout.places;
        let Some((key, text)) = operand.text.split_once('=') else {
            let flag =
                |p: &Place| p.field.spelling == Spelling::Flag && p.field.name == operand.text;
            let Some(at) = places.iter().position(flag) else {
                return Ok(false);
            };
            self.once(operand, places[at].field.name)?;
            self.values[at] = 1;
            return Ok(true);
        };
        let in_use = !key.starts_with(UNUSED);
        let key = key.strip_prefix(UNUSED).unwrap_or(key);
        let Some(first) = places
            .iter()
            .position(|p| p.field.spelling.key() == Some(key))
        else {
            return Ok(false);
        };
        let gate = first
            .checked_sub(1)
            .filter(|&g| places[g].field.spelling == Spelling::Gate);
        match gate {
            Some(gate) => self.values[gate] = in_use.into(),
            None if in_use => (),
            None => return Ok(false),
        }
        let list = places[first..]
            .iter()
            .take_while(|p| p.field.spelling.key() == Some(key));
        let list: Vec<&Place> = list.collect();
        self.once(operand, list[0].field.spelling.key().unwrap_or_default())?;
        let numbers: Vec<_> = text.split(',').map(|text| operand.part(text)).collect();
        if numbers.len() != list.len() {
            let names: Vec<_> = list.iter().map(|p| p.field.name).collect();
            return Err(operand.error(format!("expected `{key}={}`", names.join(","))));
        }
        for (i, (place, token)) in list.into_iter().zip(numbers).enumerate() {
            let value = token.number()?;
            self.values[first + i] = self.in_range(place, value, &token)?;
        }
        Ok(true)
    }

    /// Sets the field that the mnemonic's suffix names.
    fn set_suffix(
        &mut self,
        mnemonic: &Token<'_>,
        suffix: Option<Token<'_>>,
    ) -> Result<(), AsmError> {
        let named = self
            .layout
            .places
            .iter()
            .enumerate()
            .find_map(|(i, place)| match place.field.spelling {
                Spelling::Suffix(names) => Some((i, place, names)),
                _ => None,
            });
        match (named, suffix) {
            (None, None) => Ok(()),
            (None, Some(suffix)) => {
                Err(suffix.error(format!("{} takes no suffix", self.layout.name)))
            }
            (Some((_, _, names)), None) => Err(mnemonic.error(format!(
                "expected `{}.` and one of {}",
                mnemonic.text,
                names.join(", ")
            ))),
            (Some((at, place, names)), Some(suffix)) => {
                let value = match names.iter().position(|name| *name == suffix.text) {
                    Some(code) => code as i64,
                    None => suffix.number().map_err(|_| {
                        suffix.error(format!(
                            "unknown suffix `{}`; expected one of {} or a number",
                            suffix.text,
                            names.join(", ")
                        ))
                    })?,
                };
                self.values[at] = self.in_range(place, value, &suffix)?;
                Ok(())
            }
        }
    }

    fn in_range(&self, place: &Place, value: i64, token: &Token<'_>) -> Result<i64, AsmError> {
        let (min, max) = place.range();
        if (min..=max).contains(&value) {
            return Ok(value);
        }
        let (format, field) = (self.layout.name, place.field.name);
        Err(token.error(
            EncodeError::Field {
                format,
                field,
                value,
                min,
                max,
            }
            .to_string(),
        ))
    }

    fn once(&mut self, operand: &Token<'_>, name: &'static str) -> Result<(), AsmError> {
        if self.given.contains(&name) {
            return Err(operand.error(format!("`{name}` is given twice")));
        }
        self.given.push(name);
        Ok(())
    }
}
