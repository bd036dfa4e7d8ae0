//! Assembly and configurations as files. The command may set keys of the design: `asm LOG_BATCH=1`.
//!
//! `asm` assembles and disassembles: each word in hexadecimal, then its text. `config` reads a JSON
//! and lists what follows from it.

use std::fmt::Write;
use std::process::ExitCode;

use vta_filetest::Suite;
use vta_isa::{Design, HwConfig, INSN_BYTES, MemType, Opcode, UOP_BYTES, asm};

fn main() -> ExitCode {
    vta_filetest::main(&[
        Suite::new("filetests", "vasm", run),
        Suite::new("filetests", "json", run),
    ])
}

fn run(command: &str, input: &str) -> Result<String, String> {
    let (name, keys) = command.split_once(' ').unwrap_or((command, ""));
    match name {
        "asm" => {
            let keys = keys
                .split_whitespace()
                .map(|key| format!("\"{}", key.replace('=', "\":")));
            let json = format!("{{{}}}", keys.collect::<Vec<_>>().join(","));
            assembled(&design(&json)?, input)
        }
        "config" => design(input).map(|design| described(&design)),
        _ => Err(format!("no command `{name}`")),
    }
}

fn design(json: &str) -> Result<Design, String> {
    HwConfig::from_json(json)
        .and_then(HwConfig::design)
        .map_err(|error| error.to_string())
}

fn assembled(design: &Design, input: &str) -> Result<String, String> {
    let listing = asm::assemble_listing(design, input).map_err(|error| error.to_string())?;
    let insns = asm::disassemble(design, &listing.insns).map_err(|error| error.to_string())?;
    let uops = asm::disassemble_uops(design, &listing.uops).map_err(|error| error.to_string())?;
    let words = listing
        .insns
        .chunks(INSN_BYTES)
        .chain(listing.uops.chunks(UOP_BYTES));
    let mut text = String::new();
    for (word, line) in words.zip(insns.lines().chain(uops.lines())) {
        for byte in word.iter().rev() {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = writeln!(text, "  {line}");
    }
    Ok(text)
}

fn described(design: &Design) -> String {
    let mut text = String::new();
    let table = design.has_memory(MemType::Rqt);
    let views = |mem: &&MemType| table || **mem != MemType::Rqt;
    for &mem in MemType::ALL.iter().filter(views) {
        let (bytes, depth) = (design.elem_bytes(mem), design.depth(mem));
        let _ = writeln!(text, "{mem:4} {bytes:4} bytes x {depth}");
    }
    let mut opcodes = vec![Opcode::Load, Opcode::Gemm, Opcode::Alu];
    if design.layout(Opcode::Store) != design.layout(Opcode::Load) {
        opcodes.insert(1, Opcode::Store);
    }
    let bodies = opcodes.into_iter().map(|opcode| design.layout(opcode));
    for layout in bodies.into_iter().chain([design.uop_layout()]) {
        let _ = write!(text, "{}:", layout.name);
        for place in layout.places.iter().filter(|place| place.width > 0) {
            let _ = write!(text, " {}@{}+{}", place.field.name, place.lo, place.width);
        }
        text.push('\n');
    }
    text
}
