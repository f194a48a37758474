//! Recommendations from implicit feedback.

mod csr;
mod error;
mod ids;
mod interactions;
mod options;
mod random;
mod threads;

pub use csr::Csr;
pub use error::{Error, Result};
pub use ids::Ids;
pub use interactions::{Interactions, InteractionsBuilder, Thresholds};
pub use options::{OptionInfo, Options};
pub use random::{Philox, Stream};
pub use threads::Threads;
