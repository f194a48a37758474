//! What every model has in common: a kind with options, `fit`, `score`, tensors to save.
//!
//! A model knows items by index only and users by their histories only; ids belong to [`crate::Recommender`]. Scores of a
//! user are a function of the history, so a user who was never seen is scored like any other.

use std::borrow::Cow;
use std::str::FromStr;

use serde_json::Value;

use crate::csr::Csr;
use crate::error::{Error, Result};
use crate::options::{OptionInfo, Options};

mod ease;
mod mult_vae;
mod popularity;
mod rec_vae;
mod vae;

pub use ease::{Ease, EaseOptions, Precision};
pub use mult_vae::MultVaeOptions;
pub use popularity::{Popularity, PopularityOptions};
pub use rec_vae::{EncoderKind, KlWeightKind, PriorKind, RecVaeOptions, TrainingKind};

/// What can be evaluated: it maps histories to scores of `n_items` items.
pub trait Scorer: Sync {
    /// Number of items it scores.
    fn n_items(&self) -> usize;

    /// Scores every item for a block of users, seen ones included: `scores` has shape `(histories.len(), n_items)`, row
    /// by row. A history is a strictly ascending list of item indices and may be empty. A higher score is a better
    /// recommendation; scores of different models have no common scale.
    ///
    /// # Errors
    /// `INTERNAL` if a shape does not fit: a bug in the caller.
    fn score(&self, histories: &[&[u32]], scores: &mut [f32]) -> Result<()>;
}

/// A trained model.
pub trait Model: Scorer + Send {
    /// Which model it is.
    fn kind(&self) -> ModelKind;

    /// Its options with their values.
    fn options(&self) -> Value;

    /// Its parameters by name.
    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>>;
}

/// A parameter as it stands in a model file.
pub struct NamedTensor<'a> {
    /// Name, unique in the model.
    pub name: String,
    /// Shape; the data are row-major.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: TensorData<'a>,
}

/// Numbers of a [`NamedTensor`].
pub enum TensorData<'a> {
    /// Single precision.
    F32(Cow<'a, [f32]>),
    /// Double precision.
    F64(Cow<'a, [f64]>),
}

/// The parameters in a model file, taken out one by one.
pub trait TensorSource {
    /// The single precision tensor of that name and shape.
    ///
    /// # Errors
    /// `INVALID_MODEL_FILE` if it is missing or has another shape or type.
    fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;

    /// The double precision tensor of that name and shape.
    ///
    /// # Errors
    /// `INVALID_MODEL_FILE` if it is missing or has another shape or type.
    fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>>;
}

/// Held-out users: row `u` of `input` goes in, row `u` of `target` is to be found.
#[derive(Clone, Copy)]
pub struct HeldOutRows<'a> {
    /// Shape `(n_users, n_items)`.
    pub input: &'a Csr,
    /// Shape `(n_users, n_items)`, without an entry of `input`.
    pub target: &'a Csr,
}

/// One epoch of training, as the progress callback sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Which epoch ended, the first one is 1.
    pub epoch: usize,
    /// How many there will be at most.
    pub epochs: usize,
    /// Mean over the epoch's last pass of the multinomial log-likelihood per user, in nats.
    pub log_likelihood: f64,
    /// Mean over the epoch's encoder passes of the weighted KL term per user, in nats.
    pub kl: f64,
    /// NDCG@100 on the validation users, where there are any.
    pub validation: Option<f64>,
    /// Whether this epoch's parameters are the best ones so far.
    pub best: bool,
    /// Seconds since training began.
    pub seconds: f64,
}

/// Called at the end of each epoch, from the thread that trains.
pub type OnProgress<'a> = &'a (dyn Fn(&Progress) + Sync);

/// A model with the record of its training (one entry per epoch, none for closed forms).
pub struct Fit {
    /// The model with the best parameters.
    pub model: Box<dyn Model>,
    /// What was reported, epoch by epoch.
    pub epochs: Vec<Progress>,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $options:ty, $module:ident;)+) => {
        /// The models of this crate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ModelKind { $($(#[doc = $doc])+ $variant,)+ }

        impl ModelKind {
            /// All of them, the cheapest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in JSON, TypeScript and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence about the model.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The options it takes.
            #[must_use]
            pub fn describe_options(self) -> Vec<OptionInfo> {
                match self { $(Self::$variant => <$options>::describe(),)+ }
            }

            /// All options with their values, defaults where `options` has none.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` as [`Options::from_json`].
            pub fn complete_options(self, options: &Value) -> Result<Value> {
                match self { $(Self::$variant => <$options>::from_json(options).map(|options| options.to_json()),)+ }
            }

            /// Trains the model on `train` of shape `(n_users, n_items)`; see the model's own text for what it does with
            /// `validation`.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options, `INVALID_DATA` if there is nothing to learn from, `NUMERICAL` if the
            /// arithmetic fails.
            pub fn fit(
                self,
                options: &Value,
                train: &Csr,
                validation: Option<HeldOutRows<'_>>,
                on_progress: OnProgress<'_>,
            ) -> Result<Fit> {
                match self {
                    $(Self::$variant => {
                        let options = <$options>::from_json(options)?;
                        check_train(train, validation)?;
                        $module::fit(&options, train, validation, on_progress)
                    })+
                }
            }

            /// Rebuilds the model from its options and tensors.
            ///
            /// # Errors
            /// `INVALID_MODEL_FILE` if a tensor is missing or does not fit.
            pub fn load(self, options: &Value, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
                match self {
                    $(Self::$variant => $module::load(&<$options>::from_json(options)?, n_items, tensors),)+
                }
            }
        }

        impl FromStr for ModelKind {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
                    Error::invalid_argument("model", format!("'{name}'"), names.join(", "))
                })
            }
        }
    };
}

kinds! {
    /// Every user gets the items that most users have.
    Popularity = "popularity", PopularityOptions, popularity;
    /// EASE^R: a linear item-item model in closed form.
    Ease = "ease", EaseOptions, ease;
    /// Mult-VAE: a variational autoencoder with a multinomial likelihood.
    MultVae = "mult-vae", MultVaeOptions, mult_vae;
    /// RecVAE: Mult-VAE with a composite prior, a KL weight per user, alternating training and a dense encoder.
    RecVae = "recvae", RecVaeOptions, rec_vae;
}

/// What every fit asks of its data.
fn check_train(train: &Csr, validation: Option<HeldOutRows<'_>>) -> Result<()> {
    if train.n_rows() < 2 || train.n_cols() < 2 || train.nnz() == 0 {
        return Err(Error::invalid_data(format!(
            "training data have {} users, {} items and {} interactions; allowed: at least 2 users, 2 items and 1 \
             interaction",
            train.n_rows(),
            train.n_cols(),
            train.nnz()
        )));
    }
    if let Some(HeldOutRows { input, target }) = validation {
        let n_items = train.n_cols();
        if input.n_cols() != n_items || target.n_cols() != n_items || input.n_rows() != target.n_rows() {
            return Err(Error::invalid_data(format!(
                "validation data are {} x {} in and {} x {} held out; allowed: the same users in both, and the {n_items} \
                 items of the training data",
                input.n_rows(),
                input.n_cols(),
                target.n_rows(),
                target.n_cols()
            )));
        }
    }
    Ok(())
}

/// Checks the shapes that [`Scorer::score`] was called with.
pub(crate) fn check_scores(histories: &[&[u32]], n_items: usize, scores: &[f32]) -> Result<()> {
    if scores.len() != histories.len() * n_items {
        return Err(Error::Internal(format!(
            "{} scores for {} users x {n_items} items",
            scores.len(),
            histories.len()
        )));
    }
    if let Some(item) = histories.iter().filter_map(|items| items.last()).find(|&&item| item as usize >= n_items) {
        return Err(Error::Internal(format!("item {item} in a history of a model of {n_items} items")));
    }
    Ok(())
}
