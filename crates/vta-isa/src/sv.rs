//! The SystemVerilog package of a design: its parameters, encodings and the layouts of its words.

use std::fmt::Write;

use crate::fields::OPCODE_BITS;
use crate::{
    AluOp, ConfigError, Design, FaultCode, Feature, INSN_BYTES, Layout, MemType, Opcode, Register,
    UOP_BYTES,
};

/// The package `vta_pkg` of `design`, as `hardware/rtl` reads it.
///
/// A scratchpad of one element has no index, which SystemVerilog cannot write: such a design is
/// an error here, and has no hardware.
pub fn package(design: &Design) -> Result<String, ConfigError> {
    let scratchpads = [MemType::Uop, MemType::Wgt, MemType::Inp, MemType::Acc];
    let table = design.has_memory(MemType::Rqt).then_some(MemType::Rqt);
    for mem in scratchpads.into_iter().chain(table) {
        if design.log_depth(mem) == 0 {
            return Err(ConfigError::OneElement {
                mem,
                key: crate::config::buffer_key(mem),
            });
        }
    }
    let mut text = String::from(
        "// The parameters of a design, its encodings, and the layouts of its words.\n\
         // Printed by `vta config --sv`; not edited by hand.\n\
         package vta_pkg;\n",
    );
    parameters(&mut text, design);
    registers(&mut text, design);
    enumeration(&mut text, "opcode_e", OPCODE_BITS, "Op", Opcode::NAMES);
    enumeration(&mut text, "mem_e", 3, "Mem", MemType::NAMES);
    enumeration(&mut text, "alu_op_e", 3, "Alu", AluOp::NAMES);
    enumeration(&mut text, "fault_e", 4, "Fault", FaultCode::NAMES);

    let opcode = Bits {
        name: "opcode".into(),
        lo: 0,
        width: OPCODE_BITS,
        signed: false,
    };
    let mut header = vec![opcode];
    header.extend(bits(design.header()));
    let insn_bits = 8 * INSN_BYTES as u32;
    let body = Bits {
        name: "body".into(),
        lo: header.iter().map(|field| field.width).sum(),
        width: insn_bits - header.iter().map(|field| field.width).sum::<u32>(),
        signed: false,
    };
    let insn = |fields: Vec<Bits>| [header.clone(), fields].concat();
    structure(&mut text, "insn_t", insn(vec![body]), insn_bits);
    for (name, opcode) in [
        ("mem_insn_t", Opcode::Load),
        ("store_insn_t", Opcode::Store),
        ("gemm_insn_t", Opcode::Gemm),
        ("alu_insn_t", Opcode::Alu),
    ] {
        structure(
            &mut text,
            name,
            insn(bits(design.layout(opcode))),
            insn_bits,
        );
    }
    let uop_bits = 8 * UOP_BYTES as u32;
    structure(&mut text, "uop_t", bits(design.uop_layout()), uop_bits);
    text += "endpackage\n";
    Ok(text)
}

fn parameters(text: &mut String, design: &Design) {
    let config = design.config();
    let log_bytes = |mem| design.elem_bytes(mem).ilog2();
    let (uop, wgt, inp) = (MemType::Uop, MemType::Wgt, MemType::Inp);
    let (acc, out, acc8, rqt) = (MemType::Acc, MemType::Out, MemType::Acc8, MemType::Rqt);
    section(
        text,
        "Widths of values, bits, and the shape of a tensor register.",
    );
    number(text, "InpWidth", design.inp_bits());
    number(text, "WgtWidth", design.wgt_bits());
    number(text, "AccWidth", design.acc_bits());
    number(text, "OutWidth", design.out_bits());
    number(text, "Batch", design.batch());
    number(text, "BlockIn", design.block_in());
    number(text, "BlockOut", design.block_out());
    section(text, "Elements of the scratchpads.");
    for (name, mem) in [
        ("Uop", uop),
        ("Inp", inp),
        ("Wgt", wgt),
        ("Acc", acc),
        ("Rqt", rqt),
    ] {
        number(text, &format!("Log{name}Depth"), design.log_depth(mem));
        number(text, &format!("{name}Depth"), design.depth(mem));
    }
    section(text, "Elements in DRAM: log2 of bytes, and bits.");
    for (name, mem) in [
        ("Uop", uop),
        ("Inp", inp),
        ("Wgt", wgt),
        ("Acc", acc),
        ("Out", out),
        ("Acc8", acc8),
        ("Rqt", rqt),
    ] {
        number(text, &format!("Log{name}Bytes"), log_bytes(mem));
    }
    for (name, mem) in [
        ("Inp", inp),
        ("Wgt", wgt),
        ("Acc", acc),
        ("Out", out),
        ("Rqt", rqt),
    ] {
        number(text, &format!("{name}Bits"), design.elem_bits(mem));
    }
    section(
        text,
        "The memory bus. No burst leaves an aligned block of 2^LogBurstBytes bytes.",
    );
    number(text, "AddrWidth", design.addr_bits());
    number(text, "BusWidth", 8 * design.bus_bytes());
    number(text, "LogBusBytes", design.bus_bytes().ilog2());
    number(text, "LogBurstBytes", design.burst_bytes().ilog2());
    number(text, "MaxOutstanding", config.max_outstanding);
    section(text, "Queues, of instructions and of tokens.");
    number(text, "CmdQueueDepth", config.cmd_queue_depth);
    number(text, "DepQueueDepth", config.dep_queue_depth);
    section(text, "The datapath.");
    number(text, "GemmPipeline", config.gemm_pipeline);
    flag(text, "MulPack", config.mul_pack == 1);
    flag(text, "HasAcc8", design.has_acc8());
    for &op in AluOp::ALL {
        flag(
            text,
            &format!("AluHas{}", camel(op.name())),
            design.has_alu(op),
        );
    }
    section(text, "Optional parts.");
    for &feature in Feature::ALL {
        flag(
            text,
            &format!("Has{}", camel(feature.name())),
            design.has(feature),
        );
    }
}

fn registers(text: &mut String, design: &Design) {
    section(text, "The control port: addresses of its registers, bytes.");
    for register in Register::ALL {
        let (name, offset) = (camel(register.name()), register.offset(design));
        let _ = writeln!(
            text,
            "  localparam logic [7:0] Reg{name} = 8'h{offset:02x};"
        );
    }
}

fn section(text: &mut String, comment: &str) {
    let _ = writeln!(text, "\n  // {comment}");
}

fn number(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "  localparam int unsigned {name} = {value};");
}

fn flag(text: &mut String, name: &str, value: bool) {
    let _ = writeln!(text, "  localparam bit {name} = 1'b{};", u8::from(value));
}

/// The names of codes that count up from 0.
fn enumeration(text: &mut String, name: &str, bits: u32, prefix: &str, names: &[&str]) {
    let variants: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(code, variant)| format!("    {prefix}{} = {bits}'d{code}", camel(variant)))
        .collect();
    let variants = variants.join(",\n");
    let _ = writeln!(
        text,
        "\n  typedef enum logic [{}:0] {{\n{variants}\n  }} {name};",
        bits - 1
    );
}

fn camel(name: &str) -> String {
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    name.split('_').map(capital).collect()
}

/// A member of a packed structure.
#[derive(Clone)]
struct Bits {
    name: String,
    lo: u32,
    width: u32,
    signed: bool,
}

fn bits(layout: &Layout) -> Vec<Bits> {
    let present = layout.places.iter().filter(|place| place.width > 0);
    let bits = present.map(|place| Bits {
        name: place.field.name.into(),
        lo: place.lo,
        width: place.width,
        signed: place.field.signed,
    });
    bits.collect()
}

/// A packed structure of `total` bits; `fields` are in the order of their places, and what they
/// leave free becomes members `rsv_0`, `rsv_1`, ... from the lowest bit.
fn structure(text: &mut String, name: &str, fields: Vec<Bits>, total: u32) {
    let (mut members, mut gaps, mut next) = (Vec::new(), 0, 0);
    let mut fill = |members: &mut Vec<String>, lo: u32, hi: u32| {
        if lo < hi {
            members.push(member(&format!("rsv_{gaps}"), hi - lo, false));
            gaps += 1;
        }
    };
    for field in fields {
        fill(&mut members, next, field.lo);
        members.push(member(&field.name, field.width, field.signed));
        next = field.lo + field.width;
    }
    fill(&mut members, next, total);
    // The first member of a packed structure has its highest bits.
    members.reverse();
    let _ = writeln!(
        text,
        "\n  typedef struct packed {{\n{}  }} {name};",
        members.concat()
    );
}

fn member(name: &str, width: u32, signed: bool) -> String {
    let signed = if signed { " signed" } else { "" };
    match width {
        1 => format!("    logic{signed} {name};\n"),
        _ => format!("    logic{signed} [{}:0] {name};\n", width - 1),
    }
}
