//! The text form of a quantization: what `vta quantize` writes and other commands read.
//!
//! ```text
//! ranges 1 {
//!   model "sha256:..."
//!   note "calibrated on 100 inputs; asymmetric, ..."
//!   widths 8 8 32 residuals
//!   value input 0.018658448 zero -14
//!   layer conv1 {
//!     divided [0.5, 1.0]
//!     weight [0.001, 0.002]
//!     rounding "=+-="
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
const VERSION: &str = "1";

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
            ("means", &layer.means),
            ("deviations", &layer.deviations),
            ("bias", &layer.bias),
        ] {
            if !numbers.is_empty() {
                print_numbers(what, numbers, &mut out);
            }
        }
        if !layer.rounding.is_empty() {
            out.push_str("    rounding \"");
            out.extend(layer.rounding.iter().map(|step| match step {
                0 => '=',
                1.. => '+',
                _ => '-',
            }));
            out.push_str("\"\n");
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
        means: Vec::new(),
        deviations: Vec::new(),
        rounding: Vec::new(),
        bias: Vec::new(),
    };
    lexer.expect("{", "`{`")?;
    while !lexer.take("}") {
        let (to, read): (_, fn(&mut Lexer<'_>) -> _) = match lexer.next() {
            "divided" => (&mut layer.divided, positive),
            "weight" => (&mut layer.weight, positive),
            "means" => (&mut layer.means, finite),
            "deviations" => (&mut layer.deviations, finite),
            "bias" => (&mut layer.bias, finite),
            "rounding" if layer.rounding.is_empty() => {
                layer.rounding = steps(lexer)?;
                continue;
            }
            "rounding" => return Err("the same twice for one layer".into()),
            other => {
                return Err(lexer.unexpected(
                    other,
                    "`divided`, `weight`, `rounding`, `means`, `deviations`, `bias` or `}`",
                ));
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

/// A sign for each weight.
fn steps(lexer: &mut Lexer<'_>) -> Result<Vec<i8>, Reason> {
    let signs = lexer.string()?;
    let step = |sign| match sign {
        '-' => Ok(-1),
        '=' => Ok(0),
        '+' => Ok(1),
        other => Err(format!(
            "`{other}` as the rounding of a weight: it is `-`, `=` or `+`"
        )),
    };
    signs.chars().map(step).collect()
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
