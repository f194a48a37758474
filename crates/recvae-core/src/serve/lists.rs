//! The lists of a model: the best items of those that may come, and the most popular ones where it knows nothing
//! (`evaluate/popular.rs`).

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::data::popular::Popular;
use crate::evaluate::candidates::{Candidates, recommend_within};
use crate::evaluate::popular::Fallback;
use crate::evaluate::scorer::Scored;
use crate::serve::filter::Filter;
use crate::serve::recommender::{History, RecommendOptions, Recommender};

/// Which items may come.
#[derive(Clone, Copy, Debug)]
pub enum Within<'a> {
    /// All.
    All,
    /// Those that pass the filter, for every history.
    One(&'a Filter),
    /// Those that pass its own filter, for each history; as many filters as histories.
    Each(&'a [Filter]),
}

/// The list of one history.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The best items first.
    pub items: Vec<Scored>,
    /// Whether all or some of them are there for their popularity.
    pub fallback_used: bool,
}

impl Recommender {
    /// The best items for each history; see [`Recommender::serve`].
    ///
    /// # Errors
    /// As [`Recommender::serve`].
    pub fn recommend(&self, histories: &[History], options: &RecommendOptions) -> Result<Vec<Vec<Scored>>> {
        self.recommend_until(histories, options, &Cancel::default())
    }

    /// The same unless it is stopped, within a block of users.
    ///
    /// # Errors
    /// As [`Recommender::serve`].
    pub fn recommend_until(
        &self,
        histories: &[History],
        options: &RecommendOptions,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Scored>>> {
        Ok(lists_of(self.serve(histories, options, Within::All, cancel)?))
    }

    /// The best items that pass the filter, for each history; see [`Recommender::serve`].
    ///
    /// # Errors
    /// As [`Recommender::serve`]: `INVALID_ARGUMENT` for a filter of another model, even one with the same items.
    pub fn recommend_within(
        &self,
        histories: &[History],
        options: &RecommendOptions,
        filter: &Filter,
    ) -> Result<Vec<Vec<Scored>>> {
        self.recommend_within_until(histories, options, filter, &Cancel::default())
    }

    /// The same unless it is stopped, within a block of users.
    ///
    /// # Errors
    /// As [`Recommender::recommend_within`], and `CANCELLED`.
    pub fn recommend_within_until(
        &self,
        histories: &[History],
        options: &RecommendOptions,
        filter: &Filter,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Scored>>> {
        Ok(lists_of(self.serve(histories, options, Within::One(filter), cancel)?))
    }

    /// The best items for each history, of those that may come; see [`crate::recommend()`] and, for what comes where
    /// the model knows nothing, [`RecommendOptions::fallback`].
    ///
    /// # Errors
    /// As [`crate::recommend()`]; `INVALID_ARGUMENT` for a filter of another model, for another number of filters than
    /// of histories, and for the fallback `popularity` of a model without numbers of users; `CANCELLED` within a block
    /// of users.
    pub fn serve(
        &self,
        histories: &[History],
        options: &RecommendOptions,
        within: Within<'_>,
        cancel: &Cancel,
    ) -> Result<Vec<Served>> {
        let candidates = self.candidates_of(histories.len(), within)?;
        let of = |user: usize| match &candidates[..] {
            [] => None,
            [one] => Some(*one),
            each => Some(each[user]),
        };
        let popular = self.popular_for(options)?;
        let RecommendOptions { k, filter_seen, .. } = *options;
        let is_known = |history: &History| popular.is_none() || !history.items.is_empty();
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            (0..histories.len()).partition(|&user| is_known(&histories[user]));
        let rows: Vec<&[u32]> = known.iter().map(|&user| &histories[user].items[..]).collect();
        let of_known: Vec<&Candidates> = match &candidates[..] {
            all_or_one @ ([] | [_]) => all_or_one.to_vec(),
            each => known.iter().map(|&user| each[user]).collect(),
        };
        let refilled = |at: usize, mut items: Vec<Scored>, score: &dyn Fn(u32) -> f32| {
            let seen = if filter_seen { rows[at] } else { &[] };
            let fallback_used = popular.is_some_and(|popular| popular.refill(&mut items, score, seen, of(known[at])));
            Served { items, fallback_used }
        };
        let model = self.scorer(cancel);
        let lists = recommend_within(&model, &rows, k, filter_seen, &of_known, refilled)?;
        let mut served = vec![Served { items: vec![], fallback_used: false }; histories.len()];
        for (&user, list) in known.iter().zip(lists) {
            served[user] = list;
        }
        if let Some(popular) = popular {
            for user in unknown {
                let items = popular.best(of(user), k);
                served[user] = Served { fallback_used: !items.is_empty(), items };
            }
        }
        Ok(served)
    }

    /// None for all items, one for all histories or one for each history.
    fn candidates_of<'a>(&self, n_histories: usize, within: Within<'a>) -> Result<Vec<&'a Candidates>> {
        match within {
            Within::All => Ok(vec![]),
            Within::One(filter) => Ok(vec![self.candidates(filter)?]),
            Within::Each(filters) if filters.len() != n_histories => {
                let allowed = format!("one for each history, {n_histories}");
                Err(Error::invalid_argument("number of filters", filters.len(), allowed))
            }
            Within::Each(filters) => filters.iter().map(|filter| self.candidates(filter)).collect(),
        }
    }

    fn popular_for(&self, options: &RecommendOptions) -> Result<Option<&Popular>> {
        match (options.fallback, self.popular()) {
            (Some(Fallback::None), _) | (None, None) => Ok(None),
            (_, Some(popular)) => Ok(Some(popular)),
            (Some(Fallback::Popularity), None) => Err(Error::invalid_argument(
                "fallback",
                "'popularity'",
                "'none' for a model whose file does not say how many users have an item, as those of earlier versions; train it anew",
            )),
        }
    }
}

/// The lists alone.
fn lists_of(served: Vec<Served>) -> Vec<Vec<Scored>> {
    served.into_iter().map(|served| served.items).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::base::matrix::view2_mut;
    use crate::evaluate::lists::recommend;
    use crate::math::csr::Csr;
    use crate::model::{CompactOptions, ModelKind};
    use crate::train::run::FitRun;

    /// Items 0 and 1 go together, and so do 3, 4 and 5; users: 2, 2, 1, 3, 4, 4.
    fn recommender(kind: ModelKind) -> Recommender {
        let rows: [&[u32]; 7] = [&[0, 1], &[0, 1], &[2], &[3, 4, 5], &[3, 4, 5], &[3, 4, 5], &[4, 5]];
        let train = Csr::from_rows(rows, 6).unwrap();
        let fit = kind.fit(&kind.least_options(), &train, None, &FitRun::default()).unwrap();
        let ids = ["a", "b", "c", "d", "e", "f"].into_iter().collect();
        let model = Recommender::new(fit.model, ids, Value::Null).unwrap();
        model.with_counts(train.column_counts()).unwrap()
    }

    fn items(served: &Served) -> (Vec<u32>, bool) {
        (served.items.iter().map(|scored| scored.item).collect(), served.fallback_used)
    }

    fn serve(model: &Recommender, history: &[&str], options: &RecommendOptions, within: Within<'_>) -> Served {
        model.serve(&[model.history(history)], options, within, &Cancel::default()).unwrap().remove(0)
    }

    #[test]
    fn a_history_without_a_known_item_gets_the_most_popular_items_with_their_users() {
        let options = RecommendOptions { k: 3, ..RecommendOptions::default() };
        for &kind in ModelKind::TRAINED {
            let model = recommender(kind);
            for history in [&[][..], &["x", "y"]] {
                let served = serve(&model, history, &options, Within::All);
                assert_eq!(items(&served), (vec![4, 5, 3], true), "{kind:?}");
                assert_eq!(served.items.iter().map(|scored| scored.score).collect::<Vec<_>>(), [4.0, 4.0, 3.0]);
            }
            assert!(!serve(&model, &["a", "x"], &RecommendOptions { k: 1, ..options }, Within::All).fallback_used);
            let filter = model.filter(Some(&["c", "b", "e"]), &["e"], None).unwrap();
            let served = serve(&model, &[], &options, Within::One(&filter));
            assert_eq!(items(&served), (vec![1, 2], true), "{kind:?}");
            let none = RecommendOptions { fallback: Some(Fallback::None), ..options };
            let by_scores = recommend(model.model(), &[&[]], 3, true).unwrap().remove(0);
            assert_eq!(serve(&model, &[], &none, Within::All), Served { items: by_scores, fallback_used: false });
        }
    }

    #[test]
    fn zeros_of_a_short_list_are_the_most_popular_ones_of_all_zeros() {
        let model = recommender(ModelKind::Ease);
        let model = model.compact(&CompactOptions { top_per_item: Some(1), precision: None }).unwrap();
        let mut scores = [0.0; 6];
        model.model().score(&[&[0]], view2_mut(&mut scores, (1, 6))).unwrap();
        assert!(scores[1] > 0.0 && scores[3..] == [0.0; 3], "{scores:?}");
        let options = RecommendOptions { k: 4, ..RecommendOptions::default() };
        let served = serve(&model, &["a"], &options, Within::All);
        assert_eq!(items(&served), (vec![1, 4, 5, 3], true));
        assert_eq!(served.items[1].score, 0.0);
        // What is left out stays out, and what fits without a zero has none.
        let filter = model.filter(None, &["e"], None).unwrap();
        assert_eq!(items(&serve(&model, &["a"], &options, Within::One(&filter))), (vec![1, 5, 3, 2], true));
        let one = RecommendOptions { k: 1, ..options.clone() };
        assert_eq!(items(&serve(&model, &["a"], &one, Within::All)), (vec![1], false));
        let none = RecommendOptions { fallback: Some(Fallback::None), ..options };
        assert_eq!(items(&serve(&model, &["a"], &none, Within::All)), (vec![1, 2, 3, 4], false));
    }

    #[test]
    fn each_history_has_its_own_filter_and_place() {
        let model = recommender(ModelKind::Ease);
        let histories = [vec!["a"], vec![], vec!["d"], vec!["x"]].map(|ids| model.history(ids));
        let filters = [&["b", "c"][..], &["a"], &["c", "f"], &["c"]]
            .map(|allow| model.filter(Some(allow), &[] as &[&str], None).unwrap());
        let options = RecommendOptions { k: 1, ..RecommendOptions::default() };
        let served = model.serve(&histories, &options, Within::Each(&filters), &Cancel::default()).unwrap();
        let found: Vec<_> = served.iter().map(items).collect();
        assert_eq!(found, [(vec![1], false), (vec![0], true), (vec![5], false), (vec![2], true)]);
        for (at, history) in histories.iter().enumerate() {
            let alone = [history.clone()];
            let alone = model.serve(&alone, &options, Within::One(&filters[at]), &Cancel::default()).unwrap();
            assert_eq!(alone[0], served[at]);
        }
        let error = model.serve(&histories, &options, Within::Each(&filters[1..]), &Cancel::default()).unwrap_err();
        assert_eq!(error.to_string(), "number of filters is 3; allowed: one for each history, 4");
    }

    #[test]
    fn a_model_without_numbers_of_users_says_so() {
        let model = recommender(ModelKind::Ease);
        let ids = model.items().clone();
        let old =
            Recommender::new(model.model().compact(&CompactOptions::default()).unwrap(), ids, Value::Null).unwrap();
        let options = RecommendOptions::default();
        assert!(!serve(&old, &[], &options, Within::All).fallback_used);
        let asked = RecommendOptions { fallback: Some(Fallback::Popularity), ..options };
        let error = old.serve(&[], &asked, Within::All, &Cancel::default()).unwrap_err();
        assert!(error.to_string().starts_with("fallback is 'popularity'; allowed: 'none' for a model"), "{error}");
        assert!(old.with_counts(vec![1, 2]).is_err());
    }
}
