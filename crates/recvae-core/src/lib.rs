//! Recommendations from implicit feedback.

mod csr;
mod datasets;
mod error;
mod evaluate;
mod ids;
mod interactions;
mod linalg;
mod model;
mod model_file;
mod official;
mod options;
mod random;
mod read;
mod real;
mod recommend;
mod recommender;
mod split;
mod statistics;
#[cfg(test)]
mod test_support;
mod threads;
mod whole_file;

pub use csr::Csr;
pub use datasets::{dataset, debian};
pub use error::{Error, Result};
pub use evaluate::{Evaluation, Metric, MetricValues, evaluate};
pub use ids::Ids;
pub use interactions::{Interactions, InteractionsBuilder, Thresholds};
pub use model::{
    Ease, EaseOptions, Fit, HeldOutRows, Model, ModelKind, NamedTensor, OnProgress, Popularity, PopularityOptions,
    Precision, Progress, TensorData, TensorSource,
};
pub use official::{is_official, read_official, write_official};
pub use options::{OptionInfo, Options};
pub use random::{Philox, Stream};
pub use read::{Format, ReadOptions, read_interactions};
pub use recommend::{Scored, recommend, top_k};
pub use recommender::{History, RecommendOptions, Recommender};
pub use split::{HeldOut, Split, SplitOptions, split};
pub use statistics::{Paired, RESAMPLES, holm, mean, paired_bootstrap};
pub use threads::Threads;
