//! Words, structures and text say the same, in every design.

mod common;

use std::path::{Path, PathBuf};

use common::designs;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vta_isa::{Design, INSN_BYTES, Insn, Opcode, Uop, asm};

/// Words of valid instructions in all designs together.
const INSNS: usize = 1_000_000;

/// A word with fields that are zero, full, or anything between.
fn word(rng: &mut ChaCha8Rng) -> u128 {
    let mut next = || u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
    match next() % 4 {
        0 => next(),
        1 => next() & next() & next(),
        2 => !(next() & next() & next()),
        _ => next() & (u128::MAX << (next() % 128)),
    }
}

/// A word of a valid instruction; half of them have no reserved bits.
fn valid(rng: &mut ChaCha8Rng, design: &Design) -> [u8; INSN_BYTES] {
    let opcode = Opcode::ALL[rng.random_range(0..Opcode::ALL.len())];
    let word = word(rng) & !7 | u128::from(opcode.code());
    let reserved = if rng.random() {
        design.free_bits(opcode)
    } else {
        0
    };
    (word & !reserved).to_le_bytes()
}

#[test]
fn a_million_instructions_read_back_through_structures_and_text() {
    let designs = designs();
    for (seed, (name, design)) in designs.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        for _ in 0..INSNS.div_ceil(1000 * designs.len()) {
            let words: Vec<_> = (0..1000).map(|_| valid(&mut rng, design)).collect();
            for bytes in &words {
                let insn = Insn::decode(design, bytes).unwrap();
                assert_eq!(insn.encode(design).as_ref(), Ok(bytes), "{name}: {insn:?}");
            }
            let stream = words.concat();
            let text = asm::disassemble(design, &stream).unwrap();
            assert!(!text.contains(".word"));
            assert!(asm::assemble(design, &text).unwrap() == stream, "{name}");
        }
    }
}

#[test]
fn any_words_read_back_through_text() {
    for (seed, (name, design)) in designs().iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        for _ in 0..100 {
            let stream: Vec<u8> = (0..100)
                .flat_map(|_| word(&mut rng).to_le_bytes())
                .collect();
            let insns = asm::disassemble(design, &stream).unwrap();
            let uops = asm::disassemble_uops(design, &stream).unwrap();
            let listing = asm::assemble_listing(design, &format!("{insns}{uops}")).unwrap();
            assert!(listing.insns == stream && listing.uops == stream, "{name}");
        }
    }
}

#[test]
fn micro_ops_read_back() {
    for (name, design) in designs() {
        let covered = design.uop_layout().covered as u32;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..10_000 {
            let word = rng.next_u32();
            let uop = Uop::decode(&design, word);
            assert_eq!(uop.encode(&design), Ok(word & covered), "{name}: {uop:?}");
        }
    }
}

/// Every bit of the encoding is a field's or reserved, none is both, and no field crosses bit 64.
#[test]
fn fields_tile_the_word() {
    for (name, design) in designs() {
        for &opcode in Opcode::ALL {
            let mut seen = 7 | design.free_bits(opcode);
            let layouts = [design.header(), design.layout(opcode)];
            for place in layouts.into_iter().flat_map(|layout| &layout.places) {
                let (lo, end) = (place.lo, place.lo + place.width);
                assert!(
                    end <= 64 || (64..=128).contains(&lo) && end <= 128,
                    "{name}: {place:?}"
                );
                for bit in lo..end {
                    assert_eq!(seen >> bit & 1, 0, "{name}: {place:?}");
                    seen |= 1 << bit;
                }
            }
            assert_eq!(seen, u128::MAX, "{name}: {opcode}");
        }
    }
}

/// Text with characters replaced, removed or doubled assembles, or fails at a place in the text.
#[test]
fn mutated_text_never_panics() {
    let design = Design::default();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let insn = Insn::decode(&design, &valid(&mut rng, &design)).unwrap();
        let mut text: Vec<char> = asm::print_insn(&design, &insn).chars().collect();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..text.len());
            match rng.random_range(0..3) {
                0 => text[at] = *b" .=,-;x9\n_\xe9".map(char::from).get(at % 11).unwrap(),
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text.insert(at, text[at]),
            }
        }
        let text: String = text.into_iter().collect();
        match asm::assemble_listing(&design, &text) {
            Ok(_) => good += 1,
            Err(error) => {
                bad += 1;
                let line = text.lines().nth(error.line - 1).unwrap();
                assert!(
                    (1..=line.chars().count() + 1).contains(&error.column),
                    "{error}: {text}"
                );
            }
        }
    }
    assert!(good > 1000 && bad > 1000, "{good} {bad}");
}

/// Streams made elsewhere, with whatever their reserved bits hold.
#[test]
fn existing_streams_read_back() {
    let data = std::env::var_os("VTA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(folder) = data.join("streams").read_dir() else {
        println!("skipped: no folder {}", data.join("streams").display());
        return;
    };
    let design = Design::default();
    let mut streams = 0;
    for path in folder.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|e| e == "insn") {
            let stream = std::fs::read(&path).unwrap();
            let text = asm::disassemble(&design, &stream).unwrap();
            assert!(!text.contains(".word"), "{}", path.display());
            assert!(
                asm::assemble(&design, &text).unwrap() == stream,
                "{}",
                path.display()
            );
            streams += 1;
        }
    }
    assert!(streams > 0, "no stream in {}", data.display());
}
