//! NumPy's `.npy` files, checked before they are believed.

use vta_graph::{DType, Data, Tensor, TensorType};

use crate::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Most axes, as NumPy has it.
const MAX_RANK: usize = 64;

/// The array of an `.npy` file, row-major.
///
/// Booleans and unsigned 8-bit numbers become `u8`, other integers the narrowest of `i8`, `i32`
/// and `i64` that holds them, floating-point numbers `f32`.
pub fn parse_npy(file: &[u8]) -> Result<Tensor> {
    let damaged = |why: &str| {
        Error::input(format!("no array: {why}"))
            .help("write the file with numpy.save, and copy it whole")
    };
    if !file.starts_with(MAGIC) {
        return Err(damaged("the file does not start as .npy files do"));
    }
    let (header, data) = header(file).ok_or_else(|| damaged("the header is cut off"))?;
    let descr = field(header, "descr").and_then(quoted);
    let descr = descr.ok_or_else(|| damaged("the header names no element type"))?;
    match field(header, "fortran_order").map(|text| text.starts_with("False")) {
        Some(true) => {}
        Some(false) => {
            return Err(Error::input("the array lies column by column")
                .help("save numpy.ascontiguousarray(array)"));
        }
        None => return Err(damaged("the header tells no order")),
    }
    let shape = field(header, "shape").and_then(tuple);
    let shape = shape.ok_or_else(|| damaged("the header tells no shape"))?;
    let (dtype, bytes) = element(descr).ok_or_else(|| {
        Error::input(format!("elements of type {descr:?} are not read"))
            .help("save array.astype(numpy.float32), or integers or booleans")
    })?;
    let ty = TensorType::new(dtype, shape);
    let len = ty.checked_len().map_err(|why| damaged(&why))?;
    if len.checked_mul(bytes) != Some(data.len()) {
        let (shape, given) = (&ty.shape, data.len());
        let why = format!("shape {shape:?} of {descr} does not make {given} bytes of data");
        return Err(damaged(&why));
    }
    let data = elements(descr, data);
    if let Data::F32(values) = &data {
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::input(format!("element {at} is {}", values[at]))
                .help("give finite numbers that fit 32-bit floats"));
        }
    }
    Ok(Tensor::new(ty, data))
}

/// The header's dictionary, and what follows it.
fn header(file: &[u8]) -> Option<(&str, &[u8])> {
    let major = *file.get(MAGIC.len())?;
    let at = MAGIC.len() + 2;
    let (start, len) = match major {
        1 => (
            at + 2,
            u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?).into(),
        ),
        _ => {
            let len = u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?);
            (at + 4, usize::try_from(len).ok()?)
        }
    };
    let end = start.checked_add(len)?;
    let header = std::str::from_utf8(file.get(start..end)?).ok()?;
    Some((header, &file[end..]))
}

/// What follows `'name':` in the dictionary.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    Some(text.strip_prefix('\'')?.split_once('\'')?.0)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let extents: Option<Vec<usize>> = inside.split(',').map(|d| d.trim().parse().ok()).collect();
    extents.filter(|extents| extents.len() <= MAX_RANK)
}

/// Our element type, and the bytes of one of theirs.
fn element(descr: &str) -> Option<(DType, usize)> {
    Some(match descr {
        "|u1" | "|b1" => (DType::U8, 1),
        "|i1" => (DType::I8, 1),
        "<i2" | "<u2" => (DType::I32, 2),
        "<i4" => (DType::I32, 4),
        "<u4" => (DType::I64, 4),
        "<i8" => (DType::I64, 8),
        "<f4" => (DType::F32, 4),
        "<f8" => (DType::F32, 8),
        _ => return None,
    })
}

/// The elements of a type that [`element`] knows.
fn elements(descr: &str, data: &[u8]) -> Data {
    fn each<const N: usize, T>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
        let chunks = data.chunks_exact(N);
        chunks
            .map(|bytes| value(bytes.try_into().expect("a chunk of N bytes")))
            .collect()
    }
    match descr {
        "|u1" => Data::U8(data.to_vec()),
        "|b1" => Data::U8(data.iter().map(|&b| u8::from(b != 0)).collect()),
        "|i1" => Data::I8(each(data, i8::from_le_bytes)),
        "<i2" => Data::I32(each(data, |b| i16::from_le_bytes(b).into())),
        "<u2" => Data::I32(each(data, |b| u16::from_le_bytes(b).into())),
        "<i4" => Data::I32(each(data, i32::from_le_bytes)),
        "<u4" => Data::I64(each(data, |b| u32::from_le_bytes(b).into())),
        "<i8" => Data::I64(each(data, i64::from_le_bytes)),
        "<f4" => Data::F32(each(data, f32::from_le_bytes)),
        _ => Data::F32(each(data, |b| f64::from_le_bytes(b) as f32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut file = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        file.extend(header.bytes());
        file.extend(data);
        file
    }

    #[test]
    fn reads_every_element_type() {
        let read = |descr, data: &[u8]| parse_npy(&npy(descr, "(1, 1)", data)).unwrap();
        for (descr, data, value) in [
            ("|u1", vec![200], 200),
            ("|b1", vec![7], 1),
            ("|i1", vec![0xff], -1),
            ("<i2", vec![0xfe, 0xff], -2),
            ("<u2", vec![0xfe, 0xff], 65534),
            ("<i4", (-3i32).to_le_bytes().to_vec(), -3),
            ("<u4", u32::MAX.to_le_bytes().to_vec(), u32::MAX.into()),
            ("<i8", i64::MIN.to_le_bytes().to_vec(), i64::MIN),
        ] {
            assert_eq!(read(descr, &data).to_ints(), Some(vec![value]), "{descr}");
        }
        assert_eq!(
            read("<f4", &1.5f32.to_le_bytes()),
            Tensor::f32([1, 1], vec![1.5])
        );
        assert_eq!(
            read("<f8", &1.5f64.to_le_bytes()),
            Tensor::f32([1, 1], vec![1.5])
        );
        assert_eq!(
            parse_npy(&npy("|u1", "()", &[3])).unwrap().shape(),
            &[] as &[usize]
        );
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for (file, says) in [
            (b"RIFF".to_vec(), "does not start"),
            (npy("|u1", "(2,)", &[1]), "does not make 1 bytes"),
            (npy("<f2", "(1,)", &[1, 2]), "<f2"),
            (npy("|u1", "(99999999999, 99999999999)", &[]), "more than"),
            (
                npy("<f4", "(1,)", &f32::NAN.to_le_bytes()),
                "element 0 is NaN",
            ),
        ] {
            let error = parse_npy(&file).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert!(error.remedy().is_some(), "{error}");
        }
    }
}
