//! What a field is, and how a structure is declared together with the table of its fields.

use crate::{Feature, MemType};

/// How many bits a field has: `bits` plus the largest log2 depth among `depths`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// The part that does not depend on depths.
    pub bits: u32,
    /// The scratchpads that the field must be able to index; empty if none.
    pub depths: &'static [MemType],
    /// What takes the place of `bits` where a feature has a say: always in LOAD and STORE for
    /// [`Feature::LoadPad`], in STORE alone for [`Feature::RequantStore`], in GEMM for
    /// [`Feature::GemmOverwrite`].
    pub with: Option<(Feature, u32)>,
}

impl Width {
    /// The same whatever the depths are.
    pub const fn fixed(bits: u32) -> Width {
        Width {
            bits,
            depths: &[],
            with: None,
        }
    }

    /// Enough to index each of `depths`.
    pub const fn index(depths: &'static [MemType]) -> Width {
        Width {
            depths,
            ..Width::fixed(0)
        }
    }

    /// Enough for an index into each of `depths` and for one past the last.
    pub const fn bound(depths: &'static [MemType]) -> Width {
        Width {
            depths,
            ..Width::fixed(1)
        }
    }

    /// So many bits instead where the feature has a say.
    pub const fn with(self, feature: Feature, bits: u32) -> Width {
        Width {
            with: Some((feature, bits)),
            ..self
        }
    }

    /// The width in bits, given log2 of each scratchpad's depth (indexed by [`MemType`]) and the features
    /// that have a say.
    pub(crate) fn resolve(&self, log_depth: &LogDepths, features: &[Feature]) -> u32 {
        let depths = self.depths.iter().map(|&m| log_depth[m as usize]);
        let with = self.with.filter(|(feature, _)| features.contains(feature));
        with.map_or(self.bits, |(_, bits)| bits) + depths.max().unwrap_or(0)
    }
}

/// How assembly text spells a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// After the dot of the mnemonic, by these names: `load.inp`. A code without a name is written
    /// as a number.
    Suffix(&'static [&'static str]),
    /// The field's own name, written when the bit is set.
    Flag,
    /// `key=value`, decimal. Neighbours with one key are written as one list: `iter=4,2`.
    Dec(&'static str),
    /// `key=value`, hexadecimal.
    Hex(&'static str),
    /// Not written itself: the bit says whether the operand of the next field is in use. A clear
    /// bit before a value that is not zero is written as `unused_key=value`.
    Gate,
}

impl Spelling {
    /// The operand's key, for fields that are written as `key=value`.
    pub fn key(&self) -> Option<&'static str> {
        match *self {
            Spelling::Dec(key) | Spelling::Hex(key) => Some(key),
            Spelling::Suffix(_) | Spelling::Flag | Spelling::Gate => None,
        }
    }
}

/// One field of an instruction or micro-op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in the instruction structures and in every message.
    pub name: &'static str,
    /// Width in bits, as a function of the design.
    pub width: Width,
    /// Whether the value is two's complement.
    pub signed: bool,
    /// How assembly text writes it.
    pub spelling: Spelling,
    /// What it means.
    pub doc: &'static str,
}

impl Field {
    /// The smallest and the largest value that `width` bits of this field hold.
    pub fn range(&self, width: u32) -> (i64, i64) {
        match (width, self.signed) {
            (0, _) => (0, 0),
            (_, false) => (0, (1 << width) - 1),
            (_, true) => (-(1 << (width - 1)), (1 << (width - 1)) - 1),
        }
    }
}

/// An ordered list of fields: the body of an instruction, or a micro-op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The name used in messages and in the reference page.
    pub name: &'static str,
    /// The fields, lowest bits first.
    pub fields: &'static [Field],
    /// The first bit: the header of an instruction comes before its body.
    pub start: u32,
    /// Bits of one word; no field crosses from one word into the next.
    pub word_bits: u32,
    /// The first field of those that must fit in the second word by themselves, if there is one.
    /// Narrow fields may still find room in the first.
    pub second: Option<&'static str>,
}

/// log2 of the elements in each scratchpad, by [`MemType`].
pub(crate) type LogDepths = [u32; MemType::ALL.len()];

pub(crate) const MAX_FIELDS: usize = 13;
/// The values of a format's fields, in the order of the table; the rest is zero.
pub(crate) type Values = [i64; MAX_FIELDS];

/// A type that a field of the structures may have.
pub(crate) trait FieldType: Copy {
    const SIGNED: bool = false;
    fn raw(self) -> i64;
    /// The inverse of `raw`, for a value that the field's width has already bounded.
    fn from_raw(raw: i64) -> Self;
}

impl FieldType for bool {
    fn raw(self) -> i64 {
        self.into()
    }
    fn from_raw(raw: i64) -> bool {
        raw != 0
    }
}

macro_rules! integer_field {
    ($($t:ty, $signed:literal;)*) => {$(
        impl FieldType for $t {
            const SIGNED: bool = $signed;
            fn raw(self) -> i64 {
                self.into()
            }
            fn from_raw(raw: i64) -> $t {
                raw as $t
            }
        }
    )*};
}
integer_field! { u8, false; u32, false; i32, true; }

/// Declares a structure together with the table of its fields.
macro_rules! fields {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $t:ty = $width:expr, $spelling:expr; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $t, )*
        }

        impl $name {
            pub(crate) const FIELDS: &'static [Field] = &[$( Field {
                name: stringify!($field),
                width: $width,
                signed: <$t as FieldType>::SIGNED,
                spelling: $spelling,
                doc: concat!($($doc),+),
            }, )*];

            pub(crate) fn values(&self) -> Values {
                let mut values = Values::default();
                let fields = [$( self.$field.raw() ),*];
                values[..fields.len()].copy_from_slice(&fields);
                values
            }

            pub(crate) fn from_values(values: &Values) -> $name {
                let mut values = values.iter();
                let mut next = || values.next().copied().unwrap_or(0);
                $name { $( $field: FieldType::from_raw(next()), )* }
            }
        }
    };
}
pub(crate) use fields;
