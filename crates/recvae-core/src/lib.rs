//! Recommendations from implicit feedback.

mod csr;
mod error;
mod evaluate;
mod ids;
mod interactions;
mod linalg;
mod model;
mod model_file;
mod nn;
mod options;
mod random;
mod real;
mod recommend;
mod recommender;
mod statistics;
#[cfg(test)]
mod test_support;
mod threads;
mod train;
mod whole_file;

pub use csr::Csr;
pub use error::{Error, Result};
pub use evaluate::{Evaluation, Metric, MetricValues, evaluate};
pub use ids::Ids;
pub use interactions::{Interactions, Thresholds};
pub use model::{
    Ease, EaseOptions, EncoderKind, Fit, HeldOutRows, KlWeightKind, Model, ModelKind, MultVaeOptions, NamedTensor,
    OnProgress, Popularity, PopularityOptions, Precision, PriorKind, Progress, RecVaeOptions, Scorer, TensorData,
    TensorSource, TrainingKind,
};
pub use options::{OptionInfo, Options};
pub use random::{Philox, Stream};
pub use recommend::{Scored, recommend, top_k};
pub use recommender::{History, Recommender};
pub use statistics::{Paired, RESAMPLES, holm, mean, paired_bootstrap};
pub use threads::Threads;
