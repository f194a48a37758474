//! What every model has in common: a kind with options, `fit`, `score`, tensors to save.
//!
//! A model knows items by index only and users by their histories only; ids belong to [`crate::Recommender`]. Scores of
//! a user are a function of the history, so a user who was never seen is scored like any other.

use std::sync::Arc;

use ndarray::Array2;
use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::evaluate::leave_one_out::leave_one_out;
use crate::evaluate::scorer::Scorer;
use crate::model::compact::CompactOptions;
use crate::model::kind::ModelKind;
use crate::model::tensors::NamedTensor;

/// A trained model.
pub trait Model: Scorer + Send {
    /// Which model it is.
    fn kind(&self) -> ModelKind;

    /// Its options with their values.
    fn options(&self) -> Value;

    /// Its parameters by name.
    fn tensors(&self) -> Result<Vec<NamedTensor<'_>>>;

    /// How similar `item` is to each of `items`, in their order; see `similar.rs`.
    ///
    /// # Errors
    /// `INTERNAL` for a model without [`ModelKind::has_similar_items`].
    fn similarities(&self, _item: u32, _items: &[u32]) -> Result<Vec<f32>> {
        Err(Error::Internal(format!("{} was asked for similar items", self.kind().name())))
    }

    /// The latent vector of each history, shape `(histories.len(), latent)`.
    ///
    /// # Errors
    /// `INTERNAL` for a model without [`ModelKind::has_embedding`].
    fn embed(&self, _histories: &[&[u32]]) -> Result<Array2<f32>> {
        Err(Error::Internal(format!("{} was asked for an embedding", self.kind().name())))
    }

    /// What each item of the history contributes to the score of `item`; empty where none ever does. See `explain.rs`.
    ///
    /// # Errors
    /// As [`Scorer::score_some`], and `CANCELLED`.
    fn contributions(&self, history: &[u32], item: u32, cancel: &Cancel) -> Result<Vec<f64>> {
        leave_one_out(self, history, item, cancel)
    }

    /// The models of which it is made; empty for all but a blend.
    fn parts(&self) -> Vec<Arc<dyn Model>> {
        vec![]
    }

    /// How many bytes of memory its parameters hold.
    fn bytes(&self) -> usize {
        self.tensors().map_or(0, |tensors| tensors.iter().map(|tensor| tensor.data.n_bytes()).sum())
    }

    /// A smaller model that recommends nearly the same, with the same options.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if this model has no smaller form, or none like that.
    fn compact(&self, options: &CompactOptions) -> Result<Box<dyn Model>> {
        let _ = options;
        self.kind().check("the model to be made smaller", ModelKind::has_item_matrix)?;
        Err(Error::Internal(format!("{} has no smaller form", self.kind().name())))
    }
}

/// A model with the record of its training (one entry per epoch, none for closed forms).
pub struct Fit {
    /// The model with the best parameters.
    pub model: Box<dyn Model>,
    /// What was reported, epoch by epoch.
    pub epochs: Vec<Progress>,
}
