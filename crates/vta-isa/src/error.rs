//! Why parameters make no design.

use crate::{Feature, MemType};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not a JSON object, or gives a key twice.
    #[error("the configuration does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// A key that does not exist.
    #[error("unknown key `{key}`; the nearest known key is `{nearest}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// A known key that resembles it most.
        nearest: &'static str,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}` is {given}; it must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value, as JSON.
        given: String,
        /// What would be accepted.
        expected: String,
    },
    /// A key that follows from others disagrees with them.
    #[error("`{key}` is {given}, but {derived} follows from the other keys; leave it out")]
    Derived {
        /// The key.
        key: &'static str,
        /// The value, as JSON.
        given: String,
        /// The value that follows.
        derived: i64,
    },
    /// A feature that other parameters rule out.
    #[error("feature `{feature}` needs {key} {needs}; it is {given}")]
    Feature {
        /// The feature.
        feature: Feature,
        /// The key that rules it out.
        key: &'static str,
        /// Its value.
        given: u32,
        /// The value that the feature needs.
        needs: u32,
    },
    /// An element that is no whole number of bytes.
    #[error("an element of {mem} has {bits} bits, which is no whole byte; raise {keys}")]
    PartOfByte {
        /// The memory.
        mem: MemType,
        /// Bits of its element.
        bits: u32,
        /// The keys to change.
        keys: &'static str,
    },
    /// An element larger than a page.
    #[error("an element of {mem} has 2^{log_bytes} bytes, more than a page of 4096; lower {keys}")]
    ElementTooLarge {
        /// The memory.
        mem: MemType,
        /// log2 of its element's bytes.
        log_bytes: u32,
        /// The keys to change.
        keys: &'static str,
    },
    /// A field of the encoding has no room.
    #[error(
        "{format} field `{field}` does not fit: it and the fields before it need {needs} of {has} \
         bits, with log2 depths {depths}; {remedy}"
    )]
    Field {
        /// The instruction, or micro-op.
        format: &'static str,
        /// The field.
        field: &'static str,
        /// Bits needed up to the end of the field, in its word.
        needs: u32,
        /// Bits of the word.
        has: u32,
        /// The depths that make the fields wide.
        depths: String,
        /// Which keys to change, and how.
        remedy: String,
    },
    /// A scratchpad deeper than LOAD and STORE can address.
    #[error(
        "LOAD/STORE field `{field}` of {has} bits cannot address {mem}, which has 2^{depth} \
         elements; lower {key} or enlarge the element"
    )]
    Unaddressable {
        /// The field.
        field: &'static str,
        /// Its bits.
        has: u32,
        /// The memory.
        mem: MemType,
        /// log2 of the memory's depth.
        depth: u32,
        /// The key to lower.
        key: String,
    },
    /// A scratchpad without an index, which software allows and hardware does not.
    #[error("{mem} has one element; the hardware needs at least two: raise {key}")]
    OneElement {
        /// The memory.
        mem: MemType,
        /// The key to raise.
        key: String,
    },
}
