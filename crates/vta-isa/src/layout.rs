//! Where the fields of a format lie in one design, and moving values in and out of them.

use crate::config::buffer_key;
use crate::field::{Field, Format, LogDepths, Values};
use crate::{ConfigError, Feature, MemType};

/// A field at its place in one design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The field.
    pub field: Field,
    /// Its lowest bit.
    pub lo: u32,
    /// Its width in bits; 0 for an index into a scratchpad of one element, and in a design without it.
    pub width: u32,
}

impl Place {
    fn mask(&self) -> u128 {
        if self.width == 0 {
            0
        } else {
            ((1u128 << self.width) - 1) << self.lo
        }
    }

    /// The smallest and the largest value of the field.
    pub fn range(&self) -> (i64, i64) {
        self.field.range(self.width)
    }
}

/// A format laid out for one design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The format's name.
    pub name: &'static str,
    /// The fields in order.
    pub places: Vec<Place>,
    /// The bits that some field covers.
    pub covered: u128,
}

impl Layout {
    /// Lays `format` out for a design with these log2 depths, `features` having a say, or names the field
    /// without room.
    pub(crate) fn new(
        format: &Format,
        log_depth: &LogDepths,
        features: &[Feature],
    ) -> Result<Layout, ConfigError> {
        let mut layout = Layout {
            name: format.name,
            places: Vec::new(),
            covered: 0,
        };
        // `next` packs the fields; `used` checks that each word's share fits it by itself.
        let (mut next, mut used) = (format.start, format.start);
        let mut share: Vec<&Field> = Vec::new();
        for field in format.fields {
            let width = field.width.resolve(log_depth, features);
            if format.second == Some(field.name) {
                used = 0;
                share.clear();
            }
            used += width;
            share.push(field);
            if used > format.word_bits {
                return Err(no_room(format, field, &share, used, log_depth));
            }
            if next < format.word_bits && next + width > format.word_bits {
                next = format.word_bits;
            }
            let place = Place {
                field: *field,
                lo: next,
                width,
            };
            layout.covered |= place.mask();
            layout.places.push(place);
            next += width;
        }
        Ok(layout)
    }

    /// The place of the field called `name`, if the format has one.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|p| p.field.name == name)
    }

    /// Sets the fields' bits, or names the first value that its field cannot hold.
    pub(crate) fn pack(&self, values: &Values) -> Result<u128, EncodeError> {
        let mut word = 0;
        for (place, &value) in self.places.iter().zip(values) {
            let (min, max) = place.range();
            if value < min || value > max {
                let field = place.field.name;
                return Err(EncodeError::Field {
                    format: self.name,
                    field,
                    value,
                    min,
                    max,
                });
            }
            // A zero-width field may lie past the last bit, where no shift reaches.
            if place.width > 0 {
                let bits = value as u64 & (u64::MAX >> (64 - place.width));
                word |= u128::from(bits) << place.lo;
            }
        }
        Ok(word)
    }

    pub(crate) fn unpack(&self, word: u128) -> Values {
        let mut values = Values::default();
        for (place, value) in self.places.iter().zip(&mut values) {
            if place.width > 0 {
                // No field is wider than 64 bits; one shift puts its highest bit there.
                let unused = 64 - place.width;
                let raw = ((word >> place.lo) as u64) << unused;
                *value = if place.field.signed {
                    raw as i64 >> unused
                } else {
                    (raw >> unused) as i64
                };
            }
        }
        values
    }
}

fn no_room(
    format: &Format,
    field: &Field,
    share: &[&Field],
    used: u32,
    log_depth: &LogDepths,
) -> ConfigError {
    let mut depths: Vec<MemType> = share.iter().flat_map(|f| f.width.depths).copied().collect();
    depths.sort();
    depths.dedup();
    let list = |what: &dyn Fn(MemType) -> String| {
        let items: Vec<String> = depths.iter().map(|&mem| what(mem)).collect();
        items.join(", ")
    };
    let mut remedy = format!("lower {}", list(&buffer_key));
    // A micro-op has one size in every design.
    if depths != [MemType::Uop] {
        remedy += ", or widen the elements by LOG_BATCH or LOG_BLOCK";
    }
    ConfigError::Field {
        format: format.name,
        field: field.name,
        needs: used,
        has: format.word_bits,
        depths: list(&|mem| format!("{mem} {}", log_depth[mem as usize])),
        remedy,
    }
}

/// Why a structure has no encoding in a design.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A value that its field cannot hold.
    #[error("{format} field `{field}` is {value}; in this design it holds {min} to {max}")]
    Field {
        /// The instruction.
        format: &'static str,
        /// The field.
        field: &'static str,
        /// What it was to hold.
        value: i64,
        /// The smallest value it holds.
        min: i64,
        /// The largest value it holds.
        max: i64,
    },
    /// `rsv` sets bits that belong to a field.
    #[error("{format}: the bits {bits:#x} of `rsv` belong to fields; the free bits are {free:#x}")]
    Reserved {
        /// The instruction.
        format: &'static str,
        /// The offending bits, in place.
        bits: u128,
        /// The bits that no field covers, in place.
        free: u128,
    },
}
