//! Arbitrary bytes as a stream: a result or a fault, never a panic and never a hang, and the same on every kernel and
//! in cycles. `fuzz/` searches on from here.

mod common;

use common::case::{Case, Machines};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_sim::generate;

#[test]
fn arbitrary_streams_end() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut machines = Machines::new();
    let mut finished = 0;
    for round in 0..3_000_u64 {
        let which = rng.random_range(0..machines.designs().len());
        let bytes = match round % 3 {
            // Bytes without sense.
            0 => arbitrary(&mut rng, 2000),
            // Good programs with bits flipped.
            1 => {
                let program = generate(&machines.designs()[which], round, 6);
                let mut bytes = Case::bytes(which as u8, &program).unwrap_or_else(|| vec![0]);
                for _ in 0..rng.random_range(0..4) {
                    let bit = rng.random_range(0..bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                bytes
            }
            // Good programs written over.
            _ => [vec![which as u8, 1], arbitrary(&mut rng, 20)].concat(),
        };
        let case = Case::of(&bytes, machines.designs());
        finished += usize::from(machines.hold(&case));
    }
    assert!(finished > 100, "{finished}");
}

fn arbitrary(rng: &mut ChaCha8Rng, longest: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..=longest)];
    rng.fill(&mut bytes[..]);
    bytes
}

/// What `fuzz/` has found.
#[test]
fn what_once_broke_something_holds() {
    let mut machines = Machines::new();
    let inputs: [&[u8]; 1] = [
        // A generated transfer of more bytes than lie below it.
        &[2, 9, 5, 0xbd, 0x72, 0x1a, 0x72],
    ];
    for bytes in inputs {
        machines.hold(&Case::of(bytes, machines.designs()));
    }
}
