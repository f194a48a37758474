//! Recommendations from implicit feedback.

mod csr;
mod datasets;
mod error;
mod ids;
mod interactions;
mod official;
mod options;
mod random;
mod read;
mod split;
mod threads;

pub use csr::Csr;
pub use datasets::{dataset, debian};
pub use error::{Error, Result};
pub use ids::Ids;
pub use interactions::{Interactions, InteractionsBuilder, Thresholds};
pub use official::{is_official, read_official, write_official};
pub use options::{OptionInfo, Options};
pub use random::{Philox, Stream};
pub use read::{Format, ReadOptions, read_interactions};
pub use split::{HeldOut, Split, SplitOptions, split};
pub use threads::Threads;
