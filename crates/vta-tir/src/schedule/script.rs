use super::{ScheduleError, Tensor};
use crate::intrinsics::Geometry;
use crate::program::{DType, Program, Scope};

/// Applies one primitive given as text: its name, then its arguments, as in `split y 8`, `tile y:8 x:8`,
/// `fuse y x`, `reorder yo xo yi xi`, `fuse_nests y0 y1 2`, `compute_at acc xo`, `reverse_compute_at y1 yo`, `inline t`,
/// `decompose_reduction y`, `sink_alloc acc xo`, `set_scope acc acc`, `double_buffer acc`, `virtual_thread yo`,
/// `cache_read x xo inp`, `cache_write y xo out`, `widen x_acc i32`, `unroll ky`, `tensorize b gemm`, `dma x_inp_0`.
///
/// # Errors
/// A line that is no primitive, or what the primitive reports.
pub fn apply(program: &mut Program, line: &str, geometry: &Geometry) -> Result<(), ScheduleError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let malformed = |usage: &str| {
        Err(ScheduleError::new(
            "schedule",
            line.trim(),
            format!("usage: {usage}"),
        ))
    };
    let scope_of = |name: &str| Scope::ALL.into_iter().find(|scope| scope.name() == name);
    match words[..] {
        ["split", var, factor] => match factor.parse() {
            Ok(factor) => super::split(program, var, factor).map(drop),
            Err(_) => malformed("split LOOP FACTOR"),
        },
        ["reorder", ref order @ ..] => super::reorder(program, order),
        ["tile", ref factors @ ..] => {
            let parsed: Option<Vec<(&str, i64)>> = factors
                .iter()
                .map(|factor| {
                    factor
                        .split_once(':')
                        .and_then(|(var, n)| Some((var, n.parse().ok()?)))
                })
                .collect();
            match parsed {
                Some(factors) => super::tile(program, &factors).map(drop),
                None => malformed("tile LOOP:FACTOR..."),
            }
        }
        ["fuse", outer, inner] => super::fuse(program, outer, inner).map(drop),
        ["fuse_nests", first, second, levels] => match levels.parse() {
            Ok(levels) => super::fuse_nests(program, first, second, levels),
            Err(_) => malformed("fuse_nests FIRST SECOND LEVELS"),
        },
        ["reverse_compute_at", consumer, at] => super::reverse_compute_at(program, consumer, at),
        ["inline", buffer] => super::inline(program, buffer),
        ["decompose_reduction", var] => super::decompose_reduction(program, var).map(drop),
        ["sink_alloc", buffer, at] => super::sink_alloc(program, buffer, at),
        ["compute_at", buffer, at] => super::compute_at(program, buffer, at),
        ["set_scope", buffer, scope] => match scope_of(scope) {
            Some(scope) => super::set_scope(program, buffer, scope),
            None => malformed("set_scope BUFFER SCOPE"),
        },
        ["double_buffer", buffer] => super::double_buffer(program, buffer),
        ["cache_read", buffer, at, scope] => match scope_of(scope) {
            Some(scope) => super::cache_read(program, buffer, at, scope).map(drop),
            None => malformed("cache_read BUFFER LOOP SCOPE"),
        },
        ["cache_write", buffer, at, scope] => match scope_of(scope) {
            Some(scope) => super::cache_write(program, buffer, at, scope).map(drop),
            None => malformed("cache_write BUFFER LOOP SCOPE"),
        },
        ["widen", buffer, name] => {
            match DType::ALL.into_iter().find(|dtype| dtype.name() == name) {
                Some(dtype) => super::widen(program, buffer, dtype),
                None => malformed("widen BUFFER TYPE"),
            }
        }
        ["virtual_thread", var] => super::virtual_thread(program, var),
        ["unroll", var] => super::unroll(program, var),
        ["tensorize", var, name] => {
            match Tensor::ALL.into_iter().find(|kind| kind.name() == name) {
                Some(kind) => super::tensorize(program, var, kind, geometry),
                None => malformed("tensorize LOOP gemm|reset|alu"),
            }
        }
        ["dma", var] => super::dma(program, var),
        _ => malformed(
            "split, fuse, reorder, tile, fuse_nests, compute_at, reverse_compute_at, inline, decompose_reduction, sink_alloc, \
             set_scope, double_buffer, virtual_thread, cache_read, cache_write, widen, unroll, tensorize or dma, \
             with arguments",
        ),
    }
}
