//! The reference page, from the tables of this crate and the prose of `reference.md`.

use std::fmt::Write;

use crate::config::{Digested, KEYS, Slot};
use crate::field::Spelling;
use crate::fields::OPCODE_BITS;
use crate::{
    AluOp, Body, Deps, Design, Feature, Field, HwConfig, Insn, Layout, MemInsn, MemType, Opcode,
};

/// The reference page of the instruction set, in Markdown, with the numbers of `design`.
pub fn reference_page(design: &Design) -> String {
    let sections = [
        ("target", design.config().target.clone()),
        ("parameters", parameters(design)),
        ("presets", presets()),
        ("memories", memories(design)),
        ("header", header(design)),
        ("features", features()),
        ("opcodes", opcodes(design)),
        ("mem", fields(design.layout(Opcode::Load))),
        ("memory_types", memory_types(design)),
        ("gemm", fields(design.layout(Opcode::Gemm))),
        ("alu", fields(design.layout(Opcode::Alu))),
        ("uop", fields(design.uop_layout())),
        ("memory_names", names(MemType::NAMES)),
        ("alu_names", names(AluOp::NAMES)),
    ];
    let mut page = include_str!("reference.md").to_string();
    for (name, text) in sections {
        page = page.replace(&format!("{{{{{name}}}}}"), text.trim_end());
    }
    page
}

/// A Markdown table, one row of cells after another.
struct Table(String);

impl Table {
    fn new(titles: &[&str]) -> Table {
        let mut table = Table(String::new());
        table.row(titles);
        table.row(&vec!["---"; titles.len()]);
        table
    }

    fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        for cell in cells {
            let _ = write!(self.0, "| {} ", cell.as_ref());
        }
        self.0 += "|\n";
    }
}

fn parameters(design: &Design) -> String {
    let mut table = Table::new(&["key", "values", "default", "here", "digest", "meaning"]);
    let (mut default, mut here) = (HwConfig::default(), design.config().clone());
    for key in KEYS {
        let values = match &key.slot {
            Slot::Text(_) => "text".into(),
            Slot::Number(_, range) => format!("{} to {}", range.start(), range.end()),
            Slot::Names(..) => "list".into(),
        };
        table.row(&[
            format!("`{}`", key.name),
            values,
            format!("`{}`", key.value(&mut default)),
            format!("`{}`", key.value(&mut here)),
            match key.digested {
                Digested::No => String::new(),
                Digested::Yes => "yes".into(),
                Digested::UnlessDefault => "unless default".into(),
            },
            match key.name.starts_with("LOG_") {
                true => format!("log2: {}", key.doc),
                false => key.doc.into(),
            },
        ]);
    }
    table.0
}

fn features() -> String {
    let mut table = Table::new(&["feature", "what it adds"]);
    for feature in Feature::ALL {
        let adds = match feature {
            Feature::RequantStore => "STORE rescales: a table of rescalings, LOAD of RQT, `entry`",
            Feature::LoadPad => "LOAD says which value its padding has: `pad_value`",
            Feature::SignInp => "the bit of a 1-bit input is a sign",
            Feature::SignWgt => "the bit of a 1-bit weight is a sign",
            Feature::GemmOverwrite => "GEMM writes its products over accumulators: `overwrite`",
        };
        table.row(&[format!("`{feature}`"), adds.into()]);
    }
    table.0
}

fn presets() -> String {
    let mut table = Table::new(&["preset", "part", "clock, MHz", "bus, bits"]);
    for preset in HwConfig::PRESETS
        .iter()
        .filter_map(|name| HwConfig::preset(name))
    {
        let name = if preset.target == "sim" {
            "default"
        } else {
            preset.target.as_str()
        };
        table.row(&[
            format!("`{name}`"),
            preset.part.clone(),
            preset.clock_mhz.to_string(),
            (1u64 << preset.log_bus_width).to_string(),
        ]);
    }
    table.0
}

fn memories(design: &Design) -> String {
    let mut table = Table::new(&["memory", "element", "bytes", "depth"]);
    for &mem in MemType::ALL {
        let element = match mem {
            MemType::Uop => "one micro-op",
            MemType::Wgt => "`BLOCK_OUT x BLOCK_IN` weights, a row for each output channel",
            MemType::Inp => "`BATCH x BLOCK_IN` inputs",
            MemType::Acc => "`BATCH x BLOCK_OUT` accumulators",
            MemType::Out => "`BATCH x BLOCK_OUT` outputs",
            MemType::Acc8 => "`BATCH x BLOCK_OUT` signed 8-bit values",
            MemType::Rqt => "the rescaling of a channel, with `requant_store`",
        };
        table.row(&[
            mem.name().to_uppercase(),
            element.into(),
            design.elem_bytes(mem).to_string(),
            format!("{} (2^{})", design.depth(mem), design.log_depth(mem)),
        ]);
    }
    table.0
}

fn header(design: &Design) -> String {
    let opcode = [
        "0-2".into(),
        "`opcode`".into(),
        OPCODE_BITS.to_string(),
        "the mnemonic".into(),
    ];
    let mut table = Table::new(&["bits", "field", "width", "assembly", "meaning"]);
    let [bits, name, width, assembly] = opcode;
    table.row(&[
        bits,
        name,
        width,
        assembly,
        "what the instruction does".into(),
    ]);
    rows(&mut table, design.header());
    table.0
}

fn fields(layout: &Layout) -> String {
    let mut table = Table::new(&["bits", "field", "width", "assembly", "meaning"]);
    rows(&mut table, layout);
    table.0
}

fn rows(table: &mut Table, layout: &Layout) {
    for place in &layout.places {
        let bits = match place.width {
            0 => "none".into(),
            1 => place.lo.to_string(),
            width => format!("{}-{}", place.lo, place.lo + width - 1),
        };
        let field = &place.field;
        table.row(&[
            bits,
            format!("`{}`", field.name),
            width(field),
            assembly(field),
            doc(field),
        ]);
    }
}

/// The field's width; `with` a feature only where it has a say.
fn width(field: &Field) -> String {
    let depths: Vec<String> = field
        .width
        .depths
        .iter()
        .map(|mem| format!("d({mem})"))
        .collect();
    match (&depths[..], field.width.bits) {
        ([], bits) => match field.width.with {
            Some((feature, with)) => format!("{bits}; {with} with `{feature}`"),
            None => bits.to_string(),
        },
        ([depth], 0) => depth.clone(),
        ([depth], bits) => format!("{depth} + {bits}"),
        (_, 0) => format!("max({})", depths.join(", ")),
        (_, bits) => format!("max({}) + {bits}", depths.join(", ")),
    }
}

fn assembly(field: &Field) -> String {
    match field.spelling {
        Spelling::Suffix(_) => "suffix".into(),
        Spelling::Flag => format!("`{}`", field.name),
        Spelling::Dec(key) | Spelling::Hex(key) => format!("`{key}=`"),
        Spelling::Gate => "by the next key".into(),
    }
}

/// The field's documentation as prose, without the links of the API.
fn doc(field: &Field) -> String {
    let text = field.doc.split("; see [").next().unwrap_or_default().trim();
    format!("{}{}", text, if text.ends_with('.') { "" } else { "." })
}

fn opcodes(design: &Design) -> String {
    let mut rows = Table(String::new());
    for &opcode in Opcode::ALL {
        let module = match opcode {
            Opcode::Load => "load for INP, WGT and RQT, else compute".into(),
            _ => {
                let body = Body::from_values(opcode, &Default::default());
                let insn = Insn::new(Deps::default(), body);
                insn.module(design).to_string()
            }
        };
        rows.row(&[
            opcode.name().to_uppercase(),
            opcode.code().to_string(),
            module,
        ]);
    }
    rows.0
}

fn memory_types(design: &Design) -> String {
    let mut rows = Table(String::new());
    for &mem in MemType::ALL {
        let insn = MemInsn {
            memory_type: mem.code(),
            ..MemInsn::default()
        };
        let load = match mem {
            MemType::Out => "a fault".into(),
            MemType::Rqt => "load, with `requant_store`".into(),
            _ => Insn::new(Deps::default(), Body::Load(insn))
                .module(design)
                .to_string(),
        };
        let store = if mem == MemType::Out {
            "yes"
        } else {
            "a fault"
        };
        rows.row(&[
            mem.name().to_uppercase(),
            mem.code().to_string(),
            load,
            store.into(),
        ]);
    }
    rows.0
}

fn names(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(" | ")
}
