//! Arbitrary bytes as a stream: on every kernel of the functional simulator, past the checker, in cycles.
#![no_main]

#[path = "../../crates/vta-sim/tests/common/mod.rs"]
mod common;

use std::cell::RefCell;

use common::case::{Case, Machines};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static MACHINES: RefCell<Machines> = RefCell::new(Machines::new());
}

fuzz_target!(|bytes: &[u8]| {
    MACHINES.with_borrow_mut(|machines| {
        let case = Case::of(bytes, machines.designs());
        machines.hold(&case);
    });
});
