use super::{ScheduleError, Tensor};
use crate::intrinsics::Geometry;
use crate::program::{DType, Program, Scope};

/// What is written behind the name of each primitive.
const ARGUMENTS: [(&str, &str); 19] = [
    ("split", "LOOP FACTOR"),
    ("fuse", "OUTER INNER"),
    ("reorder", "LOOP..."),
    ("tile", "LOOP:FACTOR..."),
    ("fuse_nests", "FIRST SECOND LEVELS"),
    ("compute_at", "BUFFER LOOP"),
    ("reverse_compute_at", "CONSUMER LOOP"),
    ("inline", "BUFFER"),
    ("decompose_reduction", "LOOP"),
    ("sink_alloc", "BUFFER LOOP"),
    ("set_scope", "BUFFER SCOPE"),
    ("double_buffer", "BUFFER"),
    ("virtual_thread", "LOOP"),
    ("cache_read", "BUFFER LOOP SCOPE"),
    ("cache_write", "BUFFER LOOP SCOPE"),
    ("widen", "BUFFER TYPE"),
    ("unroll", "LOOP"),
    ("tensorize", "LOOP KIND"),
    ("dma", "LOOP"),
];

/// Applies one primitive given as text: its name, then its arguments, as in `split y 8`, `tile y:8 x:8`,
/// `fuse y x`, `reorder yo xo yi xi`, `fuse_nests y0 y1 2`, `compute_at acc xo`, `reverse_compute_at y1 yo`, `inline t`,
/// `decompose_reduction y`, `sink_alloc acc xo`, `set_scope acc acc`, `double_buffer acc`, `virtual_thread yo`,
/// `cache_read x xo inp`, `cache_write y xo out`, `widen x_acc i32`, `unroll ky`, `tensorize b gemm`, `dma x_inp_0`.
///
/// # Errors
/// A line that is no primitive, or what the primitive reports.
pub fn apply(program: &mut Program, line: &str, geometry: &Geometry) -> Result<(), ScheduleError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let malformed = || Err(ScheduleError::new("schedule", line.trim(), usage(&words)));
    applied(program, &words, geometry).unwrap_or_else(malformed)
}

/// What the primitive says; `None` if the words are no line.
fn applied(
    program: &mut Program,
    words: &[&str],
    geometry: &Geometry,
) -> Option<Result<(), ScheduleError>> {
    let scope_of = |name: &str| Scope::ALL.into_iter().find(|scope| scope.name() == name);
    let dtype_of = |name: &str| DType::ALL.into_iter().find(|dtype| dtype.name() == name);
    let kind_of = |name: &str| Tensor::ALL.into_iter().find(|kind| kind.name() == name);
    Some(match *words {
        ["split", var, factor] => super::split(program, var, factor.parse().ok()?).map(drop),
        ["fuse", outer, inner] => super::fuse(program, outer, inner).map(drop),
        ["reorder", _, ..] => super::reorder(program, &words[1..]),
        ["tile", _, ..] => {
            let factors: Option<Vec<(&str, i64)>> = words[1..].iter().map(tile_factor).collect();
            super::tile(program, &factors?).map(drop)
        }
        ["fuse_nests", first, second, levels] => {
            super::fuse_nests(program, first, second, levels.parse().ok()?)
        }
        ["compute_at", buffer, at] => super::compute_at(program, buffer, at),
        ["reverse_compute_at", consumer, at] => super::reverse_compute_at(program, consumer, at),
        ["inline", buffer] => super::inline(program, buffer),
        ["decompose_reduction", var] => super::decompose_reduction(program, var).map(drop),
        ["sink_alloc", buffer, at] => super::sink_alloc(program, buffer, at),
        ["set_scope", buffer, scope] => super::set_scope(program, buffer, scope_of(scope)?),
        ["double_buffer", buffer] => super::double_buffer(program, buffer),
        ["virtual_thread", var] => super::virtual_thread(program, var),
        ["cache_read", buffer, at, scope] => {
            super::cache_read(program, buffer, at, scope_of(scope)?).map(drop)
        }
        ["cache_write", buffer, at, scope] => {
            super::cache_write(program, buffer, at, scope_of(scope)?).map(drop)
        }
        ["widen", buffer, dtype] => super::widen(program, buffer, dtype_of(dtype)?),
        ["unroll", var] => super::unroll(program, var),
        ["tensorize", var, kind] => super::tensorize(program, var, kind_of(kind)?, geometry),
        ["dma", var] => super::dma(program, var),
        _ => return None,
    })
}

/// A loop and what it is split by.
fn tile_factor<'a>(word: &&'a str) -> Option<(&'a str, i64)> {
    let (var, factor) = word.split_once(':')?;
    Some((var, factor.parse().ok()?))
}

/// How a line that begins with the first of `words` is written.
fn usage(words: &[&str]) -> String {
    let known = ARGUMENTS
        .iter()
        .find(|(name, _)| words.first() == Some(name));
    let Some((name, arguments)) = known else {
        let names = ARGUMENTS.map(|(name, _)| name);
        return format!("no primitive of this name; there are {}", names.join(", "));
    };
    let arguments = arguments
        .replace("SCOPE", &Scope::ALL.map(Scope::name).join("|"))
        .replace("TYPE", &DType::ALL.map(DType::name).join("|"))
        .replace("KIND", &Tensor::ALL.map(Tensor::name).join("|"));
    format!("usage: {name} {arguments}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    fn fails(line: &str) -> ScheduleError {
        let nest = "program p(y: out i8[4]) {\n  for i in 0..4 {\n    y[i] = 1\n  }\n}\n";
        let (mut program, geometry) = (
            parse(nest).unwrap(),
            Geometry {
                batch: 1,
                block_in: 1,
                block_out: 1,
            },
        );
        let error = apply(&mut program, line, &geometry).unwrap_err();
        assert_eq!(program.to_string(), nest, "{line}");
        error
    }

    #[test]
    fn usages_are_those_of_the_primitives() {
        for (name, arguments) in ARGUMENTS {
            let given = arguments
                .replace("FACTOR", "0")
                .replace("LEVELS", "1")
                .replace("SCOPE", "acc")
                .replace("TYPE", "i32")
                .replace("KIND", "alu")
                .replace("...", "");
            let error = fails(&format!("{name} {given}"));
            assert_ne!(error.primitive, "schedule", "{error}");
            let usage = format!("usage: {name} ");
            assert!(fails(name).reason.starts_with(&usage), "{name}");
        }
    }

    #[test]
    fn choices_are_named() {
        for (line, choices) in [
            ("set_scope y chip", "dram|inp|wgt|acc|out|uop|rqt"),
            ("widen y f32", "i1|s1|i2|i4|i8|i16|i32"),
            ("tensorize i conv", "gemm|reset|alu"),
        ] {
            assert!(fails(line).reason.ends_with(choices), "{}", fails(line));
        }
        assert!(fails("polish i").reason.contains("there are split, fuse,"));
    }
}
