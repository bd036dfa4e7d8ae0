//! Between ONNX's tensors and ours.

use vta_graph::{DType, Data, Tensor, TensorType};

use crate::OnnxError;
use crate::proto::TensorProto;

/// Most elements that a tensor may have.
pub(crate) const MAX_ELEMENTS: u64 = 1 << 31;

/// Most axes that a tensor may have.
pub(crate) const MAX_RANK: usize = 32;

/// ONNX's codes of the element types that we have (`TensorProto.DataType`).
const CODES: [(i32, DType); 7] = [
    (1, DType::F32),
    (2, DType::U8),
    (3, DType::I8),
    (6, DType::I32),
    (7, DType::I64),
    (9, DType::Bool),
    (22, DType::I4),
];

/// The element type behind ONNX's code; the error names the type and the remedy.
pub(crate) fn dtype_of(code: i32) -> Result<DType, String> {
    if let Some((_, d)) = CODES.iter().find(|(c, _)| *c == code) {
        return Ok(*d);
    }
    let name = match code {
        0 => return Err("the element type is not given".into()),
        4 => "uint16",
        5 => "int16",
        8 => "string",
        10 => "float16",
        11 => "double",
        12 => "uint32",
        13 => "uint64",
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        17..=20 => "float8",
        21 => "uint4",
        _ => return Err(format!("element type {code} is unknown")),
    };
    let fix = match code {
        10 | 11 | 16 => "; convert the model to float32",
        _ => "",
    };
    Err(format!("element type {name} is not supported{fix}"))
}

/// ONNX's code of an element type; `None` for the types that ONNX has not.
pub(crate) fn code_of(dtype: DType) -> Option<i32> {
    CODES.iter().find(|(_, d)| *d == dtype).map(|(c, _)| *c)
}

/// A shape from outside: no negative extent, at most [`MAX_RANK`] axes and [`MAX_ELEMENTS`]
/// elements.
pub(crate) fn checked_shape(dims: &[i64]) -> Result<Vec<usize>, String> {
    if dims.len() > MAX_RANK {
        return Err(format!(
            "{} axes; at most {MAX_RANK} are supported",
            dims.len()
        ));
    }
    let mut shape = Vec::with_capacity(dims.len());
    let mut len = 1u64;
    for &d in dims {
        let extent = usize::try_from(d).map_err(|_| format!("extent {d} in shape {dims:?}"))?;
        // Zero extents do not hide how large the others are.
        len = len
            .checked_mul(extent.max(1) as u64)
            .filter(|&n| n <= MAX_ELEMENTS)
            .ok_or_else(|| format!("shape {dims:?} has more than {MAX_ELEMENTS} elements"))?;
        shape.push(extent);
    }
    Ok(shape)
}

/// The tensor that a message holds.
pub(crate) fn read(t: TensorProto) -> Result<Tensor, OnnxError> {
    let name = t.name.clone().unwrap_or_default();
    read_data(t).map_err(|why| OnnxError::Tensor { name, why })
}

fn read_data(t: TensorProto) -> Result<Tensor, String> {
    if t.data_location == Some(1) {
        return Err(
            "its data lies in another file; save the model with all data in one file \
             (onnx.save_model(..., save_as_external_data=False))"
                .into(),
        );
    }
    let dtype = dtype_of(t.data_type.unwrap_or(0))?;
    let ty = TensorType::new(dtype, checked_shape(&t.dims)?);
    let len = ty.len();
    // Some writers give an empty list next to typed data.
    let data = match t.raw_data.filter(|raw| !raw.is_empty()) {
        Some(raw) => from_raw(dtype, len, &raw).ok_or_else(|| {
            let have = raw.len();
            format!("{have} bytes of data do not fill {ty}; the file is damaged")
        })?,
        None => from_typed(dtype, len, t.float_data, t.int32_data, t.int64_data)
            .ok_or_else(|| format!("its data does not fill {ty}; the file is damaged"))?,
    };
    Ok(Tensor::new(ty, data))
}

fn from_raw(dtype: DType, len: usize, raw: &[u8]) -> Option<Data> {
    fn words<const N: usize, T>(len: usize, raw: &[u8], f: fn([u8; N]) -> T) -> Option<Vec<T>> {
        let words = raw.chunks_exact(N);
        (raw.len() % N == 0 && words.len() == len).then(|| {
            words
                .map(|w| f(w.try_into().expect("chunks of N bytes")))
                .collect()
        })
    }
    Some(match dtype {
        DType::F32 => Data::F32(words(len, raw, f32::from_le_bytes)?),
        DType::I64 => Data::I64(words(len, raw, i64::from_le_bytes)?),
        DType::I32 => Data::I32(words(len, raw, i32::from_le_bytes)?),
        DType::I8 => Data::I8(words(len, raw, i8::from_le_bytes)?),
        DType::U8 => Data::U8(words(len, raw, u8::from_le_bytes)?),
        DType::Bool => Data::U8(words(len, raw, |[b]| u8::from(b != 0))?),
        // Two to a byte, the low half first.
        DType::I4 if raw.len() == len.div_ceil(2) => Data::I8(
            (0..len)
                .map(|i| ((raw[i / 2] >> (4 * (i % 2))) << 4) as i8 >> 4)
                .collect(),
        ),
        DType::I4 | DType::I2 | DType::I1 | DType::S1 => return None,
    })
}

fn from_typed(
    dtype: DType,
    len: usize,
    floats: Vec<f32>,
    ints: Vec<i32>,
    longs: Vec<i64>,
) -> Option<Data> {
    let bytes = |len| {
        let fits = ints.len() == len;
        fits.then(|| ints.iter())
    };
    Some(match dtype {
        DType::F32 => Data::F32(Some(floats).filter(|v| v.len() == len)?),
        DType::I64 => Data::I64(Some(longs).filter(|v| v.len() == len)?),
        DType::I32 => Data::I32(Some(ints).filter(|v| v.len() == len)?),
        DType::I8 => Data::I8(
            bytes(len)?
                .map(|&v| v.try_into().ok())
                .collect::<Option<_>>()?,
        ),
        DType::U8 => Data::U8(
            bytes(len)?
                .map(|&v| v.try_into().ok())
                .collect::<Option<_>>()?,
        ),
        DType::Bool => Data::U8(bytes(len)?.map(|&v| u8::from(v != 0)).collect()),
        DType::I4 => {
            let packed: Vec<u8> = bytes(len.div_ceil(2))?.map(|&v| v as u8).collect();
            return from_raw(dtype, len, &packed);
        }
        DType::I2 | DType::I1 | DType::S1 => return None,
    })
}

/// The message for a tensor; `None` for element types that ONNX has not.
pub(crate) fn write(name: &str, t: &Tensor) -> Option<TensorProto> {
    let raw = match t.data() {
        Data::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I8(v) if t.dtype() == DType::I4 => v
            .chunks(2)
            .map(|p| (p[0] & 15) as u8 | p.get(1).map_or(0, |&h| (h as u8) << 4))
            .collect(),
        Data::I8(v) => v.iter().map(|&x| x as u8).collect(),
        Data::U8(v) => v.clone(),
    };
    Some(TensorProto {
        dims: t.shape().iter().map(|&d| d as i64).collect(),
        data_type: Some(code_of(t.dtype())?),
        name: Some(name.to_string()),
        raw_data: Some(raw),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            dtype in prop::sample::select(vec![DType::U8, DType::I8, DType::I32, DType::I64, DType::I4]),
            shape in prop::collection::vec(0usize..5, 0..4),
            seed: i64,
        ) {
            let (lo, hi) = dtype.range().unwrap();
            let ty = TensorType::new(dtype, shape.clone());
            let v: Vec<i64> = (0..ty.len() as i64)
                .map(|i| seed.wrapping_mul(i + 1).clamp(lo, hi))
                .collect();
            let t = Tensor::from_ints(dtype, shape, &v);
            prop_assert_eq!(read(write("t", &t).unwrap()).unwrap(), t);
        }
    }

    #[test]
    fn a_claimed_shape_allocates_nothing() {
        let why = |dims: Vec<i64>, raw: Vec<u8>| {
            read(TensorProto {
                dims,
                data_type: Some(1),
                raw_data: Some(raw),
                ..Default::default()
            })
            .unwrap_err()
            .to_string()
        };
        assert!(why(vec![1 << 20, 1 << 10], vec![0; 8]).contains("8 bytes of data do not fill"));
        assert!(why(vec![1 << 40, 1 << 40], vec![]).contains("more than"));
        assert!(why(vec![0, 1 << 40], vec![]).contains("more than"));
        assert!(why(vec![-1], vec![]).contains("extent -1"));
    }
}
