//! Parameters on their way into a model file and out of it.

use std::borrow::Cow;
use std::ops::Range;

use bytemuck::Pod;
use half::f16;
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};

use crate::base::error::{Error, Result};
use crate::base::numbers::{Numbers, SharedBytes};

/// A parameter as it stands in a model file.
pub struct NamedTensor<'a> {
    /// Name, unique in the model.
    pub name: String,
    /// The numbers with their shape.
    pub data: TensorData<'a>,
}

impl<'a> NamedTensor<'a> {
    /// A tensor of numbers that lie in order of their indices, the last of which runs fastest.
    ///
    /// # Panics
    /// If they are not as many as the shape says: a bug of this crate.
    #[track_caller]
    pub(crate) fn new<T: Clone + 'a>(name: impl Into<String>, shape: &[usize], numbers: impl Into<Cow<'a, [T]>>) -> Self
    where
        TensorData<'a>: From<CowArray<'a, T, IxDyn>>,
    {
        let numbers = numbers.into();
        assert!(shape.iter().product::<usize>() == numbers.len(), "{} numbers of shape {shape:?}", numbers.len());
        let array = match numbers {
            Cow::Borrowed(numbers) => ArrayViewD::from_shape(shape, numbers).map(CowArray::from),
            Cow::Owned(numbers) => ArrayD::from_shape_vec(shape, numbers).map(CowArray::from),
        };
        Self { name: name.into(), data: array.expect("they are as many").into() }
    }
}

/// Numbers of a [`NamedTensor`].
pub enum TensorData<'a> {
    /// Half precision.
    F16(CowArray<'a, f16, IxDyn>),
    /// Single precision.
    F32(CowArray<'a, f32, IxDyn>),
    /// Double precision.
    F64(CowArray<'a, f64, IxDyn>),
    /// Indices.
    U32(CowArray<'a, u32, IxDyn>),
    /// Places.
    U64(CowArray<'a, u64, IxDyn>),
}

macro_rules! of_any_type {
    ($data:expr, $array:ident => $do:expr) => {
        match $data {
            TensorData::F16($array) => $do,
            TensorData::F32($array) => $do,
            TensorData::F64($array) => $do,
            TensorData::U32($array) => $do,
            TensorData::U64($array) => $do,
        }
    };
}

macro_rules! from_arrays {
    ($($variant:ident $type:ty)+) => {$(
        impl<'a> From<CowArray<'a, $type, IxDyn>> for TensorData<'a> {
            fn from(array: CowArray<'a, $type, IxDyn>) -> Self {
                Self::$variant(array)
            }
        }
    )+};
}
from_arrays!(F16 f16 F32 f32 F64 f64 U32 u32 U64 u64);

impl TensorData<'_> {
    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        of_any_type!(self, array => array.shape())
    }

    /// Type in a model file.
    pub(crate) fn dtype(&self) -> &'static str {
        /// That of an array's numbers.
        fn of<T: Stored>(_: &CowArray<'_, T, IxDyn>) -> &'static str {
            T::DTYPE
        }
        of_any_type!(self, array => of(array))
    }

    /// How many bytes they have in a model file.
    pub(crate) fn n_bytes(&self) -> usize {
        /// Those of an array.
        fn of<T>(array: &CowArray<'_, T, IxDyn>) -> usize {
            size_of::<T>() * array.len()
        }
        of_any_type!(self, array => of(array))
    }

    /// The numbers as they lie in a model file.
    ///
    /// # Errors
    /// `INTERNAL` for an array that does not lie in order of its indices.
    pub(crate) fn bytes(&self) -> Result<&[u8]> {
        const { assert!(cfg!(target_endian = "little"), "safetensors are little-endian") }
        let bytes = of_any_type!(self, array => array.as_slice().map(bytemuck::cast_slice));
        bytes.ok_or_else(|| Error::Internal(format!("a tensor of shape {:?} that lies out of order", self.shape())))
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

    /// Bytes of all tensors of the model together, where they lie in a file: what a model may take before it has read
    /// them.
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
        // In the pages that numbers of a training or a file have.
        None => T::made(source, name, shape).map(|numbers| Numbers::copy_of(&numbers)),
    }
}

/// There is no such tensor.
pub(crate) fn missing(name: &str) -> Error {
    Error::invalid_data(format!("it has no tensor '{name}'"))
}
