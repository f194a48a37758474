//! Recommendations from implicit feedback.

mod csr;
mod error;
mod ids;
mod interactions;
mod options;
mod threads;

pub use csr::Csr;
pub use error::{Error, Result};
pub use ids::Ids;
pub use interactions::{Interactions, Thresholds};
pub use options::{OptionInfo, Options};
pub use threads::Threads;
