//! Filters, results as columns, similar items and users, explanations.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;
use recvae_core::{
    Cancel, ExplainOptions, Explanation, Filter, History, ListColumns, Options, RecommendOptions, Recommender, Scored,
    SimilarOptions, Within, offsets,
};

use crate::copied::Copied;
use crate::error::{IntoNode, Result, json};
use crate::model::{NativeModel, recommend_options};
use crate::run::NativeRun;
use crate::work::{Promise, now, promise, request};

/// Which items of one model may be recommended. It does not keep the model alive.
#[napi]
pub struct NativeFilter(pub(crate) Arc<Filter>);

#[napi]
impl NativeFilter {
    /// How many items pass.
    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> u32 {
        self.0.len() as u32
    }

    /// Positions in the allow list of ids that the model does not know.
    #[napi(catch_unwind, ts_return_type = "Uint32Array")]
    pub fn unknown_allow(&self) -> Result<Copied<u32>> {
        Ok(positions(self.0.unknown_allow()))
    }

    /// The same of the deny list.
    #[napi(catch_unwind, ts_return_type = "Uint32Array")]
    pub fn unknown_deny(&self) -> Result<Copied<u32>> {
        Ok(positions(self.0.unknown_deny()))
    }
}

/// The lists of ids of one history.
#[napi(object, object_to_js = false)]
pub struct NativeIdLists {
    /// The only items that may come; without it all.
    pub allow: Option<Vec<String>>,
    /// Items that must not come.
    pub deny: Vec<String>,
}

/// Histories as columns of item indices.
#[napi(object, object_to_js = false)]
pub struct NativeHistoryColumns {
    /// Indices of the items, one history after the other.
    pub items: Uint32Array,
    /// Where each history begins in `items`, and the number of items.
    pub offsets: Uint32Array,
}

/// Recommendations for a number of histories, as columns.
#[napi(object, object_from_js = false)]
pub struct NativeListColumns {
    /// Indices of the recommended items, best first.
    #[napi(ts_type = "Uint32Array")]
    pub items: Copied<u32>,
    /// Their scores.
    #[napi(ts_type = "Float32Array")]
    pub scores: Copied<f32>,
    /// Where each history's list begins in `items`, and the number of items.
    #[napi(ts_type = "Uint32Array")]
    pub offsets: Copied<u32>,
    /// Positions, in its history, of each id that the model does not know.
    #[napi(ts_type = "Uint32Array")]
    pub unknown: Copied<u32>,
    /// Where each history's part of `unknown` begins, and the length of it.
    #[napi(ts_type = "Uint32Array")]
    pub unknown_offsets: Copied<u32>,
    /// 1 for each history with items in its list that are there for their popularity.
    #[napi(ts_type = "Uint8Array")]
    pub fallback_used: Copied<u8>,
}

/// Items, or positions of users, with scores.
#[napi(object, object_from_js = false)]
pub struct NativeScored {
    /// Indices or positions, best first.
    #[napi(ts_type = "Uint32Array")]
    pub items: Copied<u32>,
    /// Their scores.
    #[napi(ts_type = "Float32Array")]
    pub scores: Copied<f32>,
    /// Positions, in the history that was asked for, of each id that the model does not know.
    #[napi(ts_type = "Uint32Array")]
    pub unknown: Copied<u32>,
}

/// Why a score is what it is.
#[napi(object, object_from_js = false)]
pub struct NativeExplanation {
    /// The score.
    pub score: f64,
    /// Items of the history, the largest contribution first.
    #[napi(ts_type = "Uint32Array")]
    pub items: Copied<u32>,
    /// Their contributions.
    #[napi(ts_type = "Float64Array")]
    pub contributions: Copied<f64>,
    /// Positions, in the history, of each id that the model does not know.
    #[napi(ts_type = "Uint32Array")]
    pub unknown: Copied<u32>,
}

#[napi]
impl NativeModel {
    /// Prepares a filter. Without `allow`, every item may pass.
    #[napi(catch_unwind)]
    pub fn filter(
        &self,
        allow: Option<Vec<String>>,
        deny: Vec<String>,
        within: Option<&NativeFilter>,
    ) -> Result<NativeFilter> {
        let within = within.map(|filter| &*filter.0);
        let filter = self.0.get()?.filter(allow.as_deref(), &deny, within).into_node()?;
        Ok(NativeFilter(Arc::new(filter)))
    }

    /// Recommends for many histories, given as ids or as columns. `options`: JSON. `own`: lists of each history's own,
    /// or none at all.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeListColumns>")]
    #[allow(clippy::too_many_arguments)] // one call, made by one function of ts/models/serving.ts
    pub fn recommend_columns<'env>(
        &self,
        env: &'env Env,
        ids: Vec<Vec<String>>,
        columns: Option<NativeHistoryColumns>,
        options: String,
        filter: Option<&NativeFilter>,
        own: Vec<NativeIdLists>,
        threads: Option<f64>,
        run: &NativeRun,
    ) -> Result<Promise<'env>> {
        let (model, options, cancel) = (Arc::clone(self.0.get()?), recommend_options(&options)?, run.flag());
        let filter = filter.map(|filter| Arc::clone(&filter.0));
        // Copied: JavaScript could change them meanwhile.
        let columns = columns.map(|columns| (columns.items.to_vec(), columns.offsets.to_vec()));
        let n_users = columns.as_ref().map_or(ids.len(), |(_, offsets)| offsets.len().saturating_sub(1));
        let turn = request(n_users, threads, &cancel)?;
        let work = move || {
            let histories = match &columns {
                Some((items, offsets)) => model.histories_of(items, offsets).into_node()?,
                None => histories(&model, &ids),
            };
            Lists::new(&model, &histories, &options, filter.as_deref(), &own, &cancel)
        };
        promise(env, turn, work, NativeListColumns::from)
    }

    /// The items most similar to one. `options`: JSON.
    #[napi(catch_unwind)]
    pub fn similar_items(&self, item: String, options: String, filter: Option<&NativeFilter>) -> Result<NativeScored> {
        let options = SimilarOptions::from_json(&json("options", &options)?).into_node()?;
        let (model, filter) = (Arc::clone(self.0.get()?), filter.map(|filter| Arc::clone(&filter.0)));
        let found = now(move || model.similar_items(&item, &options, filter.as_deref()).into_node())?;
        Ok(scored(&found, &[]))
    }

    /// The users, given by their histories, most similar to one. `options`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeScored>")]
    pub fn similar_users<'env>(
        &self,
        env: &'env Env,
        history: Vec<String>,
        users: Vec<Vec<String>>,
        options: String,
        threads: Option<f64>,
        run: &NativeRun,
    ) -> Result<Promise<'env>> {
        let (model, cancel) = (Arc::clone(self.0.get()?), run.flag());
        let options = SimilarOptions::from_json(&json("options", &options)?).into_node()?;
        let turn = request(users.len(), threads, &cancel)?;
        let work = move || {
            let (history, users) = (model.history(&history), histories(&model, &users));
            let found = model.similar_users_until(&history, &users, &options, &cancel).into_node()?;
            Ok((found, history))
        };
        promise(env, turn, work, |(found, history)| scored(&found, &history.unknown))
    }

    /// The latent vectors of histories, one after the other.
    #[napi(catch_unwind, ts_return_type = "Promise<Float32Array>")]
    pub fn embed<'env>(
        &self,
        env: &'env Env,
        ids: Vec<Vec<String>>,
        threads: Option<f64>,
        run: &NativeRun,
    ) -> Result<Promise<'env>> {
        let (model, cancel) = (Arc::clone(self.0.get()?), run.flag());
        let turn = request(ids.len(), threads, &cancel)?;
        let work = move || model.embed_until(&histories(&model, &ids), &cancel).into_node();
        promise(env, turn, work, |vectors| Copied::from(vectors.into_iter().collect::<Vec<_>>()))
    }

    /// Explains the score of an item. `options`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeExplanation>")]
    pub fn explain<'env>(
        &self,
        env: &'env Env,
        history: Vec<String>,
        item: String,
        options: String,
        threads: Option<f64>,
        run: &NativeRun,
    ) -> Result<Promise<'env>> {
        let (model, cancel) = (Arc::clone(self.0.get()?), run.flag());
        let options = ExplainOptions::from_json(&json("options", &options)?).into_node()?;
        let turn = request(1, threads, &cancel)?;
        let work = move || {
            let history = model.history(&history);
            let explanation = model.explain_until(&history, &item, &options, &cancel).into_node()?;
            Ok((explanation, history.unknown))
        };
        promise(env, turn, work, |(Explanation { score, reasons, .. }, unknown)| NativeExplanation {
            score: score.into(),
            items: reasons.iter().map(|reason| reason.item).collect::<Vec<_>>().into(),
            contributions: reasons.iter().map(|reason| reason.contribution).collect::<Vec<_>>().into(),
            unknown: positions(&unknown),
        })
    }
}

/// A filter for each history, within the common one; none if the histories have no lists of their own.
fn filters(model: &Recommender, own: &[NativeIdLists], within: Option<&Filter>) -> Result<Option<Vec<Filter>>> {
    if own.is_empty() {
        return Ok(None);
    }
    let filter = |lists: &NativeIdLists| model.filter(lists.allow.as_deref(), &lists.deny, within);
    own.iter().map(filter).collect::<recvae_core::Result<_>>().map(Some).into_node()
}

/// [`NativeListColumns`] on their way to JavaScript.
pub(crate) struct Lists {
    lists: ListColumns,
    unknown: Vec<usize>,
    unknown_offsets: Vec<u32>,
    fallback_used: Vec<u8>,
}

impl Lists {
    /// The best items for each history, of those that pass the filter if there is one and its own lists.
    pub(crate) fn new(
        model: &Recommender,
        histories: &[History],
        options: &RecommendOptions,
        filter: Option<&Filter>,
        own: &[NativeIdLists],
        cancel: &Cancel,
    ) -> Result<Self> {
        let each = filters(model, own, filter)?;
        let within = match (&each, filter) {
            (Some(filters), _) => Within::Each(filters),
            (None, Some(filter)) => Within::One(filter),
            (None, None) => Within::All,
        };
        let served = model.serve(histories, options, within, cancel).into_node()?;
        let fallback_used = served.iter().map(|served| served.fallback_used.into()).collect();
        let lists: Vec<Vec<Scored>> = served.into_iter().map(|served| served.items).collect();
        Ok(Self {
            lists: ListColumns::new(&lists).into_node()?,
            unknown: histories.iter().flat_map(|history| &history.unknown).copied().collect(),
            unknown_offsets: offsets(histories.iter().map(|history| history.unknown.len())).into_node()?,
            fallback_used,
        })
    }
}

impl From<Lists> for NativeListColumns {
    fn from(lists: Lists) -> Self {
        let Lists { lists: ListColumns { items, scores, offsets }, unknown, unknown_offsets, fallback_used } = lists;
        Self {
            items: items.into(),
            scores: scores.into(),
            offsets: offsets.into(),
            unknown: positions(&unknown),
            unknown_offsets: unknown_offsets.into(),
            fallback_used: fallback_used.into(),
        }
    }
}

fn histories(model: &Recommender, ids: &[Vec<String>]) -> Vec<History> {
    ids.iter().map(|ids| model.history(ids)).collect()
}

fn scored(found: &[Scored], unknown: &[usize]) -> NativeScored {
    NativeScored {
        items: found.iter().map(|scored| scored.item).collect::<Vec<_>>().into(),
        scores: found.iter().map(|scored| scored.score).collect::<Vec<_>>().into(),
        unknown: positions(unknown),
    }
}

/// A history is an array of JavaScript, which has fewer than 2^32 elements.
fn positions(positions: &[usize]) -> Copied<u32> {
    positions.iter().map(|&at| at as u32).collect::<Vec<_>>().into()
}
