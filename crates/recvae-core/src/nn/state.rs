//! What training changes, as named arrays: one list, from which a checkpoint is written and into which it is read.

/// Numbers of one type, or a single one.
pub(crate) enum Values<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    U64(&'a mut [u64]),
}

impl Values<'_> {
    /// The type's name in a safetensors header, and its bytes.
    pub(crate) fn dtype(&self) -> (&'static str, usize) {
        match self {
            Self::F32(_) => ("F32", size_of::<f32>()),
            Self::F64(_) => ("F64", size_of::<f64>()),
            Self::U64(_) => ("U64", size_of::<u64>()),
        }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        const { assert!(cfg!(target_endian = "little"), "checkpoints are little-endian") }
        match self {
            Self::F32(values) => bytemuck::cast_slice_mut(values),
            Self::F64(values) => bytemuck::cast_slice_mut(values),
            Self::U64(values) => bytemuck::cast_slice_mut(values),
        }
    }
}

macro_rules! values {
    ($($variant:ident $type:ty)+) => {$(
        impl<'a> From<&'a mut [$type]> for Values<'a> {
            fn from(values: &'a mut [$type]) -> Self {
                Self::$variant(values)
            }
        }

        impl<'a> From<&'a mut $type> for Values<'a> {
            fn from(value: &'a mut $type) -> Self {
                Self::$variant(std::slice::from_mut(value))
            }
        }
    )+};
}
values!(F32 f32 F64 f64 U64 u64);

/// The arrays in a fixed order, each with a name of its own.
#[derive(Default)]
pub(crate) struct State<'a>(Vec<(String, Values<'a>)>);

impl<'a> State<'a> {
    pub(crate) fn add(&mut self, name: impl Into<String>, values: impl Into<Values<'a>>) {
        self.0.push((name.into(), values.into()));
    }

    /// The arrays; those of wide numbers come first, so that in a file all are aligned.
    pub(crate) fn into_arrays(mut self) -> Vec<(String, Values<'a>)> {
        self.0.sort_by_key(|(_, values)| std::cmp::Reverse(values.dtype().1));
        self.0
    }
}
