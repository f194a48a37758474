//! How a model is made smaller.

use crate::base::options::{choice, options};

choice! {
    /// Floating point type of stored weights.
    pub enum StoredPrecision {
        /// 2 bytes a number.
        F16 = "f16",
        /// 4 bytes a number.
        F32 = "f32",
    }
}

options! {
    /// How a model is made smaller.
    pub struct CompactOptions for "compact" {
        /// Keep this many weights per item, the largest in magnitude of those by which it speaks for or against others.
        /// By default all. The fewer, the smaller and faster the model and the more accuracy is lost.
        top_per_item: Option<usize> = None, AtLeast(1.0);
        /// Floating point type of the weights. By default they keep theirs; an f64 matrix that is pruned becomes f32.
        precision: Option<StoredPrecision> = None, Any;
    }
}
