//! What every model has in common, whatever it is: the trait, the names, the tensors of its file.

mod compact;
mod contract;
mod kind;
pub(crate) mod tensors;

pub use compact::{CompactOptions, StoredPrecision};
pub use contract::{Fit, Model};
pub use kind::ModelKind;
pub use tensors::{NamedTensor, StoredTensor, TensorData, TensorSource};
