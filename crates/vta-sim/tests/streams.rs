//! Streams whose memory after the run is known from the original behavioural simulator.

use std::path::{Path, PathBuf};
use std::{env, fs};

use vta_isa::Design;
use vta_sim::{CheckOptions, Dram, FuncSim, RunOptions, check};

fn data() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    env::var_os("VTA_DATA").map_or(default, PathBuf::from)
}

#[test]
fn known_streams_give_the_known_memory() {
    let folder = data().join("streams");
    if !folder.is_dir() {
        println!("skipped: no folder {}", folder.display());
        return;
    }
    let design = Design::default();
    let mut streams: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "insn")
        })
        .collect();
    streams.sort();
    assert!(!streams.is_empty());
    for path in streams {
        let read = |extension| fs::read(path.with_extension(extension)).unwrap();
        let insns = read("insn");
        let mut dram = Dram::new(0x1000, read("dram"));
        if let Err(findings) = check(&design, &dram, &insns, &CheckOptions::default()) {
            panic!("{}: {}", path.display(), findings[0]);
        }
        if let Err(fault) = FuncSim::new(&design).run(&mut dram, &insns, &RunOptions::default()) {
            panic!("{}: {fault}", path.display());
        }
        assert!(dram.bytes == read("out"), "{}", path.display());
    }
}
