//! Choices that proptest draws and shrinks.
#![allow(dead_code, unused_imports)] // Each test target uses its own part.

pub(crate) mod definition;

use proptest::prelude::*;
pub(crate) use vta_graph::random::{Dice, KINDS};

pub(crate) fn dice() -> impl Strategy<Value = Dice> {
    prop::collection::vec(any::<u32>(), 400).prop_map(Dice::new)
}
