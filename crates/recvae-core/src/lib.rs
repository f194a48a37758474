//! Recommendations from implicit feedback: EASE^R, EDLAE, RDLAE, DEQL, higher-order EASE^R, iALS, RecVAE, Mult-VAE,
//! Mult-DAE and popularity, from raw likes to top-k lists.
//!
//! The modules are rooms with one direction: each uses only those before it, which a test sees to (`tests/rooms.rs`).
//!
//! - base, math: what is not particular to recommendations;
//! - data: [`read_interactions`], [`dataset`], [`Batches`], [`ArrowReader`] and [`InteractionsBuilder`] give
//!   [`Interactions`], a binary CSR matrix with the original ids of users and items; [`synth()`] makes some up, for
//!   measuring speed only; [`profile()`] counts what there is;
//! - split: [`split()`] holds users out, [`read_official`] takes a split that others made, [`sample()`] makes one
//!   smaller;
//! - evaluate: [`recommend()`] and [`top_k`] turn scores into lists, [`evaluate()`] measures lists against held-out
//!   items, [`evaluate_with`] also against the training, [`evaluate_groups`] by groups of users and of items;
//!   [`paired_bootstrap`] compares models;
//! - model: [`Model`] and [`ModelKind`], what all models have in common;
//! - nn: the layers of the autoencoders;
//! - train: [`FitRun`], [`Progress`], [`Checkpoint`], [`WarmStart`];
//! - models: [`ModelKind::fit`] trains a [`Model`] with options of its own, such as [`EaseOptions`];
//! - serve: a [`Recommender`] adds the item ids, is saved and loaded; it is served within a [`Filter`], names similar
//!   items and users, and explains itself; [`import_weights`] and [`Recommender::export`] speak to other programs;
//!   [`EaseCounts`] take new users into EASE^R without the old ones.
//!
//! # Train and recommend
//!
//! ```
//! use recvae_core::{EaseOptions, FitRun, RecommendOptions, Recommender, debian};
//!
//! # fn main() -> recvae_core::Result<()> {
//! let data = debian()?; // or read_interactions("likes.csv", …)
//! let fit = EaseOptions { lambda: 300.0, density: 0.05, ..EaseOptions::default() }.fit_all(&data, &FitRun::default())?;
//! let model = Recommender::of(fit, &data)?;
//! // Whoever was never seen is served like any other.
//! let history = model.history(["libcurl3-gnutls", "dpkg", "no such package"]);
//! let lists = model.recommend(&[history], &RecommendOptions { k: 5, ..RecommendOptions::default() })?;
//! for scored in &lists[0] {
//!     println!("{} {}", model.items().get(scored.item as usize), scored.score);
//! }
//! assert_eq!(lists[0].len(), 5);
//! # Ok(())
//! # }
//! ```
//!
//! # Compare two models on users that neither saw
//!
//! ```
//! use recvae_core::{
//!     AlsOptions, FitRun, Interactions, Metric, PopularityOptions, SplitOptions, Thresholds, evaluate, split,
//! };
//!
//! # fn main() -> recvae_core::Result<()> {
//! # let (users, items): (Vec<_>, Vec<_>) = (0..400u32).flat_map(|user| {
//! #     (0..12u32).map(move |n| (format!("u{user}"), format!("i{}", (user % 4) * 15 + (user / 4 * 7 + n * 4) % 15)))
//! # }).unzip();
//! let data = Interactions::from_columns(&users, &items, None, None, &Thresholds::default())?;
//! let parts = split(&data, &SplitOptions { seed: 1, ..SplitOptions::default() })?;
//! let run = FitRun { on_progress: &|progress| println!("{:?}", progress.validation), ..FitRun::default() };
//! let als = AlsOptions { factors: 16, ..AlsOptions::default() }.fit(&parts, &run)?;
//! let popularity = PopularityOptions::default().fit(&parts, &FitRun::default())?;
//! let metric: Metric = "ndcg@10".parse()?;
//! let of = |fit: &recvae_core::Fit| evaluate(&*fit.model, &parts.test, &[metric]);
//! let (als, popularity) = (of(&als)?, of(&popularity)?);
//! assert!(als.mean(metric) > popularity.mean(metric));
//! # Ok(())
//! # }
//! ```
//!
//! # Save, load and serve
//!
//! ```
//! use recvae_core::{
//!     Compute, ComputeOptions, EngineKind, FitRun, Interactions, PrecisionChoice, RecVaeOptions, RecommendOptions,
//!     Recommender, Thresholds,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.safetensors");
//! let users = ["ann", "ann", "bob", "bob", "cem", "cem"];
//! let items = ["tea", "cup", "tea", "pot", "cup", "pot"];
//! let data = Interactions::from_columns(&users, &items, None, None, &Thresholds::default())?;
//! let options = RecVaeOptions { hidden_dim: 8, latent_dim: 4, epochs: 2, ..RecVaeOptions::default() };
//! // The processor's own engine in f32 is the default; candle's gives the same numbers but for rounding, and bf16 is faster
//! // where the processor has it: `auto` takes it there.
//! let compute = ComputeOptions {
//!     engine: EngineKind::Fused, precision: PrecisionChoice::Auto, ..ComputeOptions::default()
//! };
//! let run = FitRun { compute: Compute::new(&compute)?, ..FitRun::default() };
//! Recommender::of(options.fit_all(&data, &run)?, &data)?.save(&path)?;
//!
//! let model = Recommender::load(&path)?;
//! let lists = model.recommend(&[model.history(["tea"])], &RecommendOptions::default())?;
//! assert_eq!(lists[0].len(), 2); // what the history has is left out
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here prints or starts threads of its own: work is split over the rayon pool that a call runs in, see
//! [`Threads`], and [`Calls`] for a program that makes many calls at once. For the same seed, data and machine every
//! result has the same bits for any number of threads.

// The order is the direction: a room uses those above it only. Blank lines keep rustfmt from sorting it.
mod base;

mod math;

mod data;

mod split;

mod evaluate;

mod model;

mod nn;

mod train;

mod models;

mod serve;

/// Scores and embeddings are matrices of this version of ndarray.
pub use ndarray;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(test)]
mod test_support;

pub use base::atomic_file::{WholeFile, check_writable, remove_unfinished};
pub use base::calls::{Call, CallKind, Calls};
pub use base::cancel::Cancel;
pub use base::compute::{Compute, ComputeOptions, Device, EngineKind, PrecisionChoice, TrainingPrecision, engines};
pub use base::cuda::{Cuda, CudaDevice};
pub use base::date::Moment;
pub use base::error::{Error, Result};
pub use base::file_lock::{FileLock, Locking};
pub use base::memory::MemoryEstimate;
pub use base::options::{OptionInfo, Options};
pub use base::processor::{bf16_instructions, is_bf16_faster};
pub use base::progress::{OnProgress, OnStep, Progress, StepProgress};
pub use base::random::{Philox, Stream};
pub use base::search_space::{Search, search_uniforms};
pub use base::threads::Threads;
pub use data::archive::unzip;
pub use data::arrow::ArrowTable;
pub use data::batches::{Batch, Batches, IdColumn, RowFilter};
pub use data::datasets::{DATASETS, dataset, debian};
pub use data::ids::Ids;
pub use data::interactions::{Interactions, InteractionsBuilder, Thresholds};
pub use data::left_out::LeftOut;
pub use data::profile::{FEW, Profile, Spread, profile};
pub use data::read::{
    ArrowHistories, ArrowHistory, ArrowReader, ColumnRows, Encoding, Escape, Format, HistoryLine, HistoryLines,
    HistoryReader, LAYOUTS, LONGEST_ID, LONGEST_ROW, Layout, Quote, ReadOptions, SkippedKey, TimeColumn, TimeUnit,
    check_files_until, first_line_until, published_files, read_files_until, read_interactions, read_interactions_until,
    read_shard_until, read_stream_until, without_marks_until,
};
pub use data::shard::{Shard, ShardOf};
pub use data::synth::{Like, SynthOptions, SynthProgress, synth, synth_until, write_synth};
pub use evaluate::candidates::{Candidates, recommend_among};
pub use evaluate::evaluation::{
    ActivityValues, Evaluation, GroupedEvaluation, MetricValues, PopularityValues, evaluate, evaluate_groups,
    evaluate_with, validate,
};
pub use evaluate::factors::{Factors, UsersOf};
pub use evaluate::groups::{ActivityGroup, PopularityGroup, activity_groups, popularity_groups};
pub use evaluate::lists::recommend;
pub use evaluate::metrics::Metric;
pub use evaluate::popular::Fallback;
pub use evaluate::scorer::{ListFinder, Scored, Scorer};
pub use evaluate::top_k::top_k;
pub use math::apart::{Apart, variance_apart};
pub use math::csr::Csr;
pub use math::statistics::{
    POWER, Paired, RESAMPLES, SIGNIFICANCE, carried_on, detectable_difference, holm, mean, mean_of_lists,
    paired_bootstrap, paired_bootstrap_until,
};
pub use math::vectorised::processor_level;
pub use model::{
    CompactOptions, Fit, Model, ModelKind, NamedTensor, StoredPrecision, StoredTensor, TensorData, TensorSource,
};
pub use models::{
    Als, AlsConfidence, AlsOptions, AlsSolver, BlendOptions, CHANGES, Change, DeqlOptions, Ease, EaseOptions,
    EdlaeOptions, EncoderKind, HVampLikelihood, HVampOptions, HoEaseOptions, KlWeightKind, Limits, MultDaeOptions,
    MultVaeOptions, OptionChange, Popularity, PopularityOptions, Precision, PriorKind, RdlaeOptions, RecVaeOptions,
    Scale, Sizing, TrainingKind,
};
pub use serve::columns::{ListColumns, offsets};
pub use serve::ease_counts::{EaseCounts, GramPairs};
pub use serve::exchange::{ExportFormat, ExportOptions, import_weights, read_item_ids};
pub use serve::explain::{ExplainOptions, Explanation, Reason};
pub use serve::filter::Filter;
pub use serve::inspect::{InspectedTensor, Inspection, inspect};
pub use serve::lists::{Served, Within};
pub use serve::model_file::LoadOptions;
pub use serve::recommender::{History, RecommendOptions, Recommender};
pub use serve::similar::SimilarOptions;
pub use split::kinds::split;
pub use split::official::{OFFICIAL_FILES, check_new_folder, is_official, read_official, write_official};
pub use split::options::{Generator, ShortUsers, SplitKind, SplitOptions};
pub use split::parts::{HeldOut, Split};
pub use split::published::{PUBLISHED, PublishedFile, PublishedSet};
pub use split::subsample::{SampleOptions, sample, sample_batch};
pub use split::training_record::{Leak, TrainingRecord, shares_users};
pub use train::checkpoint::{Checkpoint, CheckpointOptions};
pub use train::fit_shape::FitShape;
pub use train::run::FitRun;
pub use train::warm_start::WarmStart;
