//! The text form of a quantization: what `vta quantize` writes and other commands read.
//!
//! ```text
//! ranges 2 {
//!   model "sha256:..."
//!   note "calibrated on 100 inputs; asymmetric, ..."
//!   widths 8 8 32 residuals
//!   value input 0.018658448 zero -14
//!   layer conv1 {
//!     divided [0.5, 1.0]
//!     weight [0.001, 0.002]
//!     rounding "dC..b"
//!     bias [0.0, -0.003]
//!   }
//! }
//! ```

use std::fmt::Write;

use super::attributes::{print_f32, read_f32};
use super::lex::{Lexer, Reason, print_name, print_string};
use crate::GraphError;
use crate::quant::{QuantTarget, Quantization, QuantizedLayer, StoredValue};

/// The version that this text form has.
const VERSION: &str = "2";

/// A quantization, with what it is for and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct RangesFile {
    /// What identifies the network.
    pub model: String,
    /// What was chosen, and on what.
    pub note: String,
    /// The decisions.
    pub quantization: Quantization,
}

/// The text form; it parses to an equal value.
pub fn print_ranges(file: &RangesFile) -> String {
    let mut out = format!("ranges {VERSION} {{\n  model ");
    print_string(&file.model, &mut out);
    out.push_str("\n  note ");
    print_string(&file.note, &mut out);
    let Quantization {
        target,
        values,
        layers,
    } = &file.quantization;
    let QuantTarget {
        inp_bits,
        wgt_bits,
        acc_bits,
        sign_inp,
        sign_wgt,
        residuals,
    } = target;
    let words = [
        (sign_inp, " sign_inp"),
        (sign_wgt, " sign_wgt"),
        (residuals, " residuals"),
    ];
    let words: String = words.iter().filter(|(is, _)| **is).map(|w| w.1).collect();
    writeln!(out, "\n  widths {inp_bits} {wgt_bits} {acc_bits}{words}")
        .expect("a string takes all");
    for value in values {
        out.push_str("  value ");
        print_name(&value.name, &mut out);
        out.push(' ');
        print_f32(value.scale, &mut out);
        writeln!(out, " zero {}", value.zero_point).expect("a string takes all");
    }
    for layer in layers {
        out.push_str("  layer ");
        print_name(&layer.name, &mut out);
        out.push_str(" {\n");
        for (what, numbers) in [
            ("divided", &layer.divided),
            ("weight", &layer.weight),
            ("bias", &layer.bias),
        ] {
            if !numbers.is_empty() {
                print_numbers(what, numbers, &mut out);
            }
        }
        if !layer.rounding.is_empty() {
            print_steps(&layer.rounding, &mut out);
        }
        out.push_str("  }\n");
    }
    out.push_str("}\n");
    out
}

fn print_numbers(what: &str, numbers: &[f32], out: &mut String) {
    write!(out, "    {what} [").expect("a string takes all");
    for (i, &number) in numbers.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        print_f32(number, out);
    }
    out.push_str("]\n");
}

/// Reads the text form. Whether it fits a network is found when it is applied to one.
///
/// # Errors
/// [`GraphError::Parse`] with the line and the reason.
pub fn parse_ranges(text: &str) -> Result<RangesFile, GraphError> {
    let mut lexer = Lexer::new(text);
    file(&mut lexer).map_err(|why| GraphError::Parse {
        line: lexer.token_line,
        why,
    })
}

fn file(lexer: &mut Lexer<'_>) -> Result<RangesFile, Reason> {
    lexer.expect("ranges", "`ranges`, with which a file of ranges begins,")?;
    let version = lexer.word("a version")?;
    if version != VERSION {
        return Err(format!(
            "a file of version {version}, where version {VERSION} is understood: quantize again"
        ));
    }
    lexer.expect("{", "`{`")?;
    lexer.expect("model", "`model`")?;
    let model = lexer.string()?.into_owned();
    lexer.expect("note", "`note`")?;
    let note = lexer.string()?.into_owned();
    lexer.expect("widths", "`widths`")?;
    let mut bits = || lexer.parse::<u32>("a width in bits");
    let target = QuantTarget {
        inp_bits: bits()?,
        wgt_bits: bits()?,
        acc_bits: bits()?,
        sign_inp: lexer.take("sign_inp"),
        sign_wgt: lexer.take("sign_wgt"),
        residuals: lexer.take("residuals"),
    };
    if !(1..=32).contains(&target.acc_bits) {
        return Err("an accumulator has 1 to 32 bits".into());
    }
    let (mut values, mut layers) = (Vec::new(), Vec::new());
    while !lexer.take("}") {
        match lexer.next() {
            "value" => values.push(value(lexer)?),
            "layer" => layers.push(layer(lexer)?),
            other => return Err(lexer.unexpected(other, "`value`, `layer` or `}`")),
        }
    }
    match lexer.next() {
        "" => Ok(RangesFile {
            model,
            note,
            quantization: Quantization {
                target,
                values,
                layers,
            },
        }),
        more => Err(lexer.unexpected(more, "the end of the text")),
    }
}

fn value(lexer: &mut Lexer<'_>) -> Result<StoredValue, Reason> {
    let name = lexer.name("the name of a value")?.into_owned();
    let scale = positive(lexer)?;
    lexer.expect("zero", "`zero`")?;
    Ok(StoredValue {
        name,
        scale,
        zero_point: lexer.parse("an integer")?,
    })
}

fn layer(lexer: &mut Lexer<'_>) -> Result<QuantizedLayer, Reason> {
    let mut layer = QuantizedLayer {
        name: lexer.name("the name of a layer's result")?.into_owned(),
        divided: Vec::new(),
        weight: Vec::new(),
        rounding: Vec::new(),
        bias: Vec::new(),
    };
    lexer.expect("{", "`{`")?;
    while !lexer.take("}") {
        let (to, read): (_, fn(&mut Lexer<'_>) -> _) = match lexer.next() {
            "divided" => (&mut layer.divided, positive),
            "weight" => (&mut layer.weight, positive),
            "bias" => (&mut layer.bias, finite),
            "rounding" if layer.rounding.is_empty() => {
                layer.rounding = steps(lexer)?;
                continue;
            }
            "rounding" => return Err("the same twice for one layer".into()),
            other => {
                return Err(
                    lexer.unexpected(other, "`divided`, `weight`, `rounding`, `bias` or `}`")
                );
            }
        };
        if !to.is_empty() {
            return Err("the same twice for one layer".into());
        }
        lexer.list("[", "]", |lexer| {
            to.push(read(lexer)?);
            Ok(())
        })?;
    }
    match layer.weight.is_empty() {
        true => Err(format!("no `weight` for the layer `{}`", layer.name)),
        false => Ok(layer),
    }
}

/// How many weights a dot passes over, one more than a letter does at most.
const RUN: usize = 26;

/// The weights that are not the nearest integer: `c` passes over two that are and stands for one a step above it, `C`
/// for one a step below; `.` passes over 26.
fn print_steps(steps: &[i8], out: &mut String) {
    out.push_str("    rounding \"");
    let mut nearest = 0;
    for &step in steps {
        if step == 0 {
            nearest += 1;
            continue;
        }
        out.extend(std::iter::repeat_n('.', nearest / RUN));
        let first = if step > 0 { b'a' } else { b'A' };
        out.push((first + (nearest % RUN) as u8).into());
        nearest = 0;
    }
    out.push_str("\"\n");
}

fn steps(lexer: &mut Lexer<'_>) -> Result<Vec<i8>, Reason> {
    let text = lexer.string()?;
    let (mut steps, mut nearest) = (Vec::new(), 0);
    for c in text.bytes() {
        let (first, step) = match c {
            b'.' => {
                nearest += RUN;
                continue;
            }
            b'a'..=b'z' => (b'a', 1),
            b'A'..=b'Z' => (b'A', -1),
            _ => return Err("the rounding of weights is letters and dots".into()),
        };
        steps.resize(steps.len() + nearest + usize::from(c - first), 0);
        steps.push(step);
        nearest = 0;
    }
    match nearest {
        0 => Ok(steps),
        _ => Err("the rounding of weights ends in a letter".into()),
    }
}

fn finite(lexer: &mut Lexer<'_>) -> Result<f32, Reason> {
    let number = read_f32(lexer)?;
    match number.is_finite() {
        true => Ok(number),
        false => Err(format!("`{number}`, where a finite number was expected")),
    }
}

fn positive(lexer: &mut Lexer<'_>) -> Result<f32, Reason> {
    let number = finite(lexer)?;
    match number > 0.0 {
        true => Ok(number),
        false => Err(format!("`{number:?}`, where more than 0 was expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Steps far apart and close together, up to the last of them.
        #[test]
        fn steps_print_and_parse(runs in prop::collection::vec((0..100_usize, prop::bool::ANY), 0..50)) {
            let mut given = Vec::new();
            for (nearest, up) in runs {
                given.resize(given.len() + nearest, 0);
                given.push(if up { 1 } else { -1 });
            }
            let mut text = String::new();
            print_steps(&given, &mut text);
            let text = text.trim().strip_prefix("rounding ").expect("what it is");
            prop_assert_eq!(steps(&mut Lexer::new(text)), Ok(given));
        }
    }

    #[test]
    fn steps_are_letters_and_dots_and_end_in_a_letter() {
        for wrong in ["\"a=\"", "\"a.\"", "\"\u{e9}\"", "3"] {
            assert!(steps(&mut Lexer::new(wrong)).is_err(), "{wrong}");
        }
    }
}
