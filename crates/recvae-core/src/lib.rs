//! Recommendations from implicit feedback: EASE^R, EDLAE, iALS, RecVAE, Mult-VAE, Mult-DAE and
//! popularity, from raw likes to top-k lists.
//!
//! The modules form a pipeline in which each uses only those before it:
//!
//! - data: [`read_interactions`], [`dataset`], [`Batches`], [`ArrowReader`] and [`InteractionsBuilder`] give
//!   [`Interactions`], a binary CSR matrix with the original ids of users and items; [`synth()`] makes some up, for
//!   measuring speed only; [`profile()`] counts what there is;
//! - split: [`split()`] holds users out, [`read_official`] takes a split that others made, [`sample()`] makes one smaller;
//! - recommend: [`recommend()`] and [`top_k`] turn scores into lists;
//! - evaluate: [`evaluate()`] measures lists against held-out items, [`evaluate_by_popularity`] by groups of items,
//!   [`paired_bootstrap`] compares models;
//! - train: [`ModelKind::fit`] trains a [`Model`], [`EaseCounts`] take new users into EASE^R without the old ones; a
//!   [`Recommender`] adds the item ids, is saved and loaded; it is served within a [`Filter`], names similar items and users,
//!   and explains itself.
//!
//! Nothing here prints or starts threads of its own: work is split over the rayon pool that a call runs in, see
//! [`Threads`]. For the same seed, data and machine every result has the same bits for any number of threads.

// foundations
mod cancel;
mod csr;
mod ends;
mod error;
mod file_lock;
mod free_memory;
mod ids;
mod numbers;
mod options;
mod random;
mod real;
mod regular_file;
mod threads;
mod vectorised;
mod whole_file;

// data
mod arrow;
mod batches;
mod datasets;
mod interactions;
mod left_out;
mod profile;
mod read;
mod synth;

// split
mod fingerprint;
mod official;
mod sample;
mod split;
mod training_record;

// recommend, evaluate
mod candidates;
mod evaluate;
mod groups;
mod recommend;
mod scorer;
mod statistics;

// train
mod checkpoint;
mod columns;
mod costs;
mod course;
mod ease_counts;
mod explain;
mod file_bytes;
mod filter;
mod implicit_slim;
mod linalg;
mod memory;
mod model;
mod model_file;
mod nn;
mod recommender;
mod search;
mod similar;
mod sizing;
mod steps;
mod train;
mod warm_start;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(test)]
mod test_support;

pub use arrow::ArrowReader;
pub use batches::{Batch, Batches, IdColumn, RowFilter};
pub use cancel::Cancel;
pub use candidates::{Candidates, recommend_among};
pub use checkpoint::{Checkpoint, CheckpointOptions};
pub use columns::{ListColumns, offsets};
pub use csr::Csr;
pub use datasets::{DATASETS, dataset, debian};
pub use ease_counts::EaseCounts;
pub use ends::ends;
pub use error::{Error, Result};
pub use evaluate::{Evaluation, Metric, MetricValues, evaluate};
pub use explain::{ExplainOptions, Explanation, Reason};
pub use file_lock::{FileLock, Locking};
pub use filter::Filter;
pub use groups::{
    ActivityGroup, GroupValues, PopularityGroup, activity_groups, evaluate_by_popularity, popularity_groups,
};
pub use ids::Ids;
pub use interactions::{Interactions, InteractionsBuilder, Thresholds};
pub use left_out::LeftOut;
pub use memory::{FitShape, MemoryEstimate};
pub use model::{
    Als, AlsOptions, AlsSolver, CHANGES, Change, CompactOptions, Ease, EaseOptions, EdlaeOptions, EncoderKind, Fit,
    KlWeightKind, Model, ModelKind, MultDaeOptions, MultVaeOptions, NamedTensor, Popularity, PopularityOptions,
    Precision, PriorKind, RecVaeOptions, StoredPrecision, StoredTensor, TensorData, TensorSource, TrainingKind,
};
pub use model_file::{InspectedTensor, Inspection, LoadOptions, inspect};
pub use official::{OFFICIAL_FILES, check_new_folder, is_official, read_official, write_official};
pub use options::{OptionInfo, Options};
pub use profile::{FEW, Profile, Spread, profile};
pub use random::{Philox, Stream};
pub use read::{
    Escape, Format, HistoryLine, HistoryLines, HistoryReader, LONGEST_ID, LONGEST_ROW, ReadOptions, check_files_until,
    read_files_until, read_interactions, read_interactions_until, without_marks_until,
};
pub use recommend::{Scored, recommend, top_k};
pub use recommender::{History, RecommendOptions, Recommender};
pub use sample::{SampleOptions, sample, sample_batch};
pub use scorer::Scorer;
pub use search::{Search, search_uniforms};
pub use similar::SimilarOptions;
pub use sizing::{Limits, OptionChange, Sizing};
pub use split::{HeldOut, ShortUsers, Split, SplitOptions, split};
pub use statistics::{
    POWER, Paired, RESAMPLES, SIGNIFICANCE, carried_on, detectable_difference, holm, mean, mean_of_lists,
    paired_bootstrap, paired_bootstrap_until,
};
pub use synth::{Like, SynthOptions, SynthProgress, synth, synth_until, write_synth};
pub use threads::Threads;
pub use train::{FitRun, OnProgress, Progress};
pub use training_record::{Leak, TrainingRecord};
pub use warm_start::WarmStart;
pub use whole_file::{WholeFile, check_writable, remove_unfinished};
