//! Parameters on their way into a model file and out of it.

use std::borrow::Cow;
use std::ops::Range;

use bytemuck::Pod;
use half::f16;

use crate::base::error::{Error, Result};
use crate::base::numbers::{Numbers, SharedBytes};

/// A parameter as it stands in a model file.
pub struct NamedTensor<'a> {
    /// Name, unique in the model.
    pub name: String,
    /// Shape; the data are row-major.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: TensorData<'a>,
}

/// Numbers of a [`NamedTensor`].
pub enum TensorData<'a> {
    /// Half precision.
    F16(Cow<'a, [f16]>),
    /// Single precision.
    F32(Cow<'a, [f32]>),
    /// Double precision.
    F64(Cow<'a, [f64]>),
    /// Indices.
    U32(Cow<'a, [u32]>),
    /// Places.
    U64(Cow<'a, [u64]>),
}

impl TensorData<'_> {
    /// Type in a model file.
    pub(crate) fn dtype(&self) -> &'static str {
        match self {
            Self::F16(_) => f16::DTYPE,
            Self::F32(_) => f32::DTYPE,
            Self::F64(_) => f64::DTYPE,
            Self::U32(_) => u32::DTYPE,
            Self::U64(_) => u64::DTYPE,
        }
    }

    /// The numbers as they lie in a model file.
    pub(crate) fn bytes(&self) -> &[u8] {
        const { assert!(cfg!(target_endian = "little"), "safetensors are little-endian") }
        match self {
            Self::F16(numbers) => bytemuck::cast_slice(numbers),
            Self::F32(numbers) => bytemuck::cast_slice(numbers),
            Self::F64(numbers) => bytemuck::cast_slice(numbers),
            Self::U32(numbers) => bytemuck::cast_slice(numbers),
            Self::U64(numbers) => bytemuck::cast_slice(numbers),
        }
    }
}

/// The parameters in a model file, taken out one by one.
pub trait TensorSource {
    /// The single precision tensor of that name and shape.
    ///
    /// # Errors
    /// `INVALID_MODEL_FILE` if it is missing or has another shape or type.
    fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;

    /// The double precision tensor of that name and shape.
    ///
    /// # Errors
    /// `INVALID_MODEL_FILE` if it is missing or has another shape or type.
    fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>>;

    /// The tensor of that name as it lies in the file; nothing where the parameters come from elsewhere.
    fn find(&self, name: &str) -> Option<StoredTensor<'_>> {
        let _ = name;
        None
    }

    /// Bytes of all tensors of the model together, where they lie in a file: what a model may take before it has read them.
    fn n_bytes(&self) -> Option<u64> {
        None
    }
}

/// A tensor as it lies in a model file.
pub struct StoredTensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: &'a str,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: SharedBytes,
    pub(crate) range: Range<usize>,
}

impl StoredTensor<'_> {
    /// The numbers, without a copy if possible.
    ///
    /// # Errors
    /// `INVALID_DATA` if they have another type, or another shape than this one.
    pub(crate) fn numbers<T: Stored>(self, shape: &[usize]) -> Result<Numbers<T>> {
        let Self { name, dtype, shape: found, bytes, range } = self;
        if dtype != T::DTYPE && Some(dtype) != T::ALSO_READ || found != shape {
            let allowed = T::DTYPE;
            let message = format!("tensor '{name}' is {dtype} {found:?}; allowed: {allowed} {shape:?}");
            return Err(Error::invalid_data(message));
        }
        Ok(Numbers::shared(bytes, range))
    }
}

/// Numbers that stand in model files.
pub(crate) trait Stored: Pod {
    const DTYPE: &'static str;
    /// Another type that the first files have for it.
    const ALSO_READ: Option<&'static str> = None;

    /// What a source that has no file gives.
    fn made(_source: &dyn TensorSource, name: &str, _shape: &[usize]) -> Result<Vec<Self>> {
        Err(missing(name))
    }
}

impl Stored for f16 {
    const DTYPE: &'static str = "F16";
}

impl Stored for f32 {
    const DTYPE: &'static str = "F32";

    fn made(source: &dyn TensorSource, name: &str, shape: &[usize]) -> Result<Vec<Self>> {
        source.f32(name, shape)
    }
}

impl Stored for f64 {
    const DTYPE: &'static str = "F64";

    fn made(source: &dyn TensorSource, name: &str, shape: &[usize]) -> Result<Vec<Self>> {
        source.f64(name, shape)
    }
}

impl Stored for u8 {
    const DTYPE: &'static str = "U8";
}

impl Stored for u32 {
    const DTYPE: &'static str = "U32";
}

/// Places: as I64, which every reader of safetensors knows. No file has as many numbers as would need the sign.
impl Stored for u64 {
    const DTYPE: &'static str = "I64";
    const ALSO_READ: Option<&'static str> = Some("U64");
}

/// The numbers of that name and shape, without a copy where they lie in a file.
///
/// # Errors
/// `INVALID_DATA` if there is no such tensor.
pub(crate) fn numbers<T: Stored>(source: &dyn TensorSource, name: &str, shape: &[usize]) -> Result<Numbers<T>> {
    match source.find(name) {
        Some(tensor) => tensor.numbers(shape),
        None => T::made(source, name, shape).map(Numbers::from),
    }
}

/// There is no such tensor.
pub(crate) fn missing(name: &str) -> Error {
    Error::invalid_data(format!("it has no tensor '{name}'"))
}
