//! A model that speaks original ids: what is saved, loaded and served.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::options::options;
use crate::base::threads::Threads;
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::data::popular::Popular;
use crate::evaluate::popular::Fallback;
use crate::evaluate::scorer::{ListFinder, Scorer};
use crate::math::csr::Csr;
use crate::model::{CompactOptions, Fit, Model};
use crate::serve::model_file::{self, LoadOptions};
use crate::split::parts::HeldOut;
use crate::split::training_record::TrainingRecord;
use crate::train::warm_start::WarmStart;

options! {
    /// What to recommend.
    pub struct RecommendOptions for "recommend" {
        /// How many items; fewer come where the catalogue has fewer left.
        k: usize = 10, AtLeast(1.0);
        /// Whether the items of the history are left out.
        filter_seen: bool = true, Any;
        /// What a user gets of whom the model knows nothing: `popularity`, the items that most training users have, for
        /// a history without a known item, and in place of items whose score is exactly 0; or `none`, what the model
        /// gives. By default `popularity`; `none` where the model's file does not say how many users have an item, as
        /// those of earlier versions.
        fallback: Option<Fallback> = None, Any;
    }
}

/// A trained model with the ids of its items. It needs no training data.
pub struct Recommender {
    /// Shared with the blends that are made of it.
    model: Arc<dyn Model>,
    items: Ids,
    info: Value,
    record: TrainingRecord,
    /// Shared with the models that are made of it.
    popular: Option<Arc<Popular>>,
    /// Who finds lists of many users, if that is a device.
    lists: Option<Arc<dyn ListFinder>>,
    /// Shared with the filters that this model makes, and with nothing else.
    identity: Arc<()>,
}

/// A history translated to item indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Indices of the items that the model knows, ascending, without duplicates.
    pub items: Vec<u32>,
    /// Positions in the history, ascending, of ids that the model does not know.
    pub unknown: Vec<usize>,
}

impl Recommender {
    /// Puts a model and the ids of its items together. `info` is any JSON that should stay with the model. Whom it was
    /// trained on is unknown unless [`Recommender::with_record`] says it.
    ///
    /// # Errors
    /// `INVALID_DATA` if there are not as many ids as items.
    pub fn new(model: Box<dyn Model>, items: Ids, info: Value) -> Result<Self> {
        if model.n_items() != items.len() {
            return Err(Error::invalid_data(format!("{} ids for a model of {} items", items.len(), model.n_items())));
        }
        Ok(Self {
            model: model.into(),
            items,
            info,
            record: TrainingRecord::unknown(),
            popular: None,
            lists: None,
            identity: Arc::default(),
        })
    }

    /// What a fit on the interactions of `train` gave, with the ids of their items and the record of their users.
    ///
    /// # Errors
    /// As [`Recommender::new`].
    pub fn of(fit: Fit, train: &Interactions) -> Result<Self> {
        let model = Self::new(fit.model, train.items().clone(), Value::Null)?;
        model.with_record(TrainingRecord::of(train)).with_counts(train.matrix().column_counts())
    }

    /// The same with how many training users have each item, by which it serves users of whom it knows nothing.
    ///
    /// # Errors
    /// `INVALID_DATA` if there are not as many numbers as items.
    pub fn with_counts(self, counts: Vec<u32>) -> Result<Self> {
        if counts.len() != self.items.len() {
            let text = format!("numbers of users of {} items for a model of {}", counts.len(), self.items.len());
            return Err(Error::invalid_data(text));
        }
        Ok(Self { popular: Some(Arc::new(Popular::new(counts))), ..self })
    }

    /// The same with a record of whom it was trained on.
    #[must_use]
    pub fn with_record(self, record: TrainingRecord) -> Self {
        Self { record, ..self }
    }

    /// The same with another `info`.
    #[must_use]
    pub fn with_info(self, info: Value) -> Self {
        Self { info, ..self }
    }

    /// Reads a model file as by default; see `model_file.rs` for its layout.
    ///
    /// # Errors
    /// `IO` if it cannot be read, `INVALID_MODEL_FILE` if it is truncated, altered or foreign.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// As [`Recommender::load`]; `INVALID_DATA` if there is no memory to read it into; as [`Recommender::on`].
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        Self::loaded(model_file::load(path.as_ref(), options)?)?.on(&options.device)
    }

    /// The model in the bytes of a model file, which are copied and verified.
    ///
    /// # Errors
    /// `INVALID_MODEL_FILE` if they are truncated, altered or foreign.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::loaded(model_file::read(Path::new("(bytes)"), bytes.into(), Some(true))?)
    }

    fn loaded((model, items, info, record, counts): model_file::Loaded) -> Result<Self> {
        let model = Self::new(model, items, info)?.with_record(record);
        match counts {
            Some(counts) => model.with_counts(counts),
            None => Ok(model),
        }
    }

    /// Writes a model file, whole or not at all.
    ///
    /// # Errors
    /// `IO` if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_with_info(path, &self.info)
    }

    /// The same with another `info` in the file.
    ///
    /// # Errors
    /// `IO` if it cannot be written, `INVALID_ARGUMENT` if `info` is too large.
    pub fn save_with_info(&self, path: impl AsRef<Path>, info: &Value) -> Result<()> {
        model_file::save(path.as_ref(), &*self.model, &self.items, info, &self.record, self.counts())
    }

    /// The same without the record of whom it was trained on, for a file that others get.
    ///
    /// # Errors
    /// As [`Recommender::save_with_info`].
    pub fn save_without_record(&self, path: impl AsRef<Path>, info: &Value) -> Result<()> {
        model_file::save(path.as_ref(), &*self.model, &self.items, info, &TrainingRecord::unknown(), self.counts())
    }

    /// A smaller model that recommends nearly the same. Only EASE^R has one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for another model, or if its weights do not fit the precision.
    pub fn compact(&self, options: &CompactOptions) -> Result<Self> {
        let compact = Self::new(self.model.compact(options)?, self.items.clone(), self.info.clone())?;
        Ok(Self { popular: self.popular.clone(), ..compact.with_record(self.record.clone()) })
    }

    /// The model as something that looks at the flag before each block of users, and whose lists of many users come
    /// from the device of [`Recommender::on`].
    #[must_use]
    pub fn scorer<'a>(&'a self, cancel: &'a Cancel) -> impl Scorer + 'a {
        cancel.watch_with(&*self.model, self.lists.as_deref())
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// How many threads are worth it for one history: more where its scores read so much of the model that the memory
    /// is waited for.
    #[must_use]
    pub fn threads_for(&self, history: &History) -> usize {
        Threads::that_read(self.model.bytes_read(history.items.len()))
    }

    /// The model, to be a part of another one.
    pub(crate) fn shared(&self) -> &Arc<dyn Model> {
        &self.model
    }

    /// The ids of the items, in order of their indices.
    #[must_use]
    pub fn items(&self) -> &Ids {
        &self.items
    }

    /// What stays with the model.
    #[must_use]
    pub fn info(&self) -> &Value {
        &self.info
    }

    /// Whom it was trained on.
    #[must_use]
    pub fn record(&self) -> &TrainingRecord {
        &self.record
    }

    /// How many training users have each item, if that is known.
    #[must_use]
    pub fn counts(&self) -> Option<&[u32]> {
        self.popular().map(Popular::counts)
    }

    /// The same with lists of many users from somebody else.
    #[cfg(feature = "candle")]
    pub(crate) fn with_lists(self, lists: Option<Arc<dyn ListFinder>>) -> Self {
        Self { lists, ..self }
    }

    pub(crate) fn popular(&self) -> Option<&Popular> {
        self.popular.as_deref()
    }

    /// What tells it from other models.
    pub(crate) fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    /// How many bytes of memory it holds: parameters, ids, the record of its training users and the numbers of users
    /// per item.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let popular = self.popular().map_or(0, Popular::bytes);
        self.model.bytes() + self.items.bytes() + self.record.as_bytes().len() + popular
    }

    /// Translates a history of ids.
    pub fn history<S: AsRef<str>>(&self, ids: impl IntoIterator<Item = S>) -> History {
        let mut history = History::default();
        for (position, id) in ids.into_iter().enumerate() {
            match self.items.find(id.as_ref()) {
                Some(item) => history.items.push(item),
                None => history.unknown.push(position),
            }
        }
        history.items.sort_unstable();
        history.items.dedup();
        history
    }

    /// What a training on `items`, those of the new data in order of their indices, has to begin with in this model.
    #[must_use]
    pub fn warm_start(&self, items: &Ids) -> WarmStart<'_> {
        WarmStart::new(&*self.model, &self.items, items)
    }

    /// Held-out users over `items` as held-out users over this model's items, matched by id, and how many of their
    /// entries were dropped because the model does not know the item. What is known of the popularity of items is the
    /// model's, as it is when lists are served.
    ///
    /// # Errors
    /// `INVALID_DATA` if there are not as many `items` as columns.
    pub fn translate(&self, held_out: &HeldOut, items: &Ids) -> Result<(HeldOut, usize)> {
        if held_out.n_items() != items.len() {
            return Err(Error::invalid_data(format!("{} ids for {} columns", items.len(), held_out.n_items())));
        }
        let index: Vec<Option<u32>> = items.iter().map(|id| self.items.find(id)).collect();
        let mut dropped = 0;
        let mut translate = |matrix: &Csr| {
            let (mut indptr, mut indices, mut weights) = (vec![0], Vec::with_capacity(matrix.nnz()), vec![]);
            for user in 0..matrix.n_rows() {
                let known = |entry: usize| Some((index[matrix.indices()[entry] as usize]?, entry));
                let mut row: Vec<(u32, usize)> = matrix.row_range(user).filter_map(known).collect();
                row.sort_unstable();
                indices.extend(row.iter().map(|(item, _)| item));
                weights.extend(matrix.weights().iter().flat_map(|all| row.iter().map(|&(_, entry)| all[entry])));
                indptr.push(indices.len());
            }
            dropped += matrix.nnz() - indices.len();
            let translated = Csr::new(indptr, indices, self.items.len())?;
            if matrix.weights().is_some() { translated.with_weights(weights) } else { Ok(translated) }
        };
        let (input, target) = (translate(held_out.input())?, translate(held_out.target())?);
        let translated = HeldOut::new(held_out.users().clone(), input, target)?.with_popular(self.popular.clone())?;
        Ok((translated, dropped))
    }

    /// The interactions of training users over `items` as such over this model's items, matched by id: what
    /// [`evaluate_with`](crate::evaluate_with) knows of training. Items that the model alone knows have no users.
    ///
    /// # Errors
    /// `INVALID_DATA` if the ids of the items are not those of the columns.
    pub fn translate_training<'a>(&self, train: &'a Interactions) -> Result<Cow<'a, Csr>> {
        if *train.items() == self.items {
            return Ok(Cow::Borrowed(train.matrix()));
        }
        let index: Vec<Option<u32>> = train.items().iter().map(|id| self.items.find(id)).collect();
        let rows = train.matrix().rows().map(|row| {
            let mut row: Vec<u32> = row.iter().filter_map(|&item| index[item as usize]).collect();
            row.sort_unstable();
            row
        });
        Csr::from_rows(rows, self.items.len()).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelKind;
    use crate::train::run::FitRun;
    use serde_json::json;

    fn train() -> Csr {
        Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1, 2], &[3]], 4).unwrap()
    }

    fn recommender(kind: ModelKind) -> Recommender {
        let fit = kind.fit(&kind.least_options(), &train(), None, &FitRun::default()).unwrap();
        Recommender::new(fit.model, ["a", "b", "ç", ""].into_iter().collect(), json!({"seed": 3})).unwrap()
    }

    #[test]
    fn histories_may_be_unsorted_doubled_and_unknown() {
        let history = recommender(ModelKind::Popularity).history(["ç", "x", "a", "ç"]);
        assert_eq!(history, History { items: vec![0, 2], unknown: vec![1] });
    }

    #[test]
    fn bytes_are_those_of_the_parameters_and_of_the_ids() {
        for &kind in ModelKind::TRAINED {
            let model = recommender(kind);
            let tensors = model.model().tensors().unwrap();
            let numbers: usize = tensors.iter().map(|tensor| tensor.data.shape().iter().product::<usize>()).sum();
            assert_eq!(model.bytes(), 4 * numbers + model.items().bytes(), "{kind:?}");
        }
        let ids: Ids = (0..1000).map(|id| format!("{id:04}")).collect();
        assert!((4 * 1000 + 8 * 1000 + 5 * 1000..40_000).contains(&ids.bytes()), "{}", ids.bytes());
        let matrix = train();
        assert!((8 * 5 + 4 * matrix.nnz()..200).contains(&matrix.bytes()), "{}", matrix.bytes());
    }

    #[test]
    fn matrices_are_translated_by_id() {
        let ids: Ids = ["ç", "new", "a"].into_iter().collect();
        let users: Ids = ["u", "v"].into_iter().collect();
        let input = Csr::from_rows([&[0u32, 1][..], &[1]], 3).unwrap();
        let target = Csr::from_rows([&[2u32][..], &[]], 3).unwrap();
        let held_out = HeldOut::new(users, input, target).unwrap();
        let (translated, dropped) = recommender(ModelKind::Popularity).translate(&held_out, &ids).unwrap();
        assert_eq!(*translated.input(), Csr::from_rows([&[2u32][..], &[]], 4).unwrap());
        assert_eq!(*translated.target(), Csr::from_rows([&[0u32][..], &[]], 4).unwrap());
        assert_eq!(dropped, 2);
    }

    #[test]
    fn a_file_brings_back_the_same_scores_and_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for &kind in ModelKind::TRAINED {
            let before = recommender(kind);
            let (first, second) = (folder.path().join("first"), folder.path().join("second"));
            before.save(&first).unwrap();
            let after = Recommender::load(&first).unwrap();
            after.save(&second).unwrap();
            assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
            assert_eq!(after.items(), before.items());
            assert_eq!(after.info(), before.info());
            assert_eq!(after.model().options(), before.model().options());
            let histories = [before.history(["a"]), History::default()];
            let three = RecommendOptions { k: 3, ..RecommendOptions::default() };
            assert_eq!(
                after.recommend(&histories, &three).unwrap(),
                before.recommend(&histories, &three).unwrap(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn any_altered_or_missing_byte_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        recommender(ModelKind::Ease).save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            match Recommender::load(&path) {
                Err(Error::InvalidModelFile { .. }) => {}
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("loaded"),
            }
        };
        for end in 0..whole.len() {
            refused(&whole[..end]);
        }
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            std::fs::write(&path, &altered).unwrap();
            // Blanks at the end of the header and letters of its own keys carry nothing.
            if let Ok(loaded) = Recommender::load(&path) {
                loaded.save(&path).unwrap();
                assert_eq!(std::fs::read(&path).unwrap(), whole, "byte {at}");
            }
        }
        refused(b"PK\x03\x04 something else");
        let longer: Vec<u8> = whole.iter().copied().chain([0]).collect();
        refused(&longer);
        assert!(matches!(Recommender::load(folder.path().join("none")), Err(Error::Io { .. })));
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let model = recommender(ModelKind::Popularity);
        for path in [folder.path().join("none/model"), folder.path().to_owned()] {
            let Err(error) = model.save(&path) else { panic!("written") };
            assert_eq!(error.code(), "IO");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
