//! Tensors: element types, shapes and dense row-major data.

use std::fmt;

/// The type of one element.
///
/// `I4`, `I2` and `I1` are two's complement values of that many bits (a 1-bit value is 0 or
/// -1). `S1` is a sign: -1 or +1. In host memory they are kept one to a byte; only the packed
/// image in DRAM is dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// 64-bit integer, as ONNX uses for shapes.
    I64,
    /// 32-bit integer: accumulators and biases.
    I32,
    /// Signed byte.
    I8,
    /// Unsigned byte.
    U8,
    /// Signed, 4 bits.
    I4,
    /// Signed, 2 bits.
    I2,
    /// Signed, 1 bit: 0 or -1.
    I1,
    /// A sign, 1 bit: -1 or +1.
    S1,
    /// Truth value.
    Bool,
}

impl DType {
    /// Every element type, in the order of declaration.
    pub const ALL: [DType; 10] = [
        DType::F32,
        DType::I64,
        DType::I32,
        DType::I8,
        DType::U8,
        DType::I4,
        DType::I2,
        DType::I1,
        DType::S1,
        DType::Bool,
    ];

    /// The name in the text form: `f32`, `i8`, `i4`, ...
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::I4 => "i4",
            DType::I2 => "i2",
            DType::I1 => "i1",
            DType::S1 => "s1",
            DType::Bool => "bool",
        }
    }

    /// The inverse of [`DType::name`].
    pub fn from_name(name: &str) -> Option<DType> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    /// True for the types of stored activations and weights: `i8`, `i4`, `i2`, `i1` and `s1`.
    pub fn is_narrow(self) -> bool {
        matches!(
            self,
            DType::I8 | DType::I4 | DType::I2 | DType::I1 | DType::S1
        )
    }

    /// The signed integer type of `bits` bits (1, 2, 4, 8, 32 or 64).
    pub fn signed(bits: u32) -> Option<DType> {
        match bits {
            1 => Some(DType::I1),
            2 => Some(DType::I2),
            4 => Some(DType::I4),
            8 => Some(DType::I8),
            32 => Some(DType::I32),
            64 => Some(DType::I64),
            _ => None,
        }
    }

    /// Smallest and largest value of an integer type; `None` for `f32` and `bool`.
    pub fn range(self) -> Option<(i64, i64)> {
        Some(match self {
            DType::F32 | DType::Bool => return None,
            DType::I64 => (i64::MIN, i64::MAX),
            DType::I32 => (i32::MIN.into(), i32::MAX.into()),
            DType::I8 => (-128, 127),
            DType::U8 => (0, 255),
            DType::I4 => (-8, 7),
            DType::I2 => (-2, 1),
            DType::I1 => (-1, 0),
            DType::S1 => (-1, 1),
        })
    }

    /// Whether `value` is one of an integer type: within its range, and no 0 among signs.
    pub fn holds(self, value: i64) -> bool {
        let range = self.range();
        range.is_some_and(|(lo, hi)| (lo..=hi).contains(&value)) && (self, value) != (DType::S1, 0)
    }

    /// What a result that lies within the range of an integer type is in it: the same, but for a sign, which is
    /// -1 below 0 and else +1.
    pub fn settled(self, result: i64) -> i64 {
        match self {
            DType::S1 if result < 0 => -1,
            DType::S1 => 1,
            _ => result,
        }
    }

    /// The number whose low bits a memory holds for `value`: for a sign -1 or 0.
    pub fn stored(self, value: i8) -> i8 {
        match self {
            DType::S1 => value >> 1,
            _ => value,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Element type and shape. A scalar has an empty shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Type of each element.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// The largest number of elements of a tensor: indices and counts fit 31 bits.
    pub const MAX_LEN: usize = i32::MAX as usize;

    /// A tensor type from its parts.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        TensorType {
            dtype,
            shape: shape.into(),
        }
    }

    /// Number of elements. A shape that came from outside has been checked not to overflow.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of elements, or the reason why there is no such tensor: the count overflows or
    /// passes [`TensorType::MAX_LEN`].
    pub fn checked_len(&self) -> Result<usize, String> {
        self.shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .filter(|&n| n <= Self::MAX_LEN)
            .ok_or_else(|| format!("{self} has more than {} elements", Self::MAX_LEN))
    }

    /// True if some extent is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `f32[1,3,32,32]`.
impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, d) in self.shape.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}

/// The elements of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `f32`.
    F32(Vec<f32>),
    /// `i64`.
    I64(Vec<i64>),
    /// `i32`.
    I32(Vec<i32>),
    /// `i8`, and `i4`, `i2`, `i1`, `s1` one to a byte.
    I8(Vec<i8>),
    /// `u8`, and `bool` as 0 or 1.
    U8(Vec<u8>),
}

/// A dense tensor: a type and as many elements as it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    ty: TensorType,
    data: Data,
}

impl Tensor {
    /// A tensor of `ty` holding `data`.
    ///
    /// # Panics
    /// If the kind of `data` or its length does not fit `ty`: a bug of the caller, who checks
    /// data from outside first.
    pub fn new(ty: TensorType, data: Data) -> Self {
        let (len, fits) = match &data {
            Data::F32(v) => (v.len(), ty.dtype == DType::F32),
            Data::I64(v) => (v.len(), ty.dtype == DType::I64),
            Data::I32(v) => (v.len(), ty.dtype == DType::I32),
            Data::I8(v) => (v.len(), ty.dtype.is_narrow()),
            Data::U8(v) => (v.len(), matches!(ty.dtype, DType::U8 | DType::Bool)),
        };
        assert!(fits, "data of another kind than {ty}");
        assert_eq!(len, ty.len(), "length of the data of {ty}");
        Tensor { ty, data }
    }

    /// An `f32` tensor.
    pub fn f32(shape: impl Into<Vec<usize>>, v: Vec<f32>) -> Self {
        Self::new(TensorType::new(DType::F32, shape), Data::F32(v))
    }

    /// An `i32` tensor.
    pub fn i32(shape: impl Into<Vec<usize>>, v: Vec<i32>) -> Self {
        Self::new(TensorType::new(DType::I32, shape), Data::I32(v))
    }

    /// An `i64` tensor.
    pub fn i64(shape: impl Into<Vec<usize>>, v: Vec<i64>) -> Self {
        Self::new(TensorType::new(DType::I64, shape), Data::I64(v))
    }

    /// An `i8` tensor.
    pub fn i8(shape: impl Into<Vec<usize>>, v: Vec<i8>) -> Self {
        Self::new(TensorType::new(DType::I8, shape), Data::I8(v))
    }

    /// An integer tensor of any integer type from wide values.
    ///
    /// # Panics
    /// If a value does not fit `dtype`, or `dtype` is not an integer type.
    pub fn from_ints(dtype: DType, shape: impl Into<Vec<usize>>, v: &[i64]) -> Self {
        assert!(
            v.iter().all(|&x| dtype.holds(x)),
            "a value does not fit {dtype}"
        );
        let data = match dtype {
            DType::I64 => Data::I64(v.to_vec()),
            DType::I32 => Data::I32(v.iter().map(|&x| x as i32).collect()),
            DType::U8 => Data::U8(v.iter().map(|&x| x as u8).collect()),
            _ => Data::I8(v.iter().map(|&x| x as i8).collect()),
        };
        Self::new(TensorType::new(dtype, shape), data)
    }

    /// Type of the tensor.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.ty.shape
    }

    /// Type of each element.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements, by value.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// The elements of an `f32` tensor.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements of a tensor of at most 8 signed bits.
    pub fn as_i8(&self) -> Option<&[i8]> {
        match &self.data {
            Data::I8(v) => Some(v),
            _ => None,
        }
    }

    /// The elements of an `i32` tensor.
    pub fn as_i32(&self) -> Option<&[i32]> {
        match &self.data {
            Data::I32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements of an integer tensor, widened; `None` for `f32`.
    pub fn to_ints(&self) -> Option<Vec<i64>> {
        Some(match &self.data {
            Data::F32(_) => return None,
            Data::I64(v) => v.clone(),
            Data::I32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::U8(v) => v.iter().map(|&x| x.into()).collect(),
        })
    }

    /// The same elements under another shape of the same length.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn reshaped(mut self, shape: impl Into<Vec<usize>>) -> Self {
        let ty = TensorType::new(self.ty.dtype, shape);
        assert_eq!(ty.len(), self.ty.len(), "reshape of {} to {ty}", self.ty);
        self.ty = ty;
        self
    }
}
